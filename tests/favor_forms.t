-- fv.attention("favor") works on logarithms whatever the call: causal, padded,
-- of any norm, with either kernel.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }
local rng = fv.rng(3):stream "x"
local function draw(...) return rng:normal({ ... }, F64) end

--- sum_j (phi(q).phi(k_j)) v_j / sum_j phi(q).phi(k_j), written out with the n by m matrix.
local function plain(phi, q, k, v, causal)
  local A = phi(q):matmul(phi(k):t())
  if causal then A = A * fv.ones(A:size(1), A:size(2), F64):tril(A:size(2) - A:size(1)) end
  return A:matmul(v) / A:sum(-1):unsqueeze(-1)
end

local q, k, v = draw(9, 6), draw(11, 6), draw(11, 4)
local cases = { { estimator = "positive" }, { estimator = "hyperbolic" },
                { estimator = "positive", kernel = "gaussian" },
                { estimator = "hyperbolic", kernel = "gaussian" },
                { estimator = "positive", scale = -0.4 } }
for _, case in ipairs(cases) do
  case.features, case.sampler, case.seed = 8, "iid", 2
  local attend = fv.attention("favor", case)
  case.dim = 6
  local phi = fv.map("favor", case)
  local label = ("%s%s%s"):format(case.estimator, case.kernel and ", " .. case.kernel or "",
                                  case.scale and ", scale " .. case.scale or "")
  for _, causal in ipairs { false, true } do
    local o, info = attend(q, k, v, { causal = causal })
    local word = causal and ", causal" or ""
    -- f64 sums of a dozen terms
    tap.near(o, plain(phi, q, k, v, causal), 1e-12, label .. word .. ": the quotient of the features' sums")
    tap.ok(info.log_domain and info.form == (causal and "token" or "sum"),
           label .. word .. ": through logarithms")

    -- padding: NaN is never read, and no gradient comes of it
    local length = 7
    local function loss(q1, k1, v1, opt) return (attend(q1, k1, v1, opt) * 1.5):sum() end
    local kn, vn = k:clone(), v:clone()
    kn:slice(1, length + 1, 11):fill(0 / 0)
    vn:slice(1, length + 1, 11):fill(0 / 0)
    local qs = q:slice(1, 1, causal and 7 or 9):contiguous()
    local padded = causal and kn:slice(1, 1, 7) or kn     -- the last query sees the last key
    local values = causal and vn:slice(1, 1, 7) or vn
    local got = attend(qs, padded, values, { causal = causal, key_length = causal and 5 or length })
    local want = attend(qs, k:slice(1, 1, causal and 7 or length), v:slice(1, 1, causal and 7 or length),
                        { causal = causal })
    if causal then got, want = got:slice(1, 1, 5), want:slice(1, 1, 5) end
    tap.near(got, want, 1e-14, label .. word .. ": keys past key_length may hold NaN")
    local dq, dk, dv = fv.grad(function(a, b, c)
      return loss(a, b, c, { causal = causal, key_length = causal and 5 or length })
    end)(qs, padded, values)
    local fine = true
    for _, x in ipairs { dq, dk, dv } do fine = fine and x:isfinite():all():item() == 1 end
    tap.ok(fine and dk:slice(1, dk:size(1), dk:size(1)):abs():max():item() == 0,
           label .. word .. ": nor do gradients see them")
  end

  -- logits of +-1e4: the nearest key's value, or finite means
  local big = attend(q:to "f32" * 100, k:to "f32" * 100, v:to "f32", { causal = false })
  local far = attend(q:to "f32" * 100, k:to "f32" * -100, v:to "f32", { causal = true })
  local top = v:abs():max():item() * (1 + 1e-5)
  tap.ok(big:isfinite():all():item() == 1 and far:isfinite():all():item() == 1
         and big:abs():max():item() <= top and far:abs():max():item() <= top,
         label .. ": finite averages at any norm")

  -- no output depends on a later key, to the bit
  local kc, vc = k:clone(), v:clone()
  kc:slice(1, 8, 11):fill(50)
  vc:slice(1, 8, 11):fill(-50)
  local a = attend(q, k, v, { causal = true }):slice(1, 1, 5)
  local b = attend(q, kc, vc, { causal = true }):slice(1, 1, 5)   -- query 5 sees key 7
  tap.ok(a:eq(b):all():item() == 1, label .. ": the same bits before a perturbed key")

  local single = attend(q:to "f32", k:to "f32", v:to "f32", { causal = true })
  tap.near(single, attend(q, k, v, { causal = true }), 1e-5, label .. ": f32 is f64 but for rounding")
end

tap.done()
