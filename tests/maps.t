-- Feature maps: their definitions, the kernels they estimate, and how well.
-- Expected values are closed forms or f64 loops over the definition.

local fv = require "fovea"
local tap = require "tap"

local function flat(x) return x:reshape(-1):totable() end
local function f64(t) return fv.tensor(t, { dtype = "f64" }) end

--- Largest |got - want| over two flat tables, relative to the largest |want| or 1.
local function gap(got, want)
  local worst, size = 0, 1
  for i = 1, math.max(#got, #want) do
    local d = math.abs((got[i] or 0 / 0) - (want[i] or 0 / 0))
    if d ~= d then return math.huge end
    worst, size = math.max(worst, d), math.max(size, math.abs(want[i]))
  end
  return worst / size
end

local function matches(got, want, tol, name)
  local d = gap(flat(got), want)
  return tap.ok(d <= tol, name, "off by %.3g > %.3g", d, tol)
end

local function dot(a, b)
  local s = 0
  for i = 1, #a do s = s + a[i] * b[i] end
  return s
end

-- DPFP: values by hand from r = [relu(x), relu(-x)] = [1,2,0, 0,0,3]
matches(fv.dpfp(f64 { { 1, 2, -3 } }), { 3, 2, 0, 0, 0, 0 }, 0, "dpfp nu=1 of (1,2,-3)")
matches(fv.dpfp(f64 { { 1, 2, -3 } }, { nu = 2 }), { 3, 2, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0 }, 0,
        "dpfp nu=2 of (1,2,-3)")
matches(fv.dpfp(f64 { { 1, -2, 3 } }), { 0, 0, 0, 0, 0, 0 }, 0, "dpfp nu=1 of (1,-2,3) is all zero")
do
  local x = fv.rng(1):stream("x"):normal(3, 4, { dtype = "f64" })
  local all = fv.dpfp(x, { nu = 7 })
  local shift4 = flat(all:slice(-1, 3 * 8 + 1, 4 * 8))
  tap.is(gap(shift4, flat(fv.zeros(3, 8))), 0, "shift d is identically zero")
  -- roll by 2d - j holds the same products at other places: sums agree
  local function sum(from)
    local s = 0
    for _, p in ipairs(flat(all:slice(-1, from * 8 + 1, from * 8 + 8))) do s = s + p end
    return s
  end
  tap.close(sum(2), sum(4), 1e-14, "shift 2d-j repeats shift j")
  tap.raises("nu: expected 1 to 2d%-1 = 7, got 8", "nu has its bound", fv.dpfp, x, { nu = 8 })
end

-- elu + 1 and relu
matches(fv.elu1(f64 { { -1, 0, 2, -50 } }), { math.exp(-1), 1, 3, math.exp(-50) }, 1e-15, "elu(x) + 1")
matches(fv.relu_features(f64 { { -1, 0, 2 } }, { eps = 0.5 }), { 0.5, 0.5, 2.5 }, 0, "relu(x) + eps without w")
matches(fv.relu_features(f64 { { 3, 4 } }, f64 { { 1, 0 }, { 0, 1 }, { -1, 0 }, { 1, -1 } }, { eps = 0 }),
        { 1.5, 2, 0, 0 }, 1e-15, "relu(w x) / sqrt(m)")
tap.is(tostring(fv.relu_features(f64 { { 0 / 0 } }):item()):find("nan") ~= nil, true, "NaN stays NaN")

-- random maps against the definition, d = 3, m = 5 (no multiple of a vector)
local X, W = fv.rng(2):stream("x"):normal(4, 3, { dtype = "f64" }), fv.rng(2):stream("w"):normal(5, 3, { dtype = "f64" })
local function define(f, c, count)
  local out = {}
  for _, x in ipairs(X:totable()) do
    for half = 1, count do
      for _, w in ipairs(W:totable()) do
        out[#out + 1] = f(dot(w, x), half) * math.exp(c * dot(x, x)) / math.sqrt(5)
      end
    end
  end
  return out
end
local function log_of(t)
  local out = {}
  for i, v in ipairs(t) do out[i] = math.log(v) end
  return out
end
local function trig(u, half) return half == 1 and math.sin(u) or math.cos(u) end
local function hyp(u, half) return math.exp(half == 1 and u or -u) / math.sqrt(2) end
for kernel, c in pairs { softmax = 0.5, gaussian = 1 } do
  matches(fv.positive_features(X, W, { kernel = kernel }), define(math.exp, -c, 1), 1e-14, "positive, " .. kernel)
  matches(fv.hyperbolic_features(X, W, { kernel = kernel }), define(hyp, -c, 2), 1e-14, "hyperbolic, " .. kernel)
  matches(fv.trig_features(X, W, { kernel = kernel }), define(trig, 1 - c, 2),
          1e-14, "trig, " .. kernel)
  matches(fv.positive_features(X, W, { kernel = kernel, log = true }), log_of(define(math.exp, -c, 1)), 1e-14,
          "logarithms of positive, " .. kernel)
  matches(fv.hyperbolic_features(X, W, { kernel = kernel, log = true }), log_of(define(hyp, -c, 2)), 1e-14,
          "logarithms of hyperbolic, " .. kernel)
end

-- sine and cosine at every size of argument: absolute error 2 ulp of 1
do
  local xs, want = {}, {}
  for e = -8, 15 do
    for k = 1, 7 do xs[#xs + 1] = { (k % 2 == 0 and -1 or 1) * (0.1 + 1.37 * k) * 10.0 ^ e } end
  end
  for _, x in ipairs(xs) do
    want[#want + 1], want[#want + 2] = math.sin(x[1]), math.cos(x[1])
  end
  matches(fv.trig_features(f64(xs), f64 { { 1 } }, { kernel = "gaussian" }), want, 5e-16, "sin and cos, f64")
  local x32, want32 = fv.tensor(xs), {}
  for _, x in ipairs(flat(x32)) do want32[#want32 + 1], want32[#want32 + 2] = math.sin(x), math.cos(x) end
  matches(fv.trig_features(x32, fv.tensor { { 1 } }, { kernel = "gaussian" }), want32, 2.4e-7, "sin and cos, f32")
  local inf = flat(fv.trig_features(f64 { { 1 / 0 } }, f64 { { 1 } }, { kernel = "gaussian" }))
  tap.ok(inf[1] ~= inf[1] and inf[2] ~= inf[2], "sin and cos of inf are NaN")
end

-- What is estimated and how well, from N independent rows: the product of row r,
-- times m, is one draw of an estimator with m = 1.  Mean within 4 standard errors
-- of the kernel; variance within 4 standard errors of the closed form.
local N = 100000
local x, y = { 0.3, -0.2, 0.1, 0.4 }, { 0.1, 0.3, -0.2, 0.25 }
local rows = fv.rng(7):stream("rows"):normal(N, 4, { dtype = "f64" })
local function draws(op, halves, opt)
  local phi = op(f64 { x, y }, rows, opt):totable()
  local out = {}
  for r = 1, N do
    local s = 0
    for h = 0, halves - 1 do s = s + phi[1][r + h * N] * phi[2][r + h * N] end
    out[r] = s * N
  end
  return out
end
local function estimates(list, kernel, variance, name)
  local mean, m2, m4 = 0, 0, 0
  for _, v in ipairs(list) do mean = mean + v / N end
  for _, v in ipairs(list) do
    m2, m4 = m2 + (v - mean) ^ 2 / N, m4 + (v - mean) ^ 4 / N
  end
  local z = (mean - kernel) / math.sqrt(m2 / N)
  tap.ok(math.abs(z) < 4, name .. " is unbiased", "mean %.6f, kernel %.6f: %.1f standard errors", mean, kernel, z)
  if variance then
    z = (m2 - variance) / math.sqrt((m4 - m2 ^ 2) / N)
    tap.ok(math.abs(z) < 4, name .. " has the variance of the closed form",
           "%.6f for %.6f: %.1f standard errors", m2, variance, z)
  end
end
local xx, yy, xy = dot(x, x), dot(y, y), dot(x, y)
local z2, d2, sm, kg = xx + yy + 2 * xy, xx + yy - 2 * xy, math.exp(xy), math.exp(-(xx + yy - 2 * xy) / 2)
local function sinh(u) return (math.exp(u) - math.exp(-u)) / 2 end
estimates(draws(fv.positive_features, 1), sm, sm ^ 2 * (math.exp(z2) - 1), "positive")
estimates(draws(fv.hyperbolic_features, 2), sm, sm ^ 2 * 2 * sinh(z2 / 2) ^ 2, "hyperbolic")
estimates(draws(fv.trig_features, 2), sm, sm ^ 2 * 2 * sinh(d2 / 2) ^ 2, "trig")
estimates(draws(fv.trig_features, 2, { kernel = "gaussian" }), kg, (1 - kg ^ 2) ^ 2 / 2, "trig, gaussian")
estimates(draws(fv.positive_features, 1, { kernel = "gaussian" }), kg, kg ^ 2 * (math.exp(z2) - 1),
          "positive, gaussian")
estimates(draws(fv.hyperbolic_features, 2, { kernel = "gaussian" }), kg, nil, "hyperbolic, gaussian")
local t = math.acos(xy / math.sqrt(xx * yy))
estimates(draws(fv.relu_features, 1, { eps = 0 }),
          math.sqrt(xx * yy) / (2 * math.pi) * (math.sin(t) + (math.pi - t) * math.cos(t)), nil,
          "relu, of the arc-cosine kernel,")

-- objects
local q = fv.rng(3):stream("q"):normal(2, 5, 16)
for _, estimator in ipairs { "positive", "hyperbolic", "trig" } do
  local phi = fv.map("favor", { dim = 16, features = 24, estimator = estimator, seed = 4, sampler = "iid" })
  tap.is(table.concat({ phi(q):shape() }, ","), "2,5,24", "favor " .. estimator .. ": M features")
  local op, m = fv[estimator .. "_features"], estimator == "positive" and 24 or 12
  local same = fv.sample("iid", { rows = m, dim = 16, seed = 4 })
  tap.is(gap(flat(phi.W), flat(same)), 0, "favor " .. estimator .. ": seed names the draw fv.sample makes")
  tap.is(gap(flat(phi(q)), flat(op(q * 16 ^ -0.25, same))), 0,
         "favor " .. estimator .. ": the operator on x d^(-1/4)")
  tap.is(gap(flat(fv.map(estimator, { projection = same })(q)), flat(phi(q))), 0,
         "favor " .. estimator .. ": projection fixes W")
  tap.ok(phi(q:to "f64"):dtype() == "f64", "favor " .. estimator .. ": follows the input's dtype")
  tap.is(phi:cost { n = 5 }.exps, op:cost { n = 5, d = 16, m = m }.exps, "favor " .. estimator .. ": cost")
  if estimator == "trig" then
    tap.raises("has no field 'log'", "signed features have no logarithm", function() return phi:log(q) end)
  else
    matches(phi:log(q):exp(), flat(phi(q)), 1e-6, "favor " .. estimator .. ": log")
    tap.ok(phi.caps.nonneg, "favor " .. estimator .. ": positive by its caps")
  end
end
tap.ok(gap(flat(fv.map("favor", { dim = 16, seed = 1, sampler = "iid" }).W),
           flat(fv.map("favor", { dim = 16, seed = 2, sampler = "iid" }).W)) > 0.1, "another seed, another W")
for _, sampler in ipairs { "iid", "orthogonal" } do
  -- unbiased with the default scale: E over seeds of phi(q).phi(k) is exp(q.k / sqrt(d))
  local a, b = f64 { { 0.5, -0.4, 0.3, 0.2 } }, f64 { { 0.1, 0.6, -0.5, 0.4 } }
  local want = math.exp(dot(flat(a), flat(b)) / 2)
  local mean, square, S = 0, 0, 400
  for seed = 1, S do
    local phi = fv.map("favor", { dim = 4, features = 16, sampler = sampler, seed = seed })
    local u = dot(flat(phi(a)), flat(phi(b)))
    mean, square = mean + u / S, square + u * u / S
  end
  local z = (mean - want) / math.sqrt((square - mean ^ 2) / S)
  tap.ok(math.abs(z) < 4, sampler .. ": phi(q).phi(k) estimates exp(q.k / sqrt(d))",
         "%.5f for %.5f: %.1f s.e.", mean, want, z)
end
do  -- a projection for each head
  local two = fv.randn(2, 12, 16, { rng = fv.rng(9) })
  for _, name in ipairs { "positive", "trig", "relu" } do
    local all = fv.map(name, { projection = two })(q)
    for h = 1, 2 do
      tap.is(gap(flat(all[h]), flat(fv.map(name, { projection = two[h] })(q[h]))), 0,
             name .. ": head " .. h .. " has its own projection")
    end
  end
end
matches(fv.map("dpfp", { nu = 2 })(f64 { { 1, 2, -3 } }), { 3, 2, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0 }, 0, "map dpfp")
tap.is(fv.map("dpfp", { nu = 2, dim = 3 }).features, 12, "map dpfp knows M when it knows d")
matches(fv.map("relu", { eps = 0, scale = 2 })(f64 { { 1, -1 } }), { 2, 0 }, 0, "map relu without projection")
tap.is(fv.map("relu", { dim = 16, features = 8, sampler = "iid" })(q):size(-1), 8, "map relu with features")
tap.raises("favor: option 'dim' is required", "a random map needs its width", fv.map, "favor", {})
tap.raises("favor: x: expected %(%.%.%., n, dim=8%), got %(2,5,16%)", "a misfit names what was expected",
           fv.map("favor", { dim = 8, sampler = "iid" }), q)
tap.raises("trig: option 'features': expected an even number, got 7", "pairs need an even number", fv.map, "trig",
           { dim = 4, features = 7 })
tap.raises("expected %(%.%.%., m, dim=4%), got %(24,16%)", "projection and dim must agree", fv.map, "trig",
           { dim = 4, projection = fv.zeros(24, 16) })
tap.raises("expected one of the options 'seed' and 'rng'", "a draw names its randomness", fv.sample, "iid",
           { rows = 2, dim = 2 })
tap.raises("iid: option 'rows' is required", "and its size", fv.sample, "iid", { dim = 2, seed = 1 })

-- the protocol
do
  local F64 = { dtype = "f64" }
  local x, y = fv.rng(4):stream("x"):normal(2, 3, 4, F64), fv.rng(4):stream("y"):normal(2, 5, 4, F64)
  local phi = fv.map("positive", { dim = 4, features = 8, seed = 3, redraw = 10 })
  tap.is(gap(flat(phi(x, "q")), flat(phi(x))), 0, "the side is q unless said")
  tap.raises('side: expected "q" or "k", got string', "or k, and nothing else", phi, x, "v")
  matches(phi:kernel(x, y), flat((x:matmul(y:t()) / 2):exp()), 1e-14, "phi:kernel is exp(q.k / sqrt(d))")
  matches(fv.map("trig", { dim = 4, features = 8, kernel = "gaussian", scale = 1 }):kernel(x, y),
          flat((((x:unsqueeze(-2) - y:unsqueeze(-3)) ^ 2):sum(-1) / -2):exp()), 1e-14, "of gaussian ones the Gaussian")
  tap.ok(fv.map("elu1").kernel == false and fv.map("elu1").W == false, "false where there is none")
  local signed = fv.map("positive", { dim = 4, features = 8, sampler = { "orthogonal", signs = "lapack" } })
  tap.ok(signed.caps.unbiased == nil and signed.kernel == false and phi.caps.unbiased,
         "rows of no known law: no kernel, and the map does not say unbiased")
  tap.raises("orthogonal: unknown option 'norm'", "options of the sampler are strict", fv.map, "positive",
             { dim = 4, sampler = { "orthogonal", norm = "chi" } })
  tap.raises("option 'sampler': expected a name", "and it has a name", fv.map, "positive", { dim = 4, sampler = {} })
  local again = phi:redraw(2)
  tap.is(gap(flat(again.W), flat(fv.sample("orthogonal", { rows = 8, dim = 4, seed = 3, draw = 2 }))), 0,
         "redraw(i) is draw i of the seed")
  tap.ok(gap(flat(again.W), flat(phi.W)) > 0.1 and gap(flat(again:redraw(0).W), flat(phi.W)) == 0,
         "which is another, and draw 0 the first")
  tap.is(phi:at(29).options.draw, 2, "redraw=10: step 29 has draw 2")
  tap.is(fv.map("trig", { dim = 4, redraw = "per_call" }):at(29).options.draw, 29, "redraw=per_call: draw 29")
  tap.ok(fv.map("trig", { dim = 4 }):at(29).options.draw == 0, "fixed: draw 0")
  local plain = fv.map("elu1")
  tap.ok(rawequal(plain:redraw(3), plain) and rawequal(plain:fit(x, y), plain),
         "a deterministic map has one draw and nothing to fit")
  tap.raises("'projection' fixes W", "a given projection has no other draws",
             function() fv.map("trig", { projection = fv.zeros(2, 4) }):redraw(1) end)
  tap.raises('option \'redraw\': expected one of "fixed", "per_call" or a whole number from 1, got 0', "bad policy",
             fv.map, "trig", { dim = 4, redraw = 0 })
  tap.raises("option 'draw' belongs to 'seed'", "a stream has no named draws", fv.sample, "iid",
             { rows = 1, dim = 1, rng = fv.rng(1):stream("x"), draw = 1 })
  local r = fv.map("relu", { dim = 4, features = 2, eps = 0.25 })
  local k = r:kernel(f64 { { 3, 0, 0, 0 } }, f64 { { 2, 0, 0, 0 }, { 0, 4, 0, 0 } })
  -- E (u + eps)(v + eps) over two features of 1/sqrt(2) each, with E relu(3 w) = 3 / sqrt(2 pi)
  local function want(c, a, b) return c + 0.25 * math.sqrt(2) * (a + b) / math.sqrt(2 * math.pi) + 2 * 0.0625 end
  matches(k, { want(3, 3, 2), want(12 / (2 * math.pi), 3, 4) }, 1e-14, "relu: its kernel, with eps")
end

tap.done()
