-- fv.plan: the fewest features by the closed forms, the sign rule, what it builds.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }
local d = 4

--- One pair (x, y) of scaled coordinates as q and k, so that every sampled pair is it.
local function pair(x, y) return fv.tensor({ x }, f64) * d ^ 0.25, fv.tensor({ y }, f64) * d ^ 0.25 end

local function row(plan, map, sampler)
  for _, r in ipairs(plan) do if r.map == map and r.sampler == sampler then return r end end
end

do
  local q, k = pair({ 0.5, 0, 0, 0 }, { 0.3, 0.4, 0, 0 })          -- xx = yy = .25, xy = .15
  local p = fv.plan { q = q, k = k, target = 0.1, budget = 4096, pairs = 8 }
  local z2, d2 = 0.8, 0.2
  tap.is(row(p, "positive", "iid").features, math.ceil(100 * (math.exp(z2) - 1)),
    "positive: (exp|z|^2 - 1) / sd^2")
  local function pairs_(u) return 2 * math.ceil(100 * 2 * ((math.exp(u / 2) - math.exp(-u / 2)) / 2) ^ 2) end
  tap.is(row(p, "hyperbolic", "iid").features, pairs_(z2), "hyperbolic: 2 sinh^2(|z|^2/2) / sd^2 projections")
  tap.is(row(p, "trig", "iid").features, pairs_(d2), "trig: the same of |x-y|^2")
  tap.is(p.choice.map, "trig", "q.k > 0: trig needs the fewest")
  tap.is(p.share, 1, "the sign rule says so too")
  local m, M = fv.theory.features("positive", { d = d, xx = .25, yy = .25, xy = .15,
    sampler = "orthogonal" }, 0.1)
  tap.is(row(p, "positive", "orthogonal").features, M, "orthogonal: what fv.theory.features says")
  tap.is(m, M, "one feature for each projection")
  local minus = fv.plan { q = q, k = -k, target = 0.1, pairs = 8 }
  tap.ok(row(minus, "hyperbolic", "iid").features < row(minus, "trig", "iid").features
         and minus.choice.map ~= "trig", "q.k < 0: hyperbolic needs fewer")
  tap.is(minus.share, 0, "by the sign rule")
  tap.ok(fv.plan { q = q, k = k, nonneg = true, pairs = 8 }.choice.map ~= "trig",
    "nonneg leaves signed features out")
  local none = fv.plan { q = q, k = k, target = 0.1, budget = 2, pairs = 8 }
  tap.is(none.choice, nil, "too small a budget: nothing is chosen")
  tap.ok(tostring(none):find "none meets it: the best, trig", "and the best is named")
  tap.raises("plan: attention: no map meets the target within 2 features", "nor is anything built",
             none.attention, none)
end

do  -- what is built keeps the promise: relative s.d. of weights over seeds
  local s = fv.rng(4):stream "inputs"
  local q, k, v = s:normal(2, 30, 8, f64) / 3 + 0.2, s:normal(2, 30, 8, f64) / 3 + 0.2, s:normal(2, 30, 3,
    f64)
  local p = fv.plan { q = q, k = k, target = 0.2, quantile = 0.5, pairs = 400 }
  local phi = p:map()
  tap.is(phi.features, p.choice.features, "plan:map() has the features it says")
  local K, sum, square, N = phi:kernel(q, k), 0, 0, 200
  for i = 1, N do
    local one = phi:redraw(i)
    local w = one(q, "q"):matmul(one(k, "k"):transpose(-1, -2)) / K - 1
    sum, square = sum + w, square + w ^ 2
  end
  local sd = (square / N):sqrt():reshape(-1):sort()
  local median = sd:get(sd:numel() // 2)
  -- 400 of 1800 pairs were looked at: the median is known to some 5 % of ranks
  tap.ok(median > 0.16 and median < 0.23, "half of the weights are within the target", "median %.3f", median)
  local o = p:attention()(q, k, v)
  tap.near(o, fv.attention("favor", { estimator = p.choice.map, sampler = p.choice.sampler,
    features = p.choice.features, seed = 1 })(q, k, v), 1e-12, "plan:attention() is that choice")

  local shifted = fv.plan { q = q, k = k, target = 0.05, shift = true, nonneg = true }
  tap.near(shifted.shift, (q:reshape(-1, 8):mean(1) + k:reshape(-1, 8):mean(1)), 1e-14,
           "the shift is the mean of q plus the mean of k")
  tap.ok(shifted.mean_z2 < p.mean_z2, "it shortens q + k")
  local exact = fv.softmax_attention(q, k, v)
  tap.near(fv.softmax_attention(q, k - shifted.shift, v), exact, 1e-13, "and leaves softmax attention alone")
  local a = shifted:attention()(q, k, v)
  tap.ok(((a - exact) ^ 2):mean():item() < ((v:mean(-2):unsqueeze(-2) - exact) ^ 2):mean():item(),
         "the shifted attention is built, and better than averaging")
  tap.is(tostring(fv.plan { q = q, k = k }), tostring(fv.plan { q = q, k = k }), "same seed, same plan")
  tap.is(#p.figure(p).panels[1].lines, #p, "a curve for each row")
end

local q = fv.ones(3, d)
tap.raises("option 'k' is required", "k is needed", fv.plan, { q = q })
tap.raises("expected one width d, got 4 and 5", "widths must agree", fv.plan, { q = q, k = fv.ones(3, 5) })
tap.raises("not empty", "empty inputs", fv.plan, { q = q, k = fv.ones(0, d) })
tap.raises("finite", "NaN", fv.plan, { q = q, k = fv.full({ 2, d }, 0 / 0) })
tap.raises("expected the same heads", "heads must agree", fv.plan, { q = fv.ones(2, 3, d), k = fv.ones(3, 3,
  d) })
tap.raises("'target': expected a number in", "a target of 0", fv.plan, { q = q, k = q, target = 0 })

tap.done()
