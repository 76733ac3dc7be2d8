--- W = (X - mean) C^(-1/2): sample mean 0 and second moment I, exactly

return {
  name = "moment_matching",
  doc = "Independent normal rows, centred and whitened: their mean is 0 and their second moment I to\n"
     .. "rounding. Biased by O(1/m): rows are no longer normal. rows must exceed dim. O(m d^2).",
  ref = "Boyle, Broadie & Glasserman 1997, \"Monte Carlo methods for security pricing\"",
  caps = "biased",
  example = 'W = fv.sample("moment_matching", {rows=256, dim=64, seed=1})',
  build = function(opt, name)
    if opt.rows <= opt.dim then
      error(("%s: option 'rows': expected more than dim = %d, got %d: the second moment of fewer is singular")
        :format(name, opt.dim, opt.rows), 0)
    end
    local fv = require "fovea"
    local X = opt.rng:normal(opt.rows, opt.dim, { dtype = "f64" })
    X = X - X:mean(1):unsqueeze(1)
    local values, Q = fv.eigh(X:t():matmul(X) / opt.rows)
    return X:matmul((Q / values:sqrt():unsqueeze(1)):matmul(Q:t())):to(opt.dtype)
  end
}
