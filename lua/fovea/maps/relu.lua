--- phi(x) = relu(W x) / sqrt(m) + eps, or relu(x) + eps

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "relu",
  doc = "ReLU features, random where features or projection is given, else relu(x) + eps.\n"
     .. "With eps = 0 and Gaussian rows the product estimates the arc-cosine kernel\n"
     .. "|x||y| (sin t + (pi - t) cos t) / (2 pi). The input is not scaled unless scale says so.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794; Cho & Saul 2009",
  caps = "nonneg",
  options = projection.options {
    { "eps", "number", 1e-3, "added to every feature, so that no row of features is zero", lo = 0, hi = 1e6 }
  },
  example = 'phi = fv.map("relu", {dim=64, features=256, seed=1}); phi(q)',
  build = function(opt)
    opt.scale = opt.scale or 1
    if opt.features or opt.projection then
      return projection.map(opt, "relu", 1, fv.ops.relu_features, function(x, W)
        return fv.relu_features(x, W, { eps = opt.eps })
      end)
    end
    return projection.plain(opt, "relu", 1, fv.ops.relu_features, function(x)
      return fv.relu_features(x, { eps = opt.eps })
    end)
  end
}
