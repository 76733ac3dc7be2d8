--- Special functions that closed forms of random features need, in double precision.
---
--- 1F1 is Kummer's function, 0F1(;b;u) = sum_j u^j / (j! (b)_j).  Where a value can
--- overflow its logarithm is returned.  Scalars only: they are called a few thousand times.

local special = {}

--- exp(x) - 1 without cancellation (Kahan).
function special.expm1(x)
  local u = math.exp(x)
  if u == 1 then return x end
  if u == math.huge or u == 0 then return u - 1 end
  return (u - 1) * x / math.log(u)
end

--- log of sum_j t_j with t_0 = 1 and t_{j+1} = t_j ratio(j) >= 0, of a series that converges.
local function log_series(ratio)
  local t, sum, log, j = 1, 1, 0, 0
  repeat
    t = t * ratio(j)
    sum, j = sum + t, j + 1
    if sum > 1e200 then
      t, sum, log = t / 1e200, sum / 1e200, log + 200 * math.log(10)
    end
  until t <= 1e-17 * sum or t ~= t
  return log + math.log(sum)
end

--- log 1F1(a; b; u) for a, b > 0 and u >= 0.  Time O(u + sqrt(u)).
function special.log_1F1(a, b, u)
  return log_series(function(j) return u * (a + j) / ((b + j) * (j + 1)) end)
end

--- log 0F1(; b; u) for b > 0 and u >= 0.
function special.log_0F1(b, u)
  return log_series(function(j) return u / ((b + j) * (j + 1)) end)
end

--- 1F1(a; b; -u) for u >= 0 by Kummer's transformation, e^-u 1F1(b - a; b; u).
--- The absolute error is a few roundings of 1.
function special.kummer(a, b, u)
  local t, sum, j = math.exp(-u), math.exp(-u), 0
  if t == 0 then return 0 end
  repeat
    t = t * u * (b - a + j) / ((b + j) * (j + 1))
    sum, j = sum + t, j + 1
  until math.abs(t) <= 1e-18 and j > u or t ~= t
  return sum
end

--- log I_0(u), the modified Bessel function.
function special.log_I0(u) return special.log_0F1(1, u * u / 4) end

local rules = {}

--- Nodes and weights of Gauss-Legendre quadrature with n points on [from, to].
function special.gauss(n, from, to)
  if not rules[n] then
    local x, w = {}, {}
    for i = 1, n do
      local t, slope = math.cos(math.pi * (i - 0.25) / (n + 0.5)), nil
      for _ = 1, 100 do                          -- Newton on P_n by its recurrence
        local p, q = 1, 0
        for k = 1, n do p, q = ((2 * k - 1) * t * p - (k - 1) * q) / k, p end
        slope = n * (t * p - q) / (t * t - 1)
        local step = p / slope
        t = t - step
        if math.abs(step) < 1e-15 then break end
      end
      x[i], w[i] = t, 2 / ((1 - t * t) * slope * slope)
    end
    rules[n] = { x, w }
  end
  local x, w = {}, {}
  local half, middle = (to - from) / 2, (to + from) / 2
  for i = 1, n do x[i], w[i] = middle + half * rules[n][1][i], half * rules[n][2][i] end
  return x, w
end

--- Integral of f over [from, to] divided by that of the weight: mean of f under 'weight'.
local function average(n, from, to, weight, f)
  local x, w = special.gauss(n, from, to)
  local sum, all = 0, 0
  for i = 1, n do
    local u = w[i] * weight(x[i])
    sum, all = sum + u * f(x[i]), all + u
  end
  return sum / all
end

--- E f(t) for t one coordinate of a uniform point on the unit sphere of R^d; f smooth,
--- 'turns' about how often it oscillates.
function special.on_sphere(d, turns, f)
  if d == 1 then return (f(1) + f(-1)) / 2 end
  local n = 64 * math.ceil((d / 64) ^ 0.5 + turns / 16)
  return average(n, -math.pi / 2, math.pi / 2, function(a) return math.cos(a) ^ (d - 2) end,
                 function(a) return f(math.sin(a)) end)
end

--- E f(sqrt(b (1 - b))) for b ~ Beta(d/2, d/2), with b = sin^2(a).
function special.over_beta(d, f)
  local n = d <= 64 and 64 or 64 * math.ceil(d / 64)
  return average(n, 0, math.pi / 2, function(a) return math.sin(2 * a) ^ (d - 1) end,
                 function(a) return f(math.sin(a) * math.cos(a)) end)
end

return special
