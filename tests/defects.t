-- Defects that public code has had, rebuilt in a few lines each: fv.check names the
-- property that fails, and nothing where the defect is absent.

local fv = require "fovea"
local tap = require "tap"

local D = 8

--- check(thing) fails these properties (a list of words), or nothing.
local function fails(want, name, thing, opt)
  opt.quiet, opt.name, opt.d = true, name, D
  local r = fv.check(thing, opt)
  local failed = {}
  for _, p in ipairs(r.failed) do failed[p] = true end
  local good = (want == "") == r.passed
  for p in want:gmatch "%S+" do good = good and failed[p] end
  tap.ok(good, ("%s: %s"):format(name, want == "" and "passes" or "fails " .. want), "%s", r:text())
end

-- samplers ---------------------------------------------------------------------

--- Q and the signs of R's diagonal as LAPACK's Householder steps leave them: R_jj has the
--- sign that avoids cancellation, the last step of a square matrix does nothing.
local function householder(rng, d)
  local A = rng:normal(d, d, { dtype = "f64" }):totable()
  local Q = fv.eye(d, { dtype = "f64" }):totable()
  for j = 1, d - 1 do
    local norm = 0
    for i = j, d do norm = norm + A[i][j] ^ 2 end
    local beta = A[j][j] > 0 and -math.sqrt(norm) or math.sqrt(norm)
    local v, vv = {}, 0
    for i = j, d do
      v[i] = A[i][j] - (i == j and beta or 0)
      vv = vv + v[i] ^ 2
    end
    for c = 1, d do
      local a, q = 0, 0
      for i = j, d do a, q = a + v[i] * A[i][c], q + v[i] * Q[c][i] end
      for i = j, d do
        A[i][c] = A[i][c] - 2 * v[i] * a / vv
        Q[c][i] = Q[c][i] - 2 * v[i] * q / vv
      end
    end
  end
  local sign = {}
  for j = 1, d do sign[j] = A[j][j] < 0 and -1 or 1 end
  return fv.tensor(Q, { dtype = "f64" }), fv.tensor(sign, { dtype = "f64" })
end

--- A sampler from block(rng, d) -> (d, d) of unit rows; norms are those of Gaussian vectors.
local function blocks(block, norms)
  return function(opt)
    local d, list = opt.dim, {}
    for b = 1, (opt.rows + d - 1) // d do list[b] = block(opt.rng, d, b) end
    local q = fv.cat(list, 1):slice(1, 1, opt.rows)
    if norms == "none" then return q:to(opt.dtype) end
    local g = opt.rng:normal(opt.rows, d, { dtype = "f64" })
    return (q * g:square():sum(2):sqrt():reshape(-1, 1)):to(opt.dtype)
  end
end

local ortho = { kind = "sampler", caps = "unbiased orthogonal", draws = 400 }
local function of(base, more)
  local opt = {}
  for key, value in pairs(base) do opt[key] = value end
  for key, value in pairs(more or {}) do opt[key] = value end
  return opt
end

fails("", "QR with R's signs", blocks(function(rng, d)
  local Q, s = householder(rng, d)
  return (Q * s):t()
end), of(ortho))
fails("draws_mean draws_moment", "QR without R's signs", blocks(function(rng, d)
  return (householder(rng, d)):t()
end), of(ortho))
-- with LAPACK's steps the signs on the other side flip entries by signs that do not depend on
-- their sizes: no moment that features rest on moves
fails("", "R's signs on the rows of Q", blocks(function(rng, d)
  local Q, s = householder(rng, d)
  return (Q * s:reshape(-1, 1)):t()
end), of(ortho))
fails("draws_norms draws_moment", "orthogonal rows left at norm 1", blocks(function(rng, d)
  return (fv.qr(rng:normal(d, d, { dtype = "f64" }))):t()
end, "none"), of(ortho))
fails("draws_norms", "sqrt(d) times rows of an m x m orthogonal matrix", function(opt)
  local Q = fv.qr(opt.rng:normal(opt.rows, opt.rows, { dtype = "f64" }))
  return (Q:slice(2, 1, opt.dim) * opt.dim ^ 0.5):to(opt.dtype)
end, { kind = "sampler", caps = "", norms = "sqrt_d", draws = 400 })

