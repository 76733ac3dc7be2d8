--- fv.theory(map, {d=, m=, xx=, yy=, xy=, sampler=, ...}) -> result: closed-form variances of estimators.
---
--- What phi(x).phi(y) estimates, for a map with m random projections in d dimensions, from
--- xx = |x|^2, yy = |y|^2, xy = x.y of the scaled inputs (x = q d^(-1/4)); give x and y
--- themselves (lists or tensors of d numbers) instead where the map's theory needs them.
--- The result prints as a table and has the fields target, mean, bias, variance, mse,
--- second_moment (of the estimate), relative_variance, relative_sd, relative_bias, relative_mse
--- (against the target), log_second (log of the relative second moment of a single term), m, features.
--- Exact for every m: blocks of d dependent rows and an incomplete last one are counted.
---   fv.theory.variance(map, {...}) -> number
---   fv.theory.features(map, {...}, sd) -> m, features: the least that reach a relative
---       standard deviation sd; m and features in {...} are not read
---   fv.theory.uniform_mse{ sigma=, n= } -> number: mean squared error per coordinate of
---       averaging n values for softmax attention, q, k ~ N(0, sigma^2), v ~ N(0, 1), n large
---   fv.theory.best_a(z2, d) -> a of the map oprf with the least second moment at |x+y|^2 = z2
---   fv.theory.names(), .help(map), .entry(map), .register(entry) as in every registry
--- An error says which samplers and norms have a closed form; "sqrt_d" norms are those of
--- regularised features.  Infinite values are results.  Cost: microseconds, simplex a few 100.
--- Example: print(fv.theory("positive", {d=16, m=64, xx=1, yy=1, xy=0.5, sampler="orthogonal"}))
--- Source: arXiv:2009.14794, lemma 2 and theorem 1; blocks: from the laws of rows in laws.lua

local grid = require "fovea.grid"
local laws = require "fovea.laws"
local options = require "fovea.options"
local registry = require "fovea.registry"

local theory = registry.new {
  kind = "theory", folder = "fovea.theory",
  extra = { moments = "function", per = "number", vectors = "boolean", own_law = "string",
            target = "function" },
  common = {
    { "d", "integer", nil, "width of x and y; taken from x if that is given", lo = 1 },
    { "m", "integer", nil, "number of projections; 1 unless features says it", lo = 1 },
    { "features", "integer", nil, "number of features instead of m", lo = 1 },
    { "xx", "number", nil, "|x|^2 of the scaled input", lo = 0 },
    { "yy", "number", nil, "|y|^2", lo = 0 },
    { "xy", "number", nil, "x.y" },
    { "x", "table|tensor", nil, "x itself, d numbers" },
    { "y", "table|tensor", nil, "y itself" },
    { "sampler", "string", "iid", "how the projections are drawn" },
    { "norms", "string", "chi", "of the rows", choices = { "chi", "sqrt_d" } },
    { "kernel", "string", "softmax", "exp(x.y), or exp(-|x-y|^2/2)", choices = { "softmax", "gaussian" } }
  }
}

local function fail(name, fmt, ...) error(name .. ": " .. fmt:format(...), 0) end

local function list(name, arg, v, d)
  if options.type(v) == "tensor" then v = v:reshape(-1):totable() end
  if d and #v ~= d then fail(name, "option '%s': expected d=%d numbers, got %d", arg, d, #v) end
  for i = 1, #v do
    if type(v[i]) ~= "number" then
      fail(name, "option '%s': expected numbers, got %s at %d", arg, options.type(v[i]), i)
    end
  end
  return v
end

local function dot(a, b)
  local s = 0
  for i = 1, #a do s = s + a[i] * b[i] end
  return s
end

--- The geometry of one pair: lengths, |x + y|^2, |x - y|^2.
local function geometry(name, o, vectors)
  local g = { d = o.d, xx = o.xx, yy = o.yy, xy = o.xy }
  if o.x or o.y then
    if not (o.x and o.y) then fail(name, "x and y: expected both or neither") end
    if o.xx or o.yy or o.xy then fail(name, "expected either x and y or xx, yy and xy") end
    g.x = list(name, "x", o.x, o.d)
    g.d = #g.x
    g.y = list(name, "y", o.y, g.d)
    g.xx, g.yy, g.xy = dot(g.x, g.x), dot(g.y, g.y), dot(g.x, g.y)
  elseif vectors then
    fail(name, "options 'x' and 'y' are required: norms and angle do not determine its variance")
  end
  for _, field in ipairs { "d", "xx", "yy", "xy" } do
    if not g[field] then fail(name, "option '%s' is required", field) end
  end
  if g.xy ^ 2 > g.xx * g.yy * (1 + 1e-9) then
    fail(name, "option 'xy': expected |x.y| <= |x||y| = %.6g, got %.6g", math.sqrt(g.xx * g.yy), g.xy)
  end
  g.z2, g.d2 = math.max(0, g.xx + g.yy + 2 * g.xy), math.max(0, g.xx + g.yy - 2 * g.xy)
  return g
