--- rows in proportion to their ridge leverage scores

local fv = require "fovea"
local draws = require "fovea.draws"

--- diag(K (K + c I)^-1) of the rows of x (n, d), with S in place of all rows:
---   tau_i = (k_ii - k_iS (K_SS + c I)^-1 k_Si) / c
local function scores(x, S, kernel, c)
  local L = fv.cholesky(kernel(S) + c * fv.eye(S:size(1), { dtype = "f64" }))
  local left = fv.triangular_solve(L, kernel(S, x))
  return ((kernel:diag(x) - (left * left):sum(-2)) / c):clamp(0, 1)
end

return {
  name = "leverage",
  doc = "Rows drawn in proportion to their ridge leverage scores, without replacement.\n"
     .. "They are the diagonal of K (K + lambda n I)^-1; their sum is the effective dimension. Beyond\n"
     .. "'sketch' points the scores are upper bounds from a uniform sample of so many. The kernel is\n"
     .. "that of the caller, or the option's; a Gaussian of scale 1/sqrt(d) where neither says.\n"
     .. "rule.scores(x, kernel) gives the scores of x (n, d). O(n sketch (d + sketch)).",
  ref = "Alaoui & Mahoney 2015, arXiv:1411.0306; Musco & Musco 2017, arXiv:1605.07583",
  options = {
    { "lambda", "number", 1e-3, "the ridge, per point", lo = 1e-300, hi = 1e300 },
    { "sketch", "integer", 1024, "points up to which scores are exact", lo = 1 },
    { "kernel", "table", nil, "a kernel" }
  },
  caps = "random",
  example = 'fv.landmarks("leverage", {count=64, lambda=1e-3})(x, fv.kernel("gaussian", {scale=0.2}))',
  build = function(opt)
    local function of(x, kernel, rng)
      local n = x:size(1)
      kernel = kernel or opt.kernel or fv.kernel("gaussian", { scale = x:size(2) ^ -0.5 })
      local S = x
      if n > opt.sketch then S = x:index_select(1, rng:permutation(n):slice(1, 1, opt.sketch)) end
      return scores(x, S, kernel, opt.lambda * n * S:size(1) / n)
    end
    return {
      scores = function(x, kernel)
        return of(x:to "f64", kernel, draws.stream(opt, "landmarks"))
      end,
      pick = function(x, m, rng, kernel)
        local list = {}
        for b = 1, x:size(1) do
          local tau = of(x[b], kernel, rng):maximum(1e-300)
          -- the m largest of u^(1/tau) are a draw without replacement (Efraimidis & Spirakis 2006)
          local keys = (1 - rng:uniform({ x:size(2) }, { dtype = "f64" })):log() / tau
          local _, at = keys:topk(m)
          list[b] = (at:sort())
        end
        return fv.stack(list, 1)
      end
    }
  end
}
