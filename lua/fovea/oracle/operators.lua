--- The main result of operators from their formulas, in Lua's doubles, one problem without
--- batch: operators[name](inputs by name, options) -> tensor; nil for settings not covered.

local core = require "fovea.core"
local plain = require "fovea.oracle.plain"

local dot, map, times = plain.dot, plain.map, plain.times

local function f64(list) return core.tensor(list, { dtype = "f64" }) end

--- Features row by row: f(row of x, rows of w) -> list.
local function rows(f)
  return function(by, opt)
    local w, out = by.w and by.w:totable(), {}
    for i, x in ipairs(by.x:totable()) do
      out[i] = f(x, w, opt)
      if opt.log then out[i] = map(math.log, out[i]) end
    end
    return f64(out)
  end
end

--- Projections w.x and the factor of the softmax (h = +1: exp(|x|^2/2)) or Gaussian kernel.
local function projected(x, w, opt, h)
  local u = {}
  for r, row in ipairs(w) do u[r] = dot(row, x) end
  local square = dot(x, x) / 2
  local factor = h == 1 and (opt.kernel == "softmax" and math.exp(square) or 1)
                 or math.exp(-square * (opt.kernel == "softmax" and 1 or 2))
  return u, factor
end

local function elu1(y) return y > 0 and y + 1 or math.exp(y) end

