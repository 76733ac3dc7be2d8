-- Landmark rules, core inverses, Nystrom features and Nystrom attention built of them.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }
local function draw(name, ...) return fv.rng(11):stream(name):normal(...) end
local function T(x) return x:t() end

local x = draw("x", 60, 3, f64)
local k = fv.kernel("gaussian", { scale = 0.6 })

-- ---- landmark rules ----

for _, name in ipairs(fv.landmarks.names()) do
  local rule = fv.landmarks(name, { count = 7 })
  local L, index = rule(x, k)
  local again = fv.landmarks(name, { count = 7 })(x, k)
  tap.near(L, again, 0, name .. ": the same seed gives the same landmarks")
  if index then
    local seen, distinct = {}, true
    for _, i in ipairs(index:totable()) do
      distinct, seen[i] = distinct and not seen[i], true
    end
    tap.ok(distinct and index:numel() == 7, name .. ": seven rows, no row twice")
    tap.near(L, x:index_select(1, index), 0, name .. ": the rows it names")
  end
  local batch = fv.stack({ x, x:flip(1) }, 1)
  local B = rule(batch, k)
  tap.near(B[1], L, 1e-12, name .. ": the first entry of a batch is as if alone")
  local gap = fv.gradcheck(function(y) return (rule(y, k)) end, { x }, { tol = math.huge })
  tap.ok(gap < 1e-8, name .. ": gradients flow through selection and means", "%.2g", gap)
  tap.raises("option 'count': expected at most n=60 landmarks, got 61", name .. ": not more than points",
             fv.landmarks(name, { count = 61 }), x)
  tap.near(rule(x:to "f32", k), L, 1e-6, name .. ": f32 stays f32")
end
tap.near(fv.landmarks("segments", { count = 7 })(x)[7], x:slice(1, 52, 60):mean(1), 1e-15,
         "segments: 60 = 3 * 8 + 4 * 9, the last mean is that of nine")
tap.near(select(2, fv.landmarks("strided", { count = 4 })(x)), fv.tensor { 8, 23, 38, 53 }, 0,
         "strided: rows from the middle of each stride")
tap.near(select(2, fv.landmarks("uniform", { count = 60 })(x)), fv.arange(1, 60), 0,
         "uniform: all rows in order")
do
  local _, a = fv.landmarks("uniform", { count = 9, seed = 1 })(x)
  local _, b = fv.landmarks("uniform", { count = 9, seed = 2 })(x)
  tap.ok((a - b):abs():max():item() > 0, "uniform: another seed, other rows")
end

-- farthest points on a line: from the middle to the ends, then halves
do
  local line = fv.arange(0, 8):to "f64":unsqueeze(-1)
  local _, index = fv.landmarks("farthest", { count = 5 })(line)
  tap.near(index, fv.tensor { 5, 1, 9, 3, 7 }, 0, "farthest: middle, ends, quarters")
  local equal = fv.ones(6, 2, f64)
  local _, all = fv.landmarks("farthest", { count = 6 })(equal)
  tap.near((all:sort()), fv.arange(1, 6), 0, "farthest: equal points are each taken once")
  local _, seeds = fv.landmarks("kmeans", { count = 6, iterations = 0 })(equal)
  tap.near((seeds:sort()), fv.arange(1, 6), 0, "kmeans: so do its seeds")
end

-- k-means: three far clusters are found, and Lloyd never raises the cost
do
  local far = fv.tensor({ { 0, 0 }, { 100, 0 }, { 0, 100 } }, f64)
  local cloud = (far:unsqueeze(1) + draw("cloud", 20, 3, 2, f64)):reshape { 60, 2 }
  local means = cloud:reshape { 20, 3, 2 }:mean(1)
  local L = fv.landmarks("kmeans", { count = 3 })(cloud)
  local _, order = (L:slice(-1, 1, 1) + 2 * L:slice(-1, 2, 2)):squeeze(-1):sort()
  tap.near(L:index_select(1, order), means, 1e-12, "kmeans: the means of three far clusters")
  local before, falls = math.huge, true
  for i = 0, 6 do
    local C = fv.landmarks("kmeans", { count = 8, iterations = i })(x)
    local cost = ((x:unsqueeze(-2) - C:unsqueeze(-3)) ^ 2):sum(-1):min(-1):sum():item()
    falls, before = falls and cost <= before + 1e-12, cost
  end
  tap.ok(falls, "kmeans: an iteration never raises the cost")
