-- Attention methods against their definitions, written out in f64 loops.

local fv = require "fovea"
local tap = require "tap"

-- matrices as Lua tables
local function product(A, B)
  local C = {}
  for i = 1, #A do
    C[i] = {}
    for j = 1, #B[1] do
      local s = 0
      for k = 1, #B do s = s + A[i][k] * B[k][j] end
      C[i][j] = s
    end
  end
  return C
end
local function turned(A)
  local B = {}
  for j = 1, #A[1] do
    B[j] = {}
    for i = 1, #A do B[j][i] = A[i][j] end
  end
  return B
end
local function each(A, B, f)
  local C = {}
  for i = 1, #A do
    C[i] = {}
    for j = 1, #A[1] do C[i][j] = f(A[i][j], B and B[i][j], i, j) end
  end
  return C
end
local function weights(Q, K, scale, causal)
  local A = product(Q, turned(K))
  for i, row in ipairs(A) do
    local sum = 0
    for j = 1, #row do
      row[j] = (causal and j > i + #row - #A) and 0 or math.exp(row[j] * scale)
      sum = sum + row[j]
    end
    for j = 1, #row do row[j] = row[j] / sum end
  end
  return A
end
local function near(got, want, tol, name) return tap.near(got, fv.tensor(want, { dtype = "f64" }), tol, name) end
local function draw(purpose, ...) return fv.rng(5):stream(purpose):normal(...) end

local f64 = { dtype = "f64" }
local q, k, v = draw("q", 11, 6, f64), draw("k", 13, 6, f64), draw("v", 13, 4, f64)
local Q, K, V = q:totable(), k:totable(), v:totable()
local scale = 6 ^ -0.5
local exact = product(weights(Q, K, scale), V)

-- exact and uniform
do
  local o, info = fv.attention("softmax")(q, k, v)
  near(o, exact, 1e-14, "softmax is softmax")
  tap.ok(info.path == "exact" and info.flops >= 2 * 11 * 13 * 10, "and says so, with its bill")
  o = fv.attention("softmax")(q, k, v, { causal = true, scale = 0.3 })
  near(o, product(weights(Q, K, 0.3, true), V), 1e-14, "options of a call reach the operator")
  local even = each(weights(Q, K, 0), nil, function(a) return a end)
  near(fv.attention("uniform")(q, k, v), product(even, V), 1e-14, "uniform is the mean of the values")
  near(fv.attention("uniform")(q, k, v, { causal = true }), product(weights(Q, K, 0, true), V), 1e-14,
       "causal: the mean of those seen")
  local short = fv.attention("uniform")(q, k, v, { key_length = 5 })
  near(short:slice(1, 1, 1), product({ { 0.2, 0.2, 0.2, 0.2, 0.2 } }, { table.unpack(V, 1, 5) }), 1e-14,
       "key_length: the mean of the valid ones")
end

-- Nystrom: the T-step recurrence written out
local function pooled(X, m)
  local n, P, at = #X, {}, 1
  local s, r = n // m, n % m
  for i = 1, m do
    local length = i > m - r and s + 1 or s
    P[i] = {}
    for j = 1, #X[1] do
      local sum = 0
      for t = at, at + length - 1 do sum = sum + X[t][j] end
      P[i][j] = sum / length
    end
    at = at + length
  end
  return P
end
local function nystrom(A, B, C, m, steps, shared)
  local Ql, Kl = pooled(A, m), pooled(B, m)
  local F, L, G = weights(A, Kl, scale), weights(Ql, Kl, scale), weights(Ql, B, scale)
  local alpha = 0
  for j = 1, m do
    local s = 0
    for i = 1, m do s = s + L[i][j] end
    alpha = math.max(alpha, s)
  end
  local Z = each(turned(L), nil, function(x) return x / (shared or alpha) end)
  local function inner(Y, P, c) -- c I - Y P, or c I - Y
    return each(P and product(Y, P) or Y, nil, function(x, _, i, j) return (i == j and c or 0) - x end)
  end
  for _ = 1, steps do
    local Y = product(L, Z)
    Z = each(product(Z, inner(Y, inner(Y, inner(Y, nil, 7), 15), 13)), nil, function(x) return x / 4 end)
  end
  return product(F, product(Z, product(G, C))), alpha
end
for _, m in ipairs { 1, 3, 4, 10 } do
  local o, info = fv.attention("nystrom", { landmarks = m, iterations = 6 })(q, k, v)
  -- the iteration multiplies round-off by the condition of L
  near(o, (nystrom(Q, K, V, m, 6)), 1e-10, ("nystrom, %d landmarks"):format(m))
  tap.ok(info.path == "approximate" and info.landmarks == m, "and says what ran")
end
near(fv.attention("nystrom", { landmarks = 4, iterations = 0 })(q, k, v), (nystrom(Q, K, V, 4, 0)), 1e-13,
     "nystrom without a step")
do
  local o, info = fv.attention("nystrom", { landmarks = 11 })(q, k, v)
  near(o, exact, 1e-14, "as many landmarks as queries: exact attention")
  tap.is(info.path, "exact", "and the path says so")
  local b, kb, vb = draw("qb", 2, 12, 6, f64), draw("kb", 2, 12, 6, f64), draw("vb", 2, 12, 4, f64)
  local alphas, outs = {}, {}
  for i = 1, 2 do outs[i], alphas[i] = nystrom(b[i]:totable(), kb[i]:totable(), vb[i]:totable(), 4, 6) end
  tap.near(fv.attention("nystrom", { landmarks = 4 })(b, kb, vb), fv.tensor(outs, f64), 1e-10,
           "init=exact: alpha of each matrix")
  for i = 1, 2 do
    outs[i] = nystrom(b[i]:totable(), kb[i]:totable(), vb[i]:totable(), 4, 3, math.max(alphas[1], alphas[2]))
  end
  tap.near(fv.attention("nystrom", { landmarks = 4, iterations = 3, init = "original" })(b, kb, vb),
           fv.tensor(outs, f64), 1e-10, "init=original: one alpha for the call")
  -- padding: each entry equals its own unpadded run, padded queries give zeros
  kb:slice(2, 8, 12):slice(1, 1, 1):fill(0 / 0)
  local o2 = fv.attention("nystrom", { landmarks = 4 })(b, kb, vb, { key_length = fv.tensor({ 7, 12 }, { dtype = "i64" }) })
  tap.near(o2[1]:slice(1, 1, 7), fv.attention("nystrom", { landmarks = 4 })(b[1]:slice(1, 1, 7),
           kb[1]:slice(1, 1, 7), vb[1]:slice(1, 1, 7)), 1e-13, "padding changes nothing, NaN or not")
  tap.near(o2[1]:slice(1, 8, 12), fv.zeros(5, 4, f64), 0, "padded queries give zeros")
  tap.near(o2[2], fv.attention("nystrom", { landmarks = 4 })(b[2], kb[2], vb[2]), 1e-13, "the full entry is whole")
end

-- controls
local A = fv.tensor(weights(Q, K, scale), f64)
local eye = fv.eye(13, f64)
local function norm(x) return (x * x):sum():sqrt():item() end
do
  local _, s = fv.svd(A)
  for _, r in ipairs { 1, 3, 7 } do
    local At = fv.attention("svd", { rank = r })(q, k, eye)
    local tail = s:slice(1, r + 1, 11)
    tap.close(norm(At - A), norm(tail), 1e-12, ("svd, rank %d: the error is the tail of the spectrum"):format(r))
    for seed = 1, 5 do -- no matrix of rank r is nearer, e.g. the projection on random directions
      local B = fv.rng(seed):stream("b"):normal(13, r, f64)
      local P = fv.qr(B)
      if norm(A:matmul(P):matmul(P:t()) - A) < norm(At - A) then tap.ok(false, "a nearer matrix of rank " .. r) end
    end
  end
  tap.near(fv.attention("svd", { rank = 99 })(q, k, v), fv.tensor(exact, f64), 1e-12, "svd of full rank is exact")
  local o = fv.attention("topm", { keep = 3 })(q, k, v)
  local W = weights(Q, K, scale)
  for _, row in ipairs(W) do
    local order = { table.unpack(row) }
    table.sort(order, function(a, b) return a > b end)
    local sum = order[1] + order[2] + order[3]
    for j = 1, #row do row[j] = row[j] >= order[3] and row[j] / sum or 0 end
  end
  near(o, product(W, V), 1e-13, "topm keeps the largest weights and renormalises")
  tap.near(fv.attention("topm", { keep = 99 })(q, k, v, { causal = true }),
           fv.attention("softmax")(q, k, v, { causal = true }), 1e-13, "topm that keeps all is exact, causal too")
end

-- linear family
local function by_features(phi, causal, guard)
  local fq, fk = phi(q):totable(), phi(k):totable()
  local S = product(fq, turned(fk))
  for i, row in ipairs(S) do
    local sum = guard or 0
    for j = 1, #row do
      if causal and j > i + 2 then row[j] = 0 end
      sum = sum + row[j]
    end
    for j = 1, #row do row[j] = row[j] / sum end
  end
  return product(S, V)
end
for _, causal in ipairs { false, true } do
  local what = causal and ", causal" or ""
  local c = { causal = causal }
  near(fv.attention("linear")(q, k, v, c), by_features(fv.elu1, causal), 1e-13, "linear with elu1" .. what)
  near(fv.attention("linear", { map = "relu", features = 8, sampler = "iid", seed = 3 })(q, k, v, c),
       by_features(fv.map("relu", { dim = 6, features = 8, sampler = "iid", seed = 3 }), causal), 1e-13,
       "linear with random relu" .. what)
  near(fv.attention("linear", { map = function(x) return x * x end })(q, k, v, c),
       by_features(function(x) return x * x end, causal), 1e-12, "linear with a function" .. what)
  near(fv.attention("dpfp", { nu = 2, guard = 0.5 })(q, k, v, c), by_features(fv.map("dpfp", { nu = 2 }), causal, 0.5),
       1e-13, "dpfp" .. what)
  for _, estimator in ipairs { "positive", "hyperbolic", "trig" } do
    local opt = { features = 32, estimator = estimator, sampler = "iid", seed = 2 }
    local o, info = fv.attention("favor", opt)(q, k, v, c)
    opt.dim = 6
    near(o, by_features(fv.map("favor", opt), causal), 1e-11, "favor " .. estimator .. what)
    tap.is(info.features, 32, "with its number of features")
  end
end
do -- long vectors: every feature under- or overflows, the logarithms do not
  local big, info = fv.attention("favor", { features = 32, sampler = "iid" })(q:to "f32" * 40, k:to "f32" * 40, v:to "f32")
  local hi, lo = v:max():item(), v:min():item()
  tap.ok(big:max():item() <= hi * 1.0001 and big:min():item() >= lo * 1.0001 and big:isnan():any():item() == 0
         and info.log_domain, "favor at |q| = 100: finite averages of the values")
end

-- heads: k and v with fewer; batch
do
  local qh, kh, vh = draw("qh", 2, 4, 9, 6, f64), draw("kh", 2, 2, 9, 6, f64), draw("vh", 2, 2, 9, 3, f64)
  for name, opt in pairs { softmax = {}, uniform = {}, linear = {}, favor = { features = 8, sampler = "iid" },
                           dpfp = {}, nystrom = { landmarks = 4 }, svd = { rank = 3 }, topm = { keep = 3 } } do
    local attend = fv.attention(name, opt)
    local o, info = attend(qh, kh, vh)
    tap.near(o[2][3], attend(qh[2][3], kh[2][2], vh[2][2]), 1e-9, name .. ": heads share keys; a batch is a loop")
    local _, one = attend(qh[1][1], kh[1][1], vh[1][1])
    tap.close(info.flops, 8 * one.flops, 1e-12, name .. ": the bill is that of eight problems")
    tap.is(info.method, name, name .. ": names itself")
    tap.raises("bad argument #2 to '" .. name .. "' %(k: expected %(m,d=6%), got %(13,5%)%)",
               name .. ": a misfit is named", attend, q, draw("x", 13, 5, f64), v)
    tap.raises("bad argument #3 to '" .. name .. "' %(v: expected a tensor, got no value%)",
               name .. ": a missing input is named", attend, q, k)
    tap.raises(name .. ": unknown option 'casual' %(did you mean 'causal'%?%)", name .. ": strict calls", attend,
               q, k, v, { casual = true })
  end
end
tap.raises("nystrom: option 'causal': no causal form: every landmark sees the future", "nystrom refuses causal",
           fv.attention("nystrom"), q, k, v, { causal = true })
tap.ok(pcall(fv.attention("nystrom", { landmarks = 4 }), q, k, v, { causal = false }), "causal=false it takes")
tap.raises("svd: option 'causal': no causal form", "svd refuses causal", fv.attention("svd"), q, k, v, { causal = true })
tap.raises("linear: unknown option 'nu'", "options of another map are unknown", fv.attention, "linear",
           { map = "elu1", nu = 2 })
tap.raises("map: nothing is named 'elu2'", "so is another map", fv.attention, "linear", { map = "elu2" })

-- kernels
do
  local x, y = draw("x", 3, 4, f64), draw("y", 5, 4, f64)
  local X, Y = x:totable(), y:totable()
  local function gram(f)
    local G = {}
    for i = 1, 3 do
      G[i] = {}
      for j = 1, 5 do
        local s = 0
        for l = 1, 4 do s = s + f(X[i][l], Y[j][l]) end
        G[i][j] = math.exp(s)
      end
    end
    return G
  end
  near(fv.kernel("softmax", { scale = 0.5 })(x, y), gram(function(a, b) return a * b / 4 end), 1e-14, "kernel softmax")
  near(fv.kernel("gaussian", { scale = 2 })(x, y), gram(function(a, b) return -2 * (a - b) ^ 2 end), 1e-13,
       "kernel gaussian")
  near(fv.kernel("laplacian", { scale = 2 })(x, y), gram(function(a, b) return -2 * math.abs(a - b) end), 1e-14,
       "kernel laplacian")
  tap.near(fv.kernel("gaussian")(x), fv.kernel("gaussian")(x, x), 0, "one argument: with itself")
end

tap.done()
