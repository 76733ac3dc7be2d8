--- phi(x) = exp(W x - |x|^2/2) / sqrt(m)

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "positive",
  doc = "Positive random features: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias.\n"
     .. "Never negative. The input is scaled by d^(-1/4) unless scale says otherwise.\n"
     .. "phi:log(x) gives the logarithms of the features, which cannot overflow.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "nonneg unbiased log_features",
  options = projection.options { projection.kernel, projection.compat },
  example = 'phi = fv.map("positive", {dim=64, features=256, seed=1}); phi(q)',
  build = projection.softmax(1, fv.ops.positive_features)
}
