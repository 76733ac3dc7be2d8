--- phi(x) = exp(|x|^2/2) / sqrt(m) [sin(W x), cos(W x)]

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "trig",
  doc = "Sine and cosine random features: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias.\n"
     .. "M = 2m features from m projections; signed, exact at q = k. Better than positive features\n"
     .. "where q.k > 0 dominates; its normaliser can vanish where it does not.\n"
     .. "The input is scaled by d^(-1/4) unless scale says otherwise.",
  ref = "Rahimi & Recht 2007; Choromanski et al. 2021, arXiv:2009.14794",
  caps = "unbiased",
  options = projection.options { projection.kernel },
  example = 'phi = fv.map("trig", {dim=64, features=256, kernel="gaussian", scale=1}); phi(x)',
  build = projection.softmax(2, fv.ops.trig_features)
}
