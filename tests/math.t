-- Elementwise functions of one tensor: accuracy against f64 definitions on
-- every instruction-set level, and their limits.
local fv = require "fovea"
local tap = require "tap"
local huge, nan, pi, exp, log = math.huge, 0 / 0, math.pi, math.exp, math.log
local sqrt, abs = math.sqrt, math.abs

-- What Lua's library lacks, accurate to a few 1e-16.
local function expm1(x)   -- Kahan: the rounding of u cancels in (u - 1) / log u
  local u = exp(x)
  if u == 1 then return x end
  if u == huge or u - 1 == -1 then return u - 1 end
  return (u - 1) * x / log(u)
end
local function log1p(x)
  local u = 1 + x
  if u == 1 then return x end
  if u == huge then return huge end
  return log(u) * x / (u - 1)
end
local function sinh(x)
  local e = expm1(abs(x))
  return (x < 0 and -0.5 or 0.5) * (e + e / (e + 1))
end
local function cosh(x) return (exp(x) + exp(-x)) / 2 end
local function tanh(x)
  if abs(x) > 22 then return x > 0 and 1.0 or -1.0 end
  local e = expm1(2 * x)
  return e / (e + 2)
end
local function erfc_far(x)   -- continued fraction, x >= 1
  local f = 0
  for k = 400, 1, -1 do f = k / 2 / (x + f) end
  return exp(-x * x) / sqrt(pi) / (x + f)
end
local function erf_near(x)   -- series without cancellation: erf = c x sum (2x^2)^k / (2k+1)!!
  local s, t, k = 1, 1, 0
  repeat
    k = k + 1
    t = t * 2 * x * x / (2 * k + 1)
    s = s + t
  until t < 1e-18 * s
  return 2 / sqrt(pi) * x * exp(-x * x) * s
end
local function erf(x)
  if abs(x) < 2 then return erf_near(x) end
  return x > 0 and 1 - erfc_far(x) or erfc_far(-x) - 1
end
local function erfc(x)
  return x < 1 and 1 - erf(x) or erfc_far(x)
end
local function sigmoid(x) return x >= 0 and 1 / (1 + exp(-x)) or exp(x) / (1 + exp(x)) end
local function softplus(x) return math.max(x, 0) + log1p(exp(-abs(x))) end
local function even(x)
  local f = math.floor(x)
  if x - f == 0.5 then return f % 2 == 0 and f or f + 1 end
  return math.floor(x + 0.5)
end
local function bool(b) return b and 1 or 0 end

