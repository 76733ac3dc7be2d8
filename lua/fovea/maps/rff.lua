--- phi(x) = [sin(W x), cos(W x)] / sqrt(m)

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "rff",
  doc = "Random Fourier features: phi(x).phi(y) estimates the Gaussian kernel exp(-|x-y|^2 / (2 l^2))\n"
     .. "without bias, l the length option (scale = 1/l). M = 2m features from m projections, exact at\n"
     .. "x = y, variance (1 - k^2)^2 / (2m). phi(x) -> (..., n, M), O(nMd).",
  ref = "Rahimi & Recht 2007, \"Random features for large-scale kernel machines\"",
  caps = "unbiased",
  options = projection.options {
    { "length", "number", 1, "length scale l", lo = 1e-30, hi = 1e30 }
  },
  example = 'phi = fv.map("rff", {dim=64, features=256, length=2}); phi(x)',
  build = function(opt, name, caps)
    local given = { kernel = "gaussian" }
    for key, value in pairs(opt) do given[key] = value end
    given.scale = (opt.scale or 1) / opt.length
    local object = fv.map.entry("trig").build(given, name, caps)
    opt.dim, opt.features = given.dim, given.features
    return object
  end
}
