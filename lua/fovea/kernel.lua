--- fv.kernel(name, options): kernel functions; k(x (..., n, d), y (..., m, d)) -> Gram (..., n, m).
---
--- y may be left out: the Gram matrix of x with itself.  Kernels are C operators of
--- kind "kernel", compositions in fovea/kernels, or registered ones.

local options = require "fovea.options"
local registry = require "fovea.registry"

local function finish(object, entry)
  local gram = object.gram
  object.call = function(_, x, y, ...)
    if select("#", ...) > 0 then error(("%s: expected (x, y)"):format(entry.name), 3) end
    y = y == nil and x or y
    for i, t in ipairs { x or false, y or false } do
      if options.type(t) ~= "tensor" then
        error(("bad argument #%d to '%s' (%s: expected a tensor, got %s)"):format(i, entry.name,
              ("xy"):sub(i, i), t and options.type(t) or "no value"), 2)
      end
    end
    return gram(x, y)
  end
end

return registry.new {
  kind = "kernel", folder = "fovea.kernels", finish = finish,
  source = function()
    return registry.descriptors("kernel", function(op)
      return function(opt)
        return { gram = function(x, y) return rawequal(x, y) and op(x, opt) or op(x, y, opt) end }
      end
    end)
  end
}
