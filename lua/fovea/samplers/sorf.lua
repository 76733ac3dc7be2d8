--- W = sqrt(p) H D1 H D2 H D3 in blocks, H normalised Hadamard, D random signs

local fv = require "fovea"
local blocks = require "fovea.blocks"

--- Signs (B, t, p), and the norms of rows relative to sqrt(p) or nil.
local function draw(opt)
  local source, p = blocks.source(opt), 1
  while p < opt.dim do p = p * 2 end
  local B = blocks.count(opt, p)
  local signs = (source "signs":integers(0, 1, B, opt.diagonals, p) * 2 - 1):to "f64"
  local norms = opt.norms == "chi" and
    (blocks.norms(opt, source, B * p, p) / p ^ 0.5):slice(1, 1, opt.rows):reshape(-1)
  return function(x)
    local u = fv.sorf_project(x, signs:to(x:dtype()), { rows = opt.rows })
    return norms and u * norms:to(x:dtype()) or u
  end
end

return {
  name = "sorf",
  doc = "Structured orthogonal random features: blocks sqrt(p) H D1 H D2 H D3 of p = 2^ceil(log2 d)\n"
     .. "rows, their first d columns. Maps apply it without forming W, in O(m log p) a row of x.\n"
     .. "Biased in two ways: all norms are sqrt(p), so exp features estimate the regularised kernel\n"
     .. "0F1(; p/2; p|x+y|^2/4) exp(-(|x|^2+|y|^2)/2) and trig ones its mirror, and directions are\n"
     .. "only close to uniform. norms = \"chi\" draws norms and leaves the second.",
  ref = "Yu et al. 2016, arXiv:1610.09072",
  caps = "orthogonal biased",
  options = {
    blocks.norms_option "sqrt_d",
    { "diagonals", "integer", 3, "how many factors H D", lo = 1, hi = 64 }
  },
  example = 'W = fv.sample("sorf", {rows=256, dim=64, seed=1})',
  structured = draw,
  build = function(opt)
    return draw(opt)(fv.eye(opt.dim, { dtype = "f64" })):t():contiguous():to(opt.dtype)
  end
}
