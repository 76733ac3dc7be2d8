-- Functions of elements; arguments broadcast, gradients are summed back.

local core = require "fovea.core"

return function(rules, tape)
local record_saved, same, node = tape.record_saved, tape.same, tape.node
local record, is_tensor, raw, straight, fit =
  tape.record, tape.is_tensor, tape.raw, tape.straight, tape.fit

local function refuse_out(opt, name)
  if opt ~= nil then error(name .. ": option 'out' cannot take the result of a taped call", 4) end
end

--- y = f(x) with dx = back(dy, x), with dx = back(dy, y), which lets go of x, or dx = back(dy).
local function of_x(name, back)
  rules[name] = function(f, x, opt)
    if opt ~= nil then refuse_out(opt, name) end
    return record_saved(f, raw(f, x), back, x, false, node(x))
  end
end
local function of_y(name, back)
  rules[name] = function(f, x, opt)
    if opt ~= nil then refuse_out(opt, name) end
    local y = raw(f, x)
    return record_saved(f, y, back, y, false, node(x))
  end
end

local function of_none(name, back)
  rules[name] = function(f, x, opt)
    if opt ~= nil then refuse_out(opt, name) end
    return record_saved(f, raw(f, x), back, false, false, node(x))
  end
end

of_none("neg", function(dy) return -dy end)
of_x("abs", function(dy, x) return dy * x:sign() end)
of_y("sqrt", function(dy, y) return dy * 0.5 / y end)
of_y("rsqrt", function(dy, y) return dy * (-0.5 * y * y * y) end)
of_y("reciprocal", function(dy, y) return -dy * y * y end)
of_x("square", function(dy, x) return dy * (2 * x) end)
of_y("exp", function(dy, y) return dy * y end)
of_y("exp2", function(dy, y) return dy * (y * math.log(2)) end)
of_y("expm1", function(dy, y) return dy * (y + 1) end)
of_x("log", function(dy, x) return dy / x end)
of_x("log2", function(dy, x) return dy / (x * math.log(2)) end)
of_x("log1p", function(dy, x) return dy / (x + 1) end)
of_x("sin", function(dy, x) return dy * x:cos() end)
of_x("cos", function(dy, x) return -dy * x:sin() end)
of_y("tan", function(dy, y) return dy * (y * y + 1) end)
of_y("tanh", function(dy, y) return dy * (1 - y * y) end)
of_x("sinh", function(dy, x) return dy * x:cosh() end)
of_x("cosh", function(dy, x) return dy * x:sinh() end)
of_x("asin", function(dy, x) return dy * (1 - x * x):rsqrt() end)
of_x("acos", function(dy, x) return -dy * (1 - x * x):rsqrt() end)
of_x("atan", function(dy, x) return dy / (x * x + 1) end)
of_x("erf", function(dy, x) return dy * ((-x * x):exp() * (2 / math.sqrt(math.pi))) end)
of_x("erfc", function(dy, x) return dy * ((-x * x):exp() * (-2 / math.sqrt(math.pi))) end)
of_y("sigmoid", function(dy, y) return dy * (y * (1 - y)) end)
of_x("logsigmoid", function(dy, x) return dy * (-x):sigmoid() end)
of_y("relu", function(dy, y) return core.where(y:le(0), 0, dy) end)
of_x("gelu", function(dy, x)
  return dy * ((x * -math.sqrt(0.5)):erfc() * 0.5 + x * (x * x * -0.5):exp() * (1 / math.sqrt(2 * math.pi)))
end)
of_x("softplus", function(dy, x) return dy * x:sigmoid() end)
of_x("silu", function(dy, x)
  local s = x:sigmoid()
  return dy * (s * (x * (1 - s) + 1))
end)
of_y("elu", function(dy, y) return dy * (y:minimum(0) + 1) end)
for _, name in ipairs { "sign", "floor", "ceil", "round" } do of_none(name, function() end) end

--- z = f(x, y); 'left' and 'right' say which of x, y, z the gradients dx and dy need.
local function binary(name, left, dx, right, dy)
  local function need(v) return { left:find(v) ~= nil, right:find(v) ~= nil } end
  local for_x, for_y, for_z = need "x", need "y", need "z"
  rules[name] = function(f, x, y, opt)
    if opt ~= nil then refuse_out(opt, name) end
    local a, b, z = x, y, raw(f, x, y)
    local result, fx, fy = z, fit(x, z), fit(y, z)
    if not (fx and for_x[1] or fy and for_x[2]) then x = nil end
    if not (fx and for_y[1] or fy and for_y[2]) then y = nil end
    if not (fx and for_z[1] or fy and for_z[2]) then z = nil end
    return record(f, result, function(dz) return fx and fx(dx(dz, x, y, z)), fy and fy(dy(dz, x, y, z)) end,
                  a, b)
  end
