-- Reductions and row functions against definition-level loops in f64, over
-- every layout a view can have.
local fv = require "fovea"
local tap = require "tap"
local huge, nan = math.huge, 0 / 0

local seed = 1
local function rand()   -- in [-1, 1), the same on every run
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed / 1073741824 - 1
end
local function random(dtype, ...)
  local n, shape = 1, { ... }
  for _, s in ipairs(shape) do n = n * s end
  local t = {}
  for i = 1, n do t[i] = dtype == "i64" and math.floor(rand() * 50) or rand() end
  return fv.tensor(t, { dtype = dtype }):reshape(table.unpack(shape))
end

-- ref[name](list, n) in plain doubles
local ref = {}
function ref.sum(v) local s = 0 for _, x in ipairs(v) do s = s + x end return s end
function ref.mean(v) return ref.sum(v) / #v end
function ref.prod(v) local s = 1 for _, x in ipairs(v) do s = s * x end return s end
function ref.var(v)
  local m, s = ref.mean(v), 0
  for _, x in ipairs(v) do s = s + (x - m) ^ 2 end
  return s / (#v - 1)
end
function ref.std(v) return math.sqrt(ref.var(v)) end
function ref.norm(v)
  local s = 0
  for _, x in ipairs(v) do s = s + x * x end
  return math.sqrt(s)
end
function ref.logsumexp(v)
  local s = 0
  for _, x in ipairs(v) do s = s + math.exp(x) end
  return math.log(s)
end
function ref.max(v) return math.max(table.unpack(v)) end
function ref.min(v) return math.min(table.unpack(v)) end
function ref.argmax(v)
  local b = 1
  for i, x in ipairs(v) do if x > v[b] then b = i end end
  return b
end
function ref.argmin(v)
  local b = 1
  for i, x in ipairs(v) do if x < v[b] then b = i end end
  return b
end
function ref.any(v) for _, x in ipairs(v) do if x ~= 0 then return 1 end end return 0 end
function ref.all(v) for _, x in ipairs(v) do if x == 0 then return 0 end end return 1 end
local names = {}
for name in pairs(ref) do names[#names + 1] = name end
table.sort(names)

-- elements of x in row-major order with 'dims' (a set) innermost
local function groups(x, dims)
  local shape, kept, over = { x:shape() }, {}, {}
  for d = 1, #shape do table.insert(dims[d] and over or kept, d) end
  local out, index = {}, {}
  local function walk(list, i, leaf)
    if i > #list then return leaf() end
    for j = 1, shape[list[i]] do index[list[i]] = j; walk(list, i + 1, leaf) end
  end
  walk(kept, 1, function()
    local v = {}
    walk(over, 1, function() v[#v + 1] = x:get(table.unpack(index)) end)
    out[#out + 1] = v
  end)
  return out
end

-- the larger error; NaN counts as infinite
local function worse(e, err) return e <= err and err or e == e and e or huge end

-- errors of f32 sums of <= 200 terms below 1, relative to the largest result
local tolerance = { f32 = 2e-5, f64 = 1e-13, i64 = 1e-6 }

local function worst(x, name, dims)
  local list, set = {}, {}
  for _, d in ipairs(dims) do set[d] = true; list[#list + 1] = d end
  local got = x[name](x, table.unpack(list)):to("f64"):reshape(-1):totable()
  if #dims == 0 then for d = 1, x:ndim() do set[d] = true end end
  local err = 0
  for k, v in ipairs(groups(x, set)) do
    local want = ref[name](v)
    if want ~= got[k] then   -- infinities are equal to themselves
      local e = math.abs(got[k] - want) / math.max(1, math.abs(want))
      err = worse(e, err)
    end
  end
  return err
end

for _, dtype in ipairs { "f32", "f64", "i64" } do
  local x = random(dtype, 5, 20, 7)
  local views = {
    plain = x, turned = x:transpose(1, 3), inner = x:transpose(2, 3),
    part = x:slice(2, 3, 18, 3), repeated = x:slice(1, 2, 2):expand(4, 20, 7)
  }
  for _, name in ipairs(names) do
    local err = 0
    for _, v in pairs(views) do
      for _, dims in ipairs { {}, { 1 }, { 2 }, { 3 }, { 1, 3 }, { 2, 3 }, { 1, 2 } } do
        err = worse(worst(v, name, dims), err)
      end
    end
    -- i64 var, norm ... give f32
    tap.ok(err <= tolerance[dtype], dtype .. " " .. name .. " over any dimensions of any view",
           "error %.3g", err)
  end
end

-- long sums: the bound is that of runs of 1024 in vectors, then f64
do
  local n = 300000
  local x = fv.arange(1, n, 1, { dtype = "f32" }) * (1 / n)
  tap.close(x:sum():item() / ((n + 1) / 2), 1, 3e-6, "a long f32 sum")
  tap.close(x:to("f64"):var():item() / ((n * (n + 1) / 12) / n ^ 2), 1, 2e-6,
            "variance of 1..n, scaled")
  local far = x:to("f64") + 1e6
  tap.close(far:var():item() / (n * (n + 1) / 12 / n ^ 2), 1, 1e-5,
            "variance far from the origin")
  local tall = x:slice(1, 1, 299968):reshape(4687, 64)
  local down, whole = tall:sum(1):to("f64"):sum():item(), 0
  for i = 1, 299968 do whole = whole + i / n end
  tap.close(down / whole, 1, 3e-6, "sums down tall columns")
  local big = fv.full({ 4096 }, 1 / 3, { dtype = "f64" })
  tap.close(big:logsumexp():item(), 1 / 3 + math.log(4096), 1e-14, "logsumexp of equal elements")
end

-- shapes, options
do
  local x = random("f32", 3, 4, 5)
  local function shape(t) return table.concat({ t:shape() }, ",") end
  tap.is(shape(x:sum()), "", "a full reduction has no dimensions")
  tap.is(shape(x:sum(2)), "3,5", "the dimension goes")
  tap.is(shape(x:sum(2, { keepdim = true })), "3,1,5", "keepdim keeps it as 1")
  tap.is(shape(x:max(-1, 1)), "4", "several, negative ones from the end")
  tap.is(shape(fv.mean(x, 1, { keepdim = true })), "1,4,5", "function form")
  tap.is(x:argmax(1):dtype(), "i64", "places are i64")
  tap.is(x:any():dtype(), "u8", "any is a mask")
  tap.is(x:to("i64"):sum():dtype() .. x:to("i64"):mean():dtype(), "i64f32",
         "integers sum to i64, mean to f32")
  tap.close(fv.tensor({ 1, 2, 3, 4 }):var({ correction = 0 }):item(), 1.25, 1e-7,
            "population variance")
  tap.close(fv.tensor({ 3, -4 }):norm({ p = 1 }):item(), 7, 0, "norm of order 1")
  tap.close(fv.tensor({ 3, -4 }):norm({ p = huge }):item(), 4, 0, "norm of order inf")
  tap.close(fv.tensor({ 3e30, 4e30 }):norm():item() / 5e30, 1, 1e-6,
            "norm whose squares overflow f32")
end

-- edges
do
  local none = fv.zeros(0, 3)
  tap.is(none:sum():item(), 0, "the sum of nothing is 0")
  tap.is(none:prod():item(), 1, "the product of nothing is 1")
  tap.ok(none:mean():item() ~= none:mean():item(), "the mean of nothing is NaN")
  tap.is(none:logsumexp(1):get(2), -huge, "logsumexp of nothing is -inf")
  tap.is(none:any():item(), 0, "any of nothing")
  tap.is(none:all():item(), 1, "all of nothing")
  tap.is((none:sum(2):shape()), 0, "no rows give no sums")
  tap.raises("max: no elements", "max of nothing", function() return none:max() end)
  tap.raises("argmin: no elements", "argmin of nothing", function() return none:argmin(1) end)
  tap.raises("dimension 3 of a tensor with 2", "no such dimension",
             function() return none:sum(3) end)
  tap.raises("named twice", "a dimension twice", function() return none:sum(1, -2) end)
  tap.raises("did you mean 'keepdim'", "unknown option",
             function() return none:sum { keepdims = true } end)
  tap.raises("expected 1, 2 or math.huge", "other norms",
             function() return none:norm { p = 3 } end)
  tap.raises("tensor expected", "not a tensor", function() return fv.sum(3) end)
  local x = fv.tensor { 1, nan, 5, nan }
  tap.ok(x:max():item() ~= x:max():item() and x:min():item() ~= x:min():item(),
         "NaN wins max and min")
  tap.is(x:argmax():item(), 2, "and its place is the first NaN's")
  tap.is(fv.tensor({ -huge, -huge }):max():item(), -huge, "max of -inf")
  tap.is(fv.tensor({ -huge, -huge }):logsumexp():item(), -huge, "logsumexp of -inf")
  tap.is(fv.tensor({ 1, huge, 3 }):logsumexp():item(), huge, "logsumexp of inf")
  local mixed = fv.full({ 3000 }, -huge)
  mixed:set(2500, -2000)
  tap.is(mixed:logsumexp():item(), -2000, "one finite element far down")
  local ties = fv.tensor({ 2, 7, 7, 1, 1 })
  tap.is(ties:argmax():item() * 10 + ties:argmin():item(), 24, "the first of equals")
  local long = fv.arange(1, 200000, 1, { dtype = "f32" }):neg()   -- several runs, several ranges
  long:set(150001, 7)
  tap.is(long:argmax():item(), 150001, "a place far along")
  tap.is(long:to("i64"):argmax():item(), 150001, "also among integers")
  long:set(180001, nan)
  tap.is(long:argmin():item(), 180001, "or of a NaN")
  local top = fv.full({ 3 }, math.maxinteger, { dtype = "i64" })
  top:set(2, math.maxinteger - 1)
  tap.is(top:argmin():item(), 2, "integers compare exactly")
  tap.is(top:max():item(), math.maxinteger, "largest integer")
end

-- rows
do
  local x = random("f64", 6, 33, 4) * 8
  for dim = 1, 3 do
    local y, l = x:softmax(dim), x:log_softmax(dim)
    local err = 0
    for _, g in ipairs { { y, math.exp }, { l, function(d) return d end } } do
      local t, f = g[1], g[2]
      local lse = x:logsumexp(dim, { keepdim = true })
      local d = (x - lse):totable()
      local got = t:totable()
      for i = 1, 6 do for j = 1, 33 do for k = 1, 4 do
        err = worse(math.abs(got[i][j][k] - f(d[i][j][k])), err)
      end end end
    end
    tap.ok(err <= 1e-13, "softmax and log_softmax along dimension " .. dim, "error %.3g", err)
    local c = x:transpose(dim, 3):contiguous():cumsum(3):transpose(dim, 3)
    tap.is((c - x:cumsum(dim)):abs():max():item(), 0,
           "cumsum along " .. dim .. " is that of the turned tensor")
  end
  tap.near(x:to("f32"):softmax(2), x:softmax(2), 1e-6, "f32 softmax: a few 3e-7 errors")
  local sums = fv.tensor({ 1, 2, 3, 4 }):cumsum():totable()
  tap.is(table.concat(sums, " "), "1.0 3.0 6.0 10.0", "running sums")
  tap.is(fv.tensor({ 1, 2 }, { dtype = "i64" }):cumsum():dtype(), "i64", "of integers are i64")
  local mask = fv.full({ 2, 40 }, -huge)
  mask:set(2, 3, 1)
  local p = mask:softmax()
  tap.is(p:slice(1, 1, 1):max():item(), 0, "a row of -inf gives zeros")
  tap.is(p:get(2, 3), 1, "one finite element takes all")
  tap.is(p:sum():item(), 1, "and the others nothing")
  tap.is(mask:log_softmax():get(1, 1), -huge, "log_softmax of a row of -inf")
  mask:set(1, 1, nan)
  tap.ok(mask:softmax():get(1, 7) ~= mask:softmax():get(1, 7), "NaN spreads over its row")
  tap.is(fv.zeros(3, 0):softmax():numel(), 0, "empty rows")
  tap.raises("dimension", "cumsum of a matrix names its dimension",
             function() return x:cumsum() end)
end

-- the exp of softmax, through rows (0, x): p/(1-p) = e^x.  Its 2e-7 and the
-- roundings of sum, reciprocal and product stay below 6e-7.
do
  local best = fv.isa()
  for _, isa in ipairs { "base", "v3", "v4" } do
    if isa == "base" or isa <= best then
      fv.isa(isa)
      local err = { f32 = 0, f64 = 0 }
      for dtype in pairs(err) do
        local n = 5001
        local x = fv.linspace(-87, 0, n, { dtype = dtype })
        local rows = fv.zeros(n, 2, { dtype = dtype })
        rows:slice(2, 2, 2):copy_(x:reshape(n, 1))
        local p, at = rows:softmax():slice(2, 2, 2):reshape(-1):totable(), x:totable()
        for i = 1, n do
          local e = math.exp(at[i])
          err[dtype] = worse(math.abs(p[i] * (1 + e) / e - 1), err[dtype])
        end
      end
      tap.ok(err.f32 <= 6e-7 and err.f64 <= 1e-15, isa .. ": exp in softmax", "%.3g %.3g", err.f32,
             err.f64)
    end
  end
  fv.isa(best)
end

-- the same bits at any thread count
do
  local x = random("f32", 97, 1013)
  local before = fv.threads()
  local function all(n)
    fv.threads(n)
    local t = {}
    for _, name in ipairs(names) do
      for _, dims in ipairs { {}, { 1 }, { 2 } } do
        t[#t + 1] = x[name](x, table.unpack(dims)):to("f64"):reshape(-1)
      end
    end
    for _, f in ipairs { "softmax", "log_softmax", "cumsum" } do
      t[#t + 1] = x[f](x, 1):to("f64"):reshape(-1)
      t[#t + 1] = x[f](x, 2):to("f64"):reshape(-1)
    end
    return t
  end
  local one, two, three, again = all(1), all(2), all(3), all(3)
  fv.threads(before)
  local same = true
  for i = 1, #one do
    for _, other in ipairs { two, three, again } do
      same = same and one[i]:eq(other[i]):all():item() == 1
    end
  end
  tap.ok(same, "the same bits at 1, 2 and 3 threads")
end

tap.done()
