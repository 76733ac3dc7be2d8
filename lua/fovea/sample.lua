--- fv.sample(name, {rows=, dim=, seed= or rng=, dtype=}): a random projection W (rows, dim).
---
--- With seed = s the randomness is fv.rng(s):stream("projection"), which is also what a
--- map with seed = s uses: both hold the same W.  Samplers are C operators of kind
--- "sampler", compositions in fovea/samplers, or registered ones.

local core = require "fovea.core"
local registry = require "fovea.registry"

local common = {
  { "rows", "integer", nil, "number of rows (projections)", lo = 1, required = true },
  { "dim", "integer", nil, "width of a row", lo = 1, required = true },
  { "seed", "integer", nil, 'draws from fv.rng(seed):stream("projection")' },
  { "rng", "stream", nil, "draws from this stream instead of a seed" },
  { "dtype", "string", "f32", "of the result", choices = { "f32", "f64" } }
}

--- Every sampler draws from opt.rng: a seed becomes a stream before 'build' sees it.
local function draws(opt, name, level)
  if (opt.seed == nil) == (opt.rng == nil) then
    error(("%s: expected one of the options 'seed' and 'rng'"):format(name), level)
  end
  opt.rng = opt.rng or core.rng(opt.seed):stream("projection")
  opt.seed = nil
end

return registry.new {
  kind = "sampler", folder = "fovea.samplers", common = common, prepare = draws,
  source = function()
    return registry.descriptors("sampler", function(op)
      return function(opt) return op(opt) end
    end)
  end
}
