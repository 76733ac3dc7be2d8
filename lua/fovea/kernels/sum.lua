--- k(x, y) = k1(x, y) + k2(x, y) + ...

local combine = require "fovea.combine"

return {
  name = "sum",
  doc = "The sum of kernels: k1 + k2.",
  options = { { "parts", "table", nil, "a list of kernels", required = true } },
  example = 'fv.kernel("gaussian") + fv.kernel("polynomial")',
  build = function(opt, name)
    return combine(opt.parts, name, " + ", function(a, b) return a + b end)
  end
}
