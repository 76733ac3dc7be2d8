--- phi(x) = s (x) s, s a sketch of x^(p/2)

local projection = require "fovea.projection"
local quadratic = require "fovea.quadratic"
local sketch = require "fovea.sketch"

return {
  name = "polysketch",
  doc = "PolySketchFormer features of (x.y)^degree, degree even: all products of the entries of a\n"
     .. "TensorSketch s of degree/2 and width r, so that phi(x).phi(y) = (s(x).s(y))^2 is never negative.\n"
     .. "Biased upwards by the variance of s(x).s(y), which falls as 1/r. M = r(r+1)/2, r even. With\n"
     .. "normalize a row is first moved to mean 0 and variance 1, then scaled: d^(-1/2) gives length 1.\n"
     .. "O(n r d degree/2 + n M).",
  ref = "Kacham, Mirrokni & Zhong 2023, \"PolySketchFormer\", arXiv:2310.01655",
  caps = "biased",
  options = projection.seeded {
    { "degree", "integer", 4, "p, even", lo = 2, hi = 16 },
    { "width", "integer", 32, "r, even", lo = 2, hi = 1024 },
    { "normalize", "boolean", true, "layer-normalise rows, without affine part" }
  },
  example = 'phi = fv.map("polysketch", {dim=64, degree=4, width=32}); phi(q)',
  build = function(opt, name, caps)
    local M, r, p = opt.width * (opt.width + 1) // 2, opt.width, opt.degree // 2
    if opt.degree % 2 ~= 0 then
      error(("%s: option 'degree': expected an even number, got %d"):format(name, opt.degree), 0)
    elseif opt.features and opt.features ~= M then
      error(("%s: option 'features': width = %d gives %d, got %d"):format(name, r, M, opt.features), 0)
    end
    opt.features, opt.scale = M, opt.scale or opt.dim ^ -0.5
    local W = sketch.matrix(name, projection.stream(opt), r, opt.dim, p)
    local function rows(x)
      if not opt.normalize then return x end
      local centred = x - x:mean(-1):unsqueeze(-1)
      return centred / ((centred * centred):mean(-1):unsqueeze(-1) + 1e-12 * opt.scale ^ 2):sqrt() * opt.scale
    end
    return projection.own(opt, name, caps, W, {
      width = function() return M end,
      cost = function(n, d)
        local cost = sketch.cost(r, p)(n, d)
        cost.flops, cost.bytes = cost.flops + 2 * n * M, cost.bytes + 4 * n * M
        return cost
      end,
      features = function(x) return quadratic.products(sketch.apply(rows(x), W, r, p), true) end,
      kernel = function(x, y) return rows(x):matmul(rows(y):t()) ^ opt.degree end
    })
  end
}