end

-- leverage scores are diag(K (K + lambda n I)^-1); their sum is the effective dimension
do
  local rule = fv.landmarks("leverage", { count = 5, lambda = 0.01 })
  local K = k(x)
  local want = fv.einsum("ii->i", K:matmul(fv.inv(K + 0.6 * fv.eye(60, f64))))
  local tau = rule.scores(x, k)
  tap.near(tau, want, 1e-10, "leverage: scores are the diagonal of the smoother")
  tap.close(tau:sum():item(), fv.spectrum(k, x):effective_dimension(0.6), 1e-9,
            "leverage: their sum is the effective dimension")
  local rough = fv.landmarks("leverage", { count = 5, lambda = 0.01, sketch = 30 }).scores(x, k)
  tap.ok((rough - tau):min():item() > -0.5 and rough:min():item() > 0 and rough:max():item() <= 1,
         "leverage: scores from a sketch stay in (0, 1]")
  -- an outlier is drawn nearly always, a point among fifty copies seldom
  local odd, drawn = fv.cat({ fv.zeros(50, 2, f64), fv.full({ 1, 2 }, 9, f64) }, 1), 0
  for seed = 1, 50 do
    local _, index = fv.landmarks("leverage", { count = 2, seed = seed, lambda = 1e-2 })(odd, k)
    drawn = drawn + (index:get(2) == 51 and 1 or 0)
  end
  -- tau = 0.66 for the outlier, 0.0198 for each of the others: 0.66 / (0.66 + 0.99) at the first
  -- draw and 0.66 / 1.63 at the second, 0.64 in all
  tap.ok(math.abs(drawn / 50 - 0.64) < 4 * math.sqrt(0.64 * 0.36 / 50),
           "leverage: rows in proportion to scores",
         "%d of 50", drawn)
end

-- ---- core inverses ----