-- name = { definition, from, to, error allowed in f32 and f64 units in the
-- last place }.  Correctly rounded operations get 0.5, SLEEF's functions 1.0
-- (erfc 1.5), our own what simd.h and simd_math.h claim, compositions the sum
-- of their steps; f64 adds what the definitions here lose themselves.
local cases = {
  neg = { function(x) return -x end, -9, 9, 0, 0 },
  abs = { abs, -9, 9, 0, 0 },
  sign = { function(x) return x > 0 and 1 or x < 0 and -1 or x end, -9, 9, 0, 0 },
  sqrt = { sqrt, 0, 99, 0.5, 0.5 },
  rsqrt = { function(x) return 1 / sqrt(x) end, 1e-3, 99, 1.5, 2 },
  reciprocal = { function(x) return 1 / x end, 1e-3, 99, 0.5, 0.5 },
  square = { function(x) return x * x end, -9, 9, 0.5, 0.5 },
  exp = { exp, -87, 88, 1.2, 2 },
  exp2 = { function(x) return 2.0 ^ x end, -125, 127, 1.1, 2 },
  expm1 = { expm1, -20, 80, 1.1, 6 },
  log = { log, 1e-3, 99, 1.1, 2 },
  log2 = { function(x) return log(x, 2) end, 1e-3, 99, 1.1, 3 },
  log1p = { log1p, -0.99, 99, 1.1, 4 },
  sin = { math.sin, -1e4, 1e4, 2.5, 3 },
  cos = { math.cos, -1e4, 1e4, 2.5, 3 },
  tan = { math.tan, -30, 30, 1.1, 3 },
  tanh = { tanh, -20, 20, 1.1, 8 },
  sinh = { sinh, -80, 80, 1.1, 6 },
  cosh = { cosh, -80, 80, 1.1, 3 },
  asin = { math.asin, -1, 1, 1.1, 2 },
  acos = { math.acos, -1, 1, 1.1, 2 },
  atan = { math.atan, -99, 99, 1.1, 2 },
  erf = { erf, -5, 5, 2, 12 },
  erfc = { erfc, -5, 9, 4, 100 },    -- the definition's exp(-x^2) loses x^2 = 81
  sigmoid = { sigmoid, -80, 80, 4, 8 },
  logsigmoid = { function(x) return -softplus(-x) end, -80, 80, 4, 8 },
  softplus = { softplus, -80, 80, 4, 8 },
  relu = { function(x) return math.max(x, 0) end, -9, 9, 0, 0 },
  -- x Phi(x) from erfc(-x/sqrt 2): the rounding of the argument is amplified by x^2
  gelu = { function(x) return x * erfc(-x / sqrt(2)) / 2 end, -4, 9, 40, 60 },
  silu = { function(x) return x * sigmoid(x) end, -80, 80, 5, 9 },
  elu = { function(x) return x > 0 and x or expm1(x) end, -20, 9, 1.1, 6 },
  floor = { function(x) return math.floor(x) + 0.0 end, -9, 9, 0, 0 },
  ceil = { function(x) return math.ceil(x) + 0.0 end, -9, 9, 0, 0 },
  round = { function(x) return even(x) + 0.0 end, -9, 9, 0, 0 },
  isnan = { function(x) return bool(x ~= x) end, -9, 9, 0, 0 },
  isinf = { function(x) return bool(abs(x) == huge) end, -9, 9, 0, 0 },
  isfinite = { function(x) return bool(abs(x) < huge) end, -9, 9, 0, 0 },
  logical_not = { function(x) return bool(x == 0) end, -9, 9, 0, 0 }
}

-- the unit in the last place of 'dtype' at x
local function ulp(x, dtype)
  local least, bits = -126, 23
  if dtype == "f64" then least, bits = -1022, 52 end
  x = abs(x)
  local e = x == 0 and least or math.floor(log(x, 2))
  if 2.0 ^ e > x then e = e - 1 end
  return 2.0 ^ (math.max(e, least) - bits)
end

-- the larger error; NaN counts as infinite
local function worse(e, worst) return e <= worst and worst or e == e and e or huge end

local function same(a, b) return a == b or (a ~= a and b ~= b) end

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

