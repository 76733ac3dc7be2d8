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
    peers = { { "features", "sincos", n = n }, { "features", "cosine", n = n },
              { "sklearn_forms", "rbfsampler", n = n } },
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

-- structured projections against the product with a W from QR, at the same shape
for _, wide in ipairs { 128, 256 } do
  local sizes = ("4096x%d->%d"):format(wide, 2 * wide)
  list[#list + 1] = {
    name = "sorf projection " .. sizes,
    flops = fv.ops.sorf_project:cost { n = 4096, d = wide, b = 2, t = 3, p = wide }.flops,
    make = function(rng)
      local x = fv.randn(4096, wide, { rng = rng })
      local apply = fv.sample.structured("sorf", { rows = 2 * wide, dim = wide, seed = 1 })
      return function() return apply(x) end
    end,
    peers = { { "features", "projection", n = 4096, d = wide } },
  }
  list[#list + 1] = {
    name = "dense projection " .. sizes, flops = 2 * 4096 * wide * 2 * wide,
    make = function(rng)
      local x = fv.randn(4096, wide, { rng = rng })
      local W = fv.sample("orthogonal", { rows = 2 * wide, dim = wide, seed = 1 })
      return function() return x:matmul(W:t()) end
    end,
    peers = { { "features", "projection", n = 4096, d = wide } },
  }
end

return list
