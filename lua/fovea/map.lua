--- fv.map(name, options): feature maps phi, so that phi(q).phi(k) stands for a kernel.
---
--- Every map is callable, phi(x (..., n, d)) -> (..., n, M), and answers .features (M, once
--- the input's width is known) and :cost{n=}.  Maps of positive random features also
--- answer :log(x), the logarithms of their features, which cannot overflow.

local options = require "fovea.options"

--- A function of a tensor that says so, whatever the map is written in.
local function checked(name, features)
  return features and function(self, x, ...)
    if options.type(x) ~= "tensor" or select("#", ...) > 0 then
      error(("%s: x: expected one tensor (..., n, d), got %s"):format(name,
            select("#", ...) > 0 and "more" or x == nil and "no value" or options.type(x)), 2)
    end
    local y = features(self, x)
    if options.type(y) ~= "tensor" then
      error(("map '%s': its call returned a %s, expected a tensor"):format(name, options.type(y)), 2)
    end
    return y
  end
end

local function finish(object, entry)
  object.call, object.log = checked(entry.name, object.call), checked(entry.name, object.log)
end

return require "fovea.registry".new { kind = "map", folder = "fovea.maps", finish = finish }
