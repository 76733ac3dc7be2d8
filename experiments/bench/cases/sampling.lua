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
}
