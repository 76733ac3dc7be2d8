--- k(x, y) = exp(-|x - y|_1)

return {
  name = "laplacian",
  doc = "The Laplacian kernel exp(-sum_j |x_j - y_j|) of the scaled inputs.\nMemory O(nmd).",
  caps = "nonneg",
  options = { { "scale", "number", 1,
    "the inputs are multiplied by it first: 1/scale is the length scale", lo = 0 } },
  example = 'fv.kernel("laplacian", {scale=1})(x, y)',
  build = function(opt)
    return {
      gram = function(x, y)
        return ((x:unsqueeze(-2) - y:unsqueeze(-3)):abs():sum(-1) * -opt.scale):exp()
      end
    }
  end
}
