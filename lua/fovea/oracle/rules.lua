--- Every update rule as the plain loop over tokens of its definition,
---   S_t = (Diag(alpha) + b a') S_{t-1} + k v',   o = S'q,
--- in Lua's doubles: rules[name](inputs by name, options) -> o as lists, S.

local plain = require "fovea.oracle.plain"

local dot, map, times, read, advance = plain.dot, plain.map, plain.times, plain.read, plain.advance

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
local function softplus(x) return math.log(1 + math.exp(x)) end
local function scaled(list, x) return times(list, x) end
local function complement(x) return map(function(y) return 1 - y end, x) end

--- o = S'q after a step of the general form.
local function stepped(q, ...)
  local S = advance(...)
  return S, read(S, q)
end

--- The delta step with decay alpha before it.
local function delta(S, alpha, k, beta, v, erase)
  local a = times(times(erase or k, alpha), -1)
  return advance(S, alpha, a, scaled(k, beta), k, scaled(v, beta))
end

-- step(S, x, opt) -> S, o for one token's inputs x
local steps = {
  linear = function(S, x, opt)
    S.S, S.z = advance(S.S, 1, nil, nil, x.k, x.v), map(function(a, b) return a + b end, S.z, x.k)
    local o = read(S.S, x.q)
    return S, opt.normalize and scaled(o, 1 / (dot(S.z, x.q) + opt.eps)) or o
  end,
  retnet = function(S, x, opt) return stepped(x.q, S, 1 - 2 ^ -(5 + opt.first), nil, nil, x.k, x.v) end,
  lightning = function(S, x, opt)
    local alpha = math.exp(-(8 / (opt.heads or 1)) * opt.first * (1 - opt.layer / opt.layers))
    return stepped(x.q, S, alpha, nil, nil, x.k, x.v)
  end,
  simple_gla = function(S, x, opt)
    local f = math.exp(x.g)
    return stepped(x.q, S, f, nil, nil, opt.complement and scaled(x.k, 1 - f) or x.k, x.v)
  end,
  gla = function(S, x) return stepped(x.q, S, map(math.exp, x.g), nil, nil, x.k, x.v) end,
  hgrn2 = function(S, x)
    local f = map(math.exp, x.g)
    return stepped(x.q, S, f, nil, nil, complement(f), x.v)
  end,
  mamba2 = function(S, x)
    local step = softplus(x.dt + (x.dt_bias or 0))
    S = advance(S, math.exp(-step * math.exp(x.A_log)), nil, nil, x.B, scaled(x.x, step))
    return S, map(function(o, y) return o + (x.D or 0) * y end, read(S, x.C), x.x)
  end,
  rwkv6 = function(S, x)
    local bonus = x.u and dot(x.r, times(x.u, x.k)) or 0
    local o = map(function(a, b) return a + bonus * b end, read(S, x.r), x.v)
    return advance(S, map(function(w) return math.exp(-math.exp(w)) end, x.w), nil, nil, x.k, x.v), o
  end,
  rwkv7 = function(S, x, opt)
    local kh = scaled(x.kappa, 1 / math.sqrt(dot(x.kappa, x.kappa) + opt.eps))
    local kt = x.k_a and map(function(k, a, ka) return k * (1 + (a - 1) * ka) end, x.k, x.a, x.k_a) or x.k
    local decay = map(function(w) return math.exp(-math.exp(-0.5) * sigmoid(w)) end, x.w)
    S = advance(S, decay, scaled(kh, -1), times(kh, x.a), kt, x.v)
    local extra = x.r_k and dot(x.r, times(kt, x.r_k)) or 0
    return S, map(function(o, v) return o + extra * v end, read(S, x.r), x.v)
  end,
  delta = function(S, x)
    S = delta(S, 1, x.k, x.beta, x.v)
    return S, read(S, x.q)
  end,
  gated_delta = function(S, x)
    S = delta(S, math.exp(x.g), x.k, x.beta, x.v)
    return S, read(S, x.q)
  end,
  kda = function(S, x)
    S = delta(S, map(math.exp, x.g), x.k, x.beta, x.v)
    return S, read(S, x.q)
  end,
  gated_delta2 = function(S, x)
    S = delta(S, map(math.exp, x.g), x.k, 1, times(x.w, x.v), times(x.erase, x.k))
    return S, read(S, x.q)
  end,
  comba = function(S, x)
    local p = scaled(x.k, sigmoid(x.decay))
    S = delta(S, math.exp(x.g), x.k, x.beta, x.v, p)
    return S, read(S, map(function(q, y) return q - (x.D or 0) * y end, x.q, p))
  end,
  delta_product = function(S, x)
    for j = 1, #x.k do S = delta(S, j == 1 and math.exp(x.g or 0) or 1, x.k[j], x.beta[j], x.v[j]) end
    return S, read(S, x.q)
  end,
  longhorn = function(S, x)
    S = delta(S, 1, x.k, x.beta / (1 + x.beta * dot(x.k, x.k)), x.v)
    return S, read(S, x.q)
  end,
  peng = function(S, x) return stepped(x.q, S, 1 - x.beta, nil, nil, scaled(x.k, x.beta), x.v) end,
  fwm = function(S, x)
    local Z, square = delta(S, 1, x.k, x.beta, x.v), 0
    for _, row in ipairs(Z) do square = square + dot(row, row) end
    Z = map(function(row) return scaled(row, 1 / math.max(1, math.sqrt(square))) end, Z)
    return Z, read(Z, x.q)
  end,
  -- without stabiliser, as exact sums: C += i k v', n += i k, o = C'q / max(|n.q|, 1)
  mlstm = function(S, x)
    local f, key = math.exp(x.f), scaled(x.k, math.exp(x.i) / math.sqrt(#x.k))
    S.S, S.z = advance(S.S, f, nil, nil, key, x.v), map(function(a, b) return f * a + b end, S.z, key)
    return S, scaled(read(S.S, x.q), 1 / math.max(math.abs(dot(S.z, x.q)), 1))
  end
}

local normalised = { linear = true, mlstm = true }          -- their state has a row of sums z

--- The loop over tokens: inputs whose first size is that of the first one go token by token.
local function loop(name, by, opt)
  local lists, order = {}, by.q or by.r or by.C
  local T = order:size(1)
  for input, x in pairs(by) do
    lists[input] = { list = x:ndim() > 0 and x:totable() or x:item(),
                     each = x:ndim() > 0 and x:size(1) == T and not (input == "u" or input:find "^[kr]_") }
  end
  local d, e = order:size(-1), (by.v or by.x):size(-1)
  local S, o = plain.zeros(d, e), {}
  if normalised[name] then S = { S = S, z = plain.zeros(1, d)[1] } end
  for t = 1, T do
    local x = {}
    for input, l in pairs(lists) do x[input] = l.each and l.list[t] or l.list end
    S, o[t] = steps[name](S, x, opt)
  end
  return o, S
end

return setmetatable({}, { __index = function(_, name)
  return steps[name] and function(by, opt) return loop(name, by, opt) end
end })
