-- Attention from log-features, and FAVOR+ on top of it, against the definition
-- in Lua's doubles: o_t = sum_j w_tj v_j / sum_j w_tj, w_tj = sum_i e^{lq_ti + lk_ji}.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }

local function draw(seed, ...) return fv.rng(seed):stream("x"):uniform({ ... }, F64) * 2 - 1 end

local function gap(a, b)
  if a:numel() == 0 then return 0 end
  local err = (a:to "f64" - b:to "f64"):abs():max():item()
  return err ~= err and math.huge or err / math.max(1, b:to("f64"):abs():max():item())
end

local function int(n) return fv.tensor(n, { dtype = "i64" }) end

--- Log-domain all the way: the largest exponent of a row is taken out first.
local function reference(lq, lk, v, opt)
  local q, k, u = lq:totable(), lk:totable(), v:totable()
  local n, m, f, e = #q, #k, #q[1], #u[1]
  local length = opt.key_length and opt.key_length:item() or m
  local o, lse = {}, {}
  for t = 1, n do
    local last = math.min(opt.causal and t + m - n or m, length)
    local top = -math.huge
    for j = 1, last do
      for i = 1, f do top = math.max(top, q[t][i] + k[j][i]) end
    end
    local den, num = 0, {}
    for c = 1, e do num[c] = 0 end
    for j = 1, last do
      local w = 0
      for i = 1, f do w = w + math.exp(q[t][i] + k[j][i] - top) end
      den = den + w
      for c = 1, e do num[c] = num[c] + w * u[j][c] end
    end
    for c = 1, e do num[c] = last < 1 and 0 or num[c] / den end
    o[t], lse[t] = num, last < 1 and -math.huge or top + math.log(den)
  end
  return fv.tensor(o, F64), fv.tensor(lse, F64)
end

local function full(x, opt)   -- o, s_n, z_n, c_n, lse
  local y = { fv.positive_attention(x[1], x[2], x[3], opt) }
  return y[1], y[5]
end

do
  local worst, worst32, count = 0, 0, 0
  for _, nm in ipairs { { 7, 7 }, { 7, 30 }, { 30, 7 }, { 1, 1 }, { 1, 300 }, { 300, 1 },
                        { 193, 195 } } do
    for _, f in ipairs { 5, 16 } do
      for _, causal in ipairs { false, true } do
        for _, length in ipairs { 0, 3, "all" } do
          local n, m = nm[1], nm[2]
          local x = { draw(1, n, f) * 3, draw(2, m, f) * 3, draw(3, m, 6) }
          local opt = { causal = causal }
          if length ~= "all" and length <= m then opt.key_length = int(length) end
          local want, lse = reference(x[1], x[2], x[3], opt)
          if opt.key_length and length < m then   -- padding may hold anything
            x[2]:slice(1, length + 1, m):fill(0 / 0)
            x[3]:slice(1, length + 1, m):fill(0 / 0)
          end
          local o, l = full(x, opt)
          local seen = lse:isfinite()
          local same = l:isfinite():eq(seen):all():item() == 1
          worst = math.max(worst, gap(o, want), same and 0 or math.huge)
          for t = 1, n do
            if seen:get(t) == 1 then worst = math.max(worst, math.abs(l:get(t) - lse:get(t))) end
          end
          o = full({ x[1]:to "f32", x[2]:to "f32", x[3]:to "f32" }, opt)
          worst32, count = math.max(worst32, gap(o, want)), count + 1
        end
      end
    end
  end
  tap.ok(worst < 1e-12, "positive attention is its definition", "off by %.2g in %d cases", worst, count)
  tap.ok(worst32 < 2e-5, "in f32 too", "off by %.2g", worst32)
end

