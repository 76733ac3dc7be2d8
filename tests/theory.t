-- Closed forms of random-feature estimators against Monte Carlo at fixed seeds, against
-- tables of values, and against each other.  Monte Carlo computes terms from their
-- definition, not with the library's maps; "within 4 s.e." is one miss in 16,000.

local fv = require "fovea"
local special = require "fovea.special"
local tap = require "tap"

local T = fv.theory
local d, N = 4, 40000
local X, Y = { 0.3, -0.2, 0.1, 0.4 }, { 0.5, 0.3, -0.4, 0.25 }
local f64 = { dtype = "f64" }
local x, y = fv.tensor(X, f64), fv.tensor(Y, f64)

local function dot(a, b) return (a * b):sum():item() end
local xx, yy, xy = dot(x, x), dot(y, y), dot(x, y)

--- Sample mean and variance of estimates (N) against the result 'r' of the theory.
local function agrees(est, r, name)
  local n, mean = est:numel(), est:mean():item()
  local c = est - mean
  local v, m4 = (c ^ 2):mean():item(), (c ^ 4):mean():item()
  local zm, zv = (mean - r.mean) / math.sqrt(v / n), (v - r.variance) / math.sqrt((m4 - v * v) / n)
  return tap.ok(math.abs(zm) < 4 and math.abs(zv) < 4, name,
    "mean %.6g for %.6g (%.1f s.e.), variance %.6g for %.6g (%.1f s.e.)", mean, r.mean, zm, v, r.variance, zv)
end

-- rows of each law: (N, m, d); blocks of d, the last incomplete -------------------

local root = fv.rng(11)
local M = 6

local function norm(w) return (w ^ 2):sum(-1):sqrt():unsqueeze(-1) end
local function haar(stream, blocks)
  local w = fv.sample("orthogonal", { rows = blocks * d, dim = d, rng = stream, dtype = "f64" })
  return w / norm(w), norm(w)
end
local function simplex()
  local rows = {}
  for i = 1, d do
    rows[i] = {}
    for j = 1, d do
      rows[i][j] = i == d and (j < d and 1 / math.sqrt(d - 1) or 0)
        or (i == j and math.sqrt(d / (d - 1)) or 0)
           - (j < d and (math.sqrt(d) + 1) / (d - 1) ^ 1.5 or 0)
    end
  end
  return fv.tensor(rows, f64)
end
do
  local gram = simplex():matmul(simplex():t())
  local want = fv.full({ d, d }, -1 / (d - 1), f64) + fv.eye(d, f64) * (1 + 1 / (d - 1))
  tap.near(gram, want, 1e-14, "the test's simplex has unit rows with product -1/(d-1)")
end