local missing = {}
for name, m in pairs(fv.docs.tensor) do
  if m.sig == "x:" .. name .. "({out=}) -> tensor" and not cases[name] then
    missing[#missing + 1] = name
  end
end
tap.is(table.concat(missing, " "), "", "every function of one argument is tested")

local best = fv.isa()
for _, isa in ipairs { "base", "v3", "v4" } do
  if isa <= best or isa == "base" then
    fv.isa(isa)
    for _, name in ipairs(names) do
      local f, from, to, u32, u64 = table.unpack(cases[name])
      for dtype, allowed in pairs { f32 = u32, f64 = u64 } do
        local n, worst, where = 1003, 0, nil   -- not a multiple of any vector
        local x = fv.linspace(from, to, n, { dtype = dtype })
        x:slice(1, 5, 205):copy_(fv.linspace(math.max(from, -0.7), math.min(to, 0.7), 201))
        local got = x[name](x):totable()
        local at = x:totable()
        for i = 1, n do
          local want = f(at[i])
          if not same(want, got[i]) then
            local e = abs(got[i] - want) / ulp(want, dtype)
            if worse(e, worst) ~= worst then where = at[i] end
            worst = worse(e, worst)
          end
        end
        tap.ok(worst <= allowed, ("%s %s %s"):format(isa, dtype, name),
               "%.3g units in the last place at %.17g", worst, where or 0)
      end
    end
  end
end
fv.isa(best)

-- edges: the limits of the functions
local edge = {
  exp = { [0] = 1, [huge] = huge, [-huge] = 0, [800] = huge, [-800] = 0 },
  exp2 = { [0] = 1, [huge] = huge, [-huge] = 0, [-2000] = 0 },
  expm1 = { [0] = 0, [huge] = huge, [-huge] = -1 },
  log = { [1] = 0, [0] = -huge, [huge] = huge, [-1] = nan },
  log2 = { [8] = 3, [0] = -huge, [huge] = huge, [-1] = nan },
  log1p = { [0] = 0, [-1] = -huge, [huge] = huge, [-2] = nan },
  sqrt = { [0] = 0, [huge] = huge, [-1] = nan },
  rsqrt = { [0] = huge, [huge] = 0 }, reciprocal = { [huge] = 0, [0] = huge },
  sin = { [0] = 0, [huge] = nan }, cos = { [0] = 1, [-huge] = nan }, tan = { [huge] = nan },
  tanh = { [huge] = 1, [-huge] = -1, [0] = 0 }, sinh = { [-huge] = -huge },
  cosh = { [-huge] = huge, [0] = 1 }, asin = { [2] = nan, [0] = 0 },
  acos = { [1] = 0, [-2] = nan },
  erf = { [huge] = 1, [-huge] = -1, [0] = 0 }, erfc = { [huge] = 0, [-huge] = 2, [0] = 1 },
  sigmoid = { [huge] = 1, [-huge] = 0, [0] = 0.5, [-1e4] = 0 },
  logsigmoid = { [huge] = 0, [-huge] = -huge, [-1e4] = -1e4 },
  softplus = { [huge] = huge, [-huge] = 0, [1e4] = 1e4 },
  relu = { [-huge] = 0, [huge] = huge }, elu = { [-huge] = -1, [huge] = huge },
  gelu = { [huge] = huge, [-huge] = 0, [0] = 0 }, silu = { [huge] = huge, [-huge] = 0 },
  floor = { [-huge] = -huge, [2.0 ^ 60] = 2.0 ^ 60 }, round = { [0.5] = 0, [1.5] = 2, [2.5] = 2 },
  isnan = { [huge] = 0 }, isinf = { [huge] = 1, [-huge] = 1 }, isfinite = { [-huge] = 0, [1] = 1 },
  sign = { [huge] = 1, [-huge] = -1 }, abs = { [-huge] = huge }
}
for _, isa in ipairs { "base", best } do
  fv.isa(isa)
  for _, dtype in ipairs { "f32", "f64" } do
    local wrong = {}
    for name, points in pairs(edge) do
      for x, want in pairs(points) do
        local got = fv[name](fv.tensor({ x }, { dtype = dtype })):item()
        if not same(got, want) then
          wrong[#wrong + 1] = ("%s(%g) = %g, not %g"):format(name, x, got, want)
        end
      end
    end
    for _, name in ipairs(names) do
      local got = fv[name](fv.tensor({ nan }, { dtype = dtype })):item()
      local want = name == "isnan" and 1 or nan
      if not same(got, want) and not ("isinf isfinite logical_not"):find(name, 1, true) then
        wrong[#wrong + 1] = name .. "(NaN)"
      end
    end
    tap.ok(#wrong == 0, isa .. " " .. dtype .. " limits, NaN", "%s", table.concat(wrong, "\n"))
  end
  local tiny = fv.tensor({ 1e-40, -1e-40, 0.0, -0.0 })
  tap.is((tiny * 1e38 - tiny:sin() * 1e38):abs():max():item(), 0, isa .. ": denormal numbers survive")
  tap.is(1 / tiny:neg():get(3), -huge, isa .. ": -(0) is -0")
  tap.is(1 / tiny:sin():get(4), -huge, isa .. ": sin(-0) is -0")
  local sub = fv.tensor({ -100.0 }):exp():item()
  tap.close(sub / exp(-100), 1, 0.02, isa .. ": exp underflows gradually")   -- 26 units left
end
fv.isa(best)
local far = fv.tensor({ 1e6, -3e7, 1e20, 12345678 }, { dtype = "f64" })
tap.close((far:cos():get(1) - math.cos(1e6)), 0, 1e-15, "cos far out")
tap.close((far:to("f32"):sin():get(2) - math.sin(-3e7)), 0, 1e-7, "f32 sin far out")

tap.done()
