--- phi(x) = sqrt(2/m) step(W x) (W x)^n

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

local orders = { [0] = "step", "relu", "relu2" }

return {
  name = "arccos",
  doc = "Random features of the arc-cosine kernels |x|^n |y|^n J_n(t) / pi, t the angle of x and y, of\n"
     .. "order n: J_0 = pi - t, J_1 = sin t + (pi - t) cos t,\n"
     .. "J_2 = 3 sin t cos t + (pi - t)(1 + 2 cos^2 t).\n"
     .. "Never negative; order 0 has no gradient. The input is not scaled unless scale says so.\n"
     .. "phi(x) -> (..., n, M), O(nMd).",
  ref = "Cho & Saul 2009, \"Kernel methods for deep learning\"",
  caps = "nonneg unbiased",
  options = projection.options {
    { "order", "integer", 1, "n", lo = 0, hi = 2 }
  },
  example = 'phi = fv.map("arccos", {dim=64, features=256, order=2}); phi(x)',
  build = function(opt, name, caps)
    local f = require "fovea.duals".f[orders[opt.order]]
    opt.scale = opt.scale or 1
    return projection.map(opt, name, caps, {
      op = fv.ops.relu_features,
      kernels = { normal = function(aa, bb, c) return closed[orders[opt.order]](aa, bb, c) * 2 end },
      features = function(x, _, _, _, project) return f(project(x)) * (2 / opt.features) ^ 0.5 end
    })
  end
}
