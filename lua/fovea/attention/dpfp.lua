--- Linear attention on DPFP features.

local fv = require "fovea"
local features = require "fovea.features"

return {
  name = "dpfp",
  doc = "Linear attention on DPFP features, 2 d nu of them.\n"
     .. "guard keeps rows finite whose features are all zero.",
  ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174",
  caps = "causal streaming grouped linear_in_v order_equivariant nonneg",
  options = {
    { "guard", "number", 1e-6, "added to the sum of the weights", lo = 0 }
  },
  extend = function() return fv.map.entry("dpfp").options end,
  call = features.call,
  example = 'o = fv.attention("dpfp", {nu=3})(q, k, v, {causal=true})',
  build = function(opt, name)
    opt.map, opt.normalize = "dpfp", true
    return fv.attention.entry("linear").build(opt, name)
  end
}
