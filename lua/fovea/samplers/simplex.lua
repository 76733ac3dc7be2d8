--- W = N S Q: the corners of a simplex, rotated

local blocks = require "fovea.blocks"
local simplex = require "fovea.simplex"

return {
  name = "simplex",
  doc = "Simplex random features: in blocks of d rows, directions of equal angles with products\n"
     .. "-1/(d-1), rotated by a Haar matrix, with chi_d norms. Each row has the law N(0,I). Of the\n"
     .. "couplings here it helps positive features most where |x + y| is small. dim from 2.\n"
     .. "O(m d^2).",
  ref = "Reid et al. 2023, \"Simplex random features\", arXiv:2301.13856",
  caps = "unbiased",
  options = { blocks.norms_option() },
  example = 'W = fv.sample("simplex", {rows=256, dim=64, seed=1})',
  build = function(opt, name)
    blocks.least(opt, name, 2, "a simplex has two corners")
    local source = blocks.source(opt)
    local Q = blocks.haar(source, blocks.count(opt), opt.dim)
    return blocks.scaled(opt, source, simplex(opt.dim):matmul(Q))
  end
}
