--- fv.sample(name, {rows=, dim=, seed= or rng=, draw=, dtype=}) -> W: a random projection W (rows, dim).
---
--- With seed = s the randomness is fv.rng(s):stream("projection"), which is also what a
--- map with seed = s uses: both hold the same W.  draw = i > 0 takes the stream
--- "projection:i" instead: a draw is a pure function of (seed, i), so a run that stored the
--- number of its draw can go on.  Samplers are C operators of kind "sampler", compositions
--- in fovea/samplers, or registered ones.  Caps: unbiased (each row has the law N(0,I) by
--- itself), orthogonal (rows of a block of d are), biased (the doc says in what).
--- Example: W = fv.sample("orthogonal", {rows=256, dim=64, seed=1})

local core = require "fovea.core"
local options = require "fovea.options"
local registry = require "fovea.registry"

local common = {
  { "rows", "integer", nil, "number of rows (projections)", lo = 1, required = true },
  { "dim", "integer", nil, "width of a row", lo = 1, required = true },
  { "seed", "integer", nil, 'draws from fv.rng(seed):stream("projection")' },
  { "draw", "integer", nil, 'which draw of the seed: i > 0 takes the stream "projection:i"', lo = 0 },
  { "rng", "stream", nil, "draws from this stream instead of a seed" },
  { "dtype", "string", "f32", "of the result", choices = { "f32", "f64" } }
}

--- Every sampler draws from opt.rng: a seed becomes a stream before 'build' sees it.
local function draws(opt, name, level)
  if (opt.seed == nil) == (opt.rng == nil) then
    error(("%s: expected one of the options 'seed' and 'rng'"):format(name), level)
  end
  if opt.rng and opt.draw then
    error(("%s: option 'draw' belongs to 'seed', and 'rng' is given"):format(name), level)
  end
  local draw = opt.draw or 0
  opt.rng = opt.rng or core.rng(opt.seed):stream(draw == 0 and "projection" or "projection:" .. draw)
  opt.seed, opt.draw = nil, nil
end

local sample = registry.new {
  kind = "sampler", folder = "fovea.samplers", common = common, prepare = draws,
  extra = { structured = "function" },    -- structured(opt) -> x (n, d) -> x W' without forming W
  source = function()
    return registry.descriptors("sampler", function(op)
      return function(opt) return op(opt) end
    end)
  end
}

--- fv.sample.structured(name, options): for samplers that have it (fv.sample.entry(name)
--- .structured), a function x (n, d) -> x W' of the same W, which is not formed.
function sample.structured(name, given)
  local entry = sample.entry(name)
  local opt = options.read(entry.options, given, name, 3)
  draws(opt, name, 3)
  return entry.structured(opt)
end

return sample
