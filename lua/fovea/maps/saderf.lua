--- OPRF of psi o x and y / psi

local dense = require "fovea.dense"

return {
  name = "saderf",
  doc = "Simplified asymmetric dense-exponential features (FAVOR#): queries times psi, keys divided by\n"
     .. "it, coordinate by coordinate, psi_l = (sum y_l^2 / sum x_l^2)^(1/4) of means, then tilted\n"
     .. "features as in oprf. fit is O(nd). Pass the side: phi(q, \"q\"), phi(k, \"k\") -> (..., n, M),\n"
     .. "O(nMd). Scale d^(-1/4) unless given.",
  ref = "Likhosherstov et al. 2023, \"FAVOR#\", arXiv:2302.00787",
  caps = "nonneg unbiased log_features fitted asymmetric",
  options = dense.options {
    { "a", "number", nil, "the tilt, below 1/8; from fit", hi = 0.1249999 },
    { "psi", "tensor", nil, "(d), positive; from fit; ones if only a is given" }
  },
  example = 'phi = fv.map("saderf", {dim=64, features=256, seed=1}):fit(q, k); phi(k, "k")',
  build = function(opt, name, caps)
    return dense.map(opt, name, caps, "a", function(x, y)
      local psi = ((y * y):mean(1) / (x * x):mean(1)) ^ 0.25
      if not (psi:min():item() > 0 and psi:max():item() < math.huge) then
        error(name .. ": fit: a coordinate of q or k is zero in every row: psi is not finite", 0)
      end
      return { psi = psi, a = dense.best(dense.spread(x * psi, y / psi) / opt.dim) }
    end)
  end
}
