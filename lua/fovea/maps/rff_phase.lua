--- phi(x) = sqrt(2/M) cos(W x + b), b uniform on [0, 2 pi)

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

return {
  name = "rff_phase",
  doc = "Random Fourier features with phases, one feature a projection: phi(x).phi(y) estimates\n"
     .. "exp(-gamma |x-y|^2) without bias; gamma = 1/2 unless given. Variance (1 - k^2 + k^4/2) / M,\n"
     .. "above that of rff with as many features for every kernel value k. phi(x) -> (..., n, M), O(nMd).",
  ref = "Rahimi & Recht 2007; Sutherland & Schneider 2015, arXiv:1506.02785",
  caps = "unbiased",
  options = projection.options {
    { "gamma", "number", nil, "the input is multiplied by sqrt(2 gamma) in place of scale",
      lo = 0, hi = 1e30 }
  },
  example = 'phi = fv.map("rff_phase", {dim=64, features=256, gamma=0.1}); phi(x)',
  build = function(opt, name, caps)
    opt.scale = opt.gamma and (2 * opt.gamma) ^ 0.5 or opt.scale or 1
    local phase
    return projection.map(opt, name, caps, {
      op = fv.ops.relu_features, kernels = { normal = closed.gaussian },
      cost = function(n)
        local M, d = opt.features, opt.dim
        return { flops = 2 * n * M * (d + 1), exps = n * M, bytes = 4 * (n * d + M * d + n * M) }
      end,
      features = function(x, W, _, _, project, structured)
        phase = phase
          or projection.stream(opt, "phase"):uniform(W:size(1), { hi = 2 * math.pi, dtype = "f64" })
        local b = phase:to(x:dtype())
        local root = (2 / W:size(1)) ^ 0.5
        return ((structured and project(x) or x:matmul(W:t())) + b):cos() * root
      end
    })
  end
}
