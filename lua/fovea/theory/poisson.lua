--- One term: exp(l d) prod_i (x_i y_i / l)^(w_i), w_i ~ Poisson(l)

local special = require "fovea.special"

local function products(g)
  local s = 0
  for i = 1, g.d do s = s + (g.x[i] * g.y[i]) ^ 2 end
  return s
end

return {
  name = "poisson", vectors = true,
  doc = "Poisson features.\n"
     .. "E (term^2) = exp(l d + sum_i x_i^2 y_i^2 / l), least at\n"
     .. "l = sqrt(sum_i x_i^2 y_i^2 / d), which is used unless lambda is given.",
  ref = "Likhosherstov et al. 2022, arXiv:2205.15317",
  own_law = "its draws are discrete and independent",
  options = { { "lambda", "number", nil, "rate of the Poisson law", lo = 1e-300 } },
  example = 'fv.theory("poisson", {m=64, x={0.3,0.2}, y={0.1,0.4}})',
  build = function() return {} end,
  moments = function(_, g, opt)
    local s = products(g)
    local l = opt.lambda or math.sqrt(s / g.d)
    if l == 0 then return 1, 0 end               -- x.y = 0 term by term: the product is exactly 1
    return 1, special.expm1(l * g.d + s / l - 2 * g.xy)
  end
}
