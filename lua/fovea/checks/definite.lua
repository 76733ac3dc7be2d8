--- the least eigenvalue of K(x, x)

local fv = require "fovea"

return {
  name = "definite",
  doc = "The kernel is positive semidefinite.\n"
     .. "figure: minus the least eigenvalue of the Gram matrix of 40 points over the largest; the bound\n"
     .. "is rounding of the factorisation.",
  kinds = "kernel map",
  build = function()
    return {
      applies = function(s)
        if s.kind == "map" and not s.claim then return false, "the map claims no kernel in closed form" end
        return not s.caps.indefinite, "its caps say indefinite"
      end,
      test = function(s)
        local x = s:draw({ n = 40 })[1]
        local K = s.claim and s.claim(x, x) or s:call({ x, x })[1]
        local w = fv.eigh((K + K:t()) / 2)
        local low, high = w:min():item(), w:abs():max():item()
        return { figure = math.max(0, -low / high), bound = 1e-12,
                 note = ("least %.3g of %.3g"):format(low, high) }
      end
    }
  end
}
