-- Elementwise functions of several tensors: broadcasting against a plain loop,
-- dtypes, integers, views, in-place forms.
local fv = require "fovea"
local tap = require "tap"
local huge, nan, abs = math.huge, 0 / 0, math.abs

local function bool(b) return b and 1 or 0 end

-- the larger error; NaN counts as infinite
local function worse(e, worst) return e <= worst and worst or e == e and e or huge end

-- binary functions against a loop, with every kind of broadcast and view
local binary = {
  add = function(x, y) return x + y end, sub = function(x, y) return x - y end,
  mul = function(x, y) return x * y end, div = function(x, y) return x / y end,
  pow = function(x, y) return x ^ y end, atan2 = math.atan,
  maximum = math.max, minimum = math.min,
  mod = function(x, y) return x % y end, floordiv = function(x, y) return x // y end,
  eq = function(x, y) return bool(x == y) end, ne = function(x, y) return bool(x ~= y) end,
  lt = function(x, y) return bool(x < y) end, le = function(x, y) return bool(x <= y) end,
  gt = function(x, y) return bool(x > y) end, ge = function(x, y) return bool(x >= y) end,
  logical_and = function(x, y) return bool(x ~= 0 and y ~= 0) end,
  logical_or = function(x, y) return bool(x ~= 0 or y ~= 0) end
}
local function small(dtype, ...)   -- multiples of 1/2 (of 1) with many ties, no zero
  local n, shape = 1, { ... }
  for _, s in ipairs(shape) do n = n * s end
  local x = (fv.arange(1, n, 1, { dtype = "i64" }) * 7919 % 13 - 6):to("f64")
  x = x + x:eq(0):to("f64")
  if dtype ~= "i64" then x = x / 2 end
  return x:to(dtype):reshape(...)
