-- Maps against their definitions, and the identities of the papers they come from.

local fv = require "fovea"
local tap = require "tap"
local closed = require "fovea.closed"
local dense = require "fovea.dense"
local duals = require "fovea.duals"

local F64 = { dtype = "f64" }
local function f64(t) return fv.tensor(t, F64) end
local function draw(name, ...) return fv.rng(6):stream(name):normal(...):to "f64" end

--- phi by its definition f(w, x), one row of W at a time, over sqrt(m).
local function defined(phi, x, f)
  local rows, W = x:totable(), phi.W:to "f64":totable()
  for i, row in ipairs(rows) do
    local out = {}
    for r, w in ipairs(W) do out[r] = f(w, row) / math.sqrt(#W) end
    rows[i] = out
  end
  return f64(rows)
end

local function dot(a, b)
  local s = 0
  for i = 1, #a do s = s + a[i] * b[i] end
  return s
end

local function matches(got, want, tol, name)
  local gap = ((got - want):abs():max() / want:abs():max():maximum(1)):item()
  return tap.ok(gap <= tol, name, "off by %.3g > %.3g", gap, tol)
end

-- definitions -------------------------------------------------------------------

local x = f64 { { 0.3, -0.7, 0.2 }, { -0.1, 0.4, 0.9 }, { 0, 0.5, -0.6 } }
do
  local a, d = -0.2, 3
  local phi = fv.map("oprf", { dim = d, features = 6, a = a, scale = 1 })
  matches(phi(x, "q"), defined(phi, x, function(w, v)
    return (1 - 4 * a) ^ (d / 4) * math.exp(a * dot(w, w) + math.sqrt(1 - 4 * a) * dot(w, v) - dot(v, v) / 2)
  end), 1e-14, "oprf: D exp(a |w|^2 + sqrt(1-4a) w.x - |x|^2/2)")
  matches(fv.map("oprf", { dim = d, features = 6, a = 0 })(x), fv.map("positive", { dim = d, features = 6 })(x), 1e-14,
          "oprf: a = 0 is positive")
  matches(fv.map("oprf", { dim = d, features = 6, a = 0, estimator = "hyperbolic" })(x),
          fv.map("hyperbolic", { dim = d, features = 6 })(x), 1e-14, "oprf: a = 0 in pairs is hyperbolic")
  phi = fv.map("poisson", { dim = d, features = 7, lambda = 0.8, scale = 1 })
  matches(phi(x, "q"), defined(phi, x, function(w, v)
    local p = math.exp(0.8 * d / 2)
    for l = 1, d do p = p * v[l] ^ w[l] * 0.8 ^ (-w[l] / 2) end
    return p
  end), 1e-12, "poisson: exp(lambda d/2) prod x^w lambda^(-w/2), with signs and 0^0 = 1")
  phi = fv.map("geometric", { dim = d, features = 40, p = 0.4, scale = 1 })
  matches(phi(x, "q"), defined(phi, x, function(w, v)
    local p = 0.4 ^ (-d / 2)
    for l = 1, d do
      p = p * v[l] ^ w[l] * 0.6 ^ (-w[l] / 2)
      for j = 2, w[l] do p = p / math.sqrt(j) end
    end
    return p
  end), 1e-12, "geometric: p^(-d/2) prod x^w (1-p)^(-w/2) (w!)^(-1/2)")
  tap.ok(phi.W:min():item() == 0 and phi.W:max():item() > 2, "its exponents are counts")
  phi = fv.map("cosformer", { length = 4 })
  local t = math.pi / 8
  matches(phi(f64 { { 1, -1 }, { 2, 3 } }), f64 { { math.cos(t), 0, math.sin(t), 0 },
          { 2 * math.cos(2 * t), 3 * math.cos(2 * t), 2 * math.sin(2 * t), 3 * math.sin(2 * t) } }, 1e-15,
          "cosformer: relu(x) [cos, sin] of pi i / (2 length), i from 1")
  matches(fv.map("cosformer", { length = 4, offset = 1 })(f64 { { 2, 3 } }),
          phi(f64 { { 1, -1 }, { 2, 3 } }):slice(1, 2, 2), 1e-15, "cosformer: offset goes on where rows ended")
  tap.raises("expected positions up to length=4, got 5", "cosformer: past its length", phi, fv.zeros(5, 2))
  local r2 = 2 ^ 0.5
  matches(fv.map("taylor2", { dim = 2, scale = 1 })(f64 { { 3, 5 } }), f64 { { 1, 3, 5, 9 / r2, 15, 25 / r2 } }, 1e-15,
          "taylor2: [1, x, x_i x_j] by hand")
  tap.is(fv.map("taylor2", { dim = 4, packing = "full" }).features, 21, "taylor2: 1 + d + d^2 features")
  matches(fv.map("hedgehog", { weight = f64 { { 1, 0 }, { 1, 1 } } })(f64 { { math.log(2), 0 } }),
          f64 { { 0.5, 0.5, 0.5, 0.5 } }, 1e-15, "hedgehog: two softmaxes by hand")
  matches(fv.map("hedgehog", { dim = 2 })(f64 { { math.log(3), 0 } }), f64 { { 0.75, 0.25, 0.25, 0.75 } }, 1e-15,
          "hedgehog: the identity to begin with")
  matches(fv.map("t2r", { weight = f64 { { 1, 2 }, { -1, 0 } }, bias = f64 { 1, 1 } })(f64 { { 3, -1 } }),
          f64 { { 2, 0 } }, 0, "t2r: relu(W x + b)")
  local W = f64 { { { 1, 0 }, { 0, 1 } }, { { 0, 2 }, { 2, 0 } } }
  matches(fv.map("t2r", { weight = W })(f64 { { { 1, 3 } }, { { 1, 3 } } }), f64 { { { 1, 3 } }, { { 6, 2 } } }, 0,
          "t2r: weights of each head")
  local e = fv.map("efficient", { keys = "softmax" })
  matches(e(x, "k"):sum(-2), fv.ones({ 3 }, F64), 1e-15, "efficient: keys sum to 1 over the sequence")
  matches(e(x, "q"):sum(-1), fv.ones({ 3 }, F64), 1e-15, "and queries over features")
end

-- gradients reach trained weights
do
  local W, b = draw("W", 4, 3):requires_grad(), draw("b", 4):requires_grad()
  fv.map("t2r", { weight = W, bias = b })(x):sum():backward()
  tap.ok(W.grad and b.grad and W.grad:abs():sum():item() > 0, "t2r: weight and bias get gradients")
  local P = draw("P", 4, 3):requires_grad()
  fv.map("positive", { projection = P })(x):sum():backward()
  fv.map("oprf", { projection = P, a = -0.1 })(x):sum():backward()
  tap.ok(P.grad:abs():sum():item() > 0, "a projection gets a gradient")
  local sigma = f64 { 1, 2, 3 }:requires_grad()
  fv.map("rfa", { dim = 3, features = 4, sigma = sigma })(x):sum():backward()
  tap.ok(sigma.grad:abs():min():item() > 0, "rfa: sigma gets a gradient")
  local gamma = f64 { 1, 2, 3 }:requires_grad()
  fv.map("rebased", { dim = 3, gamma = gamma })(x):sum():backward()
  tap.ok(gamma.grad:abs():min():item() > 0, "rebased: gamma gets a gradient")
end

-- hybrid: hyperbolic features are exact at y = -x, trig ones at y = x, and the weights are
-- exactly 1 there, so no draw is wrong
for seed = 1, 3 do
  local phi = fv.map("hybrid", { dim = 3, features = 36, signs = 2, seed = seed, scale = 1 })
  local one = x:slice(1, 1, 1)
  tap.close(phi(one, "q"):matmul(phi(one, "k"):t()):item(), math.exp((one * one):sum():item()), 1e-13,
            "hybrid: exact at angle 0")
  tap.close(phi(one, "q"):matmul(phi(-one, "k"):t()):item(), math.exp(-(one * one):sum():item()), 1e-13,
            "hybrid: exact at angle pi")
end

-- fitted parameters ---------------------------------------------------------------

-- both published forms of the best a agree; at d = 8, |z|^2 = 3.6 it is -0.16
for _, case in ipairs { { 8, 3.6 }, { 64, 16 }, { 16, 0.1 } } do
  local d, t = table.unpack(case)
  local rho = (((2 * t + d) ^ 2 + 8 * d * t) ^ 0.5 - 2 * t - d) / (4 * t)
  tap.close(dense.best(t / d), (1 - 1 / rho) / 8, 1e-12, ("best a at d = %d, |z|^2 = %g"):format(d, t))
end
tap.close(dense.best(3.6 / 8), -0.16, 5e-3, "and its value in an example")

local q, k = draw("q", 50, 3) * f64 { 1, 0.5, 2 } + 0.3, draw("k", 60, 3) * f64 { 0.3, 1, 0.4 }

--- Mean over pairs of the log second moment of a term, in the coordinates z in which A is
--- diagonal: the sum over coordinates of log(1-4a) - log(1-8a)/2 + 2(1-4a)/(1-8a) z^2, less
--- the mean of |x|^2 + |y|^2.
local function moment(u, v, a)
  if type(a) == "number" then a = fv.full({ u:size(2) }, a, F64) end
  local z2 = (u * u):mean(1) + (v * v):mean(1) + 2 * u:mean(1) * v:mean(1)
  local own = ((u * u):mean(1) + (v * v):mean(1)):sum()
  return ((1 - 4 * a):log() - (1 - 8 * a):log() / 2 + 2 * (1 - 4 * a) / (1 - 8 * a) * z2):sum():item() - own:item()
end

do
  local function fit(name, more)
    local opt = { dim = 3, features = 4, scale = 1 }
    for key, v in pairs(more or {}) do opt[key] = v end
    return fv.map(name, opt):fit(q, k).options
  end
  local plain, o = moment(q, k, 0), fit "oprf"
  local oprf = moment(q, k, o.a)
  tap.ok(oprf < plain and oprf <= moment(q, k, o.a * 1.01) and oprf <= moment(q, k, o.a * 0.99),
         "oprf: fit is at the least second moment")
  local s = fit "sderf"
  matches(s.Q:t():matmul(s.Q), fv.eye(3, F64), 1e-13, "sderf: Q is orthogonal")
  local sderf, least = moment(q:matmul(s.Q), k:matmul(s.Q), s.a), true
  for _, f in ipairs { 0.97, 1.03 } do
    for l = 1, 3 do
      local a = s.a:clone()
      a:set(l, a:get(l) * f)
      least = least and sderf <= moment(q:matmul(s.Q), k:matmul(s.Q), a)
    end
  end
  tap.ok(sderf <= oprf and least, "sderf: no worse than oprf, at its least second moment")
  local sa = fit "saderf"
  tap.ok(moment(q * sa.psi, k / sa.psi, sa.a) <= oprf, "saderf: no worse than oprf here")
  local ad = fit "aderf"
  local u, v = q:matmul(ad.P:t()), k:matmul(fv.inv(ad.P))
  local Mu, Mv = u:t():matmul(u) / 50, v:t():matmul(v) / 60
  matches(Mu, Mv, 1e-12, "aderf: queries and keys have one second moment")
  tap.ok((Mu - Mu:diagonal() * fv.eye(3, F64)):abs():max():item() < 1e-12, "aderf: which is diagonal")
  matches(u:matmul(v:t()), q:matmul(k:t()), 1e-12, "aderf: products are kept")
  local aderf, both = moment(u, v, ad.a), fit "aderf_sderf"
  u, v = q:matmul(both.P:t()):matmul(both.Q), k:matmul(fv.inv(both.P)):matmul(both.Q)
  tap.ok(aderf <= oprf and moment(u, v, both.a) <= math.min(aderf, sderf), "aderf_sderf: no worse than either")
  -- pairs: the moment of +-w has (1 + exp(-2(1-4a)/(1-8a) t))/2 more
  local hyp = fit("oprf", { estimator = "hyperbolic" })
  local t = ((q * q):sum() / 50 + (k * k):sum() / 60 + 2 * q:mean(1):dot(k:mean(1))):item()
  local function paired(a) return moment(q, k, a) + math.log((1 + math.exp(-2 * (1 - 4 * a) / (1 - 8 * a) * t)) / 2) end
  tap.ok(paired(hyp.a) <= paired(hyp.a * 1.01) and paired(hyp.a) <= paired(hyp.a * 0.99)
         and paired(hyp.a) < paired(o.a), "oprf in pairs: fit is at its own least second moment")
  tap.raises("fit: q: expected at least 3 rows, got 2", "aderf: too few rows", function()
    fv.map("aderf", { dim = 3 }):fit(q:slice(1, 1, 2), k)
  end)
  tap.raises("second moment is singular", "aderf: rows that do not span", function()
    fv.map("aderf", { dim = 3 }):fit(q * f64 { 1, 1, 0 }, k)
  end)
  tap.raises("coordinate of q or k is zero in every row", "saderf: a dead coordinate", function()
    fv.map("saderf", { dim = 3 }):fit(q, k * f64 { 1, 0, 1 })
  end)
  tap.raises("option 'P': expected %(3,3%), got %(3,2%)", "a P of another shape", fv.map, "aderf",
             { dim = 3, a = 0, P = fv.zeros(3, 2) })
  tap.raises("option 'a': expected numbers below 1/8", "a tilt too large", fv.map, "sderf",
             { dim = 3, a = fv.full({ 3 }, 0.2) })
  tap.close(fv.map("oprf", { dim = 3, features = 4 }):fit(q, k):redraw(5).options.a,
            fv.map("oprf", { dim = 3 }):fit(q, k).options.a, 0, "a redraw keeps what was fitted")
end

-- key shift: softmax attention does not see it, and mean |q + k|^2 becomes least
do
  local phi = fv.map("centred", { map = "positive", dim = 3, features = 4, scale = 1 }):fit(q, k)
  matches(phi:kernel(q, k) / phi:kernel(q, k):sum(2):unsqueeze(2),
          q:matmul(k:t()):softmax(2), 1e-13, "centred: attention weights are the same")
  matches(q:mean(1) + k:mean(1) + phi.options.shift, fv.zeros({ 3 }, F64), 1e-14, "centred: mean of q + k is 0")
  matches(phi(k, "k"), fv.map("positive", { dim = 3, features = 4, scale = 1 })(k + phi.options.shift), 1e-14,
          "centred: the map of moved keys")
  local opt = fv.map("centred", { map = "aderf", dim = 3, features = 4 }):fit(q, k).options
  local want = fv.map("aderf", { dim = 3, features = 4 }):fit(q, k + opt.shift).options
  matches(opt.P, want.P, 1e-10, "centred: the map is fitted after the shift")
end

-- quadrature ---------------------------------------------------------------------

do
  local y = draw("y", 4, 3) / 2      -- nodes end at 9: exp(w.z) has its mass about |z|
  for _, name in ipairs { "gelu", "erf", "cos", "exp", "square" } do
    local f = duals.f[name]
    local got = duals.kernel(function(u) return f(u) end)(closed.parts(x, y))
    matches(got, closed[name](closed.parts(x, y)), 1e-11, name .. ": quadrature is the closed form")
  end
  tap.close(duals.mean(duals.f.exp, f64 { 0.7 }):item(), math.exp(0.35), 1e-14, "mean of exp")
  -- sigmoid(u) = 1/2 + odd: with y = -x the kernel is 1/2 - K(x, x)
  local one = x:slice(1, 1, 1)
  local s = duals.kernel "sigmoid"
  tap.close(s(closed.parts(one, -one)):item(), 0.5 - s(closed.parts(one, one)):item(), 1e-14, "sigmoid, y = -x")
end

-- Bessel kernels at d = 2, 0F1(;1;u) = I_0(2 sqrt u), from the integral of exp(r cos t)
do
  local function mean(f)
    local sum, n = 0, 200
    for i = 1, n do sum = sum + f(2 * math.pi * i / n) / n end
    return sum
  end
  local a, b = f64 { { 0.8, 0.1 } }, f64 { { 0.5, -1.2 } }
  local aa, bb, c = closed.parts(a, b)
  local z, t = math.sqrt(2 * (aa + bb + 2 * c):item()), math.sqrt(2 * (aa + bb - 2 * c):item())
  tap.close(closed.regularised(aa, bb, c, 2):item(),
            mean(function(s) return math.exp(z * math.cos(s)) end) * math.exp(-(aa + bb):item() / 2), 1e-14,
            "regularised kernel on the circle")
  tap.close(closed.bessel(aa, bb, c, 2, true):item(), mean(function(s) return math.cos(t * math.cos(s)) end), 1e-14,
            "Bessel kernel on the circle")
end

-- published code -----------------------------------------------------------------

for compat, eps in pairs { ["google-jax"] = 1e-6, ["performer-pytorch"] = 1e-4 } do
  local phi = fv.map("positive", { dim = 3, features = 5, compat = compat })
  matches(phi.W, fv.sample("orthogonal", { rows = 5, dim = 3, seed = 1, signs = "lapack" }), 1e-6, compat .. ": its W")
  local s = x * 3 ^ -0.25
  local u = s:matmul(phi.W:to "f64":t())
  local half = (s * s):sum(2):unsqueeze(2) / 2
  matches(phi(x, "q"), ((u - half - u:max(2):unsqueeze(2)):exp() + eps) / 5 ^ 0.5, 1e-13, compat .. ": queries")
  matches(phi(x, "k"), ((u - half - u:max()):exp() + eps) / 5 ^ 0.5, 1e-13, compat .. ": keys, one maximum of all")
  tap.ok(phi.caps.biased and not phi.caps.unbiased and not phi.caps.log_features, compat .. ": says so")
  local far = phi(x * 100, "q")
  tap.ok((far - eps / 5 ^ 0.5):abs():max():item() < 1e-12, compat .. ": long rows collapse to eps")
end
do
  local phi = fv.map("generalised", { dim = 3, features = 5, compat = "google-jax" })
  matches(phi(x), x:matmul(phi.W:to "f64":t()):relu() + 1e-3, 1e-13, "google-jax, generalised: no 1/sqrt(m), eps 1e-3")
  tap.raises("expected with kernel", "compat is of softmax features", fv.map, "positive",
             { dim = 3, compat = "google-jax", kernel = "gaussian" })
  tap.raises("expected with estimator", "and of positive ones", fv.map, "favor",
             { dim = 3, compat = "google-jax", estimator = "trig" })
end

-- projections without W --------------------------------------------------------------

for _, name in ipairs { "positive", "hyperbolic", "trig", "rff", "relu", "rfa" } do
  local phi = fv.map(name, { dim = 3, features = 10, sampler = "sorf" })
  local same = fv.map(name, { dim = 3, features = 10, projection = phi.W, scale = phi.options.scale })
  tap.ok(phi.structured and not same.structured, name .. ": sorf is applied without W, and says so")
  matches(phi(x, "q"), same(x, "q"), 1e-6, name .. ": which are the features of its W")
  tap.ok(not phi.caps.unbiased, name .. ": and not unbiased")
end
tap.raises('takes norms = "sqrt_d"', "smreg needs norms", fv.map, "smreg", { dim = 3, sampler = "iid" })
tap.raises("expected an even number, got 7", "a sketch has an even width", fv.map, "tensorsketch",
           { dim = 3, features = 7 })
tap.raises("option 'f': expected one of .* or a function, got \"rellu\"", "a function that is not there", fv.map,
           "generalised", { f = "rellu" })

tap.done()
