--- means over m consecutive segments

local fv = require "fovea"
local heads = require "fovea.heads"

return {
  name = "segments",
  doc = "Means over m consecutive segments.\n"
     .. "The first m - n mod m have floor(n/m) rows, the others one more. For sequences, where\n"
     .. "neighbours are alike. O(nd).",
  ref = "Xiong et al. 2021, arXiv:2102.03902",
  example = 'fv.landmarks("segments", {count=64})(x)',
  build = function()
    return {
      pool = function(x, m)
        local n, d = x:size(-2), x:size(-1)
        local s, r = n // m, n % m
        local function means(y, count, length)
          return y:reshape(heads.shape(x, count, length, d)):mean(-2)
        end
        if r == 0 then return means(x, m, s) end
        local cut = (m - r) * s
        return fv.cat({ means(x:slice(-2, 1, cut), m - r, s), means(x:slice(-2, cut + 1, n), r, s + 1) }, -2)
      end
    }
  end
}
