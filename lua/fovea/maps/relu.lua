--- phi(x) = relu(W x) / sqrt(m) + eps, or relu(x) + eps

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

return {
  name = "relu",
  doc = "ReLU features, random where features or projection is given, else relu(x) + eps.\n"
     .. "With eps = 0 the product estimates the arc-cosine kernel of order 1,\n"
     .. "|x||y| (sin t + (pi - t) cos t) / (2 pi); eps adds eps sqrt(m) (|x| + |y|) / sqrt(2 pi) + m eps^2.\n"
     .. "The input is not scaled unless scale says so.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794; Cho & Saul 2009",
  caps = "nonneg unbiased",
  options = projection.options {
    { "eps", "number", 1e-3, "added to every feature, so that no row of features is zero", lo = 0, hi = 1e6 }
  },
  example = 'phi = fv.map("relu", {dim=64, features=256, seed=1}); phi(q)',
  build = function(opt, name, caps)
    opt.scale = opt.scale or 1
    local op = fv.ops.relu_features
    if not opt.features and not opt.projection then
      return projection.plain(opt, name, projection.without(caps, "unbiased"), {
        width = 1, features = function(x) return op(x, { eps = opt.eps }) end,
        cost = function(n, d) return op:cost { n = n, d = d } end
      })
    end
    return projection.map(opt, name, caps, {
      op = op,
      kernels = { normal = function(aa, bb, c)
        local mean = math.sqrt(opt.features / (2 * math.pi)) * opt.eps
        return closed.relu(aa, bb, c) + (aa:sqrt() + bb:sqrt()) * mean + opt.features * opt.eps ^ 2
      end },
      features = function(x, W, _, _, project, structured)
        if structured then return project(x):relu() / opt.features ^ 0.5 + opt.eps end
        return op(x, W, { eps = opt.eps })
      end
    })
  end
}
