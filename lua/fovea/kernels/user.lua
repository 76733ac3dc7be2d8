--- k(x, y) = f(x, y), a function of your own

local options = require "fovea.options"

return {
  name = "user",
  doc = "A kernel of your own, as a function of pairs of vectors or of whole matrices.\n"
     .. "f(x, y) gets x (..., n, 1, d) and y (..., 1, m, d) and gives (..., n, m) by broadcasting:\n"
     .. "what is written for two vectors works on all pairs, in memory O(nmd). gram(x, y) gets\n"
     .. "(..., n, d) and (..., m, d) and gives (..., n, m). Give one of them, made of tensor\n"
     .. "functions, so that it has gradients. Nobody checks that it is symmetric and positive\n"
     .. "semidefinite: fv.spectrum(k, x) tells.",
  options = {
    { "f", "function", nil, "of pairs of vectors" },
    { "gram", "function", nil, "of matrices of rows" },
    { "label", "string", "f", "what printing calls it" }
  },
  example = 'fv.kernel("user", {f=function(x, y) return 1 / (1 + ((x - y)^2):sum(-1)) end})(x, y)',
  build = function(opt)
    local f, whole = opt.f, opt.gram
    if (f == nil) == (whole == nil) then
      error("user: expected one of the options 'f' and 'gram', got " .. (f and "both" or "none"), 0)
    end
    return {
      formula = opt.label,
      gram = function(x, y)
        local K
        if f then K = f(x:unsqueeze(-2), y:unsqueeze(-3)) else K = whole(x, y) end
        local good = options.type(K) == "tensor"
        if not (good and K:ndim() >= 2 and K:size(-2) == x:size(-2) and K:size(-1) == y:size(-2)) then
          local got = good and "(" .. table.concat({ K:shape() }, ",") .. ")" or options.type(K)
          error(("user: %s: expected a result (..., n=%d, m=%d), got %s"):format(f and "f" or "gram",
                x:size(-2), y:size(-2), got), 0)
        end
        return K
      end
    }
  end
}
