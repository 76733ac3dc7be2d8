-- Rounding to shorter formats: values by the algebra of their bits.

local fv = require "fovea"
local tap = require "tap"

-- format: significand bits p, least exponent, largest number
local formats = { bf16 = { 8, -126, 2.0 ^ 127 * (2 - 2.0 ^ -7) }, fp16 = { 11, -14, 65504 },
                  tf32 = { 11, -126, 2.0 ^ 127 * (2 - 2.0 ^ -10) }, e5m2 = { 3, -14, 57344 },
                  e4m3 = { 4, -6, 448 }, f32 = { 24, -126, 2.0 ^ 127 * (2 - 2.0 ^ -23) } }

local function same(a, b) return a == b and 1 / a == 1 / b or a ~= a and b ~= b end

for name, f in pairs(formats) do
  local p, emin, largest = f[1], f[2], f[3]
  local unit, tiny = 2.0 ^ (1 - p), 2.0 ^ (emin - p + 1)            -- at 1, and of subnormal numbers
  local beyond = name == "e4m3" and 0 / 0 or 1 / 0
  local step = name == "e4m3" and 32 or largest * unit / (2 - unit)     -- between numbers at the largest
  local cases = {
    { 1, 1 }, { 0.0, 0.0 }, { -0.0, -0.0 }, { largest, largest }, { -largest, -largest },
    { 1 + unit, 1 + unit }, { 1 + unit / 2, 1 }, { 1 + 3 * unit / 2, 1 + 2 * unit },        -- ties to even
    { 1 + unit * 0.51, 1 + unit }, { 1 + unit * 0.49, 1 }, { -1 - unit * 0.51, -1 - unit },
    { 2 - unit / 2, 2 }, { 2 - unit * 0.51, 2 - unit },                                  -- the next power of two
    { tiny, tiny }, { tiny / 2, 0.0 }, { tiny * 0.51, tiny }, { tiny * 1.5, 2 * tiny }, { -tiny / 2, -0.0 },
    { 2.0 ^ emin - tiny * 0.4, 2.0 ^ emin }, { 1e-300, 0.0 }, { 2.0 ^ -1074, 0.0 },
    -- half a step beyond the largest: its neighbour is a power of two, even, so out of range
    { largest + step * 0.49, largest }, { largest + step / 2, name == "e4m3" and largest or beyond },
    { largest + step * 0.51, beyond }, { 1e300, beyond }, { -1e300, -beyond }, { 1 / 0, beyond }, { 0 / 0, 0 / 0 }
  }
  local x, want, bad = {}, {}, {}
  for i, c in ipairs(cases) do x[i], want[i] = c[1], c[2] end
  local wide = fv.precision.round(fv.tensor(x, { dtype = "f64" }), name)
  for i = 1, #x do
    if not same(wide:get(i), want[i]) then
      bad[#bad + 1] = ("%.17g -> %.17g, not %.17g"):format(x[i], wide:get(i), want[i])
    end
  end
  tap.ok(#bad == 0, name .. ": ties, subnormal numbers, overflow, signs, NaN", "%s", table.concat(bad, "; "))
  -- idempotent, odd, monotone, and the same in f32 for numbers f32 holds
  local r = (fv.rng(1):stream(name):normal(4000, { dtype = "f32" }) * 5):exp() * 1e-3
  local y = fv.precision.round(r, name)
  tap.ok(y:ne(y):logical_or(fv.precision.round(y, name):eq(y)):all():item() == 1, name .. ": rounding twice is once")
  local z = fv.precision.round(r:to "f64", name):to "f32"
  tap.ok(y:eq(z):logical_or(y:ne(y)):all():item() == 1, name .. ": f32 and f64 agree")
  local fine = r:le(largest / 2):logical_and(r:ge(2.0 ^ emin)):to "f32"
  -- (f32's own unit is the format's for f32, so nothing changes there)
  local err = ((y - r):abs() / r * fine)
  tap.ok(fv.where(err:isfinite(), err, fv.zeros(1)):max():item() <= unit / 2, name .. ": within half a unit")
end

-- where it is applied
local s = fv.rng(2):stream "x"
local q, k, v = s:normal(2, 9, 8), s:normal(2, 9, 8), s:normal(2, 9, 4)
local function near(a, b, name) return tap.near(a, b, 0, name) end
local function bf(x) return fv.precision.round(x, "bf16") end
local softmax = fv.attention "softmax"
near((fv.precision("bf16", softmax)(q, k, v)), (softmax(bf(q), bf(k), bf(v))), "inputs are rounded unless said")
near((fv.precision("bf16", softmax, { inputs = false, output = true })(q, k, v)), bf((softmax(q, k, v))),
     "the output is where it is asked for")
local phi = fv.map("positive", { dim = 8, features = 16 })
near((fv.precision("bf16", phi, { features = true })(q, "k")), bf(phi(bf(q), "k")), "features of a map")
local linear = fv.attention("linear", { map = phi })
near((fv.precision("bf16", linear, { features = true })(q, k, v)),
     (fv.linear_attention(bf(phi(bf(q), "q")), bf(phi(bf(k), "k")), bf(v))), "features inside linear attention")
near((fv.precision("bf16", function(o) return o.x end)({ x = q })), bf(q), "tensors in tables are rounded")
local g = fv.grad(function(x) return (fv.precision.round(x, "bf16") * 3):sum() end)(q)
near(g, fv.full({ 2, 9, 8 }, 3), "the gradient passes straight through")

-- an accumulator of 8 bits stops at 256: 256 + 1 is a tie, and 256 is even
local one = fv.ones(1, 400)
tap.is(fv.precision.matmul(one, one:t(), "bf16"):item(), 256, "a bf16 sum of ones stops at 256")
tap.is(fv.precision.matmul(one, one:t(), "fp16"):item(), 400, "an fp16 sum does not, yet")

tap.raises("format: expected one of bf16, fp16", "an unknown format", fv.precision, "bf17", softmax)
tap.raises("did you mean 'output'", "an unknown point", fv.precision, "bf16", softmax, { outputs = true })
tap.raises("option 'features': expected a map or", "features where there are none", fv.precision, "bf16", softmax,
           { features = true })
tap.raises("f: expected something to call, got integer", "nothing to call", fv.precision, "bf16", 3)
tap.raises("x: expected an f32 or f64 tensor, got integer", "no tensor", fv.precision.round, 3, "bf16")
tap.raises("b: expected %(k=8,m%), got %(4,2%)", "matrices that do not fit", fv.precision.matmul, fv.zeros(3, 8),
           fv.zeros(4, 2), "bf16")

tap.done()
