--- Random features of vectors of width 64.

local fv = require "fovea"

local d, m = 64, 256
local list = {}

for _, n in ipairs { 4096, 16384 } do
  -- 256 trig features are the sine and the cosine of 128 projections
  list[#list + 1] = {
    name = ("trig features %dx64->256"):format(n), flops = 2 * n * (m / 2) * d, cosines = n * m,
    make = function(rng)
      local x = fv.randn(n, d, { rng = rng })
      local phi = fv.map("trig", { dim = d, features = m, kernel = "gaussian", seed = 1 })
      return function() return phi(x) end
    end,
    peers = { { "features", "sincos", n = n }, { "features", "cosine", n = n }, { "sklearn_forms", "rbfsampler", n = n } },
  }
  list[#list + 1] = {
    name = ("positive features %dx64->256"):format(n), flops = 2 * n * m * d, exps = n * m,
    make = function(rng)
      local x = fv.randn(n, d, { rng = rng })
      local phi = fv.map("positive", { dim = d, features = m, seed = 1 })
      return function() return phi(x) end
    end,
    peers = { { "features", "positive", n = n } },
  }
end

return list
