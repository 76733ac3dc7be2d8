-- linear_attention with map=elu1 forms the features itself, a stretch at a
-- time: the bits must be those of mapping first.

local fv = require "fovea"
local tap = require "tap"

local op, elu = fv.ops.linear_attention, fv.ops.elu1
local rng = fv.rng(1):stream "x"
local function draw(...) return rng:normal(...) end
local function same(a, b) return a:numel() == 0 or (a - b):abs():max():item() == 0 end

--- o, states and gradients of a call with map=elu1 are the bits of the composition.
local function agrees(q, k, v, g, opt)
  local own = {}
  for name, value in pairs(opt) do own[name] = value end
  own.map = "elu1"
  local fq, fk = elu(q), elu(k)
  local a, b = { op(fq, fk, v, opt) }, { op(q, k, v, own) }
  for i = 1, #a do
    if not same(a[i], b[i]) then return false end
  end
  local seeds = { g, draw(b[2]:shape()), draw(b[3]:shape()) }
  local da, db = op:vjp({ fq, fk, v }, a, seeds, opt), op:vjp({ q, k, v }, b, seeds, own)
  return same(elu:vjp({ q }, { fq }, { da[1] })[1], db[1])
     and same(elu:vjp({ k }, { fk }, { da[2] })[1], db[2]) and same(da[3], db[3])
end

for _, shape in ipairs { { 1, 1 }, { 2, 1 }, { 1, 3 }, { 7, 5 }, { 200, 200 }, { 190, 500 }, { 400, 193 } } do
  for _, causal in ipairs { true, false } do
    for _, heads in ipairs { 1, 3 } do
      local n, m = shape[1], shape[2]
      local q, k, v, g = draw(heads, n, 9), draw(heads, m, 9), draw(heads, m, 7), draw(heads, n, 7)
      tap.ok(agrees(q, k, v, g, { causal = causal }),
             ("%d heads, n=%d, m=%d, %s: mapping inside gives the bits of mapping first"):format(heads, n, m,
              causal and "causal" or "all keys"))
    end
  end
end
-- one long head is cut into tasks
tap.ok(agrees(draw(3000, 64), draw(3000, 64), draw(3000, 33), draw(3000, 33), { causal = true }),
       "a lone long head: the same bits")
tap.ok(agrees(draw(50, 8), draw(50, 8), draw(50, 8), draw(50, 8), { causal = true, normalize = false }),
       "without normaliser: the same bits")

do -- keys past key_length are not read
  local q, k, v = draw(40, 6), draw(40, 6), draw(40, 5)
  k:slice(1, 31, 40):fill(0 / 0)
  local len = fv.tensor(30, { dtype = "i64" })
  local o = fv.linear_attention(q, k, v, { map = "elu1", key_length = len })
  local short = fv.linear_attention(q, k:slice(1, 1, 30), v:slice(1, 1, 30), { map = "elu1" })
  tap.near(o, short, 0, "padded keys may hold NaN")
end

do -- a state continues
  local q, k, v = draw(300, 6), draw(300, 6), draw(300, 5)
  local by = { map = "elu1", causal = true }
  local whole, sn, zn = fv.linear_attention(q, k, v, by)
  local function part(a, b, s, z)
    return fv.linear_attention(q:slice(1, a, b):contiguous(), k:slice(1, a, b):contiguous(),
                               v:slice(1, a, b):contiguous(), { map = "elu1", causal = true, s = s, z = z })
  end
  local a, s, z = part(1, 101)
  local b, s2, z2 = part(102, 300, s, z)
  tap.ok(same(fv.cat({ a, b }, 1), whole) and same(s2, sn) and same(z2, zn), "a sequence may be cut anywhere")
end

do -- the method of that name takes this way, and says so
  local q, k, v = draw(2, 20, 6), draw(2, 20, 6), draw(2, 20, 5)
  local o, info = fv.attention("linear")(q, k, v, { causal = true })
  tap.ok(same(o, (op(elu(q), elu(k), v, { causal = true }))), "fv.attention('linear') is elu + 1")
  tap.ok(info.fused == true and info.form == "token", "its features are formed inside, token by token")
  local phi = fv.map("elu1", { scale = 0.5 })
  local o2, info2 = fv.attention("linear", { map = phi })(q, k, v, { causal = true })
  tap.ok(same(o2, (op(phi(q), phi(k), v, { causal = true }))) and info2.fused == false,
         "another map's are formed before")
end

do -- work
  local a = op:cost { n = 10, m = 20, f = 3, e = 2 }
  local b = op:cost { n = 10, m = 20, f = 3, e = 2, map = "elu1" }
  tap.ok(a.exps == 0 and b.exps == 90 and a.flops == b.flops, "the bill counts its exponentials")
end

tap.done()
