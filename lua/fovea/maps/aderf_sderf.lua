--- SDERF of P x and P^-T y

local fv = require "fovea"
local dense = require "fovea.dense"

return {
  name = "aderf_sderf",
  doc = "The composition of aderf and sderf: queries times P, keys times P^-T, then the tilts a along\n"
     .. "the principal axes Q of what results. Its mean log second moment is at most that of either.\n"
     .. "fit needs at least d rows of each, spanning all dimensions; O(n d^2 + d^3). Pass the side.\n"
     .. "phi(x, side) -> (..., n, M), O(nd(M + d)). Scale d^(-1/4) unless given.",
  ref = "the maps of Likhosherstov et al. 2023, arXiv:2302.00787, one after the other",
  caps = "nonneg unbiased log_features fitted asymmetric",
  options = dense.options {
    { "a", "tensor", nil, "(d), tilts below 1/8; from fit" },
    { "Q", "tensor", nil, "(d, d), orthogonal; from fit; the identity if left out" },
    { "P", "tensor", nil, "(d, d), invertible; from fit; the identity if left out" }
  },
  example = 'phi = fv.map("aderf_sderf", {dim=64, features=256, seed=1}):fit(q, k); phi(k, "k")',
  build = function(opt, name, caps)
    return dense.map(opt, name, caps, "a", function(x, y)
      local P = dense.balanced(name, x, y)
      local a, Q = dense.principal(x:matmul(P:t()), y:matmul(fv.inv(P)))
      return { P = P, a = a, Q = Q }
    end, function(d) return d end)
  end
}
