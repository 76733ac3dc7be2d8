--- phi(x) = elu(x) + 1

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "elu1",
  doc = "elu(x) + 1: x + 1 for x > 0, exp(x) otherwise. Deterministic, M = d.\n"
     .. "Stands for no kernel of q.k; the input is not scaled unless scale says so.",
  ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  caps = "nonneg",
  options = projection.plain_options(),
  example = 'phi = fv.map("elu1"); phi(q)',
  build = function(opt, name, caps)
    return projection.plain(opt, name, caps, {
      width = 1, features = function(x) return fv.elu1(x) end,
      cost = function(n, d) return fv.ops.elu1:cost { n = n, d = d } end
    })
  end
}