do  -- any norm: f32 rounds logarithms near 4000 by 1.2e-4 each, and three are added
  for _, size in ipairs { 50, 400, 4000 } do
    for _, causal in ipairs { false, true } do
      local n = 230
      local q, k = draw(1, n, 8) * size, draw(2, n, 8) * size
      -- rising keys: every stabiliser must rise again and again
      k = k + (fv.linspace(-size, size, n, F64)):reshape(n, 1) * 0.5
      local x = { q:to "f32", k:to "f32", draw(3, n, 5):to "f32" }
      local want, lse = reference(x[1]:to "f64", x[2]:to "f64", x[3]:to "f64", { causal = causal })
      local o, l = full(x, { causal = causal })
      local d = fv.ops.positive_attention:vjp({ x[1], x[2], x[3] }, nil, { fv.ones(n, 5) },
                                              { causal = causal })
      local bound = 6e-7 * size + 1e-5
      tap.ok(gap(o, want) < bound, ("|log feature| up to %d, causal %s"):format(1.5 * size, causal),
             "off by %.2g, bound %.2g", gap(o, want), bound)
      local finite = l:isfinite():all():item() == 1 and gap(l, lse) < 1e-6
      for i = 1, 3 do finite = finite and d[i]:isfinite():all():item() == 1 end
      tap.ok(finite, "lse and gradients are finite there")
    end
  end
end

--- Largest gap between <seeds, vjp> and central differences, every coordinate.
local function difference_gap(call, grads, x, seeds)
  local function value()
    local y, sum = call(), 0
    for j = 1, #y do
      if seeds[j] then
        sum = sum + (fv.where(y[j]:isfinite(), y[j], fv.zeros(1, F64)) * seeds[j]):sum():item()
      end
    end
    return sum
  end
  local off, where = 0, ""
  for i, t in ipairs(x) do
    if t and t:dtype() == "f64" then
      local flat, g = t:reshape(-1), grads[i]:reshape(-1)
      for j = 1, flat:numel() do
        local at, h = flat:get(j), 1e-5
        flat:set(j, at + h)
        local up = value()
        flat:set(j, at - h)
        local want = (up - value()) / (2 * h)
        flat:set(j, at)
        local err = math.abs(g:get(j) - want) / math.max(1, math.abs(want))
        if not (err <= off) then off, where = err, ("input %d, coordinate %d"):format(i, j) end
      end
    end
  end
  return off, where
end

do  -- every output's gradient, saved ones too; jumps of 60 make the stabilisers rise
  local off, where = 0, ""
  for _, case in ipairs { { 6, 6 }, { 4, 9 }, { 9, 4 } } do
    for _, set in ipairs { {}, { causal = true }, { causal = true, jump = true }, { jump = true },
                           { causal = true, length = 3 }, { causal = true, state = true },
                           { causal = true, state = true, jump = true }, { state = true } } do
      local n, m, f, e = case[1], case[2], 3, 2
      local x = { draw(1, n, f), draw(2, m, f), draw(3, m, e), false, false, false, false }
      if set.length then x[4] = int(set.length) end
      if set.state then
        x[5], x[6], x[7] = draw(4, f, e), draw(5, f) + 1.5, draw(6, f)
      end
      if set.jump then x[2]:slice(1, 3, m):copy_(x[2]:slice(1, 3, m) + fv.tensor({ 60, 0, 45 }, F64)) end
      local opt = { causal = set.causal }
      local function call()
        return { fv.positive_attention(x[1], x[2], x[3], { causal = set.causal,
          key_length = x[4] or nil, s = x[5] or nil, z = x[6] or nil, c = x[7] or nil }) }
      end
      local y, seeds = call(), {}
      for j = 1, #y do
        seeds[j] = draw(20 + j, y[j]:shape()) * y[j]:isfinite():to "f64"
      end
      local g = fv.ops.positive_attention:vjp(x, y, seeds, opt)
      local err, at = difference_gap(call, g, x, seeds)
      if not (err <= off) then
        off, where = err, ("%s of (%d,%d) causal %s jump %s state %s"):format(at, n, m, set.causal,
                                                                              set.jump, set.state)
      end
    end
  end
  -- h = 1e-5; values of size e^15 enter s_n and z_n after a jump
  tap.ok(off < 1e-6, "its gradients are differences", "%s off by %.2g", where, off)
