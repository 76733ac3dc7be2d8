--- phi(x) = D exp(a |w|^2 + sqrt(1-4a) w.x - |x|^2/2) / sqrt(m), a by the data

local dense = require "fovea.dense"

--- The a < 1/8 of least log second moment of pairs +-w at t = |x+y|^2: golden section on
--- log(1 - 8a).
local function paired(t, d)
  local function moment(s)
    local a = (1 - math.exp(s)) / 8
    local up = 2 * (1 - 4 * a) * t / (1 - 8 * a)
    return d * math.log(1 - 4 * a) - d / 2 * s + up + math.log((1 + math.exp(-up)) / 2), a
  end
  local lo, hi, g = -3, 12, (5 ^ 0.5 - 1) / 2
  for _ = 1, 80 do
    local l, r = hi - g * (hi - lo), lo + g * (hi - lo)
    if moment(l) < moment(r) then hi = r else lo = l end
  end
  return select(2, moment((lo + hi) / 2))
end

return {
  name = "oprf",
  doc = "Optimal positive random features (FAVOR++): positive features of exp(q.k / sqrt(d)), tilted by\n"
     .. "exp(a |w|^2), a <= 0, which bounds them: unbiased for every a < 1/8, and of least variance for\n"
     .. "the a that fit finds from the mean of |x + y|^2 over all pairs, in O(nd). a = 0 is 'positive'.\n"
     .. "estimator = hyperbolic takes +-w in pairs (M = 2m). phi(x) -> (..., n, M) and phi:log(x),\n"
     .. "O(nMd). The input is scaled by d^(-1/4) unless scale says otherwise.",
  ref = "Likhosherstov et al. 2022, \"Chefs' random tables\", arXiv:2205.15317",
  caps = "nonneg unbiased log_features fitted",
  options = dense.options {
    { "a", "number", nil, "the tilt, below 1/8; from fit", hi = 0.1249999 },
    { "estimator", "string", "positive", "w alone, or w and -w", choices = { "positive", "hyperbolic" } }
  },
  example = 'phi = fv.map("oprf", {dim=64, features=256, seed=1}):fit(q, k); phi(q, "q")',
  build = function(opt, name, caps)
    return dense.map(opt, name, caps, "a", function(x, y)
      local t, d = dense.spread(x, y), opt.dim
      return { a = opt.estimator == "hyperbolic" and paired(t, d) or dense.best(t / d) }
    end)
  end
}
