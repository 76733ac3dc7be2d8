-- Standard errors of attention with random features: against the definition in loops, and
-- against the spread over draws.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }

--- se^2 and ESS of every query by definition, from features as lists: units of projections
--- or of blocks of d; sees(t) is the last key that query t sees.
local function define(fq, fk, v, p, d, sees)
  local m, e, se2, ess = #fq[1] // p, #v[1], {}, {}
  for t, q in ipairs(fq) do
    local N, D, size = {}, {}, d or 1
    local units = -(-m // size)
    for u = 1, units do N[u], D[u] = {}, 0 end
    local single = {}
    for f = 1, m * p do
      local r = (f - 1) % m
      local u = r // size + 1
      local z, S = 0, {}
      for j = 1, sees(t) do
        z = z + fk[j][f]
        for c = 1, e do S[c] = (S[c] or 0) + fk[j][f] * v[j][c] end
      end
      D[u] = D[u] + q[f] * z
      single[r] = (single[r] or 0) + q[f] * z
      for c = 1, e do N[u][c] = (N[u][c] or 0) + q[f] * (S[c] or 0) end
    end
    local den, squares = 0, 0
    for u = 1, units do den = den + D[u] end
    for r = 0, m - 1 do squares = squares + single[r] ^ 2 end
    ess[t], se2[t] = den ^ 2 / squares, {}
    for c = 1, e do
      local o, sum = 0, 0
      for u = 1, units do o = o + N[u][c] / den end
      for u = 1, units do sum = sum + (N[u][c] - o * D[u]) ^ 2 end
      se2[t][c] = units / (units - 1) * sum / den ^ 2
    end
  end
  return fv.tensor(se2, f64), fv.tensor(ess, f64)
end

local s = fv.rng(2):stream "inputs"
local n, d, e = 7, 2, 3
local q, k, v = s:normal(n, d, f64), s:normal(n, d, f64), s:normal(n, e, f64)
local all = function() return n end
local cases = {
  { "iid", nil, "units are projections" }, { "orthogonal", 2, "units are blocks of d" }
}
for _, estimator in ipairs { "positive", "hyperbolic", "trig" } do
  local p = estimator == "positive" and 1 or 2
  for _, case in ipairs(cases) do
    local sampler, block, what = table.unpack(case)
    local phi = fv.map(estimator, { dim = d, features = 9 * p, sampler = sampler, seed = 3 })
    local attend = fv.attention("favor", { estimator = estimator, features = 9 * p, sampler = sampler,
      seed = 3 })
    local fq, fk, values = phi(q, "q"):totable(), phi(k, "k"):totable(), v:totable()
    for _, causal in ipairs { false, true } do
      local _, info = attend(q, k, v, { causal = causal, errors = true })
      local se2, ess = define(fq, fk, values, p, block, causal and function(t) return t end or all)
      local name = ("%s, %s%s: "):format(estimator, what, causal and ", causal" or "")
      -- one key alone: o is its value whatever is drawn, so se is 0 up to the root of a rounding
      tap.near(info.se ^ 2, se2, 1e-12, name .. "se by its definition")
      tap.near(info.ess, ess, 1e-10, name .. "ESS by its definition")
    end
    local padded = v:clone()
    padded:slice(1, 5, n):fill(0 / 0)
    local _, info = attend(q, k, padded, { key_length = 4, errors = true })
    tap.near(info.se ^ 2, (define(fq, fk, values, p, block, function() return 4 end)), 1e-12,
             estimator .. ", " .. what .. ": padded keys are not seen")
  end
end

do  -- more keys than queries, fewer; heads
  local attend = fv.attention("favor", { features = 8, sampler = "iid", seed = 3 })
  local phi = fv.map("positive", { dim = d, features = 8, sampler = "iid", seed = 3 })
  local few = q:slice(1, 1, 3)
  local _, info = attend(few, k, v, { causal = true, errors = true })
  tap.near(info.se ^ 2, (define(phi(few):totable(), phi(k):totable(), v:totable(), 1, nil,
           function(t) return t + n - 3 end)), 1e-12, "causal: the last query sees the last key")
  _, info = attend(q, k:slice(1, 1, 3), v:slice(1, 1, 3), { causal = true, errors = true })
  tap.is(info.se:slice(1, 1, n - 3):abs():max():item(), 0, "a query that sees no key has no error")
  tap.is(info.ess:get(1), 0, "and no draws behind it")
  local Q, K, V = s:normal(2, 4, n, d), s:normal(2, 2, n, d), s:normal(2, 2, n, e)
  _, info = attend(Q, K, V, { errors = true, key_length = fv.tensor({ 5, 7 }, { dtype = "i64" }) })
  local _, one = attend(Q[1][3], K[1][2]:slice(1, 1, 5), V[1][2]:slice(1, 1, 5), { errors = true })
  tap.is(table.concat({ info.se:shape() }, ","), "2,4,7,3", "se has the shape of the output")
  tap.near(info.se[1][3], one.se, 1e-6, "grouped heads and lengths, head by head")
  tap.ok(info.se:dtype() == "f32", "in the dtype of q")
end

-- the spread over draws, where weights are mild: E se^2 is the variance of o
for _, sampler in ipairs { "iid", "orthogonal" } do
  for _, estimator in ipairs { "positive", "hyperbolic", "trig" } do
    local Q, K, V = s:normal(40, 8) / 4, s:normal(40, 8) / 4, s:normal(40, 2)
    local seeds, sum, square, claimed = 150, 0, 0, {}
    for seed = 1, seeds do
      local o, info = fv.attention("favor", { estimator = estimator, features = 128, sampler = sampler,
        seed = seed })(
        Q, K, V, { errors = true })
      sum, square = sum + o:to "f64", square + o:to "f64" ^ 2
      claimed[seed] = (info.se ^ 2):mean():item()
    end
    local variance = ((square - sum ^ 2 / seeds) / (seeds - 1)):mean():item()
    local mean = fv.tensor(claimed, f64):mean():item()
    -- a variance from 150 draws, over some 10 independent directions: s.e. sqrt(2/149/10) = 4 %
    tap.ok(math.abs(mean / variance - 1) < 0.16,
      ("%s, %s: errors claimed are errors made"):format(estimator, sampler),
           "ratio %.3f", mean / variance)
  end
end

-- skill, shares, warnings
do
  local Q, K, V = s:normal(64, 16), s:normal(64, 16), s:normal(64, 4)
  local o, info = fv.attention("favor", { features = 32 })(Q, K, V, { skill = true })
  local exact = fv.softmax_attention(Q, K, V)
  local mean = (((V:mean(1) - exact) ^ 2):sum():item())
  tap.close(info.skill, 1 - ((o - exact) ^ 2):sum():item() / mean, 1e-5, "skill by its definition")
  tap.is(info.skill_rows:size(1), 64, "and for each row")
  local _, calm = fv.attention("favor", { features = 256 })(Q / 4, K / 4, V, { errors = true })
  tap.is(calm.warn, nil, "short vectors and enough features: nothing to warn of")
  tap.is(calm.den_min, 1, "positive features: no normaliser is smaller than its terms")
  tap.is(calm.draw, "seed 1, draw 0, orthogonal", "info.draw says which draw it was")
  local _, long = fv.attention("favor", { features = 64 })(Q * 3, K * 3, V, { errors = true })
  local words = long.warn or ""
  tap.ok(words:find "effective sample size" and words:find "relative standard deviation",
         "long vectors: no features help, and info.warn says so", "%s", tostring(long.warn))
  local _, trig = fv.attention("favor", { features = 16, estimator = "trig" })(Q * 2, K * 2, V,
    { errors = true })
  local phi = fv.map("trig", { dim = 16, features = 16 })
  local den = phi(Q * 2):matmul(phi(K * 2):sum(1))
  tap.close(trig.negative_rows, den:le(0):to("f64"):mean():item(), 0, "normalisers <= 0 are counted")
  tap.ok(trig.negative_rows > 0 and trig.den_min < 0 and trig.warn:find "not positive", "and told")
  local _, relu = fv.attention("linear", { map = "relu", features = 32, sampler = "iid", eps = 0.01 })(Q, K,
    V,
    { errors = true })
  local f = fv.map("relu", { dim = 16, features = 32, sampler = "iid", eps = 0.01 })
  local low = fv.cat({ f(Q), f(K) }, 1):le(0.1):to("f64"):mean():item()
  tap.close(relu.eps_share, low, 1e-12,
            "share of features within 10 eps")
  local before = fv.attention("favor", { features = 32 })(Q, K, V)
  tap.near(o, before, 0, "asking changes no output")
  local g = fv.grad(function(x)
    local y = fv.attention("favor", { features = 32 })(x, K, V, { errors = true })
    return y:sum()
  end)(Q)
  tap.ok(g:isfinite():all():item(), "nor stands in the way of gradients")
end

tap.raises("linear: option 'errors': .* 'elu1', where nothing is drawn", "a map without draws has no errors",
           fv.attention("linear", { map = "elu1" }), q, k, v, { errors = true })
tap.raises("got a function", "nor has a function", fv.attention("linear",
  { map = function(x) return x:exp() end }),
           q, k, v, { errors = true })
tap.raises("unknown option 'errors'", "methods that draw nothing do not know the word",
  fv.attention("nystrom",
           { landmarks = 2 }), q, k, v, { errors = true })
tap.raises("there are no keys", "no keys", fv.attention("favor", { features = 4 }), q, k:slice(1, 1, 0),
           v:slice(1, 1, 0), { errors = true })

tap.done()