--- d ceil(ln d) rotations of two coordinates, which may be the same one with 'replacement'.
local function givens(rng, d, replacement)
  local Q = fv.eye(d, { dtype = "f64" }):totable()
  for _ = 1, d * math.ceil(math.log(d)) * 4 do
    local i, j = rng:integers(1, d), rng:integers(1, d - 1)
    if replacement then j = rng:integers(1, d) elseif j >= i then j = j + 1 end
    local a = rng:uniform(1, { dtype = "f64" }):item() * 2 * math.pi
    local c, s, u, v = math.cos(a), math.sin(a), Q[i], Q[j]
    local p, q = {}, {}
    for k = 1, d do p[k], q[k] = c * u[k] - s * v[k], s * u[k] + c * v[k] end
    Q[i], Q[j] = p, q
    if i == j then for k = 1, d do Q[i][k] = (c - s) * u[k] end end
  end
  return fv.tensor(Q, { dtype = "f64" })
end
fails("", "rotations of distinct coordinates", blocks(function(rng, d) return givens(rng, d) end),
      of(ortho, { draws = 100 }))
fails("draws_orthogonal", "rotation indices drawn with replacement", blocks(function(rng, d)
  return givens(rng, d, true)
end), of(ortho, { draws = 100, only = "draws_orthogonal" }))
do
  local first
  fails("draws_blocks", "one seed for every block", blocks(function(rng, d, b)
    if b == 1 then first = (fv.qr(rng:normal(d, d, { dtype = "f64" }))):t() end
    return first
  end), of(ortho))
end

-- maps ---------------------------------------------------------------------------

local M = 32
--- Independent rows for draw i.
local function rows(i, m) return fv.rng(i):stream "rows":normal(m or M, D, { dtype = "f64" }) end
local function half(x) return x:square():sum(-1):unsqueeze(-1) / 2 end

--- A map on x = d^-1/4 input, W one draw: features(x, W), with its draws.
local function map(want, name, features, more)
  local function draw(i)
    local W = rows(i)
    return function(x, side) return (features(x * D ^ -0.25, W:to(x:dtype()), side, i)) end
  end
  fails(want, name, draw(0), of({ kind = "map", caps = "unbiased", kernel = "softmax", redraw = draw }, more))
end

local function positive(x, W) return (x:matmul(W:t()) - half(x)):exp() * M ^ -0.5 end
local function hyperbolic(x, W)
  local u = x:matmul(W:t())
  return fv.cat({ (u - half(x)):exp(), (-u - half(x)):exp() }, -1) * (2 * M) ^ -0.5
end
local function trig(x, W)
  local u = x:matmul(W:t())
  return fv.cat({ u:sin(), u:cos() }, -1) * half(x):exp() * M ^ -0.5
end

map("", "positive features", positive, { caps = "unbiased nonneg", variance = "positive" })
map("unbiased", "Gaussian features used as softmax features", function(x, W)
  return positive(x, W) * (-half(x)):exp()
end)
map("unbiased", "no 1/sqrt(m)", function(x, W) return positive(x, W) * M ^ 0.5 end)
map("unbiased", "d^-1/4 in the layer and again in the map", function(x, W) return positive(x * D ^ -0.25, W) end)
map("unbiased", "unit-norm rows, as in a public zoo", function(x, W)
  return positive(x, W / W:square():sum(-1):sqrt():unsqueeze(-1))
end)
map("unbiased", "cosine features with variance gamma for 2 gamma", function(x, W, _, i)
  local phase = fv.rng(i):stream "phase":uniform({ M }, { dtype = "f64" }):to(x:dtype()) * (2 * math.pi)
  return (x:matmul(W:t()) * 0.5 ^ 0.5 + phase):cos() * (2 / M) ^ 0.5
end, { kernel = function(x, y)
  return fv.kernel("gaussian", { scale = D ^ -0.25 })(x, y)
end })
map("rowwise", "a stabiliser that is the maximum over all keys, and an epsilon", function(x, W)
  local l = x:matmul(W:t()) - half(x)
  return ((l - l:max()):exp() + 1e-6) * M ^ -0.5
end, { caps = "nonneg" })
map("norms", "an epsilon larger than every feature of a long vector", function(x, W)
  return positive(x, W) + 1e-6
end, { caps = "nonneg" })
map("nonneg", "signed features said to be nonnegative", trig, { caps = "nonneg" })
do
  local calls = 0
  map("repeatable", "another draw at every call", function(x)
    calls = calls + 1
    return positive(x, rows(calls):to(x:dtype()))
  end, { caps = "nonneg", only = "repeatable" })
end

