--- phi(x) = elu(x) + 1

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "elu1",
  doc = "elu(x) + 1: x + 1 for x > 0, exp(x) otherwise. Deterministic, M = d.\n"
     .. "Stands for no kernel of q.k; the input is not scaled unless scale says so.",
  ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  caps = "nonneg",
  options = {
    { "dim", "integer", nil, "width d of the input, checked where it is given", lo = 1 },
    { "scale", "number", 1, "the input is multiplied by it first" }
  },
  example = 'phi = fv.map("elu1"); phi(q)',
  build = function(opt, name, caps)
    return projection.plain(opt, name, caps, 1, fv.ops.elu1, fv.elu1)
  end
}
