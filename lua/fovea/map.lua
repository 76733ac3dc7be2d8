--- fv.map(name, options) -> map: feature maps phi, so that phi(q).phi(k) stands for a kernel.
---
--- A map is callable: phi(x (..., n, d), side?) -> features (..., n, M), of the dtype of x.
--- side is "q" (the default) or "k"; it matters to maps whose caps say 'asymmetric'. x is
--- the raw query or key: the map multiplies it by its scale. It answers
---   phi.dim, phi.features, phi.W    d, M and the projection (m, d); false where there is none
---   phi.options, phi.caps, phi:cost{n=}
---   phi:log(x, side?)      logarithms of the features (caps 'log_features'): cannot overflow
---   phi:kernel(x, y)       the Gram matrix (..., n, m) it estimates; phi.kernel is false where
---                          no closed form is known
---   phi:fit(q, k?)         the map with statistics from these rows (caps 'fitted': unfitted
---                          ones raise when called; without k it is q); itself where there is nothing to fit
---   phi:redraw(i, seed?)   the map with draw i of its seed, or of another; itself where nothing is random
---   phi:at(step)           the draw that its option redraw gives to a step: see redraw
--- Caps: unbiased (E phi(q).phi(k) over seeds is phi:kernel), exact (equal to it), biased,
--- nonneg, log_features, fitted, asymmetric, global (a row's features depend on other rows).
--- Example: phi = fv.map("positive", {dim=64, features=256}); o = fv.linear_attention(
--- phi(q, "q"), phi(k, "k"), v)

local draws = require "fovea.draws"
local options = require "fovea.options"
local registry = require "fovea.registry"

local function tensor(name, what, x, more)
  if options.type(x) ~= "tensor" then
    error(("%s: %s: expected a tensor (..., n, d), got %s"):format(name, what,
          x == nil and "no value" or options.type(x)), 3)
  elseif more then
    error(("%s: expected (%s), got more"):format(name, what == "x" and "x, side" or "x, y"), 3)
  end
end

--- A function of a tensor and a side that says so, whatever the map is written in.
local function checked(name, features)
  return function(self, x, side, ...)
    tensor(name, "x", x, select("#", ...) > 0)
    if side ~= nil and side ~= "q" and side ~= "k" then
      error(('%s: side: expected "q" or "k", got %s'):format(name, options.type(side)), 2)
    end
    local y = features(self, x, side or "q")
    if options.type(y) ~= "tensor" then
      error(("map '%s': its call returned a %s, expected a tensor"):format(name, options.type(y)), 2)
    end
    return y
  end
end

local map

--- The same map with some options changed.
local function remade(self, changes)
  local opt = {}
  for name, value in pairs(self.options) do opt[name] = value end
  for name, value in pairs(changes) do opt[name] = value end
  return map.make(self.name, opt, 3)
end

local function fit(self, q, k, ...)
  if k == nil then k = q end
  tensor(self.name, "q", q, select("#", ...) > 0)
  tensor(self.name, "k", k)
  local statistics = rawget(self, "statistics")
  return statistics and remade(self, statistics(self, q, k)) or self
end

local function finish(object, entry)
  local name = entry.name
  object.call = checked(name, object.call)
  object.log = object.log and checked(name, object.log)
  local kernel = object.kernel
  object.kernel = kernel and function(self, x, y, ...)
    tensor(name, "x", x)
    tensor(name, "y", y, select("#", ...) > 0)
    return kernel(self, x, y)
  end or false
  for _, field in ipairs { "W", "dim", "features" } do object[field] = object[field] or false end
  object.redraw, object.at, object.fit = draws.redraw(map.make), draws.at, fit
end

map = registry.new { kind = "map", folder = "fovea.maps", finish = finish }
return map
