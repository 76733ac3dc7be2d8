--- Attention as dense sums over pairs in Lua's doubles, O(n m):
---   attention[name](q, k, v, options of the call, options of the thing, the thing) -> o, bound, note
--- q, k, v are f64 (b, n, d); nil where the options ask for what has no reference here.

local fv = require "fovea"
local plain = require "fovea.oracle.plain"

local dot, softmax = plain.dot, plain.softmax

--- o_i = sum_j w_ij v_j with the row w_i = weights(i, last), last the keys query i may see.
local function dense(q, k, v, c, weights)
  local out = {}
  for b = 1, q:size(1) do
    local Q, K, V = q[b]:totable(), k[b]:totable(), v[b]:totable()
    local valid = c.key_length and (type(c.key_length) == "number" and c.key_length
                                    or c.key_length:reshape(-1):get(b)) or #K
    local w, o = weights(Q, K, b), {}
    for i = 1, #Q do
      -- bottom right: the last query sees the last key
      local last = c.causal and math.min(valid, i + #K - #Q) or valid
      local row = w(i, last)
      o[i] = {}
      for e = 1, #V[1] do
        local s = 0
        for j = 1, last do s = s + (row[j] ~= 0 and row[j] * V[j][e] or 0) end
        o[i][e] = s
      end
    end
    out[b] = o
  end
  return fv.tensor(out, { dtype = "f64" })
end

local function logits(Q, K, scale)
  return function(i, last)
    local s = {}
    for j = 1, last do s[j] = scale * dot(Q[i], K[j]) end
    return s
  end
end

local function by_softmax(q, k, v, c, change)
  local scale = c.scale or q:size(-1) ^ -0.5
  return dense(q, k, v, c, function(Q, K)
    local s = logits(Q, K, scale)
    return function(i, last)
      local w = softmax(s(i, last))
      return change and change(w) or w
    end
  end)
end

--- sum_j phi(q_i).phi(k_j) v_j / (sum_j phi(q_i).phi(k_j) + eps)
local function by_features(q, k, v, c, phi, eps, raw)
  local fq, fk = phi(q, "q"), phi(k, "k")
  return dense(q, k, v, c, function(_, _, b)
    local A, B = fq[b]:totable(), fk[b]:totable()
    return function(i, last)
      local w, sum = {}, eps
      for j = 1, last do
        w[j] = dot(A[i], B[j])
        sum = sum + w[j]
      end
      for j = 1, last do w[j] = raw and w[j] or w[j] / sum end
      return w
    end
  end)
end

--- The map of that name with those of the options that are its own.
local function map(name, opt, d)
  local entry, own = fv.map.entry(name), {}
  for _, o in ipairs(entry.options) do own[o.name] = opt[o.name] end
  if entry.options.by.dim and not own.projection then own.dim = own.dim or d end
  return fv.map(name, own)
end

--- The best matrix of rank r next to the dense softmax matrix.
local function svd(q, k, v, c, opt)
  local eye = fv.eye(k:size(-2), { dtype = "f64" }):unsqueeze(1):expand(q:size(1), k:size(-2), k:size(-2))
  local A = by_softmax(q, k, eye, c)
  local U, S, Vt = fv.svd(A)
  local r = math.min(opt.rank, S:size(-1))
  return (U:slice(-1, 1, r) * S:slice(-1, 1, r):unsqueeze(-2)):matmul(Vt:slice(-2, 1, r)):matmul(v)
end

--- F Z B v, with Z the iterated pseudoinverse of the landmark matrix.
local function nystrom(q, k, v, c, opt)
  local L = opt.landmarks
  if L >= math.min(q:size(-2), k:size(-2)) then return by_softmax(q, k, v, c) end
  if c.key_length or opt.init ~= "exact" then return nil end
  local function pooled(X)
    local n, s, out, at = #X, #X // L, {}, 1
    for i = 1, L do
      local count, mean = i > L - n % L and s + 1 or s, {}
      for j = 1, #X[1] do
        mean[j] = 0
        for t = at, at + count - 1 do mean[j] = mean[j] + X[t][j] / count end
      end
      out[i], at = mean, at + count
    end
    return out
  end
  local scale, out = c.scale or q:size(-1) ^ -0.5, {}
  for b = 1, q:size(1) do
    local Q, K = q[b]:totable(), k[b]:totable()
    local Ql, Kl = pooled(Q), pooled(K)
    local function soft(A, B)
      local P, s = {}, logits(A, B, scale)
      for i = 1, #A do P[i] = softmax(s(i, #B)) end
      return P
    end
    local F, M, B = soft(Q, Kl), soft(Ql, Kl), soft(Ql, K)
    local Z, most = plain.transpose(M), 0
    for _, column in ipairs(Z) do
      local sum = 0
      for _, y in ipairs(column) do sum = sum + y end
      most = math.max(most, sum)
    end
    for i = 1, L do Z[i] = plain.times(Z[i], 1 / most) end
    local function from(x, A)                                  -- x I - A
      local C = {}
      for i = 1, #A do
        C[i] = plain.times(A[i], -1)
        C[i][i] = C[i][i] + x
      end
      return C
    end
    for _ = 1, opt.iterations do
      local Y = plain.product(M, Z)
      Z = plain.product(Z, from(13, plain.product(Y, from(15, plain.product(Y, from(7, Y))))))
      for i = 1, L do Z[i] = plain.times(Z[i], 0.25) end
    end
    out[b] = plain.product(F, plain.product(Z, plain.product(B, v[b]:totable())))
  end
  return fv.tensor(out, { dtype = "f64" })
end

--- The weights that are among the 'keep' largest of the row.
local function largest(w, keep, renormalize)
  local at, sum, out = {}, 0, {}
  for j = 1, #w do at[j] = j end
  table.sort(at, function(a, b) return w[a] > w[b] or w[a] == w[b] and a < b end)
  for j = 1, #w do out[j] = 0 end
  for r = 1, math.min(keep, #w) do
    out[at[r]] = w[at[r]]
    sum = sum + w[at[r]]
  end
  return renormalize and sum > 0 and plain.times(out, 1 / sum) or out
end

return {
  softmax = function(q, k, v, c)
    for name in pairs(c) do
      if name ~= "causal" and name ~= "key_length" and name ~= "scale" then return nil end
    end
    return by_softmax(q, k, v, c)
  end,
  uniform = function(q, k, v, c)
    return by_softmax(q, k, v, { causal = c.causal, key_length = c.key_length, scale = 0 })
  end,
  topm = function(q, k, v, c, opt)
    return by_softmax(q, k, v, c, function(w) return largest(w, opt.keep, opt.renormalize) end)
  end,
  svd = function(q, k, v, c, opt)
    if c.key_length then return nil end
    return svd(q, k, v, c, opt), 1e-3, "an iteration that stops at 1e-7 of |A|^2"
  end,
  nystrom = nystrom,
  linear = function(q, k, v, c, opt)
    local phi = type(opt.map) == "string" and map(opt.map, opt, q:size(-1)) or opt.map or map("elu1", {}, 1)
    return by_features(q, k, v, c, phi, opt.guard or 0, opt.normalize == false)
  end,
  dpfp = function(q, k, v, c, opt)
    return by_features(q, k, v, c, map("dpfp", opt, q:size(-1)), opt.guard)
  end,
  favor = function(q, k, v, c, opt) return by_features(q, k, v, c, map("favor", opt, q:size(-1)), 0) end
}
