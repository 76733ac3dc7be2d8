--- singular values below a threshold left out

local fv = require "fovea"

return {
  name = "truncated",
  doc = "The Moore-Penrose inverse of what lies above a threshold.\n"
     .. "Singular values, or eigenvalues of a symmetric A, up to rcond times the largest count as zero,\n"
     .. "as do negative eigenvalues. info.rank is how many were kept. In f64. O(m^3).",
  ref = "Golub & Van Loan 2013, Matrix Computations",
  options = { { "rcond", "number", 1e-6, "the threshold", lo = 0, hi = 1 } },
  example = 'fv.inverse("truncated", {rcond=1e-6})(A)',
  build = function(opt)
    --- How many are kept, in the entry of the batch that keeps the fewest.
    local function kept(s, least)
      local count = s:gt(least):to "i64":sum(-1)
      return count:numel() > 0 and count:min():item() or 0
    end
    return {
      invert = function(A, symmetric)
        if not symmetric then
          local Z = fv.pinv(A, { rcond = math.min(opt.rcond, 1 - 2 ^ -53) })
          local _, s = fv.no_grad(fv.svd, A)
          return Z, kept(s, s:max(-1):unsqueeze(-1) * opt.rcond)
        end
        local w, V = fv.eigh(A)
        local least = w:max(-1):unsqueeze(-1) * opt.rcond
        local keep = w:gt(least)
        local f = fv.where(keep, 1 / fv.where(keep, w, 1), 0)
        return (V * f:unsqueeze(-2)):matmul(V:t()), kept(w, least)
      end
    }
  end
}
