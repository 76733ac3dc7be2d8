--- Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4

local fv = require "fovea"

return {
  name = "iterative",
  doc = "A few steps of Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4.\n"
     .. "They begin at Z = A' / alpha, alpha the largest column sum times the largest row sum of |A|.\n"
     .. "Singular values below about sqrt(alpha 3.25^-iterations) are not inverted yet: the number of\n"
     .. "steps acts as a ridge. init: alpha of each matrix alone ('exact') or of the whole batch\n"
     .. "('original'). 8 m^3 flops a step.",
  ref = "Xiong et al. 2021, arXiv:2102.03902; Razavi et al. 2014",
  options = {
    { "iterations", "integer", 6, "steps", lo = 0, hi = 1000 },
    { "init", "string", "exact", "alpha of each matrix, or of the batch", choices = { "exact", "original" } }
  },
  example = 'fv.inverse("iterative", {iterations=6})(A)',
  build = function(opt)
    return {
      invert = function(A)
        local alpha
        if opt.init == "original" then
          local size = A:abs()
          alpha = size:sum(-2):max() * size:sum(-1):max()
        end
        return (fv.iterative_inverse(A, alpha, { iterations = opt.iterations }))
      end
    }
  end
}
