--- k:diag(x) = diagonal of k(x), k(x) = k(x, x)

local fv = require "fovea"

return {
  name = "diagonal",
  doc = "The shorter ways to a Gram matrix agree with k(x, x).\n"
     .. "k(x), and k:diag(x) where there is one. figure: the larger difference relative to the larger\n"
     .. "of 1 and the largest entry, f64; 1e-7 leaves room for distances computed as |x|^2 - 2 x.y +\n"
     .. "|y|^2.",
  kinds = "kernel",
  build = function()
    return {
      applies = function(s)
        return type(s.thing) == "table" and rawget(s.thing, "kind") == "kernel",
               "a function takes both arguments and has no diagonal"
      end,
      test = function(s)
        local k, x = s.thing, s:draw({})[1]
        local K = k(x, x:clone())
        local worst = s:gap(k(x), K)
        local n = x:size(1)
        if rawget(k, "diag") then
          local eye = fv.eye(n, { dtype = "f64" })
          worst = math.max(worst, s:gap(k:diag(x), (K * eye):sum(-1)))
        end
        return { figure = worst, bound = 1e-7 }
      end
    }
  end
}
