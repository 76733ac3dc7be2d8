--- phi(x) = exp(lambda d/2 ) prod_l x_l^w_l lambda^(-w_l/2) / sqrt(m), w_l ~ Poisson(lambda)

local discrete = require "fovea.discrete"
local fv = require "fovea"

--- A Poisson(lambda) number for each uniform u, by inversion.
local function draw(stream, m, d, lambda)
  local list = stream:uniform(m * d, { dtype = "f64" }):totable()
  for i, u in ipairs(list) do
    local k, p = 0, math.exp(-lambda)
    while u > p and k < 1000 do
      u, k = u - p, k + 1
      p = p * lambda / k
    end
    list[i] = k
  end
  return fv.tensor(list, { dtype = "f64" }):reshape(m, d)
end

return {
  name = "poisson",
  doc = "Poisson random features: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias by products of\n"
     .. "powers of coordinates, whose exponents are Poisson(lambda). Never negative where the input is\n"
     .. "not. fit finds lambda = sqrt(mean sum_l x_l^2 y_l^2 / d). Coordinates of size below 1e-30\n"
     .. "count as that, without gradient. phi(x) -> (..., n, M), O(nMd). Scale d^(-1/4) unless given.",
  ref = "Likhosherstov et al. 2022, \"Chefs' random tables\", arXiv:2205.15317",
  caps = "unbiased fitted",
  options = discrete.options {
    { "lambda", "number", nil, "mean of the exponents; from fit", lo = 1e-6, hi = 100 }
  },
  example = 'phi = fv.map("poisson", {dim=16, features=256}):fit(q, k); phi(q, "q")',
  build = function(opt, name, caps)
    local lambda = opt.lambda
    return discrete.map(opt, name, caps, {
      needs = "lambda",
      draw = function(stream, m) return draw(stream, m, opt.dim, lambda or 1) end,
      factor = function(w) return w:sum(2) * (-0.5 * math.log(lambda)) + lambda * opt.dim / 2 end,
      statistics = function(x, y)
        local mean = ((x * x):mean(1) * (y * y):mean(1)):mean():item()
        return { lambda = math.min(math.max(mean ^ 0.5, 1e-6), 100) }
      end
    })
  end
}
