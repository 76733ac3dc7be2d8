--- rows floor((i - 1/2) n / m) + 1

local fv = require "fovea"

return {
  name = "strided",
  doc = "Every (n/m)-th row, from the middle of the first stride.\n"
     .. "Row floor((i - 1/2) n / m) + 1 for i = 1 .. m. O(m).",
  example = 'fv.landmarks("strided", {count=64})(x)',
  build = function()
    return {
      index = function(n, m)
        local list = {}
        for i = 1, m do list[i] = (2 * i - 1) * n // (2 * m) + 1 end
        return fv.tensor(list, { dtype = "i64" })
      end
    }
  end
}
