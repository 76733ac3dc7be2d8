--- What fv.check looks at: one face for maps, samplers, kernels, attention, rules and
--- operators, made by the file of fovea/subjects that is named like the kind.
---
---   kind, name, caps, thing, opt    what it is, what it claims, the options of the check
---   draw(s, o) -> x                 inputs by their place; o: dtype, scale, n, batch, purpose
---   call(s, x, o) -> y              a list of results, the main one first; o: options of a call
---   tokens(s, i) -> axis            the axis of tokens of input i, or nil
---   reference(s, x, o) -> y, bound, note    the definition in plain doubles; nil: none known
---   redrawn(s, i) -> subject        the thing with another draw, or nil and why not
---   variants                        settings to run through, { label, options of a call, ... }
---   fixed                           why gradients are not tested, where they cannot be

local core = require "fovea.core"
local options = require "fovea.options"
local registry = require "fovea.registry"

local subject = {}

local kinds = { map = true, sampler = true, kernel = true, attention = true, rule = true, operator = true }

--- The registry of things of one kind.
local function factory(kind)
  require("fovea." .. (kind == "sampler" and "sample" or kind))
  for _, r in ipairs(registry.all) do if r.kind == kind then return r end end
end

--- Whether a kind has something of this name, without raising.
local function has(kind, name)
  if kind == "operator" then return core.ops[name] and core.ops[name].kind == "operator" end
  for _, n in ipairs(factory(kind).names()) do if n == name then return true end end
end

--- What a name stands for: its kind, and the object where it can be made.
local function named(name, opt)
  local found = {}
  for _, kind in ipairs { "map", "attention", "kernel", "rule", "sampler", "operator" } do
    if (opt.kind == nil or opt.kind == kind) and has(kind, name) then found[#found + 1] = kind end
  end
  if #found == 0 then
    if opt.kind and opt.kind ~= "operator" then factory(opt.kind).entry(name) end     -- says what is near
    error(("check: nothing is named '%s'"):format(name), 0)
  elseif #found > 1 then
    error(("check: '%s' is the name of several things (%s): say kind="):format(name,
          table.concat(found, ", ")), 0)
  end
  local kind = found[1]
  if kind == "operator" then return kind, core.ops[name] end
  if kind == "sampler" then return kind, name end
  local given = {}
  for key, value in pairs(opt.options or {}) do given[key] = value end
  local by = factory(kind).entry(name).options.by
  if kind == "map" and by.dim and given.dim == nil and given.projection == nil then given.dim = opt.d end
  return kind, factory(kind).make(name, given, 0)
end

--- Kind and object of what check was given.
local function resolve(thing, opt)
  local t = options.type(thing)
  if t == "string" then return named(thing, opt) end
  if t == "operator" then return opt.kind or thing.kind, thing.kind == "sampler" and thing.name or thing end
  if t == "table" or t:find "^%w+$" and type(thing) == "table" then
    local kind = rawget(thing, "kind")
    if kinds[kind] then return kind, thing end
  end
  local meta = getmetatable(thing)
  if (t == "function" or type(thing) == "table" and meta and meta.__call) and opt.kind then
    return opt.kind, thing
  end
  if t == "function" or type(thing) == "table" and meta and meta.__call then
    error('check: a function needs kind="map", "sampler", "kernel", "attention", "rule" or "operator"', 0)
  end
  error(("check: expected a map, sampler, kernel, attention, rule or operator, or the name of one, got %s")
    :format(t), 0)
end

local methods = {}
methods.__index = methods

--- Largest difference relative to the larger of 1 and |b|; inf where only one is finite
--- or the shapes differ.
function methods.gap(_, a, b)
  a, b = a:to "f64", b:to "f64"
  if table.concat({ a:shape() }, ",") ~= table.concat({ b:shape() }, ",") then return math.huge end
  if a:numel() == 0 then return 0 end
  local fine = b:isfinite()
  if a:isfinite():ne(fine):any():item() == 1 then return math.huge end
  local zero = core.zeros(1, { dtype = "f64" })
  local x, y = core.where(fine, a, zero), core.where(fine, b, zero)
  return (x - y):abs():max():item() / math.max(1, y:abs():max():item())
end

--- The largest gap of two lists of results.
function methods.gaps(s, a, b)
  local worst = #a == #b and 0 or math.huge
  for i = 1, math.min(#a, #b) do worst = math.max(worst, s:gap(a[i], b[i])) end
  return worst
end

--- The first n rows along an axis, in another order: cyclically, by 'step' places.
function methods.roll(_, x, axis, step)
  local n = x:size(axis)
  return core.cat({ x:slice(axis, step + 1, n), x:slice(axis, 1, step) }, axis)
end

function methods.same(_, a, b) return require "fovea.specimen".same(a, b) end

--- A stream for one purpose of this check.
function methods.rng(s, purpose) return core.rng(s.opt.seed):stream("check:" .. purpose) end

function subject.new(thing, opt)
  local kind, object = resolve(thing, opt)
  local s = setmetatable({ kind = kind, thing = object, opt = opt, caps = {} }, methods)
  require("fovea.subjects." .. kind)(s)
  if opt.caps then
    s.caps = {}
    for word in opt.caps:gmatch "%S+" do s.caps[word] = true end
  end
  s.variants = s.variants or { { "", {} } }
  return s
end

return subject
