--- OPRF of P x and P^-T y, P balancing queries and keys

local dense = require "fovea.dense"

return {
  name = "aderf",
  doc = "Asymmetric dense-exponential features (FAVOR#): queries times P, keys times P^-T, which keeps\n"
     .. "q.k and makes |Px|^2 + |P^-T y|^2 least on average, then tilted features as in oprf.\n"
     .. "fit needs at least d rows of each, spanning all dimensions; O(n d^2 + d^3). Pass the side:\n"
     .. "phi(q, \"q\"), phi(k, \"k\") -> (..., n, M), O(nd(M + d)). Scale d^(-1/4) unless given.",
  ref = "Likhosherstov et al. 2023, \"FAVOR#\", arXiv:2302.00787",
  caps = "nonneg unbiased log_features fitted asymmetric",
  options = dense.options {
    { "a", "number", nil, "the tilt, below 1/8; from fit", hi = 0.1249999 },
    { "P", "tensor", nil, "(d, d), invertible; from fit; the identity if only a is given" }
  },
  example = 'phi = fv.map("aderf", {dim=64, features=256, seed=1}):fit(q, k); phi(k, "k")',
  build = function(opt, name, caps)
    return dense.map(opt, name, caps, "a", function(x, y)
      local P, trace = dense.balanced(name, x, y)
      local spread = 2 * trace + 2 * x:mean(1):dot(y:mean(1)):item()
      return { P = P, a = dense.best(spread / opt.dim) }
    end, function(d) return d end)
  end
}