local function draw(sampler, norms)
  local s = root:stream(sampler .. norms)
  local blocks = -(-M // d)
  local unit, length
  if sampler == "iid" then
    local w = s:normal(N, blocks * d, d, f64)
    unit, length = w / norm(w), norm(w)
  else
    unit, length = haar(s, N * blocks)
    if sampler == "simplex" then unit = simplex():matmul(unit:reshape(N * blocks, d, d)) end
    unit, length = unit:reshape(N, blocks * d, d), length:reshape(N, blocks * d, 1)
  end
  local w = norms == "chi" and unit * length or unit * math.sqrt(d)
  return w:slice(2, 1, M)
end

local lambda = math.exp(-(xx + yy) / 2)
local terms = {
  positive = function(w) return (w:matmul(x + y)):exp() * lambda end,
  hyperbolic = function(w) return (w:matmul(x + y)):cosh() * lambda end,
  trig = function(w) return (w:matmul(x - y)):cos() / lambda end
}
local function oprf(w, A, hyperbolic)
  local u = w:matmul(x + y) * math.sqrt(1 - 4 * A)
  local both = hyperbolic and u:cosh() or u:exp()
  return ((w ^ 2):sum(-1) * (2 * A)):exp() * both * ((1 - 4 * A) ^ (d / 2) * lambda)
end

for _, sampler in ipairs { "iid", "orthogonal", "simplex" } do
  for _, norms in ipairs { "chi", "sqrt_d" } do
    local w = draw(sampler, norms)
    local spec = { d = d, m = M, xx = xx, yy = yy, xy = xy, sampler = sampler, norms = norms }
    for map, term in pairs(terms) do
      agrees(term(w):mean(-1), T(map, spec), ("%s, %s, norms %s"):format(map, sampler, norms))
    end
    if norms == "chi" then
      for _, hyperbolic in ipairs { false, true } do
        spec.a, spec.estimator = -0.1, hyperbolic and "hyperbolic" or nil
        agrees(oprf(w, -0.1, hyperbolic):mean(-1), T("oprf", spec),
               ("oprf A = -0.1%s, %s"):format(hyperbolic and " hyperbolic" or "", sampler))
      end
      spec.a, spec.estimator, spec.kernel = nil, nil, "gaussian"
      agrees(terms.trig(w):mean(-1) * lambda ^ 2 / lambda, T("trig", spec),
             "trig of the Gaussian kernel, " .. sampler)
    end
  end
end

-- other families, single terms of N * M independent draws -------------------------

local W = draw("iid", "chi"):reshape(-1, d)
local s = root:stream "others"
do
  local u, v = W:matmul(x), W:matmul(y)
  local b = s:uniform(W:size(1), f64) * (2 * math.pi)
  agrees((u + b):cos() * (v + b):cos() * 2, T("rff_phase", { x = x, y = y, kernel = "gaussian" }),
    "rff_phase")
  local a = { -0.2, -0.05, 0, -0.1 }
  local A, z = fv.tensor(a, f64), x + y
  local scale = 1
  for i = 1, d do scale = scale * (1 - 4 * a[i]) ^ 0.5 end
  agrees(((W ^ 2 * (A * 2)):sum(-1) + W:matmul((A * -4 + 1):sqrt() * z)):exp() * (scale * lambda),
         T("sderf", { x = x, y = y, a = a }), "sderf")
  local f = {
    relu = fv.relu, step = function(t) return t:gt(0):to "f64" end, sgn = fv.sign, abs = fv.abs,
    identity = function(t) return t end, square = function(t) return t ^ 2 end, exp = fv.exp,
    cos = fv.cos, sin = fv.sin
  }
  for name, g in pairs(f) do
    agrees(g(u) * g(v), T("generalised", { f = name, d = d, xx = xx, yy = yy, xy = xy }),
      "generalised " .. name)
  end
end
do  -- hybrid at |x| = |y| with its own draws for each part, and with shared ones at any norms
  local rows, n = N * M // 2, 3
  local w1, w2 = W:slice(1, 1, rows), W:slice(1, rows + 1, 2 * rows)
  local tau = s:normal(rows, n, d, f64)
  local function estimate(a, b, wa, wb)
    local l = 0.5 - (tau:matmul(a):sign() * tau:matmul(b):sign()):mean(-1) / 2
    local L = math.exp(-(dot(a, a) + dot(b, b)) / 2)
    return l * wa:matmul(a + b):cosh() * L + (1 - l) * wb:matmul(a - b):cos() / L
  end
  local y2 = y * math.sqrt(xx / yy)
  agrees(estimate(x, y2, w1, w2), T("hybrid", { x = x, y = y2, signs = n }), "hybrid, separate draws")
  agrees(estimate(x * 0.2, y * 1.3, w1, w1), T("hybrid", { x = x * 0.2, y = y * 1.3, signs = n,
    shared = true }),
         "hybrid, shared draws")
  tap.ok(T.variance("hybrid", { x = X, y = X }) < 1e-15, "hybrid: no variance at angle 0")
  tap.ok(T.variance("hybrid", { x = X, y = x * -1 }) < 1e-15, "hybrid: no variance at angle pi")
end
do  -- discrete features, by inversion; log w! from a table
  local fact, top = { 0 }, 60
  for k = 1, top do fact[k + 1] = fact[k] + math.log(k) end
  fact = fv.tensor(fact, f64)
  local function invert(u, mass)
    local w, F = fv.zeros(u:size(1), d, f64), 0
    for k = 0, top - 1 do
      F = F + mass(k)
      w = w + u:gt(F):to "f64"
    end
    return w
  end
  local u, p = s:uniform(N, d, f64), x * y
  local function power(w, base)
    local odd = (base:lt(0):to "f64" * w):sum(-1) % 2
    return ((base:abs():log() * w):sum(-1)):exp() * (1 - odd * 2)
  end
  local rate, ratio = 0.4, 0.6
  local w = invert(u, function(k) return math.exp(-rate + k * math.log(rate) - fact:get(k + 1)) end)
  agrees(power(w, p / rate) * math.exp(rate * d), T("poisson", { x = x, y = y, lambda = rate }), "poisson")
  w = invert(u, function(k) return ratio * (1 - ratio) ^ k end)
  local logs = fact:index_select(1, (w + 1):to("i64"):reshape(-1)):reshape(N, d):sum(-1)
  agrees(power(w, p / (1 - ratio)) * (-logs):exp() * ratio ^ -d, T("geometric", { x = x, y = y,
    p = ratio }), "geometric")
end

-- tables --------------------------------------------------------------------------

--- Geometry with |x| = |y| and x = y (sign 1: |x+y|^2 = s) or x = -y (sign -1: |x-y|^2 = s).
local function at(dim, square, sign, more)
  local g = { d = dim, xx = square / 4, yy = square / 4, xy = (sign or 1) * square / 4 }
  for k, v in pairs(more or {}) do g[k] = v end
  return g
end
local function table_of(name, want, tolerance, got)
  local off = 0
  for _, row in ipairs(want) do
    for j = 1, #row.v do off = math.max(off, math.abs(got(row, j) - row.v[j]) / tolerance) end
  end
  tap.ok(off <= 1, name, "off by %.2f tolerances", off)
end

-- variance at m = d over that of independent rows: pos ort, pos simplex, hyp ort, trig ort
local columns = { { "positive", "orthogonal" }, { "positive", "simplex" }, { "hyperbolic", "orthogonal" },
                  { "trig", "orthogonal" } }
table_of("ratios of orthogonal and simplex to independent variance", {
  { 8, .5, v = { .926, .133, .332, .274 } }, { 8, 1, v = { .828, .373, .457, .243 } },
  { 8, 2, v = { .949, .921, .896, .640 } }, { 16, .5, v = { .911, .077, .192, .150 } },
  { 16, 1, v = { .782, .274, .310, .158 } }, { 16, 2, v = { .922, .882, .842, .671 } },
  { 64, .5, v = { .896, .028, .058, .044 } }, { 64, 1, v = { .731, .171, .149, .098 } },
  { 64, 2, v = { .879, .818, .753, .691 } }, { 64, 3, v = { .997, .996, .994, .991 } }
}, 1.1e-3, function(row, j)
  local map, sampler = table.unpack(columns[j])
  local g = at(row[1], row[2] ^ 2, map == "trig" and -1 or 1, { m = row[1] })
  local free = T.variance(map, g)
  g.sampler = sampler
  return T.variance(map, g) / free
end)
table_of("the mean of regularised features over exp(x.y)", {
  { 8, v = { .9985, .9777, .7527, .3364 } }, { 16, v = { .9991, .9870, .8371, .4792 } },
  { 64, v = { .9998, .9963, .9452, .7688 } }, { 256, v = { .9999, .9990, .9849, .9277 } }
}, 0.6e-4, function(row, j)
  return 1 + T("positive", at(row[1], ({ .5, 1, 2, 3 })[j] ^ 2, 1, { norms = "sqrt_d" })).relative_bias
end)
table_of("log of oprf's relative second moment", {
  { 16, 4, v = { 2.90 } }, { 16, 8, v = { 4.82 } }, { 16, 16, v = { 7.52 } }, { 16, 64, v = { 15.25 } },
  { 64, 4, v = { 3.59 } }, { 64, 8, v = { 6.61 } }, { 64, 16, v = { 11.61 } }, { 64, 32, v = { 19.28 } },
  { 64, 64, v = { 30.09 } }
}, 0.6e-2, function(row) return T("oprf", at(row[1], row[2])).log_second end)
for _, case in ipairs { { .5, 65, 13 }, { 1, 172, 55 }, { 2, 639, 277 }, { 8, 297996, 148948 } } do
  local square, pos, hyp = table.unpack(case)
  tap.is((T.features("positive", at(16, square), .1)), pos,
    "positive: 100 (exp|z|^2 - 1) rounded up at " .. square)
  tap.is((T.features("hyperbolic", at(16, square), .1)), hyp, "hyperbolic: 200 sinh^2(|z|^2/2) at " .. square)
end
tap.close(T("trig", at(8, 1, -1, { norms = "sqrt_d", kernel = "gaussian" })).bias, -0.0169, 5e-5,
          "trig with norms sqrt(d) is off the Gaussian kernel by -.0169 at d = 8, |x-y| = 1")
tap.close(T("trig", at(8, 9, -1, { m = 8, sampler = "orthogonal" })).variance / T.variance("trig", at(8, 9,
  -1, { m = 8 })),
          1.002, 5e-4, "orthogonal trig loses to independent rows at d = 8, |x-y| = 3")
do
  local g = { d = 8, xx = 1.2, yy = 1, xy = 0.7 }      -- |z|^2 = 3.6
  local function log_M2(more)
    local all = { a = more }
    for k, v in pairs(g) do all[k] = v end
    return T("oprf", all).log_second + 2 * g.xy
  end
  tap.close(T.best_a(3.6, 8), -0.16, 5e-3, "best A at d = 8, |z|^2 = 3.6")
  tap.close(log_M2(-2.0) - log_M2(0), 2.72 + 0.14, 2e-2, "A without the 1/d is far worse than none")
  tap.close(log_M2(nil) - log_M2(0), -1.50 + 0.14, 2e-2, "and the best A is better")
end

-- identities ----------------------------------------------------------------------

do
  local g = { d = 5, m = 7, xx = 0.7, yy = 1.3, xy = -0.4 }
  local sm, z2, d2 = math.exp(-0.4), 1.2, 2.8
  tap.close(T.variance("positive", g), sm ^ 2 * (math.exp(z2) - 1) / 7, 1e-14, "positive: exp|z|^2 - 1")
  tap.close(T.variance("hyperbolic", g), (1 - math.exp(-z2)) / 2 * T.variance("positive", g), 1e-14,
            "hyperbolic is (1 - exp(-|z|^2))/2 of positive")
  tap.close(T.variance("trig", g), math.exp(z2) / sm ^ 2 * (1 - math.exp(-d2)) ^ 2 / 14, 1e-13,
    "trig, as printed in the paper")
  tap.close(T.variance("oprf", { a = 0, d = 5, m = 7, xx = 0.7, yy = 1.3, xy = -0.4, sampler = "simplex" }),
            T.variance("positive", { d = 5, m = 7, xx = 0.7, yy = 1.3, xy = -0.4, sampler = "simplex" }),
              1e-14,
            "oprf with A = 0 is positive, simplex too")
  local mirror = { d = 5, m = 7, xx = 0.7, yy = 1.3, xy = 0.4, sampler = "orthogonal" }
  g.sampler = "orthogonal"
  tap.close(T("trig", mirror).relative_variance ~= T("hyperbolic", g).relative_variance and 1 or 0, 1, 0,
            "orthogonal trig and hyperbolic are no mirror images")
  g.sampler, mirror.sampler = "iid", "iid"
  tap.close(T("trig", mirror).relative_variance, T("hyperbolic", g).relative_variance, 1e-14,
    "independent ones are")
  local one, two = T.variance("positive", at(5, 1, 1, { m = 1, sampler = "orthogonal" })),
    T.variance("positive", at(5, 1))
  tap.close(one, two, 1e-15, "one row has nothing to be orthogonal to")
  tap.is(T.variance("trig", { d = 3, xx = 1, yy = 1, xy = 1 }), 0, "trig is exact at x = y")
  tap.is(T.variance("hyperbolic", { d = 3, xx = 1, yy = 1, xy = -1 }), 0, "hyperbolic is exact at x = -y")
  tap.ok(T("positive", at(8, 2000)).relative_sd == math.huge,
    "a variance beyond double precision is infinite")
  -- the paper's theorem 2 for m <= d follows: MSE_ort <= MSE_iid - 2(m-1)/(m(d+2)) (SM - Lambda)^2
  local worst = math.huge
  for _, dim in ipairs { 2, 5, 16 } do
    for _, z in ipairs { 0.3, 1, 2.5 } do
      local spec = at(dim, z * z, 1, { m = dim })
      local free = T.variance("positive", spec)
      spec.sampler = "orthogonal"
      local gap = math.exp(spec.xy) - math.exp(-(spec.xx + spec.yy) / 2)
      local bound = 2 * (dim - 1) / (dim * (dim + 2)) * gap ^ 2
      worst = math.min(worst, (free - bound - T.variance("positive", spec)) / free)
    end
  end
  tap.ok(worst > -1e-12, "orthogonal positive features keep theorem 2", "%g", worst)
end
for _, u in ipairs { 0.3, 4, 60 } do    -- even d: 1F1(d; d/2; u) = e^u sum_j C(d/2,j) u^j / (d/2)_j
  local h, t, sum = 8, 1, 1
  for j = 0, h - 1 do
    t = t * u * (h - j) / ((j + 1) * (h + j))
    sum = sum + t
  end
  tap.close(special.log_1F1(16, 8, u), u + math.log(sum), 1e-13, "1F1(16; 8; " .. u .. ") as a polynomial")
end
tap.close(special.kummer(1, 0.5, 2), 1 - 2 * math.sqrt(2) * 0.4525399074, 1e-9,
  "1F1(1; 1/2; -u) by Dawson's integral")
tap.close(special.log_0F1(0.5, 6.25), math.log((math.exp(5) + math.exp(-5)) / 2), 1e-14,
  "0F1(; 1/2; u^2/4) = cosh u")
tap.close(special.on_sphere(3, 20, function(t) return math.cos(20 * t) end), math.sin(20) / 20, 1e-14,
          "E cos(r t) on the sphere of R^3 is sin(r)/r")

-- misuse ----------------------------------------------------------------------------

local ok_ = { d = 2, xx = 1, yy = 1, xy = 0.3 }
local function with(more) return at(2, 1, 1, more) end
tap.raises("did you mean 'positive'", "a wrong map names the nearest", T, "positve", ok_)
tap.raises("expected |x.y| <= |x||y| = 1, got 3", "impossible geometry", T, "trig", { d = 2, xx = 1, yy = 1,
  xy = 3 })
tap.raises("no closed form for sampler 'orthogonl' %(did you mean 'orthogonal'", "a sampler without a law",
  T, "trig",
           with { sampler = "orthogonl" })
tap.raises("option 'xx' is required", "what is missing is named", T, "positive", { d = 2, yy = 1, xy = 0 })
tap.raises("options 'x' and 'y' are required", "poisson needs the vectors", T, "poisson", ok_)
tap.raises("expected d=4 numbers, got 3", "x and y must agree", T, "positive", { x = X, y = { 1, 2, 3 } })
tap.raises("below 1/8", "oprf with A beyond its range", T, "oprf", with { a = 0.2 })
tap.raises("unknown option 'smapler' %(did you mean 'sampler'", "unknown options", T, "positive",
  with { smapler = "iid" })
tap.raises("expected a multiple of 2, got 3", "pairs of features", T, "trig", with { features = 3 })
tap.raises("independent rows only", "a map says what law it needs", T, "rff_phase",
  with { sampler = "orthogonal" })
tap.raises("above 0, got nil", "features need a target", T.features, "positive", ok_)
tap.is(T("oprf", with { estimator = "hyperbolic", m = 3 }).features, 6, "hyperbolic oprf has two features a draw")
tap.ok(tostring(T("positive", ok_)):find "relative variance", "a result prints")

tap.raises("theory.match: phi: expected a map, got string", "a match needs a map", fv.theory.match, "trig", {})
tap.raises("theory.match: g: expected a pair", "and a pair", fv.theory.match,
           fv.map("trig", { dim = 4, features = 8 }))
tap.done()
