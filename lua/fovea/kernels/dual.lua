--- k(x, y) = E f(w.x) f(w.y), w ~ N(0, I)

local closed = require "fovea.closed"

return {
  name = "dual",
  doc = "The dual kernel E f(w.x) f(w.y), w ~ N(0, I), of a function f.\n"
     .. "What random features f(W x) / sqrt(m) of the scaled inputs estimate, in closed form for each f\n"
     .. "of the list; gelu and erf with the error function. Angles come from |x|^2 |y|^2 - (x.y)^2:\n"
     .. "near parallel vectors they are good to the square root of rounding. step, sgn and abs have no\n"
     .. "derivative at parallel vectors; the infinite part of it is left out there. O(nmd), several\n"
     .. "passes over (n, m). Example of a closed form: relu gives |x||y| (sin t + (pi - t) cos t) / (2\n"
     .. "pi), t the angle of x and y.",
  ref = "Cho & Saul 2009, Kernel Methods for Deep Learning; Williams 1998, Computation with Infinite\n"
     .. "Neural Networks; Daniely et al. 2016, arXiv:1602.05897",
  options = {
    { "f", "string", "relu", "the function; sgn is the sign, relu2 the square of relu",
      choices = closed.duals },
    { "scale", "number", 1, "the inputs are multiplied by it first" }
  },
  example = 'fv.kernel("dual", {f="gelu"})(x, y)',
  build = function(opt)
    local f, scale = closed[opt.f], opt.scale
    return {
      gram = function(x, y)
        local aa, bb, c = closed.parts(x, y)
        if scale ~= 1 then aa, bb, c = aa * scale ^ 2, bb * scale ^ 2, c * scale ^ 2 end
        return f(aa, bb, c)
      end
    }
  end
}
