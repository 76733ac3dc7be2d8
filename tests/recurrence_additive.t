-- The additive recurrences against the plain token loop, written out here in
-- Lua's doubles, and against what algebra says about them.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }

local function draw(seed, ...) return fv.rng(seed):stream("x"):uniform({ ... }, F64) * 2 - 1 end

local function zeros(n, m)
  local x = {}
  for i = 1, n do
    x[i] = {}
    for j = 1, m do x[i][j] = 0.0 end
  end
  return x
end

--- S_t = Diag(e^g_t) S + k_t v_t';  o_t = S_t'q_t, or S_{t-1}'q_t + (q.(u k)) v.
local function loop(x)
  local q, k, v = x.q:totable(), x.k:totable(), x.v:totable()
  local g, u = x.g and x.g:totable(), x.u and x.u:totable()
  local n, d, e = #q, #q[1], #v[1]
  local S, o = x.s and x.s:totable() or zeros(d, e), zeros(n, e)
  for t = 1, n do
    local function read()
      for i = 1, d do
        for j = 1, e do o[t][j] = o[t][j] + S[i][j] * q[t][i] end
      end
    end
    if x.exclusive then read() end
    local bonus = 0
    for i = 1, d do
      local a = g and math.exp(type(g[t]) == "table" and g[t][i] or g[t]) or 1
      for j = 1, e do S[i][j] = (a == 0 and 0 or a * S[i][j]) + k[t][i] * v[t][j] end
      if u then bonus = bonus + q[t][i] * u[i] * k[t][i] end
    end
    if x.exclusive then
      for j = 1, e do o[t][j] = o[t][j] + bonus * v[t][j] end
    else read() end
  end
  return fv.tensor(o, F64), fv.tensor(S, F64)
end

local function options(x, more)
  local opt = { g = x.g, u = x.u, s = x.s, exclusive = x.exclusive }
  for name, value in pairs(more or {}) do opt[name] = value end
  return opt
end

local function apply(x, more) return fv.additive_rule(x.q, x.k, x.v, options(x, more)) end

local function problem(n, d, e, kind, exclusive, state)
  local x = { q = draw(1, n, d), k = draw(2, n, d), v = draw(3, n, e), exclusive = exclusive }
  if kind == "scalar" then x.g = (draw(4, n) - 1) / 4
  elseif kind == "vector" then x.g = (draw(4, n, d) - 1) / 4 end
  if exclusive then x.u = draw(5, d) end
  if state then x.s = draw(6, d, e) end
  return x
end
local function gap(a, b)
  if a:numel() == 0 then return 0 end
  local err = (a:to "f64" - b:to "f64"):abs():max():item()
  return err ~= err and math.huge or err / math.max(1, b:to("f64"):abs():max():item())
end
local inputs = { "q", "k", "v", "g", "u", "s" }

local function gradients(x, seeds, more)
  local given, list = {}, {}
  for i, name in ipairs(inputs) do given[i] = x[name] or false end
  local d = fv.ops.additive_rule:vjp(given, nil, seeds, { exclusive = x.exclusive,
    form = more and more.form, chunk = more and more.chunk })
  for i, name in ipairs(inputs) do list[name] = d[i] or nil end
  return list
