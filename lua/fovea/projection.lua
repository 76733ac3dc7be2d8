--- What maps with a random projection share: its options, its draw, the object.

local fv = require "fovea"

local projection = {}

--- Declarations of the common options, then 'more'.
function projection.options(more)
  local list = {
    { "dim", "integer", nil, "width d of the input; needed unless projection is given", lo = 1 },
    { "features", "integer", nil, "number M of features; 256 unless projection fixes it", lo = 1 },
    { "sampler", "string", "orthogonal", "how W is drawn, see fv.sample.names()" },
    { "seed", "integer", 1, 'W comes from fv.rng(seed):stream("projection"): same seed, same W' },
    { "projection", "tensor", nil, "W (m, d) itself; may require a gradient" },
    { "scale", "number", nil, "the input is multiplied by it first" },
  }
  return table.move(more or {}, 1, more and #more or 0, #list + 1, list)
end

--- Draws in f64, so that both dtypes hold the same W up to rounding.
local function draw(opt, m)
  return fv.sample(opt.sampler, { rows = m, dim = opt.dim, seed = opt.seed, dtype = "f64" }):to("f32")
end

local function real(name, x)
  if x:dtype() ~= "f32" and x:dtype() ~= "f64" then
    error(("%s: x: expected f32 or f64, got %s"):format(name, x:dtype()), 0)
  end
end

local function misfit(name, dim, x)
  error(("%s: x: expected (..., n, dim=%d), got (%s)"):format(name, dim,
        table.concat({ x:shape() }, ",")), 0)
end

--- A map object.  'pairs' is how many features one projection gives (1 or 2),
--- features(x, W, log) computes them, 'op' is the operator that does.
function projection.map(opt, name, pairs, op, features)
  local W = opt.projection
  if W then
    if W:ndim() ~= 2 then error(name .. ": option 'projection': expected (m, d), got "
                                .. W:ndim() .. " dimensions", 0) end
    if opt.dim and opt.dim ~= W:size(2) then
      error(("%s: option 'projection': expected (m, dim=%d), got (%d,%d)")
        :format(name, opt.dim, W:shape()), 0)
    end
    if opt.features and opt.features ~= pairs * W:size(1) then
      error(("%s: option 'features': the projection gives %d, got %d"):format(name, pairs * W:size(1),
            opt.features), 0)
    end
    opt.dim, opt.features = W:size(2), pairs * W:size(1)
  else
    if not opt.dim then error(name .. ": option 'dim' is required unless 'projection' is given", 0) end
    opt.features = opt.features or 256
    if opt.features % pairs ~= 0 then
      error(("%s: option 'features': expected an even number, got %d"):format(name, opt.features), 0)
    end
    W = draw(opt, opt.features // pairs)
  end
  opt.scale = opt.scale or opt.dim ^ -0.25
  local function scaled(x)
    real(name, x)
    if x:ndim() < 1 or x:size(-1) ~= opt.dim then misfit(name, opt.dim, x) end
    return opt.scale == 1 and x or x * opt.scale, W:to(x:dtype())
  end
  local object = { W = W, dim = opt.dim, features = opt.features }
  function object.call(_, x)
    local y, w = scaled(x)
    return features(y, w, false)
  end
  if op.caps.log_features then
    function object.log(_, x)
      local y, w = scaled(x)
      return features(y, w, true)
    end
  end
  function object.cost(_, sizes)
    return op:cost { n = sizes.n, d = opt.dim, m = opt.features // pairs }
  end
  return object
end

--- A map object without a projection: 'per' features for each input entry,
--- features(x) computes them, 'cost' are options that op:cost wants.
function projection.plain(opt, name, per, op, features, cost)
  local object = { dim = opt.dim or false, features = opt.dim and opt.dim * per or false }
  function object.call(_, x)
    real(name, x)
    if opt.dim and (x:ndim() < 1 or x:size(-1) ~= opt.dim) then misfit(name, opt.dim, x) end
    return features(opt.scale == 1 and x or x * opt.scale)
  end
  function object.cost(_, sizes)
    local all = { n = sizes.n, d = opt.dim or sizes.d }
    for option, value in pairs(cost or {}) do all[option] = value end
    return op:cost(all)
  end
  return object
end

return projection
