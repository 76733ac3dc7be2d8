--- k(x, y) = k1(x, y) k2(x, y) ...

local combine = require "fovea.combine"

return {
  name = "product",
  doc = "The product of kernels, entry by entry: k1 * k2, k^3.",
  ref = "Scholkopf & Smola 2002, Learning with Kernels, ch. 13",
  options = { { "parts", "table", nil, "a list of kernels", required = true } },
  example = 'fv.kernel("gaussian") * fv.kernel("polynomial")',
  build = function(opt, name)
    return combine(opt.parts, name, " * ", function(a, b) return a * b end)
  end
}
