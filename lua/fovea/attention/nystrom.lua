--- o = F Z (B v): landmarks, two exact attentions and a small pseudoinverse.
---
---   Ql, Kl    means of the queries and of the keys over m segments
---   F = softmax(Q Kl'),  L = softmax(Ql Kl'),  B = softmax(Ql K')
---   Z0 = L' / alpha,  Z <- Z (13 I - L Z (15 I - L Z (7 I - L Z))) / 4

local fv = require "fovea"
local heads = require "fovea.heads"

--- Means of x (..., n, d) over m segments: the first m - n mod m have floor(n/m)
--- rows, the others one more.
local function pool(x, m)
  local n, d = x:size(-2), x:size(-1)
  local s, r = n // m, n % m
  local function means(y, count, length)
    return y:reshape(heads.shape(x, count, length, d)):mean(-2)
  end
  if r == 0 then return means(x, m, s) end
  local cut = (m - r) * s
  return fv.cat({ means(x:slice(-2, 1, cut), m - r, s), means(x:slice(-2, cut + 1, n), r, s + 1) }, -2)
end

--- Approximate pseudoinverse of L (..., m, m), whose rows sum to 1.
local function invert(L, steps, init)
  local I = fv.eye(L:size(-1), { dtype = L:dtype() })
  local columns = L:sum(-2)
  local alpha = init == "exact" and columns:max(-1):unsqueeze(-1):unsqueeze(-1) or columns:max()
  local Z = L:transpose(-1, -2) / alpha
  for _ = 1, steps do
    local Y = L:matmul(Z)
    Z = Z:matmul(13 * I - Y:matmul(15 * I - Y:matmul(7 * I - Y))) * 0.25
  end
  return Z
end

local function nystrom(q, k, v, m, opt, scale)
  local by = { scale = scale or q:size(-1) ^ -0.5 }
  if m >= q:size(-2) or m >= k:size(-2) then return (fv.softmax_attention(q, k, v, by)) end
  local Ql, Kl = pool(q, m), pool(k, m)
  local L = fv.softmax_attention(Ql, Kl, fv.eye(m, { dtype = q:dtype() }), by)
  local BV = fv.softmax_attention(Ql, k, v, by)
  return (fv.softmax_attention(q, Kl, invert(L, opt.iterations, opt.init):matmul(BV), by))
end

--- Each entry of the batch alone, over its valid keys; rows of padding give zeros.
local function padded(q, k, v, lengths, opt, scale)
  local out = {}
  for b, length in ipairs(lengths) do
    local function entry(x)
      if q:ndim() == 2 or x:ndim() < q:ndim() then return x end
      return x[x:size(1) == 1 and 1 or b]
    end
    local n, m = q:size(-2), k:size(-2)
    if length < 0 or length > m then
      error(("nystrom: option 'key_length': expected 0 to %d, got %d"):format(m, length), 0)
    end
    local rows = length > 0 and (n == m and length or n) or 0
    local qb, kb, vb = entry(q), entry(k), entry(v)
    local parts = {}
    if rows > 0 then
      parts[1] = nystrom(qb:slice(-2, 1, rows), kb:slice(-2, 1, length), vb:slice(-2, 1, length),
                         opt.landmarks, opt, scale)
    end
    if rows < n then
      parts[#parts + 1] = fv.zeros(heads.shape(qb, n - rows, v:size(-1)), { dtype = q:dtype() })
    end
    out[b] = #parts == 1 and parts[1] or fv.cat(parts, -2)
  end
  return q:ndim() == 2 and out[1] or fv.stack(out, 1)
end

return {
  name = "nystrom",
  doc = "Nystrom attention: segment-mean landmarks and an iterated pseudoinverse.\n"
     .. "Exact attention runs where there are as many landmarks as queries or keys, and\n"
     .. "info.path says so. iterations acts as a ridge: small singular values of the landmark\n"
     .. "matrix are inverted only after many. Rows of weights need not sum to 1 nor be positive.\n"
     .. "With key_length, landmarks are laid over the valid keys (and queries, if as many) and\n"
     .. "padded queries give zeros.",
  ref = "Xiong et al. 2021, arXiv:2102.03902",
  caps = "grouped linear_in_v",
  options = {
    { "landmarks", "integer", 64, "number m of landmarks", lo = 1 },
    { "iterations", "integer", 6, "steps of the pseudoinverse", lo = 0, hi = 1000 },
    { "init", "string", "exact",
      "alpha: the largest column sum of each head's matrix, or of the whole call's",
      choices = { "exact", "original" } }
  },
  acausal = "every landmark sees the future",
  call = {
    { "causal", "boolean", false, "false: there is no causal form" },
    { "key_length", "integer|tensor", nil, "number of valid keys" },
    { "scale", "number", nil, "factor of q.k; 1/sqrt(d) unless given" }
  },
  example = 'o, info = fv.attention("nystrom", {landmarks=64, iterations=6})(q, k, v)',
  build = function(opt)
    local function is_exact(n, m) return opt.landmarks >= math.min(n, m) end
    local function cost(_, s)
      local op, l = fv.ops.softmax_attention, opt.landmarks
      if is_exact(s.n, s.m) then return op:cost { n = s.n, m = s.m, d = s.d, e = s.e } end
      local total = { flops = 2 * l ^ 2 * (4 * l * opt.iterations + s.e), bytes = 0, exps = 0 }
      for _, sizes in ipairs { { n = s.n, m = l, d = s.d, e = s.e }, { n = l, m = s.m, d = s.d, e = s.e },
                               { n = l, m = l, d = s.d, e = l } } do
        for what, count in pairs(op:cost(sizes)) do total[what] = total[what] + count end
      end
      return total
    end
    return {
      cost = cost,
      attend = function(q, k, v, c)
        local exact = is_exact(q:size(-2), k:size(-2))
        local info = { path = exact and "exact" or "approximate", landmarks = opt.landmarks,
                       iterations = not exact and opt.iterations or nil }
        if c.key_length then
          local lengths = heads.lengths(c.key_length, q, "nystrom")
          return padded(q, k, v, lengths, opt, c.scale), info
        end
        return nystrom(q, k, v, opt.landmarks, opt, c.scale), info
      end
    }
  end
}
