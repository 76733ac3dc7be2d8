--- phi(x) = exp(-|x|^2/2) / sqrt(2m) [exp(W x), exp(-W x)]

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "hyperbolic",
  doc = "Positive random features in pairs: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias.\n"
     .. "M = 2m features from m projections, with less variance than M plain positive ones.\n"
     .. "The input is scaled by d^(-1/4) unless scale says otherwise.\n"
     .. "phi:log(x) gives the logarithms of the features, which cannot overflow.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "nonneg unbiased log_features",
  options = projection.options { projection.kernel, projection.compat },
  example = 'phi = fv.map("hyperbolic", {dim=64, features=256, seed=1}); phi(q)',
  build = projection.softmax(2, fv.ops.hyperbolic_features)
}