end
for _, kind in ipairs { "free", "scalar", "vector" } do
  for _, exclusive in ipairs { false, true } do
    local label = kind .. (exclusive and ", exclusive with bonus" or "")
    local worst, worst32, forms = 0, 0, 0
    for _, n in ipairs { 1, 2, 15, 16, 17, 200 } do
      for _, de in ipairs { { 5, 3 }, { 19, 37 } } do
        local x = problem(n, de[1], n == 200 and 3 or de[2], kind, exclusive, n ~= 16)
        local o, s = loop(x)
        local a, b = apply(x, { form = "token" })
        worst = math.max(worst, gap(a, o), gap(b, s))
        for _, chunk in ipairs { 1, 7, 16, 32, 64, n, n + 5 } do
          local c, e = apply(x, { form = "chunk", chunk = chunk })
          worst, forms = math.max(worst, gap(c, o), gap(e, s)), forms + 1
        end
        local y = { exclusive = exclusive }
        for _, name in ipairs(inputs) do y[name] = x[name] and x[name]:to "f32" end
        local o32, s32 = apply(y)
        worst32 = math.max(worst32, gap(o32, o), gap(s32, s))
      end
    end
    -- sums of up to 200 terms of size 1 in doubles and floats
    tap.ok(worst < 1e-12, label .. ": token and chunk forms are the token loop", "off by %.2g in %d",
           worst, forms)
    tap.ok(worst32 < 1e-5, label .. ": in f32 too", "off by %.2g", worst32)

    -- every gradient against central differences of the loop; h = 1e-5 leaves 1e-9
    local x = problem(9, 3, 2, kind, exclusive, true)
    local seeds = { draw(7, 9, 2), draw(8, 3, 2) }
    local function value()
      local o, s = loop(x)
      return (o * seeds[1]):sum():item() + (s * seeds[2]):sum():item()
    end
    for _, more in ipairs { { form = "token" }, { form = "chunk", chunk = 4 } } do
      local grads, off, where = gradients(x, seeds, more), 0, ""
      for _, name in ipairs(inputs) do
        if x[name] then
          local flat, g = x[name]:reshape(-1), grads[name]:reshape(-1)
          for i = 1, flat:numel() do
            local at, h = flat:get(i), 1e-5
            flat:set(i, at + h)
            local up = value()
            flat:set(i, at - h)
            local want = (up - value()) / (2 * h)
            flat:set(i, at)
            local err = math.abs(g:get(i) - want) / math.max(1, math.abs(want))
            if not (err <= off) then off, where = err, name .. "[" .. i .. "]" end
          end
        end
      end
      tap.ok(off < 1e-8, ("%s: gradients of the %s form are differences"):format(label, more.form),
             "%s off by %.2g", where, off)
    end
    -- cutting a sequence in two and carrying the state changes no bit
    local whole = problem(41, 7, 21, kind, exclusive, true)
    local wseeds = { draw(9, 41, 21), draw(10, 7, 21) }
    local o, s = apply(whole)
    local all = gradients(whole, wseeds)
    local function piece(from, to, state)
      local p = { u = whole.u, exclusive = exclusive, s = state }
      for _, name in ipairs { "q", "k", "v", "g" } do
        p[name] = whole[name] and whole[name]:slice(1, from, to):contiguous()
      end
      return p
    end
    local p1 = piece(1, 17, whole.s)
    local o1, s1 = apply(p1)
    local p2 = piece(18, 41, s1)
    local o2, s2 = apply(p2)
    local d2 = gradients(p2, { wseeds[1]:slice(1, 18, 41):contiguous(), wseeds[2] })
    local d1 = gradients(p1, { wseeds[1]:slice(1, 1, 17):contiguous(), d2.s })
    tap.ok(gap(o1, o:slice(1, 1, 17)) == 0 and gap(o2, o:slice(1, 18, 41)) == 0 and gap(s2, s) == 0,
           label .. ": a carried state continues the sequence bit for bit")
    local split = gap(d1.s, all.s)
    for _, name in ipairs { "q", "k", "v", "g" } do
      if all[name] then
        split = math.max(split, gap(d1[name], all[name]:slice(1, 1, 17)),
                         gap(d2[name], all[name]:slice(1, 18, 41)))
      end
    end
    if exclusive then split = math.max(split, gap(d1.u + d2.u, all.u)) end
    -- 0 but for g, whose sums start at the cut, and u, added in two parts
    tap.ok(split < 1e-13, label .. ": and so do the gradients", "off by %.2g", split)
  end
