--- One term: Lambda exp(w.z), Lambda = exp(-(|x|^2 + |y|^2)/2), z = x + y

local special = require "fovea.special"

return {
  name = "positive",
  doc = "Positive random features.\n"
     .. "Independent rows: relative variance (exp|z|^2 - 1)/m. Rows of a block subtract\n"
     .. "P/m^2 (1 - E exp((w+u).z) / exp|z|^2), P the number of ordered pairs within blocks.\n"
     .. "Norms sqrt(d): the mean is the regularised kernel, below exp(x.y).",
  ref = "Choromanski et al. 2021, arXiv:2009.14794, lemma 2 and theorem 1",
  example = 'fv.theory("positive", {d=64, m=256, xx=1, yy=1, xy=0.2})',
  build = function() return {} end,
  moments = function(law, g)
    local mean = math.exp(law.single(g.z2) - g.z2 / 2)
    local spread = law.chi and special.expm1(g.z2) or math.exp(law.single(4 * g.z2) - g.z2) - mean ^ 2
    if law.pairs == "independent" then return mean, spread end
    return mean, spread, math.exp(law.pair(g.z2, 1) - g.z2) - mean ^ 2
  end
}
