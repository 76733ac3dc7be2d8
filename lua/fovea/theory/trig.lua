--- One term: cos(w.(x - y)) / Lambda

local special = require "fovea.special"

return {
  name = "trig", per = 2,
  doc = "Sine and cosine random features (kernel=\"gaussian\": random Fourier features).\n"
     .. "Independent rows: relative variance 2 sinh^2(|x-y|^2/2) / m: the mirror image, under\n"
     .. "y -> -y, of hyperbolic features, so it is the smaller one exactly where x.y > 0.\n"
     .. "Norms sqrt(d): the mean is a Bessel kernel of |x-y|.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794, lemma 2; Rahimi & Recht 2007",
  example = 'fv.theory("trig", {d=64, features=256, xx=1, yy=1, xy=0.2})',
  build = function() return {} end,
  moments = function(law, g)
    local up = math.exp(g.d2)                    -- 1 / K_G^2
    local mean, spread
    if law.chi then
      local half = special.expm1(g.d2 / 2)
      local sinh = (half + half / (half + 1)) / 2
      mean, spread = 1, half == math.huge and half or 2 * sinh ^ 2
    else
      mean = law.cos(g.d2) * math.exp(g.d2 / 2)
      spread = (1 + law.cos(4 * g.d2)) / 2 * up - mean ^ 2
    end
    if law.pairs == "independent" then return mean, spread end
    local both = (law.pair_cos(g.d2, 1) + law.pair_cos(g.d2, -1)) / 2
    return mean, spread, (both - (mean / math.exp(g.d2 / 2)) ^ 2) * up
  end
}
