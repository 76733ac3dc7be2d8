--- One term: (1-4a)^(d/2) exp(2a|w|^2 + sqrt(1-4a) w.z - (|x|^2 + |y|^2)/2), or its mean over
--- w and -w

local special = require "fovea.special"

--- log of the second moment of a term over exp(x.y)^2.
local function log_second(A, g, hyperbolic)
  local base = g.d * math.log(1 - 4 * A) - g.d / 2 * math.log(1 - 8 * A)
  local up = 2 * (1 - 4 * A) / (1 - 8 * A) * g.z2
  if hyperbolic then up = up + math.log((1 + math.exp(-up)) / 2) end
  return base + up - g.z2
end

--- A <= 0 with the least second moment of the paired form at |z|^2 = t: golden section
--- over r = 1/(1 - 8A) in (0, 1].
local function best_hyperbolic(t, d)
  local function f(r) return log_second((1 - 1 / r) / 8, { d = d, z2 = t }, true) end
  local a, b, c = 1e-6, 1, (math.sqrt(5) - 1) / 2
  for _ = 1, 80 do
    local x, y = b - c * (b - a), a + c * (b - a)
    if f(x) < f(y) then b = y else a = x end
  end
  local r = (a + b) / 2
  return (1 - 1 / r) / 8
end

return {
  name = "oprf",
  doc = "Optimal positive random features (FAVOR++), exp(2a|w|^2) drawn into the estimator.\n"
     .. "a is given, or the best for |x+y|^2 = t (the pair's own unless t is given). a = 0 is\n"
     .. "positive. Blocks subtract the same as for positive features. estimator = \"hyperbolic\" averages\n"
     .. "over w and -w; its a is found by search, and a projection then gives two features.",
  ref = "Likhosherstov et al. 2022, arXiv:2205.15317",
  options = {
    { "a", "number", nil, "the parameter of the tilt, below 1/8; best for t unless given" },
    { "t", "number", nil, "mean of |x+y|^2 over the data that a is chosen for", lo = 0 },
    { "estimator", "string", "positive", "w alone, or the mean over w and -w",
      choices = { "positive", "hyperbolic" } }
  },
  example = 'fv.theory("oprf", {d=64, m=256, xx=4, yy=4, xy=0})',
  build = function(opt)
    if opt.norms ~= "chi" then
      error("oprf: option 'norms': expected \"chi\": with fixed norms |w|^2 does not vary", 0)
    end
    if opt.a and opt.a >= 1 / 8 then
      error(("oprf: option 'a': expected a number below 1/8, got %g: the variance is infinite")
        :format(opt.a), 0)
    end
    return { per = opt.estimator == "hyperbolic" and 2 or 1 }
  end,
  moments = function(law, g, opt)
    local t, both = opt.t or g.z2, opt.estimator == "hyperbolic"
    local a = opt.a or (both and best_hyperbolic or require "fovea.theory".best_a)(t, g.d)
    local spread = special.expm1(log_second(a, g, both))
    if law.pairs == "independent" then return 1, spread end
    local pair = math.exp(law.pair(g.z2, 1) - g.z2)
    if both then pair = (pair + math.exp(law.pair(g.z2, -1) - g.z2)) / 2 end
    return 1, spread, pair - 1
  end
}
