-- Facts about every map of fv.map, from its name and caps: gradients, sides, logarithms, and
-- the kernel that it says it estimates against the mean over seeds.  Seeds are fixed; "within
-- 4.5 s.e." is one miss in 150,000.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }
local D, M = 4, 24
local only = arg and arg[1]

local function normal(name, ...) return fv.rng(8):stream(name):normal(...):to "f64" end
local q = fv.rng(8):stream("q"):normal(2, 3, D, F64) * 0.7
local k = fv.rng(8):stream("k"):normal(2, 3, D, F64) * 0.7
local rows = { fv.rng(8):stream("rows q"):normal(40, D, F64) * 0.7 + 0.2,
               fv.rng(8):stream("rows k"):normal(40, D, F64) * 0.5 }

local function apart(a, b) return (a - b):abs():max():item() end

--- Settings worth testing: the defaults, each word of each option, and what is listed here.
--- An option that makes the map a published one's copy, with its biases, is tested apart.
local needed = { cosformer = { length = 20 } }
local more = {
  rff = { { length = 2 } }, rff_phase = { { gamma = 0.2 } }, taylor2 = { { scale = 1 } },
  relu = { { eps = 0.1, features = 8 } }, arccos = { { order = 0 }, { order = 2 } },
  generalised = { { f = "gelu", features = M, eps = 0.3 }, { f = function(u) return u:sigmoid() end } },
  geometric = { { p = 0.7 } }, tensorsketch = { { degree = 3, offset = 0.5 }, { features = 2 } },
  maclaurin = { { f = "polynomial", degree = 3, offset = 0.5 } }, dpfp = { { nu = 2 } },
  hybrid = { { signs = 2, features = 12 * 3 } }, polysketch = { { width = 4 }, { normalize = false, degree = 2 } },
  rebased = { { gamma = fv.tensor({ 1, 2, 3, 4 }, F64), beta = fv.tensor({ 0.1, 0, -1, 2 }, F64) } },
  hedgehog = { { weight = normal("weight", 5, D) } },
  t2r = { { weight = normal("weight", 5, D), bias = normal("bias", 5) } },
  rfa = { { sigma = fv.tensor({ 1, 2, 0.5, 0.7 }, F64) } },
  cosformer = { { length = 30, offset = 7 } },
  positive = { { sampler = "simplex" } }, trig = { { sampler = "fastfood" } },
  centred = { { map = "sderf" } }, smreg = { { sampler = "simplex" } }, favor = { { scale = 0.5 } },
  hyperbolic = { { sampler = "fastfood", kernel = "gaussian" } }
}
local elsewhere = { nystroem = true }        -- maps that have tests of their own
local skip = { compat = true, redraw = true, map = true }

