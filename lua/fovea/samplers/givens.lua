--- W = N G_1 .. G_r for random Givens rotations: Kac's walk on the rotations

local fv = require "fovea"
local blocks = require "fovea.blocks"

return {
  name = "givens",
  doc = "Rows of blocks of d, rotated by r random Givens rotations each: Kac's walk.\n"
     .. "The two columns of a rotation differ and its angle is uniform on [0, 2 pi), so each block\n"
     .. "is orthogonal to rounding; its law tends to Haar as r grows. 4 d ceil(ln d) rotations leave\n"
     .. "the fourth moment of the sphere within a percent; d ceil(ln d) leave it 1.8 to 2.5 times\n"
     .. "too large. Unbiased in that limit only. dim from 2. O(m r).",
  ref = "Kac 1956; Choromanski & Sindhwani 2016; Choromanski et al. 2021, arXiv:2009.14794",
  caps = "orthogonal unbiased",
  options = {
    blocks.norms_option(),
    { "rotations", "integer", nil, "r, for each block; 4 d ceil(ln d) if not given", lo = 0, hi = 1e9 }
  },
  example = 'W = fv.sample("givens", {rows=256, dim=64, seed=1})',
  build = function(opt, name)
    blocks.least(opt, name, 2, "a rotation takes two columns")
    local source, d, B = blocks.source(opt), opt.dim, blocks.count(opt)
    local r = opt.rotations or 4 * d * math.ceil(math.log(d))
    local from = source "from":integers(1, d, B, r)
    local to = (from - 1 + source "to":integers(1, d - 1, B, r)) % d + 1
    local angle = source "angle":uniform(B, r, { lo = 0, hi = 2 * math.pi, dtype = "f64" })
    local start = fv.eye(d, { dtype = "f64" }):expand(B, d, d)
    return blocks.scaled(opt, source, fv.rotate(start, angle, from, to))
  end
}
