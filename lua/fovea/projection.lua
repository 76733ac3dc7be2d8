--- What maps share: their common options, the draw of W, the object.

local fv = require "fovea"
local closed = require "fovea.closed"

local projection = {}

--- Declarations of the options of maps with a projection, then 'more'.
function projection.options(more)
  local list = {
    { "dim", "integer", nil, "width d of the input; needed unless projection is given", lo = 1 },
    { "features", "integer", nil, "number M of features; 256 unless projection fixes it", lo = 1 },
    { "sampler", "string|table", "orthogonal",
      'how W is drawn, see fv.sample.names(); {"orthogonal", norms="sqrt_d"} with its options' },
    { "seed", "integer", 1, 'W comes from fv.rng(seed):stream("projection"): same seed, same W' },
    { "draw", "integer", 0, 'named draw i > 0 of the seed, from the stream "projection:i"', lo = 0 },
    { "redraw", "string|integer", "fixed",
      "which draw phi:at(step) is: 0, the step, or step // k for a number k",
      choices = { "fixed", "per_call" }, lo = 1 },
    { "projection", "tensor", nil,
      "W (m, d) itself, or (..., m, d): one for each head, say; may require a gradient" },
    { "scale", "number", nil, "the input is multiplied by it first" },
  }
  return table.move(more or {}, 1, more and #more or 0, #list + 1, list)
end

--- The option 'kernel' of maps for the softmax and the Gaussian kernel.
projection.kernel = { "kernel", "string", "softmax",
  "what is estimated: exp(x.y) or exp(-|x-y|^2/2) of the scaled inputs", choices = { "softmax", "gaussian" } }

--- Name and options of a sampler given as "name" or { "name", option = ... }.
local function sampler(name, given)
  if type(given) == "string" then return given, {} end
  local opt = {}
  for key, value in pairs(given) do opt[key] = value end
  if type(opt[1]) ~= "string" then
    error(name .. ": option 'sampler': expected a name or {name, option = ...}, got a table without one", 0)
  end
  return table.remove(opt, 1), opt
end

--- Draws in f64, so that both dtypes hold the same W up to rounding.  Also says whether
--- each row has the law N(0,I), which is what 'unbiased' maps need.
local function draw(opt, name, m)
  local which, more = sampler(name, opt.sampler)
  local normal = fv.sample.entry(which).caps.unbiased and (more.norms or "chi") == "chi"
  for key, value in pairs { rows = m, dim = opt.dim, seed = opt.seed, draw = opt.draw, dtype = "f64" } do
    more[key] = value
  end
  return fv.sample(which, more):to("f32"), normal
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

--- W (given or drawn) and the numbers that follow from it; 'pairs' is how many features
--- one projection gives.
local function settle(opt, name, pairs)
  local W = opt.projection
  if W then
    if W:ndim() < 2 then error(name .. ": option 'projection': expected (..., m, d), got "
                               .. W:ndim() .. " dimensions", 0) end
    local m, d = W:size(-2), W:size(-1)
    if opt.dim and opt.dim ~= d then
      error(("%s: option 'projection': expected (..., m, dim=%d), got (%s)")
        :format(name, opt.dim, table.concat({ W:shape() }, ",")), 0)
    end
    if opt.features and opt.features ~= pairs * m then
      error(("%s: option 'features': the projection gives %d, got %d"):format(name, pairs * m,
            opt.features), 0)
    end
    opt.dim, opt.features = d, pairs * m
    return W, true            -- its law is the caller's word
  end
  if not opt.dim then error(name .. ": option 'dim' is required unless 'projection' is given", 0) end
  opt.features = opt.features or 256
  if opt.features % pairs ~= 0 then
    error(("%s: option 'features': expected %s, got %d"):format(name,
          pairs == 2 and "an even number" or "a multiple of " .. pairs, opt.features), 0)
  end
  return draw(opt, name, opt.features // pairs)
end

--- A copy of a set of caps without some words.
function projection.without(caps, ...)
  local rest = {}
  for word in pairs(caps) do rest[word] = true end
  for _, word in ipairs { ... } do rest[word] = nil end
  return rest
end

--- A map object.  'pairs' is how many features one projection gives (1 or 2),
--- features(x, W, log, side) computes them, 'op' is the operator that does, kernel(x, y)
--- the closed form (closed.NAME or one like it) for rows of law N(0,I).  Both see scaled inputs.
function projection.map(opt, name, caps, pairs, op, features, kernel)
  local W, normal = settle(opt, name, pairs)
  opt.scale = opt.scale or opt.dim ^ -0.25
  local function scaled(x)
    real(name, x)
    if x:ndim() < 1 or x:size(-1) ~= opt.dim then misfit(name, opt.dim, x) end
    return opt.scale == 1 and x or x * opt.scale
  end
  local object = { W = W, dim = opt.dim, features = opt.features,
                   caps = normal and caps or projection.without(caps, "unbiased") }
  function object.call(_, x, side)
    local y = scaled(x)
    return features(y, W:to(x:dtype()), false, side)
  end
  if caps.log_features then
    function object.log(_, x, side)
      local y = scaled(x)
      return features(y, W:to(x:dtype()), true, side)
    end
  end
  if normal and kernel then
    function object.kernel(_, x, y) return kernel(closed.parts(scaled(x), scaled(y))) end
  end
  function object.cost(_, sizes)
    return op:cost { n = sizes.n, d = opt.dim, m = opt.features // pairs }
  end
  return object
end

--- The build of a map of the softmax (or Gaussian) kernel whose features one operator
--- computes.
function projection.softmax(pairs, op)
  return function(opt, name, caps)
    return projection.map(opt, name, caps, pairs, op, function(x, W, log)
      return op(x, W, op.caps.log_features and { kernel = opt.kernel, log = log } or { kernel = opt.kernel })
    end, closed[opt.kernel])
  end
end

--- A map object without a projection: 'per' features for each input entry,
--- features(x) computes them, 'cost' are options that op:cost wants.
function projection.plain(opt, name, caps, per, op, features, cost)
  local object = { dim = opt.dim or false, features = opt.dim and opt.dim * per or false, caps = caps }
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
