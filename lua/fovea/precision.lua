--- fv.precision(format, f, {inputs=, features=, output=}) -> g: f in emulated low precision
--- g computes what f computes with values rounded to "bf16", "fp16", "tf32", "e5m2" or "e4m3" at
--- the points chosen: inputs (true unless said), output, and features, where f is a map or linear
--- attention on one; between them it computes in the dtype of its arguments. Rounding is to
--- nearest, ties to even, with overflow and subnormal numbers (fv.ops.round_to); gradients pass
--- straight through. f is a map, an attention operator, an operator or any function of tensors.
---   fv.precision.round(x, format)          x (any shape) rounded
---   fv.precision.matmul(a, b, format)      a (n, k), b (k, m) with the sum rounded after every
---                                          product, as an accumulator of that format: k steps
--- Example: o = fv.precision("bf16", fv.attention("softmax"), {output=true})(q, k, v)

local fv = require "fovea"
local options = require "fovea.options"

local precision = {}

local list = options.declare({
  { "inputs", "boolean", true, "round the tensors that go in" },
  { "features", "boolean", false, "round the features (maps, linear attention)" },
  { "output", "boolean", false, "round the tensors that come out" }
}, "precision", 1)

local function check(format)
  local words = fv.ops.round_to.options[1].choices
  for word in words:gmatch "[^|]+" do if word == format then return end end
  error(("precision: format: expected one of %s, got %s"):format(words:gsub("|", ", "), tostring(format)), 3)
end

local function real(x)
  return options.type(x) == "tensor" and (x:dtype() == "f32" or x:dtype() == "f64")
end

local function round(x, format)
  if x:ndim() == 1 then return (fv.round_to(x, { format = format })) end
  return (fv.round_to(x:reshape(-1), { format = format })):reshape { x:shape() }
end

--- Every tensor of a list, and of the tables in it, rounded.
local function each(args, format)
  for i = 1, args.n do
    local x = args[i]
    if real(x) then args[i] = round(x, format)
    elseif type(x) == "table" and not getmetatable(x) then
      local copy = {}
      for key, value in pairs(x) do copy[key] = real(value) and round(value, format) or value end
      args[i] = copy
    end
  end
  return args
end

function precision.round(x, format)
  check(format)
  if not real(x) then
    error("precision.round: x: expected an f32 or f64 tensor, got " .. options.type(x), 2)
  end
  return round(x, format)
end

function precision.matmul(a, b, format)
  check(format)
  for name, x in pairs { a = a or false, b = b or false } do
    if not real(x) or x:ndim() ~= 2 then
      error(("precision.matmul: %s: expected an f32 or f64 matrix"):format(name), 2)
    end
  end
  if a:size(2) ~= b:size(1) then
    error(("precision.matmul: b: expected (k=%d,m), got (%d,%d)"):format(a:size(2), b:shape()), 2)
  end
  local sum = fv.zeros({ a:size(1), b:size(2) }, { dtype = a:dtype() })
  for k = 1, a:size(2) do
    sum = round(sum + a:slice(2, k, k) * b:slice(1, k, k), format)
  end
  return sum
end

--- Linear attention on a map whose features are rounded.
local function on_features(f, format)
  local map = f.options.map
  if type(map) == "string" then map = fv.map(map, { dim = f.options.dim }) end
  local opt = { normalize = f.options.normalize, guard = f.options.guard }
  function opt.map(x, side) return round((map(x, side)), format) end
  return fv.attention("linear", opt)
end

local function wrapped(format, f, given)
  check(format)
  local kind = type(f) == "table" and rawget(f, "kind") or options.type(f)
  local meta = getmetatable(f)
  if type(f) ~= "function" and not (meta and meta.__call) then
    error(("precision: f: expected something to call, got %s"):format(options.type(f)), 3)
  end
  local opt = options.read(list, given, "precision", 3)
  if opt.features then
    if kind == "map" then opt.output = true
    elseif kind == "attention" and f.name == "linear" then f = on_features(f, format)
    else
      error('precision: option \'features\': expected a map or fv.attention("linear", ...), got '
            .. (type(f) == "table" and f.name or kind), 3)
    end
  end
  return function(...)
    local args = table.pack(...)
    if opt.inputs then args = each(args, format) end
    local y = table.pack(f(table.unpack(args, 1, args.n)))
    if opt.output then y = each(y, format) end
    return table.unpack(y, 1, y.n)
  end
end

return setmetatable(precision, { __call = function(_, format, f, opt) return wrapped(format, f, opt) end })
