--- (A'A + lambda^2 I)^-1 A', or (A + lambda I)^-1

local fv = require "fovea"

return {
  name = "ridge",
  doc = "Tikhonov's inverse: (A'A + lambda^2 I)^-1 A', or (A + lambda I)^-1 of a symmetric A.\n"
     .. "Singular values s become s / (s^2 + lambda^2). Of a symmetric A (A + lambda I)^-1: eigenvalues\n"
     .. "w become 1 / (w + lambda). lambda = 0 is the inverse itself, and raises where there is none.\n"
     .. "Solved in f64. O(m^3).",
  ref = "Tikhonov & Arsenin 1977, Solutions of Ill-Posed Problems",
  options = {
    { "lambda", "number", 0.02, "the ridge, on the scale of A's singular values", lo = 0, hi = 1e150 }
  },
  example = 'fv.inverse("ridge", {lambda=0.02})(A)',
  build = function(opt)
    return {
      invert = function(A, symmetric)
        local dtype = A:dtype()
        local I = fv.eye(A:size(-1), { dtype = "f64" })
        A = A:to "f64"
        if symmetric then return fv.inv(A + opt.lambda * I):to(dtype) end
        return fv.solve(A:t():matmul(A) + opt.lambda ^ 2 * I, A:t()):to(dtype)
      end
    }
  end
}
