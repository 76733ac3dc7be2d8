--- Random draws.

local fv = require "fovea"

return {
  {
    name = "orthogonal sampler 256x64",
    make = function(rng)
      return function() return fv.sample("orthogonal", { rows = 256, dim = 64, rng = rng }) end
    end,
    peers = { { "sampling", "orthogonal" } },
  },
  {
    name = "1M normals",
    make = function(rng)
      return function() return fv.randn(1 << 20, { rng = rng }) end
    end,
    peers = { { "sampling", "normals" }, { "sampling", "normals_numpy" } },
  },
  {
    name = "variance study 100000 draws 64x16",
    flops = 2 * 1e5 * 2 * 64 * 16, exps = 1e5 * 2 * 64,   -- two points; the draws themselves are on top
    make = function()
      return function() return fv.variance { map = "positive", d = 16, features = 64, draws = 100000 } end
    end,
  },
}
