--- positive or hyperbolic features with rows of norm sqrt(d)

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "smreg",
  doc = "Regularised softmax features: those of estimator with rows of norm sqrt(d), so exp cannot meet\n"
     .. "a long row. They estimate, without bias, kernels of their own: positive and hyperbolic ones\n"
     .. "exp(-(|x|^2+|y|^2)/2) 0F1(; d/2; d |x+y|^2/4) <= exp(x.y), close to it while |x+y|^2 is small\n"
     .. "beside sqrt(d); trig ones exp((|x|^2+|y|^2)/2) 0F1(; d/2; -d |x-y|^2/4).\n"
     .. "phi(x) -> (..., n, M), O(nMd). Scale d^(-1/4) unless given.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "unbiased",
  options = projection.options {
    { "estimator", "string", "positive", "which features",
      choices = { "positive", "hyperbolic", "trig" } },
    projection.kernel
  },
  example = 'phi = fv.map("smreg", {dim=64, features=256, seed=1}); phi(q)',
  build = function(opt, name)
    local s = type(opt.sampler) == "table" and opt.sampler or { opt.sampler, norms = "sqrt_d" }
    if s.norms ~= "sqrt_d" or not fv.sample.entry(s[1]).options.by.norms then
      error(name .. ': option \'sampler\': expected one that takes norms = "sqrt_d", as orthogonal does', 0)
    end
    opt.sampler = s
    local inner = fv.map.entry(opt.estimator)
    return inner.build(opt, name, inner.caps, true)
  end
}