local function settings(name)
  local list, by = {}, fv.map.entry(name).options.by
  local function add(text, given)
    local opt = {}
    for _, t in ipairs { needed[name] or {}, given } do for key, v in pairs(t) do opt[key] = v end end
    if not opt.weight and (by.dim or name == "centred") then opt.dim = D end
    if (by.sampler or by.seed or name == "centred") and not opt.features and by.width == nil
       and not (name == "hybrid") then opt.features = M end
    list[#list + 1] = { name .. text, opt }
  end
  add("", {})
  for _, o in ipairs(fv.map.entry(name).options) do
    if not skip[o.name] then
      for _, word in ipairs(type(o.choices) == "table" and o.choices or {}) do
        if word ~= o.default then add((" %s=%s"):format(o.name, word), { [o.name] = word }) end
      end
    end
  end
  for i, given in ipairs(more[name] or {}) do add(" #" .. i, given) end
  if name == "relu" or name == "generalised" then
    list[#list + 1] = { name .. " without W", { dim = D } }
  end
  return list
end

--- phi, fitted where it must be.
local function make(name, given)
  local phi = fv.map(name, given)
  return phi.caps.fitted and phi:fit(rows[1], rows[2]) or phi
end

--- Mean over seeds of phi(q).phi(k), each entry within 4.5 s.e. of the kernel.
local function unbiased(name, given, text)
  local sum, square, S, want = 0, 0, 300, nil
  local fitted = make(name, given)
  for seed = 1, S do
    local opt = {}
    for key, v in pairs(fitted.options) do opt[key] = v end
    opt.seed = seed
    local phi = fv.map(name, opt)
    want = want or phi:kernel(q, k)
    local gram = phi(q, "q"):matmul(phi(k, "k"):t()) - want     -- small, so squares do not cancel
    sum, square = sum + gram, square + gram * gram
  end
  local mean = sum / S
  local se = ((square / S - mean * mean):maximum(0) / (S - 1)):sqrt() + 1e-12 * want:abs() + 1e-15
  local z = (mean / se):abs():max():item()
  tap.ok(z < 4.5, text .. ": the mean over seeds is phi:kernel", "%.2f s.e.", z)
end

for _, name in ipairs(fv.map.names()) do
  if elsewhere[name] then goto next end
  local entry = fv.map.entry(name)
  tap.ok(entry.example and entry.ref and entry.caps, name .. ": says its source and caps, and has an example")
  for _, case in ipairs(only and name ~= only and {} or settings(name)) do
    local text, given = case[1], case[2]
    local phi = make(name, given)
    local fq, fk = phi(q, "q"), phi(k, "k")
    tap.is(table.concat({ fq:shape() }, ","), "2,3," .. phi.features, text .. ": (..., n, M)")
    tap.ok(phi(q:to "f32", "q"):dtype() == "f32" and apart(phi(q:to "f32", "q"):to "f64", fq)
           < 1e-3 * (1 + fq:abs():max():item()), text .. ": f32 in, f32 out")
    tap.ok(fq:isfinite():all():item() == 1, text .. ": finite")
    if not phi.caps.asymmetric then tap.near(phi(q, "k"), fq, 0, text .. ": one map for both sides") end
    if phi.caps.nonneg then tap.ok(math.min(fq:min():item(), fk:min():item()) >= 0, text .. ": never negative") end
    if phi.caps.log_features then
      tap.ok(apart(phi:log(q, "q"):exp(), fq) <= 1e-13 * fq:abs():max():item()
             and apart(phi:log(k, "k"):exp(), fk) <= 1e-13 * fk:abs():max():item(), text .. ": exp of phi:log")
    end
    local was, one = fv.threads(1), nil
    one = phi(q, "q")
    fv.threads(2)
    tap.near(phi(q, "q"), one, 0, text .. ": same bits with 1 and 2 threads")
    fv.threads(was)
    -- signs and steps have a gradient of 0 wherever they have one
    for _, side in ipairs { "q", "k" } do
      local gap = fv.gradcheck(function(x) return phi(x, side) end, { q }, { tol = math.huge })
      tap.ok(gap < 1e-6, ("%s: gradient, side %s"):format(text, side), "%.2g", gap)
    end
    if phi.caps.unbiased then unbiased(name, given, text) end
    if phi.caps.exact then
      tap.near(fq:matmul(fk:t()), phi:kernel(q, k), 1e-11 * (1 + phi:kernel(q, k):abs():max():item()),
               text .. ": phi(q).phi(k) is phi:kernel")
    end
    tap.ok(phi:cost { n = 10, d = D }.flops > 0, text .. ": has a cost")
    if phi.spec.by.draw and phi.W then
      tap.ok(apart(phi:redraw(3)(q, "q"), fq) > 0, text .. ": another draw is another map")
      tap.near(phi:redraw(3):redraw(0)(q, "q"), fq, 0, text .. ": and back")
    end
  end
  if entry.caps.fitted then
    local phi = fv.map(name, { dim = D, features = M })
    tap.raises("is not set: phi:fit%(q, k%) finds it", name .. ": unfitted, it raises", phi, q, "q")
    tap.raises("fit: q: expected finite numbers", name .. ": fit on NaN", phi.fit, phi, q * (0 / 0), k)
    tap.raises("fit: k: expected at least %d rows, got 0", name .. ": fit on nothing", phi.fit, phi, q,
               fv.zeros({ 0, D }, F64))
  end
  tap.raises("x: expected f32 or f64, got i64", name .. ": of integers",
             make(name, settings(name)[1][2]), fv.zeros({ 2, D }, { dtype = "i64" }), "q")
  if entry.options.by.dim and (settings(name)[1][2].dim) then
    tap.raises("x: expected %(%.%.%., n, dim=4%), got %(2,3%)", name .. ": of another width",
               make(name, settings(name)[1][2]), fv.zeros({ 2, 3 }, F64), "q")
  end
  ::next::
end

tap.done()