end

do  -- streaming, future keys, causal certificate
  local n, f = 420, 32
  local x = { draw(1, n, f) * 4, draw(2, n, f) * 4, draw(3, n, 8) }
  x[2]:slice(1, 100, n):copy_(x[2]:slice(1, 100, n) + 50)     -- a rise inside a block
  local whole, s, z, c = fv.positive_attention(x[1], x[2], x[3], { causal = true })
  tap.ok(gap(whole, (reference(x[1], x[2], x[3], { causal = true }))) < 1e-12, "a rise inside a block")
  local function part(a, b, s0, z0, c0)
    return fv.positive_attention(x[1]:slice(1, a, b), x[2]:slice(1, a, b), x[3]:slice(1, a, b),
                                 { causal = true, s = s0, z = z0, c = c0 })
  end
  local o1, s1, z1, c1 = part(1, 200)
  local o2, s2, z2, c2 = part(201, n, s1, z1, c1)
  tap.ok(gap(o1, whole:slice(1, 1, 200)) == 0 and gap(o2, whole:slice(1, 201, n)) == 0 and
         gap(s2, s) == 0 and gap(z2, z) == 0 and gap(c2, c) == 0,
         "a carried state continues the sequence bit for bit")
  local k32, same = x[2]:to "f32", true
  local q32, v32 = x[1]:to "f32", x[3]:to "f32"
  local before = fv.positive_attention(q32, k32, v32, { causal = true })
  for _, t in ipairs { 399, 211, 193, 150, 101, 9 } do
    k32:slice(1, t, n):fill(t % 2 == 0 and 300 or 3)
    local after = fv.positive_attention(q32, k32, v32, { causal = true })
    same = same and gap(after:slice(1, 1, t - 1), before:slice(1, 1, t - 1)) == 0
  end
  tap.ok(same, "later keys, even enormous ones, change no earlier bit")
  tap.raises("s, z and c are one state", "half a state is refused", fv.positive_attention, x[1], x[2],
             x[3], { s = s })
end

do  -- features of zero, and keys with none at all
  local inf = math.huge
  local lq = fv.tensor({ { 0, -inf }, { -inf, 0 } }, F64)
  local lk = fv.tensor({ { 0, -inf }, { -inf, 0 }, { 0, 0 } }, F64)
  local v = fv.tensor({ { 1 }, { 10 }, { 100 } }, F64)
  local o = fv.positive_attention(lq, lk, v)
  tap.close(o:get(1, 1), 50.5, 1e-15, "a log of -inf is a feature of zero")
  tap.close(o:get(2, 1), 55, 1e-15, "for keys too")
  o = fv.positive_attention(lq, lk, v, { key_length = int(1) })
  tap.ok(o:get(1, 1) == 1 and o:get(2, 1) ~= o:get(2, 1), "all weights zero: NaN, not hidden")
  o = fv.positive_attention(lq, lk, v, { key_length = int(0) })
  tap.ok(o:get(1, 1) == 0 and o:get(2, 1) == 0, "no key: zero")
end

-- ---- FAVOR+ ---------------------------------------------------------------

local function logs(x, w, scale, hyperbolic)
  local y = x * math.sqrt(scale)
  local p = y:matmul(w:t())
  local norm = (y * y):sum(-1):reshape(-1, 1) * 0.5
  return hyperbolic and fv.cat({ p - norm, -p - norm }, -1) or p - norm
end

