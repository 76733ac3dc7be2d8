--- k(x, y) = exp(-|x - y|^2 / 2)

return {
  name = "gaussian",
  doc = "The Gaussian kernel exp(-|x-y|^2 / 2) of the scaled inputs.\n"
     .. "|x-y|^2 = |x|^2 + |y|^2 - 2 x.y: its absolute error grows with the squared norms.",
  caps = "nonneg",
  options = { { "scale", "number", 1, "the inputs are multiplied by it first: 1/scale is the length scale" } },
  example = 'fv.kernel("gaussian", {scale=1})(x, y)',
  build = function(opt)
    return {
      gram = function(x, y)
        local square = (x * x):sum(-1):unsqueeze(-1) + (y * y):sum(-1):unsqueeze(-2) - x:matmul(y:t()) * 2
        return (square:maximum(0) * (-0.5 * opt.scale ^ 2)):exp()
      end
    }
  end
}
