--- OPRF along the principal axes of x + y, each with its own a

local dense = require "fovea.dense"

return {
  name = "sderf",
  doc = "Symmetric dense-exponential features (FAVOR#): in the eigenvectors Q of the second moment of\n"
     .. "x + y, features tilted by exp(sum_l a_l w_l^2). Unbiased for exp(q.k / sqrt(d)) for every\n"
     .. "a < 1/8; fit finds Q and a from rows in O(n d^2 + d^3). phi(x) -> (..., n, M), O(nd(M + d)).\n"
     .. "The input is scaled by d^(-1/4) unless scale says otherwise.",
  ref = "Likhosherstov et al. 2023, \"FAVOR#\", arXiv:2302.00787",
  caps = "nonneg unbiased log_features fitted",
  options = dense.options {
    { "a", "tensor", nil, "(d), tilts below 1/8; from fit" },
    { "Q", "tensor", nil, "(d, d), orthogonal; from fit; the identity if only a is given" }
  },
  example = 'phi = fv.map("sderf", {dim=64, features=256, seed=1}):fit(q, k); phi(q, "q")',
  build = function(opt, name, caps)
    return dense.map(opt, name, caps, "a", function(x, y)
      local a, Q = dense.principal(x, y)
      return { a = a, Q = Q }
    end)
  end
}