--- Angular hybrid features, their weights the right way round or not: l theta/pi on hyperbolic.
local function hybrid(swapped)
  local n = 8
  return function(x, W, side, i)
    local tau = fv.rng(i):stream "tau":normal(n, D, { dtype = "f64" }):to(x:dtype())
    local s = x:matmul(tau:t()):sign() * (2 * n) ^ -0.5
    local one = s:slice(-1, 1, 1) * 0 + 0.5 ^ 0.5
    -- l = 1/2 - sum sgn sgn / 2n as a product of weights, 1 - l with the other sign
    local l = fv.cat({ one, side == "k" and -s or s }, -1)
    local rest = fv.cat({ one, s }, -1)
    local parts = {}
    local U = rows(i + 100000):to(x:dtype())                     -- the parts do not share projections
    for j, pair in ipairs { { l, hyperbolic(x, W) }, { rest, trig(x, U) } } do
      local a = swapped and (j == 1 and rest or l) or pair[1]
      local shape = { x:shape() }
      shape[#shape] = (n + 1) * 2 * M
      parts[j] = (a:unsqueeze(-1) * pair[2]:unsqueeze(-2)):reshape(shape)
    end
    return fv.cat(parts, -1)
  end
end
local function hybrid_law(p)
  return fv.theory.variance("hybrid", { d = D, m = M, xx = p.xx, yy = p.yy, xy = p.xy, signs = 8 })
end
local angular = { only = "unbiased variance", caps = "unbiased asymmetric", variance = hybrid_law }
map("", "angular hybrid features", hybrid(false), angular)
map("variance", "angular hybrid features with their weights swapped", hybrid(true), angular)

--- Optimal positive features with a parameter A.
local function oprf(A)
  return function(x, W)
    local u = x:matmul(W:t()) * (1 - 4 * A) ^ 0.5 + (W:square():sum(-1) * A)
    return (u - half(x)):exp() * ((1 - 4 * A) ^ (D / 4) * M ^ -0.5)
  end
end
local best = fv.theory.best_a(1.5, D)
local function wrong(t) return (1 - 2 * t - math.sqrt((2 * t + 1) ^ 2 + 8 * t)) / 8 end
local function oprf_law(p)
  return fv.theory.variance("oprf", { d = D, m = M, xx = p.xx, yy = p.yy, xy = p.xy, a = best })
end
map("", "optimal positive features", oprf(best), { variance = oprf_law, only = "unbiased variance" })
map("variance", "A with /8 for /16 and |z|^2 for |z|^2/d", oprf(wrong(1.5)),
    { variance = oprf_law, only = "variance" })

-- attention ----------------------------------------------------------------------

local W = rows(0, 64)
--- Features in parts: logarithms l and their exponentials less a stabiliser, plus eps.
local function features(x, stabiliser, eps)
  local y = x * D ^ -0.25
  local l = y:matmul(W:to(x:dtype()):t()) - half(y)
  if stabiliser == "row" then l = l - l:max(-1):unsqueeze(-1)
  elseif stabiliser == "all" then l = l - l:max(-1):max(-1):unsqueeze(-1):unsqueeze(-1) end
  return l:exp() + (eps or 0)
end
local function attention(want, name, f, more)
  fails(want, name, f, of({ kind = "attention", m = 24, caps = "" }, more))
end
local function mask(k, c)                                          -- 1 for valid keys, (b, m, 1)
  local L = c.key_length
  return fv.arange(1, k:size(-2)):reshape(1, -1, 1):le(L:reshape(-1, 1, 1)):to(k:dtype())
end

attention("causal", "a key maximum over the sequence and an epsilon, causal", function(q, k, v, c)
  return (fv.linear_attention(features(q, "row", 1e-4), features(k, "all", 1e-4), v, c))
end, { caps = "causal", only = "causal" })
attention("", "the same without the epsilon: the maximum cancels", function(q, k, v, c)
  return (fv.linear_attention(features(q, "row"), features(k, "all"), v, c))
end, { caps = "causal linear_in_v order_equivariant", skip = "norms" })
attention("norms", "features below an epsilon: the plain average", function(q, k, v)
  return (fv.linear_attention(features(q, nil, 1e-6), features(k, nil, 1e-6), v))
end, { only = "norms" })
attention("norms", "no epsilon and no logarithms: 0/0 at large norms", function(q, k, v)
  return (fv.linear_attention(features(q), features(k), v))
end, { only = "norms" })
attention("rows_sum_to_one", "a denominator clamped at 1e-2", function(q, k, v)
  local A = (features(q) * 64 ^ -0.5):matmul((features(k) * 64 ^ -0.5):transpose(-1, -2))
  return A:matmul(v) / A:sum(-1):maximum(1e-2):unsqueeze(-1)
end, { caps = "rows_sum_to_one" })
attention("rows_sum_to_one", "not normalised", function(q, k, v)
  return (fv.linear_attention(features(q), features(k), v, { normalize = false }))
end, { caps = "rows_sum_to_one" })
attention("padding", "values zeroed, padded keys left in the denominator", function(q, k, v, c)
  if c and c.key_length then
    local valid = mask(k, c)
    k = fv.where(valid:gt(0), k, fv.zeros(1, { dtype = k:dtype() }))
    v = fv.where(valid:gt(0), v, fv.zeros(1, { dtype = k:dtype() }))
  end
  return (fv.linear_attention(features(q, "row"), features(k), v))
end, { caps = "padding", only = "padding" })
attention("padding", "a mask before the feature map, which makes 0 into features", function(q, k, v, c)
  local valid = c and c.key_length and mask(k, c):gt(0)
  if valid then k = fv.where(valid, k, fv.zeros(1, { dtype = k:dtype() })) end
  local fk = features(k)
  if valid then v = fv.where(valid, v, fv.zeros(1, { dtype = k:dtype() })) end
  return (fv.linear_attention(features(q, "row"), fk, v))
end, { caps = "padding", only = "padding" })
attention("oracle", "products of one position summed along the value axis", function(q, k, v)
  local fq, fk = features(q, "row"), features(k)
  local w = (fq * fk):sum(-1):unsqueeze(-1)
  return (w * v):cumsum(-1) / w:cumsum(-2)
end, { caps = "", reference = "softmax", only = "oracle" })
attention("causal oracle", "a causal mask one key too wide", function(q, k, v, c)
  local s = q:matmul(k:transpose(-1, -2)) * D ^ -0.5
  if c and c.causal then
    local n = q:size(-2)
    s = s + fv.full({ n, n }, -1e30, { dtype = q:dtype() }):triu(2)
  end
  return s:softmax(-1):matmul(v)
end, { caps = "causal", reference = "softmax", only = "causal oracle" })
attention("permutation", "a kernel of places, said to be order equivariant", function(q, k, v)
  local bias = fv.arange(1, k:size(-2)):to(q:dtype()) * 0.1
  return (q:matmul(k:transpose(-1, -2)) + bias):softmax(-1):matmul(v)
end, { caps = "order_equivariant", only = "permutation" })
attention("linear_in_v", "values normalised on the way", function(q, k, v)
  return (fv.softmax_attention(q, k, v / v:abs():max(-1):unsqueeze(-1)))
end, { caps = "linear_in_v", only = "linear_in_v" })

-- kernels, operators, rules ----------------------------------------------------

fails("definite", "tanh(x.y - 1) said to be a kernel", function(x, y) return (x:matmul(y:t()) - 1):tanh() end,
      { kind = "kernel", only = "definite symmetric" })
fails("symmetric", "one side scaled", function(x, y) return (x:matmul(y:t()) + x:sum(-1):unsqueeze(-1)):exp() end,
      { kind = "kernel", only = "symmetric" })
fails("gradient", "half a gradient", fv.op { name = "square", forward = function(x) return x * x end,
      backward = function(dy, _, x) return dy * x end }, { kind = "operator", sig = "x(n,d) -> y(n,d)" })
fails("", "a whole one", fv.op { name = "square", forward = function(x) return x * x end,
      backward = function(dy, _, x) return dy * x * 2 end }, { kind = "operator", sig = "x(n,d) -> y(n,d)" })
fails("dtype", "f64 results for f32", function(x) return x:to "f64" * 2 end,
      { kind = "operator", sig = "x(n,d) -> y(n,d)", only = "dtype" })
fails("oracle", "f32 inside", function(x) return (x:to "f32" * (1 / 3)):to(x:dtype()) end,
      { kind = "operator", sig = "x(n,d) -> y(n,d)", only = "oracle",
        reference = function(x) return x / 3 end })

fv.rule.register { name = "forgetful", doc = "linear attention that drops its state", kernel = "additive_rule",
  sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)", caps = "causal streaming linear_in_v",
  build = function()
    return { run = function(x, _, recur) return recur(x.q, x.k, x.v, {}) end }
  end }
fails("streaming", "a state that is not carried on", fv.rule "forgetful", { only = "streaming" })
fv.rule.register { name = "peeking", doc = "keys from the next token", kernel = "additive_rule",
  sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)", caps = "causal streaming linear_in_v",
  build = function()
    return { run = function(x, S, recur)
      local k = fv.cat({ x.k:slice(-2, 2, x.k:size(-2)), x.k:slice(-2, 1, 1) }, -2)
      return recur(x.q, k, x.v, { s = S })
    end }
  end }
fails("causal", "keys one token early", fv.rule "peeking", { only = "causal" })

tap.done()