do
  local A = fv.eye(6, f64) * 2 + 0.2 * draw("A", 6, 6, f64)
  local G = k(x:slice(1, 1, 6)) + 0.1 * fv.eye(6, f64)
  local exact = { iterative = { iterations = 40 }, ridge = { lambda = 0 }, truncated = { rcond = 1e-12 } }
  for name, opt in pairs(exact) do
    local inverse = fv.inverse(name, opt)
    local Z, info = inverse(A)
    tap.near(Z, fv.inv(A), 1e-12, name .. ": in its limit the inverse")
    tap.close(info.rank, 6, 1e-9, name .. ": with all directions inverted")
    tap.near(inverse(G, { symmetric = true }), fv.inv(G), 1e-11, name .. ": of a Gram matrix too")
    fv.gradcheck(function(a) return (inverse(a)) end, { A })
    tap.near(inverse(fv.stack({ A, T(A) }, 1))[2], T(fv.inv(A)), 1e-12, name .. ": batches")
    tap.raises("A: expected %(..., m, m%), got %(6,5%)", name .. ": square matrices only", inverse,
             A:slice(-1, 1, 5))
  end
  local U, s, V = fv.svd(A)
  local Z = fv.inverse("ridge", { lambda = 0.5 })(A)
  tap.near(Z, (T(V) * (s / (s * s + 0.25)):unsqueeze(1)):matmul(T(U)), 1e-12,
           "ridge: s becomes s / (s^2 + lambda^2)")
  local w, E = fv.eigh(G)
  tap.near(fv.inverse("ridge", { lambda = 0.5 })(G, { symmetric = true }), (E * (1 / (w + 0.5))):matmul(T(E)),
           1e-12,
           "ridge: w becomes 1 / (w + lambda)")
  local D = fv.tensor({ { 1, 0, 0 }, { 0, 1e-3, 0 }, { 0, 0, 1e-9 } }, f64)
  local cut, info = fv.inverse("truncated", { rcond = 1e-6 })(D, { symmetric = true })
  tap.near(cut, fv.tensor({ { 1, 0, 0 }, { 0, 1e3, 0 }, { 0, 0, 0 } }, f64), 1e-12,
           "truncated: small ones count as zero")
  tap.ok(info.rank == 2 and info.warning == nil, "truncated: the rank that was kept")
  tap.is(select(2, fv.inverse("truncated", { rcond = 1e-6 })(D)).rank, 2, "truncated: by singular values too")
  local _, poor = fv.inverse("truncated", { rcond = 1e-2 })(D)
  tap.ok(poor.rank == 1 and poor.warning:find "ill conditioned: 1 of 3", "less than half kept: a warning")
  -- the scalar recurrence: with s^2 / alpha = 0.01, six steps of x (13 - x (15 - x (7 - x))) / 4
  local y = 0.01
  for _ = 1, 6 do y = y * (13 - y * (15 - y * (7 - y))) / 4 end
  local two = fv.tensor({ { 1, 0 }, { 0, 0.1 } }, f64)
  tap.close(fv.inverse("iterative")(two):get(2, 2) * 0.1, y, 1e-14,
           "iterative: the recurrence of each singular value")
  tap.close(select(2, fv.inverse "iterative"(two)).rank, 1 + y, 1e-12,
           "iterative: rank is the sum of their shares")
  local both = fv.stack({ two, 4 * two }, 1)
  local own, shared = fv.inverse("iterative", { iterations = 1 })(both),
                      fv.inverse("iterative", { iterations = 1, init = "original" })(both)
  tap.near(own[1] / 4, own[2], 1e-15, "iterative: alpha of each matrix")
  tap.ok(math.abs(shared[1]:get(1, 1) / 4 - shared[2]:get(1, 1)) > 1e-3,
           "iterative: or one of the whole batch")
end

-- ---- features ----

local K = k(x)
for _, rule in ipairs(fv.landmarks.names()) do
  local phi = fv.map("nystroem", { kernel = k, landmarks = 60, rule = rule, core = { "truncated",
      rcond = 1e-13 } }):fit(x)
  tap.near(phi(x):matmul(T(phi(x))), K, 1e-6, rule .. ": with all points as landmarks the features are exact")
end
do
  local phi = fv.map("nystroem", { kernel = k, landmarks = 12, seed = 3 }):fit(x)
  local Z = phi.points
  local F = phi(x)
  tap.near(F:matmul(T(F)), k(x, Z):matmul(fv.pinv(k(Z), { rcond = 1e-6 })):matmul(k(Z, x)), 1e-9,
           "features multiply to k(x, Z) k(Z, Z)+ k(Z, y)")
  tap.near(phi(Z):matmul(T(F)), k(Z, x), 1e-4, "and are exact at the landmarks, up to what the core cuts")
  tap.ok(phi.features == phi.rank and F:size(-1) == phi.rank and phi.rank <= 12, "as many as the core keeps")
  tap.near(phi:kernel(x, Z), k(x, Z), 0, "phi:kernel is the kernel itself")
  tap.close(phi:residual(x), 1 - (F * F):sum():item() / 60, 1e-12, "the residual is the share of the trace")
  local norms = (phi(Z) ^ 2):sum(1)
  tap.ok((norms:slice(1, 1, phi.rank - 1) - norms:slice(1, 2, phi.rank)):min():item() > -1e-12,
         "columns fall with the eigenvalues")
  fv.gradcheck(function(y) return phi(y) end, { draw("y", 4, 3, f64) })
  tap.near(phi(x:to "f32"), F, 1e-4, "f32 points")
  tap.near(fv.map("nystroem", { kernel = k, points = Z })(x), F, 0, "landmarks may be given")
  tap.near(fv.nystroem { kernel = k, landmarks = 12, seed = 3 }:fit(x)(x), F, 0, "fv.nystroem is the same")
  tap.near(fv.map("nystroem", { kernel = k, landmarks = 12, seed = 3 }):fit(x)(x), F, 0,
           "same seed, same features")
  local ridge = fv.nystroem { kernel = k, points = Z, core = { "ridge", lambda = 0.3 } }
  tap.near(ridge(x):matmul(T(ridge(x))), k(x, Z):matmul(fv.inv(k(Z) + 0.3 * fv.eye(12, f64))):matmul(k(Z, x)),
           1e-12,
           "core 'ridge' puts (k(Z, Z) + lambda)^-1 between")
