-- The fast weight memory against its definition, token by token in plain Lua.

local fv = require "fovea"
local tap = require "tap"

local function definition(q, k, v, beta, s)
  local n, d = q:shape()
  local e = select(2, v:shape())
  local S, o, clipped = {}, fv.zeros({ n, e }, { dtype = "f64" }), 0
  for i = 1, d do
    S[i] = {}
    for j = 1, e do S[i][j] = s and s:get(i, j) or 0 end
  end
  for t = 1, n do
    local u, norm = {}, 0
    for j = 1, e do
      local r = 0
      for i = 1, d do r = r + S[i][j] * k:get(t, i) end
      u[j] = (beta and beta:get(t) or 1) * (v:get(t, j) - r)
    end
    for i = 1, d do
      for j = 1, e do
        S[i][j] = S[i][j] + k:get(t, i) * u[j]
        norm = norm + S[i][j] ^ 2
      end
    end
    if norm > 1 then clipped = clipped + 1 end
    local c = 1 / math.max(1, math.sqrt(norm))
    for j = 1, e do
      local sum = 0
      for i = 1, d do
        S[i][j] = S[i][j] * c
        sum = sum + S[i][j] * q:get(t, i)
      end
      o:set(t, j, sum)
    end
  end
  return o, fv.tensor(S, { dtype = "f64" }), clipped
end

local function draw(purpose, ...)
  return fv.rng(5):stream(purpose):uniform({ ... }, { dtype = "f64" }) * 2 - 1
end

local function off(a, b) return (a - b):abs():max():item() end

for _, size in ipairs { { 1, 3, 2 }, { 40, 5, 3 }, { 30, 17, 20 } } do
  local n, d, e = table.unpack(size)
  local q, k, v = draw("q", n, d), draw("k", n, d) * 0.6, draw("v", n, e) * 0.5
  local beta, s = draw("beta", n) * 0.5 + 0.5, draw("s", d, e) * 0.05
  local o, last, clipped = definition(q, k, v, beta, s)
  local y, z = fv.fwm_rule(q, k, v, { beta = beta, s = s })
  -- double precision: sums of up to 17 terms, 40 steps
  tap.ok(off(y, o) < 1e-13 and off(z, last) < 1e-13,
         ("(%d,%d,%d): the definition, clipped at %d tokens"):format(n, d, e, clipped))
  local y32, z32 = fv.fwm_rule(q:to "f32", k:to "f32", v:to "f32",
                               { beta = beta:to "f32", s = s:to "f32" })
  tap.ok(off(y32:to "f64", o) < 1e-5 and off(z32:to "f64", last) < 1e-5,
         ("(%d,%d,%d): so in f32"):format(n, d, e))
end

do
  local q, k, v = draw("q", 60, 8), draw("k", 60, 8), draw("v", 60, 4)
  local _, _, clipped = definition(q, k, v)
  tap.ok(clipped > 30, "the norm is clipped at most of these tokens", "%d", clipped)
  local o, last = fv.fwm_rule(q, k, v)
  tap.ok(math.abs((last * last):sum():item()) <= 1 + 1e-12, "the state's norm is at most 1")
  local a, s = fv.fwm_rule(q:slice(1, 1, 23), k:slice(1, 1, 23), v:slice(1, 1, 23))
  local b, z = fv.fwm_rule(q:slice(1, 24, 60), k:slice(1, 24, 60), v:slice(1, 24, 60), { s = s })
  tap.ok(off(a, o:slice(1, 1, 23)) < 1e-12 and off(b, o:slice(1, 24, 60)) < 1e-12 and
         off(z, last) < 1e-12, "two calls with the state carried are one")
end

do -- small values are never clipped: the delta rule
  local q, k, v = draw("q", 50, 6), draw("k", 50, 6) * 0.5, draw("v", 50, 3) * 0.01
  tap.ok(off(fv.fwm_rule(q, k, v), fv.erase_write_rule(q, k, v)) < 1e-14,
         "without a clip it is the delta rule")
end

do -- rounding of the running norm stays bounded over a long sequence
  local q, k, v = draw("q", 20000, 16), draw("k", 20000, 16), draw("v", 20000, 16)
  local o = fv.fwm_rule(q, k, v)
  local p, last = fv.fwm_rule(q:to "f32", k:to "f32", v:to "f32")
  tap.ok(off(p:to "f64", o) < 1e-4, "20000 tokens in f32 stay near f64", "%g", off(p:to "f64", o))
  tap.ok(math.abs((last * last):sum():item() - 1) < 1e-5, "and keep the norm")
end

-- gradients with clipped and unclipped tokens: ops.t draws both kinds only by
-- chance, so a seeded case here
do
  local x = { draw("q", 12, 4), draw("k", 12, 4), draw("v", 12, 3) * 0.9,
              draw("b", 12) * 0.5 + 0.5, draw("s", 4, 3) * 0.1 }
  local w, z = draw("w", 12, 3), draw("z", 4, 3)
  local function loss()
    local o, s = fv.fwm_rule(x[1], x[2], x[3], { beta = x[4], s = x[5] })
    return (o * w):sum():item() + (s * z):sum():item()
  end
  local _, _, clipped = definition(table.unpack(x))
  tap.ok(clipped > 2 and clipped < 12, "some tokens are clipped, some not", "%d", clipped)
  local g, worst = fv.ops.fwm_rule:vjp(x, nil, { w, z }), 0
  for i, t in ipairs(x) do
    local flat, gf = t:reshape(-1), g[i]:reshape(-1)
    for j = 1, flat:numel() do
      local at, h = flat:get(j), 1e-5
      flat:set(j, at + h)
      local up = loss()
      flat:set(j, at - h)
      worst = math.max(worst, math.abs((up - loss()) / (2 * h) - gf:get(j)))
      flat:set(j, at)
    end
  end
  tap.ok(worst < 1e-8, "gradients are those of central differences", "%g", worst)
end

tap.done()
