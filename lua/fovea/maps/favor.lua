--- FAVOR+: one of the unbiased random maps of the softmax kernel, by estimator.

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "favor",
  doc = "FAVOR+: random features whose products estimate exp(q.k / sqrt(d)) without bias.\n"
     .. "estimator names the map that is used: positive, hyperbolic or trig; see each.\n"
     .. "The input is scaled by d^(-1/4) unless scale says otherwise: give raw q and k.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "unbiased",
  options = projection.options {
    { "estimator", "string", "positive", "which features", choices = { "positive", "hyperbolic", "trig" } },
    projection.kernel, projection.compat
  },
  example = 'phi = fv.map("favor", {dim=64, features=256, estimator="hyperbolic", seed=1}); phi(q)',
  build = function(opt)
    local inner = fv.map.entry(opt.estimator)
    if opt.compat and opt.estimator == "trig" then
      error("favor: option 'compat': expected with estimator positive or hyperbolic", 0)
    end
    return inner.build(opt, "favor", inner.caps)
  end
}