end

local function sums(name, back)
  local function both(dz) return dz, back(dz) end
  rules[name] = function(f, x, y, opt)
    if opt ~= nil then refuse_out(opt, name) end
    local z, n, m = raw(f, x, y), node(x) or false, node(y) or false
    if (not n or same(x, z)) and (not m or same(y, z)) then
      return record_saved(f, z, both, false, false, n, m)
    end
    local fx, fy = fit(x, z), fit(y, z)
    return record_saved(f, z, function(dz) return fx and fx(dz), fy and fy(back(dz)) end, false, false, n, m)
  end
end
sums("add", straight)
sums("sub", function(dz) return -dz end)

local function product(dz, x, y) return y and dz * y, x and dz * x end
rules.mul = function(f, x, y, opt)
  if opt ~= nil then refuse_out(opt, "mul") end
  local z, n, m = raw(f, x, y), node(x) or false, node(y) or false
  local fx, fy
  if n and not same(x, z) or m and not same(y, z) then fx, fy = fit(x, z), fit(y, z) end
  x, y = m and x, n and y
  if not fx and not fy then return record_saved(f, z, product, x, y, n, m) end
  return record_saved(f, z, function(dz) return fx and fx(dz * y), fy and fy(dz * x) end, false, false, n, m)
end

local function flat(dz) return dz * 0 end
binary("div", "y", function(dz, _, y) return dz / y end,
              "yz", function(dz, _, y, z) return -dz * z / y end)
binary("mod", "", straight, "xy", function(dz, x, y) return -dz * (x // y) end)
binary("floordiv", "", flat, "", flat)
--- w / (x^2 + y^2), 0 at the origin.
local function turn(w, x, y)
  local square = x * x + y * y
  return core.where(square:eq(0), 0, w / square)
end
binary("atan2", "xy", function(dz, x, y) return dz * turn(y, x, y) end,
                "xy", function(dz, x, y) return -dz * turn(x, x, y) end)

--- dz where a is larger, half of it at ties; NaN in either takes it.
local function larger(dz, a, b) return core.where(a:lt(b), 0, core.where(a:eq(b), dz * 0.5, dz)) end
local function tensor_like(x, z) return is_tensor(x) and x or core.full({}, x, { dtype = z:dtype() }) end
local function extreme(name, pick)
  binary(name, "xy", function(dz, x, y) return pick(dz, tensor_like(x, dz), tensor_like(y, dz)) end,
               "xy", function(dz, x, y) return pick(dz, tensor_like(y, dz), tensor_like(x, dz)) end)
end
extreme("maximum", larger)
extreme("minimum", function(dz, a, b) return larger(dz, b, a) end)

--- x^p: the slope p x^(p-1) is 0 for p = 0, also at x = 0, where log x counts as 0 for p >= 0.
binary("pow", "xy", function(dz, x, p)
  if not is_tensor(p) then return p == 0 and dz * 0 or p == 2 and dz * (2 * x) or dz * (p * x ^ (p - 1)) end
  return dz * core.where(p:eq(0), 0, p * x ^ (p - 1))
end, "xyz", function(dz, x, p, z)
  if not is_tensor(x) and x ~= 0 then return dz * (z * math.log(x)) end
  local none = core.logical_and(is_tensor(x) and x:eq(0) or 1, p:ge(0))
  return dz * (z * core.where(none, 0, core.where(none, 1, x):log()))
end)

rules.clamp = function(f, x, lo, hi, opt)
  if opt ~= nil then refuse_out(opt, "clamp") end
  local y = raw(f, x, lo, hi)
  local fx, fl, fh = fit(x, y), fit(lo, y), fit(hi, y)
  return record(f, y, function(dy)
    local X = tensor_like(x, dy)
    local above, below = X:gt(hi), X:lt(lo)
    return fx and fx(core.where(core.logical_or(above, below), 0, dy)),
           fl and fl(core.where(core.logical_and(below, tensor_like(lo, dy):le(hi)), dy, 0)),
           fh and fh(core.where(core.logical_or(above, tensor_like(lo, dy):gt(hi)), dy, 0))
  end, x, lo, hi)
end

rules.where = function(f, mask, a, b)
  local y = raw(f, mask, a, b)
  local fa, fb = fit(a, y), fit(b, y)
  return record(f, y, function(dy)
    return false, fa and fa(core.where(mask, dy, 0)), fb and fb(core.where(mask, 0, dy))
  end, mask, a, b)
end
rules.masked_fill = function(f, x, mask, value)
  return record(f, raw(f, x, mask, value), function(dy) return core.where(mask, 0, dy) end, x)
end
end
