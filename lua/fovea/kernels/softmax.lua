--- k(x, y) = exp(x.y)

return {
  name = "softmax",
  doc = "The softmax kernel exp(x.y) of the scaled inputs.\nOverflows to inf where x.y does.",
  caps = "nonneg",
  options = { { "scale", "number", 1, "the inputs are multiplied by it first" } },
  example = 'fv.kernel("softmax", {scale=64^-0.25})(q, k)',
  build = function(opt)
    return { gram = function(x, y) return (x:matmul(y:t()) * opt.scale ^ 2):exp() end }
  end
}
