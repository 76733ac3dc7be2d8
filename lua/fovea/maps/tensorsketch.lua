--- phi(x) = the product of the Fourier transforms of p count sketches of x

local fv = require "fovea"
local sketch = require "fovea.sketch"
local projection = require "fovea.projection"

return {
  name = "tensorsketch",
  doc = "TensorSketch: phi(x).phi(y) estimates (x.y + offset)^degree without bias, from degree count\n"
     .. "sketches of width M, whose circular convolution it is. The features are its Fourier\n"
     .. "coefficients, M real numbers with the same products: as d is small, the transforms of the\n"
     .. "sketches are one product with a (degree M, d) matrix, O(n M d degree). M even. Variance at most\n"
     .. "(2 + 3^degree) |x|^2p |y|^2p / M. The input is not scaled unless scale says so.",
  ref = "Pham & Pagh 2013, \"Fast and scalable polynomial kernels via explicit feature maps\"",
  caps = "unbiased",
  options = projection.seeded {
    { "degree", "integer", 2, "p", lo = 1, hi = 16 },
    { "offset", "number", 0, "added to x.y", lo = 0, hi = 1e6 }
  },
  example = 'phi = fv.map("tensorsketch", {dim=16, features=256, degree=2}); phi(q)',
  build = function(opt, name, caps)
    opt.features, opt.scale = opt.features or 256, opt.scale or 1
    local W = sketch.matrix(name, projection.stream(opt), opt.features, opt.dim + (opt.offset > 0 and 1 or 0),
                            opt.degree)
    return projection.own(opt, name, caps, W, {
      width = function() return opt.features end, cost = sketch.cost(opt.features, opt.degree),
      features = function(x)
        if opt.offset > 0 then
          x = fv.cat({ x, x:slice(-1, 1, 1) * 0 + opt.offset ^ 0.5 }, x:ndim())
        end
        return sketch.apply(x, W, opt.features, opt.degree)
      end,
      kernel = function(x, y) return (x:matmul(y:t()) + opt.offset) ^ opt.degree end
    })
  end
}