end
local function loop(f, x, y)   -- definition of broadcasting
  local sx, sy, shape = { x:shape() }, { y:shape() }, {}
  for d = 1, 3 do shape[d] = math.max(sx[d], sy[d]) end
  local t = {}
  for i = 1, shape[1] do for j = 1, shape[2] do for k = 1, shape[3] do
    local a = x:get(sx[1] == 1 and 1 or i, sx[2] == 1 and 1 or j, sx[3] == 1 and 1 or k)
    local b = y:get(sy[1] == 1 and 1 or i, sy[2] == 1 and 1 or j, sy[3] == 1 and 1 or k)
    t[#t + 1] = f(a, b)
  end end end
  return t
end
-- pow and atan2 are SLEEF's to 1 ulp, on values up to 6.5^6.5 = 2e5
local slack = { pow = { f32 = 3e-7, f64 = 1e-15 }, atan2 = { f32 = 2e-7, f64 = 1e-15 } }
for name, f in pairs(binary) do
  for _, dtype in ipairs { "f32", "f64", "i64" } do
    local worst = 0
    local x, y = small(dtype, 3, 20, 30), small(dtype, 30, 20, 3):transpose(1, 3)
    for _, pair in ipairs {
      { x, y }, { x, x:slice(1, 1, 1) }, { x:slice(2, 1, 1), y }, { x:slice(3, 4, 4), y },
      { x:slice(2, 3, 3), y:slice(3, 2, 2) }, { x:slice(3, 1, 30, 2), y:slice(3, 2, 30, 2) },
      { y:slice(1, 1, 1):slice(3, 1, 1), x }
    } do
      local a, b = pair[1], pair[2]
      if name == "pow" then a = a:abs() end
      local want, got = loop(f, a, b), fv[name](a, b):reshape(-1):totable()
      for i = 1, #want do
        local e = abs(got[i] - want[i]) / math.max(1, abs(want[i]))
        worst = worse(e, worst)
      end
    end
    -- div rounds once; everything else is exact on these values
    local tol = slack[name] and (slack[name][dtype] or 3e-7)
                or name == "div" and (dtype == "f64" and 0 or 6e-8) or 0
    tap.ok(worst <= tol, dtype .. " " .. name .. " broadcasts like a loop", "error %.3g", worst)
  end
end

-- same elements in another dtype and layout of the result
do
  local x = small("f64", 64, 65)
  local y = x:t()
  tap.is((y + y):sub((x + x):t()):abs():max():item(), 0, "transposed sum")
  tap.is((x:slice(1, 3, 3):expand(64, 65) * x):sub(x:slice(1, 3, 3) * x):abs():max():item(), 0,
         "an expanded view")
  local cube = small("f32", 40, 50, 60)
  local scrambled = cube:permute(3, 1, 2)
  tap.is((scrambled:exp() - cube:exp():permute(3, 1, 2)):abs():max():item(), 0,
         "a permuted view, more than one block")
end

-- dtypes
do
  local t = { f32 = fv.ones(2), f64 = fv.ones(2, { dtype = "f64" }),
              i64 = fv.ones(2, { dtype = "i64" }), u8 = fv.ones(2, { dtype = "u8" }) }
  for pair, want in pairs {
    ["f32 f32"] = "f32", ["f32 f64"] = "f64", ["f32 i64"] = "f32", ["f32 u8"] = "f32",
    ["f64 f64"] = "f64", ["f64 i64"] = "f64", ["f64 u8"] = "f64", ["i64 i64"] = "i64",
    ["i64 u8"] = "i64", ["u8 u8"] = "i64"
  } do
    local a, b = pair:match "(%w+) (%w+)"
    tap.is((t[a] + t[b]):dtype() .. (t[b] + t[a]):dtype(), want .. want, pair .. " meet in " .. want)
    tap.is(t[a]:lt(t[b]):dtype(), "u8", pair .. ": comparisons are masks")
  end
  tap.is((t.f32 + 0.1):dtype(), "f32", "a number does not promote")
  tap.is((2 ^ t.f64):dtype(), "f64", "on either side")
  tap.is((t.i64 + 1):dtype(), "i64", "an integer keeps integers")
  tap.is((t.i64 + 1.5):dtype(), "f32", "a fraction makes them real")
  tap.is((t.i64 / t.i64):dtype(), "f32", "true division is real")
  tap.is(t.i64:exp():dtype() .. t.i64:neg():dtype() .. t.u8:neg():dtype(), "f32i64i64",
         "functions of integers are f32 but for exact ones")
  local wide = fv.tensor({ 1 + 2.0 ^ -40 }, { dtype = "f64" })
  tap.is((wide + fv.ones(1)):item(), 2 + 2.0 ^ -40, "f64 with f32 is computed in f64")
  local big = fv.tensor({ 2 ^ 53 | 0 }, { dtype = "i64" }) + 1
  tap.is(big:item(), (1 << 53) + 1, "integers are exact")
  tap.is(big:gt(1 << 53):item(), 1, "and compare exactly")
end

-- integers
do
  local a = fv.tensor({ 7, -7, 7, -7, math.mininteger }, { dtype = "i64" })
  local b = fv.tensor({ 2, 2, -2, -2, -1 }, { dtype = "i64" })
  tap.is(table.concat((a // b):totable(), " "), "3 -4 -4 3 " .. math.mininteger, "floor division")
  tap.is(table.concat((a % b):totable(), " "), "1 1 -1 -1 0", "remainder of the divisor's sign")
  tap.raises("division by zero", "integer // 0", function() return a // 0 end)
  tap.raises("remainder by zero", "integer % 0", function() return a % (b - b) end)
  tap.is((a / 0):get(1), huge, "true division by zero is inf")
  tap.is((fv.full({ 1 }, math.maxinteger, { dtype = "i64" }) + 1):item(), math.mininteger, "wraps")
  tap.is(a:abs():get(2) + a:sign():get(2) + a:square():get(2), 55, "exact functions")
  tap.is(table.concat(a:clamp(-5, 5):totable(), " "), "5 -5 5 -5 -5", "clamp of integers")
end

-- reals to integers and back
do
  local x = fv.tensor({ 1.9, -1.9, nan, huge, -huge, 300, -3 }, { dtype = "f64" })
  tap.is(table.concat(x:to("i64"):totable(), " "),
         ("1 -1 0 %d %d 300 -3"):format(math.maxinteger, math.mininteger), "casts to i64")
  tap.is(table.concat(x:to("u8"):totable(), " "), "1 0 0 255 0 255 0", "casts to u8 saturate")
  tap.is(x:slice(1, 1, 2):to("f32"):to("f64"):get(1), 1.899999976158142, "f64 to f32 rounds")
end

-- special values of binary functions
do
  local x, one = fv.tensor { nan, 1, -0.0 }, fv.ones(3)
  local m = fv.maximum(x, one)
  tap.ok(m:get(1) ~= m:get(1) and fv.maximum(one, x):get(1) ~= fv.maximum(one, x):get(1),
         "maximum keeps NaN from either side")
  tap.ok(fv.minimum(one, x):get(1) ~= fv.minimum(one, x):get(1), "minimum too")
  tap.is(x:eq(x):get(1), 0, "NaN differs from itself")
  local c = fv.tensor({ nan, -5, 0.5, 5 }):clamp(-1, 1)
  tap.ok(c:get(1) ~= c:get(1) and c:get(2) == -1 and c:get(3) == 0.5 and c:get(4) == 1, "clamp")
  tap.is((fv.tensor({ -2 }) ^ 2):item() * (fv.tensor({ 4 }) ^ 0.5):item() *
         (fv.tensor({ 4 }) ^ -1):item(), 2, "common powers")
  tap.is((fv.tensor({ -8.0 }) ^ 3):item(), -512, "whole powers of negatives")
  tap.is((fv.tensor({ 5.5 }) % -2):item(), -0.5, "real remainder as in Lua")
end

-- in place and out=
do
  local x = small("f32", 8, 9)
  local y, was = x:clone(), x:clone()
  tap.ok(rawequal(x:add_(1), x), "in-place forms return x")
  tap.is((x - was - 1):abs():max():item(), 0, "and change it")
  x:slice(1, 2, 2):mul_(0)
  tap.is(x:slice(1, 2, 2):abs():sum():item(), 0, "a view's stores reach its owner")
  tap.is((x:slice(1, 3, 3) - was:slice(1, 3, 3) - 1):abs():sum():item(), 0, "and nothing else")
  local sq = small("f64", 50, 50)
  local want = sq + sq:t()
  tap.is((sq:add_(sq:t()) - want):abs():max():item(), 0, "an argument that overlaps the result")
  local ones = fv.full({ 19 }, 3)
  ones:mul_(ones:slice(1, 1, 1):reshape())
  tap.is(ones:sum():item(), 171, "an argument that is one element of the result")
  local shift = fv.arange(1, 2000)
  shift:slice(1, 2, 2000):copy_(shift:slice(1, 1, 1999))
  tap.is(shift:get(2000), 1999, "copy_ of an overlapping range")
  local o = fv.zeros(9, 8)
  fv.add(was, y, { out = o:t() })
  tap.is((o:t() - was - y):abs():max():item(), 0, "out= fills a view")
  local mask = fv.zeros(8, 9, { dtype = "f64" })
  was:lt(0, { out = mask })
  tap.is(mask:sum():item(), was:lt(0):sum():item(), "out= casts")
  tap.is(fv.zeros(2, 3):fill(2.5):sum():item(), 15, "fill")
  tap.is(fv.zeros(3, { dtype = "i64" }):copy_(fv.tensor { 2.7 }):sum():item(), 6, "copy_ casts, repeats")
  tap.is(fv.zeros(0, 3):add(1):numel() + fv.zeros(0, 3):exp():numel(), 0, "nothing to do")
end

-- the same bits at any thread count, and across calls
do
  local x = small("f32", 300, 1001)
  local before = fv.threads()
  local function all(n)
    fv.threads(n)
    return { x:exp(), x:t() * 3, x:t():contiguous(), x:to("f64"), x:gelu(), x:lt(0) }
  end
  local one, two, three = all(1), all(2), all(3)
  fv.threads(before)
  local equal = true
  for k = 1, #one do
    equal = equal and one[k]:eq(two[k]):all():item() == 1 and one[k]:eq(three[k]):all():item() == 1
  end
  tap.ok(equal, "the same bits at 1, 2 and 3 threads")
end

tap.done()