do
  local worst, count = 0, 0
  for _, nm in ipairs { { 9, 9 }, { 30, 210 }, { 200, 60 } } do
    for _, causal in ipairs { false, true } do
      for _, hyperbolic in ipairs { false, true } do
        for _, rd in ipairs { { 10, 4 }, { 33, 20 } } do
          local n, m, r, d = nm[1], nm[2], rd[1], rd[2]
          local q, k, v = draw(1, n, d) * 2, draw(2, m, d) * 2, draw(3, m, 5)
          local w = fv.rng(4):stream("w"):normal({ r, d }, F64)
          local opt = { causal = causal, hyperbolic = hyperbolic, scale = r == 33 and 0.7 or nil }
          local s = opt.scale or d ^ -0.5
          local want = reference(logs(q, w, s, hyperbolic), logs(k, w, s, hyperbolic), v, opt)
          worst = math.max(worst, gap((fv.favor_attention(q, k, v, w, opt)), want))
          local o = fv.favor_attention(q:to "f32", k:to "f32", v:to "f32", w:to "f32", opt)
          worst = math.max(worst, gap(o, want) * 1e-8)   -- f32: 1e-4
          count = count + 1
        end
      end
    end
  end
  tap.ok(worst < 1e-12, "favor attention is positive attention on its features",
         "off by %.2g in %d cases", worst, count)
end

do
  local off, where = 0, ""
  for _, causal in ipairs { false, true } do
    for _, hyperbolic in ipairs { false, true } do
      for _, length in ipairs { false, 4 } do
        local x = { draw(1, 5, 3), draw(2, 7, 3), draw(3, 7, 2), draw(4, 4, 3), length and int(length) }
        local opt = { causal = causal, hyperbolic = hyperbolic }
        local function call()
          return { fv.favor_attention(x[1], x[2], x[3], x[4], { causal = causal,
            hyperbolic = hyperbolic, key_length = x[5] or nil }) }
        end
        local y, seeds = call(), {}
        for j = 1, #y do seeds[j] = draw(20 + j, y[j]:shape()) * y[j]:isfinite():to "f64" end
        local g = fv.ops.favor_attention:vjp(x, y, seeds, opt)
        local err, at = difference_gap(call, g, x, seeds)
        if not (err <= off) then off, where = err, at end
      end
    end
  end
  tap.ok(off < 1e-6, "its gradients in q, k, v and w are differences", "%s off by %.2g", where, off)
end

do  -- hostile norms: inputs of norm 60, where shipped formulas give NaN or the plain mean
  local q, k, v = draw(1, 64, 16):to "f32" * 30, draw(2, 64, 16):to "f32" * 30, draw(3, 64, 4):to "f32"
  local w = fv.rng(4):stream("w"):normal(64, 16)
  for _, causal in ipairs { false, true } do
    local o = fv.favor_attention(q, k, v, w, { causal = causal })
    local s = 0.25
    local want = reference(logs(q:to "f64", w:to "f64", s), logs(k:to "f64", w:to "f64", s), v:to "f64",
                           { causal = causal })
    -- logarithms near 2000 round by 1.2e-4
    tap.ok(gap(o, want) < 2e-3, "finite and right at norm 60", "off by %.2g", gap(o, want))
  end
end

do  -- one lone head, cut into tasks, has the bits of the same head in a batch
  local q, k, v = draw(1, 500, 32):to "f32", draw(2, 500, 32):to "f32", draw(3, 500, 40):to "f32"
  local w = fv.rng(4):stream("w"):normal(128, 32)
  for _, causal in ipairs { false, true } do
    local opt, same = { causal = causal }, true
    local function both(x) return x:unsqueeze(1):expand(2, x:shape()) end
    local y, z = { fv.favor_attention(q, k, v, w, opt) },
                 { fv.favor_attention(both(q), both(k), both(v), w, opt) }
    for i = 1, 2 do same = same and gap(z[i][2], y[i]) == 0 end
    local dO = draw(5, 500, 40):to "f32"
    local a = fv.ops.favor_attention:vjp({ q, k, v, w }, y, { dO }, opt)
    local b = fv.ops.favor_attention:vjp({ both(q), both(k), both(v), both(w) }, z,
                                         { both(dO) }, opt)
    for i = 1, 3 do same = same and gap(b[i][1], a[i]) == 0 end
    tap.ok(same, "a lone head has the bits of a head in a batch, causal " .. tostring(causal))
  end
end

tap.done()
