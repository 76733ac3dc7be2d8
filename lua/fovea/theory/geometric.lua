--- One term: p^-d prod_i (x_i y_i / (1-p))^(w_i) / w_i!, P(w_i = n) = p (1-p)^n

local special = require "fovea.special"

return {
  name = "geometric", vectors = true,
  doc = "Geometric features: E (term^2) = prod_i I_0(2 |x_i y_i| / sqrt(1-p)) / p.",
  ref = "Likhosherstov et al. 2022, arXiv:2205.15317",
  own_law = "its draws are discrete and independent",
  options = { { "p", "number", 0.5, "parameter of the geometric law", lo = 1e-9, hi = 1 - 1e-9 } },
  example = 'fv.theory("geometric", {m=64, x={0.3,0.2}, y={0.1,0.4}, p=0.8})',
  build = function() return {} end,
  moments = function(_, g, opt)
    local log = -g.d * math.log(opt.p)
    for i = 1, g.d do
      log = log + special.log_I0(2 * math.abs(g.x[i] * g.y[i]) / math.sqrt(1 - opt.p))
    end
    return 1, special.expm1(log - 2 * g.xy)
  end
}
