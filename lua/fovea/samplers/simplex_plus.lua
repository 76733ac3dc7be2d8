--- Simplex features whose directions answer to the norms drawn

local fv = require "fovea"
local blocks = require "fovea.blocks"
local simplex = require "fovea.simplex"

return {
  name = "simplex_plus",
  doc = "Simplex random features with weight-dependent directions (SimRFs+): from the simplex, each\n"
     .. "sweep turns every direction in turn to the opposite of the sum of the other rows of its\n"
     .. "block, norms w_i fixed: s_i = -u / |u|, u = sum over j of w_j s_j, j not i. Then a Haar\n"
     .. "rotation; each row has the law N(0,I). dim from 2. O(m d (sweeps + d)).",
  ref = "Reid et al. 2023, \"Simplex random features\", arXiv:2301.13856",
  caps = "unbiased",
  options = {
    { "sweeps", "integer", 5, "how often every direction is turned", lo = 0, hi = 1000 }
  },
  example = 'W = fv.sample("simplex_plus", {rows=256, dim=64, seed=1})',
  build = function(opt, name)
    blocks.least(opt, name, 2, "a simplex has two corners")
    local source, d, B = blocks.source(opt), opt.dim, blocks.count(opt)
    local norms = blocks.norms(opt, source, B * d):reshape(B, d, 1)
    local corners, rows, norm = simplex(d), {}, {}
    for i = 1, d do
      norm[i] = norms:slice(2, i, i):reshape(B, 1)
      rows[i] = norm[i] * corners:slice(1, i, i)
    end
    local sum = rows[1]
    for i = 2, d do sum = sum + rows[i] end
    for _ = 1, opt.sweeps do
      for i = 1, d do
        local rest = sum - rows[i]
        rows[i] = rest * (-norm[i] / rest:norm(2, { keepdim = true }))
        sum = rest + rows[i]
      end
    end
    local W = fv.stack(rows, 2):matmul(blocks.haar(source, B, d))
    return W:reshape(B * d, d):slice(1, 1, opt.rows):to(opt.dtype)
  end
}
