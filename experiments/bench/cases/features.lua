--- Random and kernel features of vectors of width 64.

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

list[#list + 1] = {
  name = "gaussian kernel 2048x2048", flops = 2 * 2048 * 2048 * d, exps = 2048 * 2048, memory = true,
  make = function(rng)
    local x = fv.randn(2048, d, { rng = rng })
    local k = fv.kernel("gaussian", { scale = d ^ -0.5 })
    return function() return k(x, x) end
  end,
  peers = { { "sklearn_forms", "rbf_kernel", n = 2048 } },
}

list[#list + 1] = {
  name = "nystroem features 4096x64->256", flops = 2 * 4096 * m * (d + m), exps = 4096 * m,
  make = function(rng)
    local x, l = fv.randn(4096, d, { rng = rng }), fv.randn(m, d, { rng = rng })
    local k = fv.kernel("gaussian", { scale = d ^ -0.5 })
    local values, vectors = fv.eigh(k(l, l))
    local root = (vectors / values:maximum(1e-12):sqrt()):matmul(vectors:t())
    return function() return k(x, l):matmul(root) end
  end,
  peers = { { "sklearn_forms", "nystroem", n = 4096 } },
}

return list
