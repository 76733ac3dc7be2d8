--- p <- (1 - lr weight_decay) p, then the step of adam

local fv = require "fovea"

return {
  name = "adamw",
  doc = "Adam with decoupled weight decay: p <- (1 - lr weight_decay) p, then the step of adam.",
  ref = "Loshchilov & Hutter 2019, arXiv:1711.05101",
  options = {
    { "beta1", "number", 0.9, "of m", lo = 0, hi = 0.9999999 },
    { "beta2", "number", 0.999, "of v", lo = 0, hi = 0.9999999 },
    { "eps", "number", 1e-8, "added to the divisor", lo = 0 },
    { "weight_decay", "number", 0.01, "weight decay", lo = 0 },
    { "decay_all", "boolean", false, "of vectors too" }
  },
  example = 'opt = fv.optim("adamw", model:parameters(), {lr=1e-3, weight_decay=0.1})',
  build = function(opt) return fv.optim.entry("adam").build(opt) end
}