end

local function law_of(name, entry, o, d)
  if entry.own_law and (o.sampler ~= "iid" or o.norms ~= "chi") then
    fail(name, "sampler '%s' with norms '%s': %s", o.sampler, o.norms, entry.own_law)
  end
  local law, why = laws.find(o.sampler, d, o.norms)
  return law or fail(name, "%s", why)
end

--- Moments of one pair relative to 'scale': mean, variance of one term, covariance of two
--- terms of a block, log of the scale, target in units of it; from checked options.
local function parts(name, o, per)
  local entry = theory.entry(name)
  local g = geometry(name, o, entry.vectors)
  local law = law_of(name, entry, o, g.d)
  local scale = entry.target and 0 or o.kernel == "softmax" and g.xy or -g.d2 / 2
  local mean, spread, covariance = entry.moments(law, g, o)
  return { mean = mean, spread = spread, covariance = covariance or 0, log_scale = scale, law = law, g = g,
           target = entry.target and entry.target(g, o) or 1, per = per }
end

--- Variance of the mean of m terms, blocks of d of them dependent.
local function variance(p, m)
  local v = p.spread / m
  if p.covariance ~= 0 then v = v + laws.ordered_pairs(p.law, m) / m ^ 2 * p.covariance end
  return math.max(v, 0)
end

local function read(name, spec)
  local object = theory.make(name, spec, 4)
  local o, per = object.options, rawget(object, "per") or object.entry.per or 1
  if o.features then
    if o.features % per ~= 0 then
      fail(name, "option 'features': expected a multiple of %d, got %d", per, o.features)
    elseif o.m and o.m * per ~= o.features then
      fail(name, "options 'm' and 'features': m=%d gives %d features, not %d", o.m, o.m * per, o.features)
    end
    o.m = o.features // per
  end
  return o, per, o.m or 1
end

local fields = { "target", "mean", "bias", "variance", "mse", "second_moment", "relative_variance",
                 "relative_sd", "relative_bias", "relative_mse", "log_second" }

local result = { __name = "fovea.theory.result" }

function result:__tostring()
  local t = grid.new { { "quantity" }, { "value", "%.6g" } }
  for _, f in ipairs(fields) do t:add { quantity = f:gsub("_", " "), value = self[f] } end
  return ("theory of %s: d = %d, m = %d (%d features), sampler %s, norms %s\n%s"):format(
    self.map, self.d, self.m, self.features, self.sampler, self.norms, t:text())
end

getmetatable(theory).__call = function(_, name, spec)
  local o, per, m = read(name, spec)
  local p = parts(name, o, per)
  local scale, v = math.exp(p.log_scale), variance(p, m)
  local r = { map = name, d = p.g.d, m = m, features = m * p.per, sampler = o.sampler, norms = o.norms }
  local bias = p.mean - p.target
  r.target, r.mean, r.bias, r.variance = p.target * scale, p.mean * scale, bias * scale, v * scale ^ 2
  r.mse, r.second_moment = (v + bias ^ 2) * scale ^ 2, (v + p.mean ^ 2) * scale ^ 2
  r.relative_variance, r.relative_bias = v / p.target ^ 2, bias / p.target
  r.relative_sd, r.relative_mse = math.sqrt(r.relative_variance), (v + bias ^ 2) / p.target ^ 2
  r.log_second = math.log((p.spread + p.mean ^ 2) / p.target ^ 2)
  return setmetatable(r, result)
end

function theory.variance(name, spec) return theory(name, spec).variance end

--- Whether there is a closed form for a map with these options: true, or false and why not.
function theory.covers(name, sampler, norms)
  local known = false
  for _, n in ipairs(theory.names()) do known = known or n == name end
  if not known then return false, ("no closed form for map '%s'"):format(name) end
  local entry = theory.entry(name)
  if entry.own_law and (sampler ~= "iid" or norms ~= "chi") then return false, entry.own_law end
  local law, why = laws.find(sampler, 2, norms)
  return law ~= nil, why
end

