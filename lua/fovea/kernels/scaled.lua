--- k(x, y) = c k1(x, y)

local combine = require "fovea.combine"

return {
  name = "scaled",
  doc = "A kernel times a number from 0: 3 * k.",
  options = {
    { "kernel", "table", nil, "a kernel", required = true },
    { "factor", "number", 1, "the number", lo = 0, hi = 1e150 }
  },
  example = '3 * fv.kernel("gaussian")',
  build = function(opt, name)
    local object = combine({ opt.kernel }, name, "", nil, function(K) return K * opt.factor end)
    object.formula = ("%g * (%s)"):format(opt.factor, object.formula)
    return object
  end
}