local function append(a, b) return table.move(b, 1, #b, #a + 1, a) end

--- Row by row of a recurrence: step(S, x of the token, its gate alpha) -> S, o.
local function recurrence(step)
  return function(by, opt)
    local lists = {}
    for name, x in pairs(by) do lists[name] = x:totable() end
    local S = lists.s or plain.zeros(by.q:size(-1), by.v:size(-1))
    local out = {}
    for t = 1, by.q:size(1) do
      local x = {}
      for name, list in pairs(lists) do if name ~= "s" and name ~= "u" then x[name] = list[t] end end
      x.u = lists.u
      local alpha = type(x.g) == "table" and map(math.exp, x.g) or math.exp(x.g or 0)
      S, out[t] = step(S, x, alpha, opt)
    end
    return f64(out)
  end
end

--- Dense attention with weights w(i, j) >= 0 up to a factor of the row; weights(by) -> w.
local function dense(logarithms)
  return function(by, opt)
    local log, n, m = logarithms(by, opt), (by.q or by.lq):size(1), by.v:size(1)
    if not log or opt.state or by.s then return nil end
    local V, out = by.v:totable(), {}
    for i = 1, n do
      local s = {}
      local last = opt.causal and math.min(m, i + m - n) or m
      if by.key_length then last = math.min(last, by.key_length:item()) end
      for j = 1, m do s[j] = j <= last and log(i, j) or -math.huge end
      local w = plain.softmax(s)
      out[i] = {}
      for e = 1, #V[1] do
        local sum = 0
        for j = 1, last do sum = sum + w[j] * V[j][e] end
        out[i][e] = sum
      end
    end
    return f64(out)
  end
end

local function only(by, ...)
  local known = {}
  for _, name in ipairs { ... } do known[name] = true end
  for name in pairs(by) do if not known[name] then return false end end
  return true
end

local operators = {
  elu1 = rows(function(x) return map(elu1, x) end),
  relu_features = rows(function(x, w, opt)
    local u = w and projected(x, w, { kernel = "gaussian" }, 1) or x
    local c = w and 1 / math.sqrt(#w) or 1
    return map(function(y) return math.max(y, 0) * c + opt.eps end, u)
  end),
  dpfp = rows(function(x, _, opt)
    local r, d, out = {}, #x, {}
    for i = 1, d do r[i], r[d + i] = math.max(x[i], 0), math.max(-x[i], 0) end
    for shift = 1, opt.nu do
      for i = 1, 2 * d do out[#out + 1] = r[i] * r[(i - 1 - shift) % (2 * d) + 1] end
    end
    return out
  end),
  positive_features = rows(function(x, w, opt)
    local u, h = projected(x, w, opt, -1)
    return map(function(y) return math.exp(y) * h / math.sqrt(#w) end, u)
  end),
  hyperbolic_features = rows(function(x, w, opt)
    local u, h = projected(x, w, opt, -1)
    local c = h / math.sqrt(2 * #w)
    return append(map(function(y) return math.exp(y) * c end, u),
                  map(function(y) return math.exp(-y) * c end, u))
  end),
  trig_features = rows(function(x, w, opt)
    local u, h = projected(x, w, opt, 1)
    local c = h / math.sqrt(#w)
    return append(map(function(y) return math.sin(y) * c end, u),
                  map(function(y) return math.cos(y) * c end, u))
  end),
  additive_rule = recurrence(function(S, x, alpha, opt)
    local new = plain.advance(S, alpha, nil, nil, x.k, x.v)
    if not opt.exclusive then return new, plain.read(new, x.q) end
    local bonus = x.u and dot(x.q, times(x.u, x.k)) or 0
    return new, map(function(o, v) return o + bonus * v end, plain.read(S, x.q), x.v)
  end),
  erase_write_rule = recurrence(function(S, x, alpha)
    local p = x.p or x.k
    local beta = x.beta or 1
    S = plain.advance(S, alpha, times(times(p, alpha), -1), times(x.k, beta), x.k, times(x.v, beta))
    return S, plain.read(S, x.q)
  end),
  dplr_rule = recurrence(function(S, x, alpha)
    S = plain.advance(S, alpha, x.a, x.b, x.k, x.v)
    return S, plain.read(S, x.q)
  end),
  fwm_rule = recurrence(function(S, x)
    local beta, square = x.beta or 1, 0
    S = plain.advance(S, 1, times(x.k, -1), times(x.k, beta), x.k, times(x.v, beta))
    for _, row in ipairs(S) do square = square + dot(row, row) end
    S = map(function(row) return times(row, 1 / math.max(1, math.sqrt(square))) end, S)
    return S, plain.read(S, x.q)
  end),
  softmax_attention = dense(function(by, opt)
    if not only(by, "q", "k", "v", "bias", "key_length") or opt.window >= 0
       or opt.softcap > 0 or opt.alibi then return end
    if opt.causal and opt.align and opt.align ~= "bottom_right" then return end
    local Q, K, B = by.q:totable(), by.k:totable(), by.bias and by.bias:totable()
    local scale = opt.scale == opt.scale and opt.scale or (#Q[1]) ^ -0.5
    return function(i, j) return scale * dot(Q[i], K[j]) + (B and B[i][j] or 0) end
  end),
  merge_attention = function(by)
    local out, a, b = {}, by.o1:totable(), by.o2:totable()
    for i = 1, #a do
      local w = plain.softmax { by.lse1:get(i), by.lse2:get(i) }
      out[i] = map(function(x, y) return w[1] * x + w[2] * y end, a[i], b[i])
    end
    return f64(out)
  end,
  positive_attention = dense(function(by)
    if not only(by, "lq", "lk", "v", "key_length") then return end
    local A, B = by.lq:totable(), by.lk:totable()
    return function(i, j)
      local s = 0
      for f = 1, #A[i] do s = s + math.exp(A[i][f] + B[j][f]) end
      return math.log(s)
    end
  end)
}

operators.favor_attention = dense(function(by, opt)
  if not only(by, "q", "k", "v", "w", "key_length") then return end
  local c = math.sqrt(opt.scale or by.q:size(-1) ^ -0.5)
  local x, y, w = (by.q * c):totable(), (by.k * c):totable(), by.w:totable()
  return function(i, j)
    local z, s = map(function(a, b) return a + b end, x[i], y[j]), 0
    for r = 1, #w do
      local u = dot(w[r], z)
      s = s + math.exp(u) + (opt.hyperbolic and math.exp(-u) or 0)
    end
    return math.log(s) - dot(y[j], y[j]) / 2
  end
end)

--- Linear attention: the weights are phi(q).phi(k), of any sign.
function operators.linear_attention(by, opt)
  if not only(by, "q", "k", "v") then return nil end
  local Q, K, V, out = by.q:totable(), by.k:totable(), by.v:totable(), {}
  if opt.map == "elu1" then
    for _, X in ipairs { Q, K } do
      for i = 1, #X do X[i] = map(elu1, X[i]) end
    end
  end
  for i = 1, #Q do
    local sum = opt.eps
    out[i] = {}
    local last = opt.causal and math.min(#K, i + #K - #Q) or #K
    for e = 1, #V[1] do out[i][e] = 0 end
    for j = 1, last do
      local w = dot(Q[i], K[j])
      sum = sum + w
      for e = 1, #V[1] do out[i][e] = out[i][e] + w * V[j][e] end
    end
    if opt.normalize then out[i] = times(out[i], 1 / sum) end
  end
  return f64(out)
end

return operators
