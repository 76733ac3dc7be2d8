--- One term: Lambda cosh(w.z)

local special = require "fovea.special"

return {
  name = "hyperbolic", per = 2,
  doc = "Positive random features in pairs exp(w.x), exp(-w.x).\n"
     .. "Independent rows: relative variance 2 sinh^2(|z|^2/2) / m, half of (1 - exp(-|z|^2)) times\n"
     .. "that of positive features with m rows.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794, lemma 2",
  example = 'fv.theory("hyperbolic", {d=64, features=256, xx=1, yy=1, xy=0.2})',
  build = function() return {} end,
  moments = function(law, g)
    local mean = math.exp(law.single(g.z2) - g.z2 / 2)
    local spread
    if law.chi then
      local half = special.expm1(g.z2 / 2)       -- 2 sinh(u)^2, sinh u = (h + h/(h+1))/2
      local sinh = (half + half / (half + 1)) / 2
      spread = half == math.huge and half or 2 * sinh ^ 2
    else
      spread = (math.exp(-g.z2) + math.exp(law.single(4 * g.z2) - g.z2)) / 2 - mean ^ 2
    end
    if law.pairs == "independent" then return mean, spread end
    local both = (math.exp(law.pair(g.z2, 1) - g.z2) + math.exp(law.pair(g.z2, -1) - g.z2)) / 2
    return mean, spread, both - mean ^ 2
  end
}
