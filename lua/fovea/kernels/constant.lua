--- k(x, y) = c

local fv = require "fovea"
local heads = require "fovea.heads"

return {
  name = "constant",
  doc = "The constant kernel: every entry is value. k + 1 adds it to another.",
  caps = "nonneg",
  options = { { "value", "number", 1, "the constant", lo = 0, hi = 1e150 } },
  example = 'fv.kernel("gaussian") + 0.5',
  build = function(opt)
    local function gram(x, y)
      local shape = heads.shape(x:slice(-1, 1, 0):matmul(y:slice(-1, 1, 0):t()), x:size(-2), y:size(-2))
      return fv.full(shape, opt.value, { dtype = x:dtype() })
    end
    return { gram = gram, cost = function(_, s) return { flops = 0, exps = 0, bytes = 4 * s.n * s.m } end }
  end
}