end
do  -- gates of exactly 0 give the bits of no gate, gradients included
  for _, exclusive in ipairs { false, true } do
    local x = problem(50, 20, 24, "free", exclusive, true)
    local seeds = { draw(9, 50, 24), draw(10, 20, 24) }
    local o, s = apply(x)
    local d = gradients(x, seeds)
    for _, shape in ipairs { { 50 }, { 50, 20 } } do
      x.g = fv.zeros(shape, F64)
      local o0, s0 = apply(x)
      local d0, same = gradients(x, seeds), gap(o0, o) == 0 and gap(s0, s) == 0
      for _, name in ipairs { "q", "k", "v", "s" } do same = same and gap(d0[name], d[name]) == 0 end
      tap.ok(same, ("gate 0 is no gate, bit for bit (%s, %d-d)"):format(
        exclusive and "exclusive" or "inclusive", #shape))
    end
  end
end
do  -- gradients across the windows of the backward pass: the chunk form has only one
  for _, kind in ipairs { "free", "scalar", "vector" } do
    for _, exclusive in ipairs { false, true } do
      local x = problem(431, 6, 20, kind, exclusive, true)
      local seeds = { draw(7, 431, 20), draw(8, 6, 20) }
      local a, b = gradients(x, seeds), gradients(x, seeds, { form = "chunk", chunk = 50 })
      local off = 0
      for name, d in pairs(b) do off = math.max(off, gap(a[name], d)) end
      tap.ok(off < 1e-12, ("%s, %s: windows change no gradient"):format(kind,
        exclusive and "exclusive" or "inclusive"), "off by %.2g", off)
    end
  end
  -- linear attention: the second half alone, from the state in between
  local q, k, v = draw(1, 500, 16) + 1.5, draw(2, 500, 16) + 1.5, draw(3, 500, 7)
  local dO, op = draw(4, 500, 7), fv.ops.linear_attention
  local whole = op:vjp({ q, k, v }, nil, { dO }, { causal = true })
  local function cut(x, a, b) return x:slice(1, a, b):contiguous() end
  local _, s, z = fv.linear_attention(cut(q, 1, 230), cut(k, 1, 230), cut(v, 1, 230), { causal = true })
  local late = op:vjp({ cut(q, 231, 500), cut(k, 231, 500), cut(v, 231, 500), false, s, z }, nil,
                      { cut(dO, 231, 500) }, { causal = true })
  local early = op:vjp({ cut(q, 1, 230), cut(k, 1, 230), cut(v, 1, 230) }, nil,
                       { cut(dO, 1, 230), late[5], late[6] }, { causal = true })
  local off = 0
  for i = 1, 3 do
    off = math.max(off, gap(early[i], cut(whole[i], 1, 230)), gap(late[i], cut(whole[i], 231, 500)))
  end
  tap.ok(off < 1e-12, "linear attention: gradients through a carried state", "off by %.2g", off)
end
do  -- the explicit masked matrix: o_t = sum_{j<=t} (sum_i q_i k_i e^{G_t,i - G_j,i}) v_j
  local x = problem(20, 4, 3, "vector", false, false)
  local G = x.g:cumsum(1):totable()
  local q, k, v, want = x.q:totable(), x.k:totable(), x.v:totable(), zeros(20, 3)
  for t = 1, 20 do
    for j = 1, t do
      local w = 0
      for i = 1, 4 do w = w + q[t][i] * k[j][i] * math.exp(G[t][i] - G[j][i]) end
      for c = 1, 3 do want[t][c] = want[t][c] + w * v[j][c] end
    end
  end
  tap.near(apply(x), fv.tensor(want, F64), 1e-13, "equals the masked n-by-n matrix")
end

do  -- hostile gates
  local n = 64
  for _, case in ipairs { { "uniform in [-60,0]", function() return nil end },
                          { "-1e4", function(t) return t % 5 == 0 and -1e4 or 0 end },
                          { "-inf", function(t) return t % 7 == 3 and -math.huge or -0.1 end },
                          { "only -inf", function() return -math.huge end } } do
    for _, kind in ipairs { "scalar", "vector" } do
      local x = problem(n, 6, 5, kind, false, true)
      local flat = x.g:reshape(-1)
      for i = 1, flat:numel() do flat:set(i, case[2](i) or -60 * (i * 0.6180339887 % 1)) end
      local o, s = loop(x)
      local y = {}
      for _, name in ipairs(inputs) do y[name] = x[name] and x[name]:to "f32" end
      local err, finite = 0, true
      for _, more in ipairs { { form = "token" }, { form = "chunk", chunk = 16 } } do
        local a, b = apply(y, more)
        err = math.max(err, gap(a, o), gap(b, s))
        for _, g in pairs(gradients(y, { fv.ones(n, 5), fv.ones(6, 5) }, more)) do
          finite = finite and g:isfinite():all():item() == 1
        end
      end
      tap.ok(err < 1e-5, ("f32 with gates %s, %s, follows the loop"):format(case[1], kind), "%.2g", err)
      tap.ok(finite, ("gradients with gates %s, %s, are finite"):format(case[1], kind))
    end
  end
  local x = problem(9, 3, 2, "scalar")
  x.g:set(7, 0.3)
  tap.raises("g: log gates must be <= 0, got 0.3 at token 7", "a gate above 0 is refused", apply, x)
  x = problem(9, 3, 2, "vector")
  x.g:set(5, 3, 0.25)
  tap.raises("g: log gates must be <= 0, got 0.25 at token 5", "also a vector gate's", apply, x)
  x = problem(4, 3, 2, "free", true)
  x.exclusive = false
  tap.raises("u: the bonus belongs to the exclusive read", "u needs exclusive", apply, x)
end

do  -- a gate that forgets makes the past invisible
  local x = problem(12, 4, 3, "scalar", false, true)
  x.g:set(6, -math.huge)
  local late = { q = x.q:slice(1, 6, 12), k = x.k:slice(1, 6, 12), v = x.v:slice(1, 6, 12),
                 g = x.g:slice(1, 6, 12) }
  tap.ok(gap(apply(x):slice(1, 6, 12), (apply(late))) == 0, "after g = -inf nothing before is left")
end

do  -- one lone head large enough to be cut gives the bits of the same head among others
  local x = problem(600, 70, 50, "vector", false, true)
  local o, s = apply(x)
  local y = {}
  for _, name in ipairs(inputs) do y[name] = x[name] and x[name]:unsqueeze(1):expand(2, x[name]:shape()) end
  local p, t = apply(y)
  tap.ok(gap(p[2], o) == 0 and gap(t[1], s) == 0, "a lone head has the bits of a head in a batch")
end

-- ---- linear attention ----------------------------------------------------

--- Definition: weights w_tj = q_t.k_j over the keys a query sees.
local function reference(q, k, v, o)
  local qt, kt, vt = q:totable(), k:totable(), v:totable()
  local n, m, f, e = #qt, #kt, #qt[1], #vt[1]
  local S, z = o.s and o.s:totable() or zeros(f, e), o.z and o.z:totable() or zeros(1, f)[1]
  local y, len = zeros(n, e), o.key_length and o.key_length:item() or m
  local function weigh(t, last)
    local den, num = o.eps or 0, zeros(1, e)[1]
    for i = 1, f do
      den = den + qt[t][i] * z[i]
      for c = 1, e do num[c] = num[c] + qt[t][i] * S[i][c] end
    end
    for j = 1, math.min(last, len) do
      local w = 0
      for i = 1, f do w = w + qt[t][i] * kt[j][i] end
      den = den + w
      for c = 1, e do num[c] = num[c] + w * vt[j][c] end
    end
    for c = 1, e do y[t][c] = o.normalize == false and num[c] or num[c] / den end
    if math.min(last, len) <= 0 and not o.s and not o.z then y[t] = zeros(1, e)[1] end
  end
  for t = 1, n do weigh(t, o.causal and t + m - n or m) end
  return fv.tensor(y, F64)
end

local function positive(seed, ...) return draw(seed, ...) + 1.5 end

do
  local worst, count = 0, 0
  for _, nm in ipairs { { 9, 9 }, { 9, 23 }, { 23, 9 }, { 1, 40 }, { 40, 1 }, { 130, 130 } } do
    for _, causal in ipairs { false, true } do
      for _, length in ipairs { 0, 1, 5, "all" } do
        for _, more in ipairs { {}, { normalize = false }, { eps = 0.5 }, { state = true } } do
          local n, m = nm[1], nm[2]
          local q, k, v = positive(1, n, 5), positive(2, m, 5), draw(3, m, 7)
          local opt = { causal = causal, normalize = more.normalize, eps = more.eps }
          if more.state then opt.s, opt.z = draw(4, 5, 7), positive(5, 5) end
          if length ~= "all" and length <= m then
            opt.key_length = fv.tensor(length, { dtype = "i64" })
          end
          local want = reference(q, k, v, opt)
          if opt.key_length and length < m then   -- padding may hold anything
            k:slice(1, length + 1, m):fill(0 / 0)
            v:slice(1, length + 1, m):fill(0 / 0)
          end
          local err = gap((fv.linear_attention(q, k, v, opt)), want)
          worst, count = math.max(worst, err), count + 1
        end
      end
    end
  end
  tap.ok(worst < 1e-12, "linear attention is its definition", "off by %.2g in %d cases", worst, count)
end

do  -- gradients by differences, every input, each alignment
  local off, where = 0, ""
  for _, case in ipairs { { 6, 6 }, { 4, 9 }, { 9, 4 } } do
    for _, opt in ipairs { {}, { causal = true }, { causal = true, normalize = false },
                           { causal = true, length = 3 }, { length = 3 }, { eps = 0.25 } } do
      local n, m = case[1], case[2]
      local len = opt.length and fv.tensor(opt.length, { dtype = "i64" }) or false
      local x = { positive(1, n, 3), positive(2, m, 3), draw(3, m, 2), len, draw(4, 3, 2),
                  positive(5, 3) }
      local o = { causal = opt.causal, normalize = opt.normalize, eps = opt.eps }
      local function call()
        return fv.linear_attention(x[1], x[2], x[3], { causal = o.causal, normalize = o.normalize,
          eps = o.eps, key_length = len or nil, s = x[5], z = x[6] })
      end
      local seeds = { draw(6, n, 2), draw(7, 3, 2), draw(8, 3) }
      local function value()
        local y = { call() }
        local sum = 0
        for j = 1, 3 do sum = sum + (y[j] * seeds[j]):sum():item() end
        return sum
      end
      local d = fv.ops.linear_attention:vjp(x, nil, seeds, o)
      for i, t in ipairs(x) do
        if t and i ~= 4 then
          local flat, g = t:reshape(-1), d[i]:reshape(-1)
          for j = 1, flat:numel() do
            local at, h = flat:get(j), 1e-5
            flat:set(j, at + h)
            local up = value()
            flat:set(j, at - h)
            local want = (up - value()) / (2 * h)
            flat:set(j, at)
            local err = math.abs(g:get(j) - want) / math.max(1, math.abs(want))
            if not (err <= off) then off, where = err, ("input %d of (%d,%d)"):format(i, n, m) end
          end
        end
      end
    end
  end
  tap.ok(off < 1e-8, "its gradients are differences", "%s off by %.2g", where, off)
end

do  -- streaming, and a future key
  local q, k, v = positive(1, 50, 6), positive(2, 50, 6), draw(3, 50, 9)
  local whole, s, z = fv.linear_attention(q, k, v, { causal = true })
  local function part(a, b, s0, z0)
    return fv.linear_attention(q:slice(1, a, b), k:slice(1, a, b), v:slice(1, a, b),
                               { causal = true, s = s0, z = z0 })
  end
  local o1, s1, z1 = part(1, 20)
  local o2, s2, z2 = part(21, 50, s1, z1)
  tap.ok(gap(o1, whole:slice(1, 1, 20)) == 0 and gap(o2, whole:slice(1, 21, 50)) == 0 and
         gap(s2, s) == 0 and gap(z2, z) == 0,
         "a carried state continues linear attention bit for bit")
  k:slice(1, 31, 50):fill(7)
  v:slice(1, 31, 50):fill(-7)
  local changed = fv.linear_attention(q, k, v, { causal = true })
  tap.ok(gap(changed:slice(1, 1, 30), whole:slice(1, 1, 30)) == 0, "future keys change no earlier bit")
  tap.ok(gap(changed:slice(1, 31, 31), whole:slice(1, 31, 31)) > 0.01, "but their own")
end

do  -- denominators are results
  local q = fv.tensor({ { 1, 0 }, { -1, 0 }, { 0, 1 } }, F64)
  local k, v = fv.tensor({ { 2, 0 } }, F64), fv.tensor({ { 3 } }, F64)
  local o = fv.linear_attention(q, k, v)
  tap.ok(o:get(1, 1) == 3 and o:get(2, 1) == 3, "a negative denominator divides as it is")
  tap.ok(o:get(3, 1) ~= o:get(3, 1), "0 / 0 is NaN, not hidden")
  tap.raises("key_length: expected 0 .. m=1, got 2", "key_length has a range", fv.linear_attention,
             q, k, v, { key_length = fv.tensor(2, { dtype = "i64" }) })
end

tap.done()
