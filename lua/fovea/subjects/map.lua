--- A feature map as a subject: x (n, d) -> features of each side, their logarithms.

local fv = require "fovea"

local function field(thing, name)
  return type(thing) == "table" and rawget(thing, name) or nil
end

--- k(x, y) the map claims: its own, or that of opt.kernel ("softmax", "gaussian" of raw
--- inputs scaled by d^-1/4, or a function).
local function claimed(s)
  local k = s.opt.kernel
  if type(k) == "function" then return k end
  if k then
    local kernel = fv.kernel(k, { scale = s.opt.d ^ -0.25 })
    return function(x, y) return kernel(x, y) end
  end
  local own = field(s.thing, "kernel")
  return own and function(x, y) return own(s.thing, x, y) end
end

--- The same map with draw i: phi:redraw, opt.redraw, or another seed.
local function redrawn(s, i)
  if s.opt.redraw then return s.opt.redraw(i) end
  local phi = s.thing
  if type(phi) == "function" then return nil, "a function has one draw; give redraw=function(i) -> map" end
  local own = field(phi, "options") or {}
  if own.projection then return nil, "the option projection fixes W" end
  if field(phi, "redraw") then
    local other = phi:redraw(i)
    if rawequal(other, phi) then return nil, "nothing is random" end
    return other
  end
  if not (field(phi, "spec") and phi.spec.by.seed) then return nil, "it has neither redraw nor a seed" end
  local opt = {}
  for name, value in pairs(own) do opt[name] = value end
  opt.seed = (opt.seed or 0) + i
  return fv.map(phi.name, opt)
end

return function(s)
  local phi, opt = s.thing, s.opt
  s.name = field(phi, "name") or opt.name or "function"
  for word, on in pairs(field(phi, "caps") or {}) do s.caps[word] = on end
  opt.d = field(phi, "dim") or opt.d
  local function draw(_, o)
    local shape = { opt.n, opt.d }
    if o.n then shape[1] = o.n end
    local x = s:rng(o.purpose or "x"):normal(shape, { dtype = "f64" })
    return { (x * (o.scale or 1)):to(o.dtype or "f64") }
  end
  s.draw = draw
  if s.caps.fitted and field(phi, "fit") then
    local q, k = draw(s, { purpose = "fit q", n = 160 })[1], draw(s, { purpose = "fit k", n = 160 })[1]
    s.thing = phi:fit(q, k)
  end
  s.inputs = { { name = "x", dims = "nd" } }
  function s.tokens() return 1 end
  local sides = s.caps.asymmetric and { "q", "k" } or { "q" }
  function s.features(_, map, x, side) return (map(x, side or "q")) end
  function s.call(_, x)
    local y = {}
    for _, side in ipairs(sides) do y[#y + 1] = s:features(s.thing, x[1], side) end
    if s.caps.log_features and field(s.thing, "log") then
      for _, side in ipairs(sides) do y[#y + 1] = s.thing:log(x[1], side) end
    end
    return y
  end
  s.claim = claimed(s)
  s.redrawn = redrawn
end