function theory.features(name, spec, sd)
  local o, per = read(name, spec)
  if type(sd) ~= "number" or sd ~= sd or sd <= 0 then
    error(("features: expected a relative standard deviation above 0, got %s"):format(tostring(sd)), 2)
  end
  local p = parts(name, o, per)
  local want = sd ^ 2 * p.target ^ 2 * (1 + 1e-12)
  local hi = 1
  while variance(p, hi) > want do
    hi = hi * 2
    if hi > 2 ^ 60 then return math.huge, math.huge end
  end
  local lo = hi // 2                      -- variance falls with m: find where it crosses
  while hi - lo > 1 do
    local middle = (lo + hi) // 2
    if variance(p, middle) > want then lo = middle else hi = middle end
  end
  return hi, hi * p.per
end

function theory.uniform_mse(spec)
  local o = options.read(options.declare({
    { "sigma", "number", nil, "standard deviation of the entries of q and k", lo = 0, required = true },
    { "n", "integer", nil, "number of keys", lo = 1, required = true }
  }, "uniform_mse", 2), spec, "uniform_mse", 3)
  return (math.exp(o.sigma ^ 4) - 1) / o.n
end

function theory.best_a(z2, d)
  if not (type(z2) == "number" and z2 >= 0 and type(d) == "number" and d >= 1) then
    error(("best_a: expected |x+y|^2 >= 0 and d >= 1, got %s and %s"):format(tostring(z2), tostring(d)), 2)
  end
  local f = z2 / d
  return (1 - 2 * f - math.sqrt((2 * f + 1) ^ 2 + 8 * f)) / 16
end

--- The parts of a variance for pairs that share options: used where m varies (plan, variance).
--- Returns p with p.per and a function of m that gives the relative variance.
function theory.of(name, spec)
  local o, per = read(name, spec)
  local p = parts(name, o, per)
  return p, function(m) return variance(p, m) / p.target ^ 2 end
end

--- Maps that are another map's theory: which, and what it is told besides the map's options.
local alias = {
  favor = function(o) return o.estimator end,
  smreg = function(o) return o.estimator end,
  rff = function() return "trig", { kernel = "gaussian" } end,
  rff_phase = function() return "rff_phase", { kernel = "gaussian" } end,
  hybrid = function() return "hybrid", { shared = true } end,
  saderf = function() return "oprf" end,
  aderf = function() return "oprf" end,
  aderf_sderf = function() return "sderf" end
}

--- x and y as a map with psi or P sees them: Px and P^-T y, which keep x.y.
local function transformed(o, g)
  local fv = require "fovea"
  local P = o.psi and fv.eye(o.psi:numel(), { dtype = "f64" }) * o.psi:to "f64" or o.P:to "f64"
  local x, y = P:matmul(g.x:to "f64"), fv.solve(P:t(), g.y:to "f64":unsqueeze(-1)):squeeze(-1)
  return { x = x, y = y, xx = x:dot(x):item(), yy = y:dot(y):item(), xy = x:dot(y):item() }
end

--- The result for a map object and a pair g (xx, yy, xy and tensors x, y: scaled), or nil and
--- why there is none.
function theory.match(phi, g)
  if type(phi) ~= "table" or rawget(phi, "kind") ~= "map" then
    error(("theory.match: phi: expected a map, got %s"):format(options.type(phi)), 2)
  elseif type(g) ~= "table" then
    error(("theory.match: g: expected a pair { xx =, yy =, xy =, x =, y = }, got %s"):format(options.type(g)), 2)
  end
  local name, o, more = phi.name, phi.options, nil
  if not phi.W then return nil, "it has no projection" end
  if alias[name] then name, more = alias[name](o) end
  local sampler, norms = phi.spec.by.sampler and o.sampler or "iid", nil
  if type(sampler) == "table" then sampler, norms = sampler[1], sampler.norms end
  local good, why = theory.covers(name, sampler, norms or "chi")
  if not good then return nil, why end
  local entry = theory.entry(name)
  local spec = { m = phi.W:size(-2), sampler = sampler, norms = norms }
  for _, option in ipairs(entry.options.names) do
    if phi.spec.by[option] and spec[option] == nil then spec[option] = o[option] end
  end
  for option, value in pairs(more or {}) do spec[option] = value end
  spec.features, spec.d = nil, nil
  if phi.spec.by.psi or phi.spec.by.P then g = transformed(o, g) end
  if entry.vectors then spec.x, spec.y = g.x, g.y
  else spec.d, spec.xx, spec.yy, spec.xy = phi.dim, g.xx, g.yy, g.xy end
  local done, r = pcall(theory, name, spec)
  if done then return r end
  return nil, r
end

return theory
