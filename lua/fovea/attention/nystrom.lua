--- o = F Z (B v): landmarks, two exact attentions and a small pseudoinverse.
---
---   Ql, Kl    landmarks of the queries and of the keys: means over m segments, or another rule's
---   F = softmax(Q Kl'),  L = softmax(Ql Kl'),  B = softmax(Ql K')
---   Z         the core's pseudoinverse of L

local fv = require "fovea"
local heads = require "fovea.heads"
local named = require "fovea.named"

--- The core that the options name; steps and start are those of the iterative one.
local function inverse(opt)
  local core = opt.core
  local steps = (core == "iterative" or type(core) == "table" and core[1] == "iterative")
    and { iterations = opt.iterations, init = opt.init } or {}
  return named(fv.inverse, core, steps, "nystrom", "core")
end


local function nystrom(q, k, v, m, opt, scale)
  local by = { scale = scale or q:size(-1) ^ -0.5 }
  if m >= q:size(-2) or m >= k:size(-2) then return (fv.softmax_attention(q, k, v, by)) end
  local rule = named(fv.landmarks, opt.rule, { count = m, seed = opt.seed, draw = opt.draw }, "nystrom", "rule")
  local Ql, Kl = rule(q), rule(k)
  local L = fv.softmax_attention(Ql, Kl, fv.eye(m, { dtype = q:dtype() }), by)
  local BV = fv.softmax_attention(Ql, k, v, by)
  local Z, info = inverse(opt)(L)
  return (fv.softmax_attention(q, Kl, Z:matmul(BV), by)), info
end

--- Each entry of the batch alone, over its valid keys; rows of padding give zeros.
local function padded(q, k, v, lengths, opt, scale)
  local out, worst = {}, nil
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
      local info
      parts[1], info = nystrom(qb:slice(-2, 1, rows), kb:slice(-2, 1, length), vb:slice(-2, 1, length),
                               opt.landmarks, opt, scale)
      if info and not (worst and worst.rank <= info.rank) then worst = info end
    end
    if rows < n then
      parts[#parts + 1] = fv.zeros(heads.shape(qb, n - rows, v:size(-1)), { dtype = q:dtype() })
    end
    out[b] = #parts == 1 and parts[1] or fv.cat(parts, -2)
  end
  return q:ndim() == 2 and out[1] or fv.stack(out, 1), worst
end

return {
  name = "nystrom",
  doc = "Nystrom attention: landmarks, by default segment means, and an iterated pseudoinverse.\n"
     .. "Exact attention runs where there are as many landmarks as queries or keys, and\n"
     .. "info.path says so. iterations acts as a ridge: small singular values of the landmark\n"
     .. "matrix are inverted only after many. Rows of weights need not sum to 1 nor be positive.\n"
     .. "With key_length, landmarks are laid over the valid keys (and queries, if as many) and\n"
     .. "padded queries give zeros. rule names another choice of landmarks, made for queries and for keys\n"
     .. "apart, core another inverse of the landmark matrix. info.rule, info.core and info.rank, how many\n"
     .. "directions of it were inverted in the head with the fewest, say what ran; info.warning is a line\n"
     .. "where fewer than half were.",
  ref = "Xiong et al. 2021, arXiv:2102.03902",
  caps = "grouped linear_in_v",
  options = {
    { "landmarks", "integer", 64, "number m of landmarks", lo = 1 },
    { "iterations", "integer", 6, "steps of the pseudoinverse", lo = 0, hi = 1000 },
    { "init", "string", "exact",
      "alpha: the largest column sum of each head's matrix, or of the whole call's",
      choices = { "exact", "original" } },
    { "rule", "string|table", "segments", 'a name of fv.landmarks, {"kmeans", iterations=9}' },
    { "core", "string|table", "iterative", 'a name of fv.inverse, {"ridge", lambda=0.02}' },
    { "seed", "integer", 1, "of rules that draw" },
    { "draw", "integer", 0, "which draw of the seed those take", lo = 0 }
  },
  acausal = "every landmark sees the future",
  call = {
    { "causal", "boolean", false, "false: there is no causal form" },
    { "key_length", "integer|tensor", nil, "number of valid keys" },
    { "scale", "number", nil, "factor of q.k; 1/sqrt(d) unless given" }
  },
  example = 'o, info = fv.attention("nystrom", {landmarks=64, iterations=6})(q, k, v)',
  build = function(opt)
    inverse(opt)        -- a name nobody has is refused here
    local rest = { count = opt.landmarks, seed = opt.seed, draw = opt.draw }
    local rule = named(fv.landmarks, opt.rule, rest, "nystrom", "rule")
    local random = rule.caps.random ~= nil and rule ~= opt.rule     -- one that is given has its own seed
    rule = rule.name
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
      random = function() return random end,
      attend = function(q, k, v, c)
        local exact = is_exact(q:size(-2), k:size(-2))
        local info = { path = exact and "exact" or "approximate", landmarks = opt.landmarks }
        local o, core
        if c.key_length then
          local lengths = heads.lengths(c.key_length, q, "nystrom")
          o, core = padded(q, k, v, lengths, opt, c.scale)
        else
          o, core = nystrom(q, k, v, opt.landmarks, opt, c.scale)
        end
        if core then
          info.rule, info.core, info.rank, info.warning = rule, core.method, core.rank, core.warning
          info.iterations = core.method == "iterative" and opt.iterations or nil
        end
        return o, info
      end
    }
  end
}
