--- phi(x) = p^(-d/2) prod_l x_l^w_l (1-p)^(-w_l/2) (w_l!)^(-1/2) / sqrt(m), w_l geometric

local discrete = require "fovea.discrete"

return {
  name = "geometric",
  doc = "Geometric random features: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias by products\n"
     .. "of powers of coordinates, with exponents w of probability p (1-p)^w. Never negative where the\n"
     .. "input is not. Second moment prod_l I_0(2 |x_l y_l| / sqrt(1-p)) / p. Coordinates of size below\n"
     .. "1e-30 count as that, without gradient. phi(x) -> (..., n, M), O(nMd). Scale d^(-1/4).",
  ref = "Likhosherstov et al. 2022, \"Chefs' random tables\", arXiv:2205.15317",
  caps = "unbiased",
  options = discrete.options {
    { "p", "number", 0.5, "probability of the exponent 0", lo = 0.001, hi = 0.999 }
  },
  example = 'phi = fv.map("geometric", {dim=16, features=256, p=0.7}); phi(q)',
  build = function(opt, name, caps)
    local p = opt.p
    return discrete.map(opt, name, caps, {
      draw = function(stream, m)
        local u = stream:uniform(m, opt.dim, { dtype = "f64" })
        return (u:log() / math.log(1 - p)):floor()
      end,
      factor = function(w)
        local logs, sum = { [0] = 0 }, {}
        for i, row in ipairs(w:totable()) do
          sum[i] = 0
          for _, k in ipairs(row) do
            for j = #logs + 1, k do logs[j] = logs[j - 1] + math.log(j) end
            sum[i] = sum[i] + logs[math.tointeger(k)]
          end
        end
        return w:sum(2) * (-0.5 * math.log(1 - p)) - require "fovea".tensor(sum, { dtype = "f64" }) / 2
               - opt.dim / 2 * math.log(p)
      end
    })
  end
}