end

-- the error falls as landmarks are added to those there are, and each rule's is small in the end
for _, rule in ipairs(fv.landmarks.names()) do
  local errors = {}
  for i, m in ipairs { 5, 15, 45 } do
    local phi = fv.nystroem { kernel = k, landmarks = m, rule = rule, core = { "truncated",
        rcond = 1e-12 } }:fit(x)
    errors[i] = phi:residual(x)
  end
  tap.ok(errors[2] < errors[1] and errors[3] < errors[2] and errors[3] < 0.02 and errors[3] > -1e-9,
         rule .. ": the error falls with the landmarks", "%.3g %.3g %.3g", table.unpack(errors))
end

-- ---- attention ----

do
  local q, key, v = draw("q", 2, 2, 40, 4), draw("key", 2, 2, 40, 4), draw("v", 2, 2, 40, 3)
  local default = fv.attention("nystrom", { landmarks = 8 })(q, key, v)
  tap.near(fv.attention("nystrom", { landmarks = 8, rule = "segments", core = { "iterative",
           iterations = 6 } })(q, key, v),
           default, 0, "attention: segments and six steps are the defaults")
  for _, rule in ipairs(fv.landmarks.names()) do
    local o, info = fv.attention("nystrom", { landmarks = 8, rule = rule, core = "ridge" })(q, key, v)
    tap.ok(o:isfinite():all():item() == 1 and info.rule == rule and info.core == "ridge" and info.rank > 0
           and info.rank <= 8 and info.iterations == nil,
               "attention: info says rule " .. rule .. ", core and rank")
  end
  local flat = fv.ones(1, 40, 4)
  local o, info = fv.attention("nystrom", { landmarks = 8, core = "truncated" })(flat, flat, draw("u", 1, 40,
      3))
  tap.ok(info.rank == 1 and info.warning:find "ill conditioned",
           "attention: equal landmarks are one, with a warning")
  tap.near(o[1][1], o[1][40], 1e-6, "attention: and average")
  tap.raises("nothing is named 'rigde'; did you mean 'ridge'", "attention: a core's name is checked at once",
           fv.attention,
             "nystrom", { core = "rigde" })
  tap.raises("landmarks: nothing is named", "attention: a rule's too", fv.attention, "nystrom",
           { rule = "random" })
end

-- ---- misuse ----

tap.raises("not fitted: phi = phi:fit%(x%)", "an unfitted map says so", fv.map("nystroem"), x)
tap.raises("option 'count': expected at most n=60", "more landmarks than points", function()
  return fv.map("nystroem", { landmarks = 61 }):fit(x)
end)
do
  local bad = x + 0
  bad:set(3, 1, 0 / 0)
  tap.raises("fit: expected finite numbers", "NaN in the points", function()
    return fv.map("nystroem", { landmarks = 5 }):fit(bad)
  end)
  tap.raises("farthest: x: expected finite numbers", "NaN for a rule", fv.landmarks("farthest",
           { count = 3 }), bad)
end
tap.raises("kernel: nothing is named 'gausian'; did you mean 'gaussian'", "a kernel's name", fv.nystroem,
           { kernel = "gausian" })
tap.raises("option 'lambda': expected a number in %[0", "a negative ridge", fv.inverse, "ridge",
         { lambda = -1 })

tap.done()
