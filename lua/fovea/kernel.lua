--- fv.kernel(name, options): kernel functions; k(x (..., n, d), y (..., m, d)) -> Gram (..., n, m).
---
--- y may be left out: the Gram matrix of x with itself.

local function finish(object, entry)
  local gram = object.gram
  object.call = function(_, x, y, ...)
    if select("#", ...) > 0 then error(("%s: expected (x, y)"):format(entry.name), 3) end
    return gram(x, y == nil and x or y)
  end
end

return require "fovea.registry".new { kind = "kernel", folder = "fovea.kernels", finish = finish }
