--- What maps share: their common options, the draw of W, the object.

local fv = require "fovea"
local closed = require "fovea.closed"
local draws = require "fovea.draws"

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

--- Draws in f64, so that both dtypes hold the same W up to rounding.  Also the law of a row,
--- which says what a map estimates: "normal", "sphere" (uniform, of norm sqrt(d)) or false;
--- and, for samplers that have it, a function x -> x W' that does without W.
local function draw(opt, name, m)
  local which, more = sampler(name, opt.sampler)
  local entry = fv.sample.entry(which)
  for key, value in pairs { rows = m, dim = opt.dim, seed = opt.seed, draw = opt.draw, dtype = "f64" } do
    more[key] = value
  end
  local W = fv.sample(which, more):to "f32"
  local law = entry.caps.unbiased and (more.signs or "haar") == "haar"
              and (more.norms == "sqrt_d" and "sphere" or "normal") or false
  return W, law, entry.structured and fv.sample.structured(which, more)
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
local function settle(opt, name, pairs, stream)
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
    return W, nil            -- its law is the caller's word
  end
  if not opt.dim then error(name .. ": option 'dim' is required unless 'projection' is given", 0) end
  opt.features = opt.features or pairs * ((255 + pairs) // pairs)
  if opt.features % pairs ~= 0 then
    error(("%s: option 'features': expected %s, got %d"):format(name,
          pairs == 2 and "an even number" or "a multiple of " .. pairs, opt.features), 0)
  end
  local m = opt.features // pairs
  if stream then return stream(projection.stream(opt), m), "normal" end
  return draw(opt, name, m)
end

--- An option that must have the shape given: a tensor or nil.
function projection.shaped(name, option, t, ...)
  local want, shape = { ... }, t and { t:shape() }
  for i = 1, t and math.max(#shape, #want) or 0 do
    if shape[i] ~= want[i] then
      error(("%s: option '%s': expected (%s), got (%s)"):format(name, option, table.concat(want, ","),
            table.concat(shape, ",")), 0)
    end
  end
end

--- Settles opt.dim by an option that holds trained weights (M, d) or (h, M, d).
function projection.weighted(opt, name, option)
  local W = opt[option]
  if not W and not opt.dim then
    error(("%s: option 'dim' is required unless '%s' is given"):format(name, option), 0)
  elseif W and (W:ndim() < 2 or W:ndim() > 3 or opt.dim and opt.dim ~= W:size(-1)) then
    error(("%s: option '%s': expected (M, d%s) or (h, M, d), got (%s)"):format(name, option,
          opt.dim and "=" .. opt.dim or "", table.concat({ W:shape() }, ",")), 0)
  end
  opt.dim = W and W:size(-1) or opt.dim
end

--- The shape of x with another last size.
function projection.wide(x, size)
  local shape = { x:shape() }
  shape[#shape] = size
  return shape
end

--- The stream of a draw, for a purpose other than "projection".
function projection.stream(opt, purpose) return draws.stream(opt, purpose or "projection") end

--- A copy of a set of caps without some words.
function projection.without(caps, ...)
  local rest = {}
  for word in pairs(caps) do rest[word] = true end
  for _, word in ipairs { ... } do rest[word] = nil end
  return rest
end

--- What a map does with its input: checks it and multiplies it by the scale.
local function scaler(opt, name)
  return function(x)
    real(name, x)
    if x:ndim() < 1 or opt.dim and x:size(-1) ~= opt.dim then misfit(name, opt.dim or x:size(-1), x) end
    return opt.scale == 1 and x or x * opt.scale
  end
end

--- Rows (n, d) of a batch in f64 and without gradient, for statistics; at least 'least' of them.
function projection.rows(name, what, x, least)
  local d = x:size(-1)
  local rows = x:detach():to "f64":reshape(x:numel() // d, d)
  if rows:size(1) < least then
    error(("%s: fit: %s: expected at least %d rows, got %d"):format(name, what, least, rows:size(1)), 0)
  elseif rows:isfinite():all():item() == 0 then
    error(("%s: fit: %s: expected finite numbers, got NaN or inf"):format(name, what), 0)
  end
  return rows
end

--- And with some more; false words are left out.
function projection.with(caps, ...)
  local all = projection.without(caps)
  for _, word in ipairs { ... } do if word then all[word] = true end end
  return all
end

--- A map object from its options and 'def':
---   pairs       how many features one projection gives, 1 if not said
---   features    function(x, W, log, side, project): x scaled, W of its dtype, project(x) = x W'
---   op or cost  the operator whose cost it is, or cost(n): a table
---   kernels     by law of a row ("normal", "sphere"): kernel(aa, bb, c) as in closed.lua, or
---   kernel      function(x, y) of scaled inputs
---   log         whether the map has logarithms of features
---   statistics  function(x, y, least) -> options: what fit finds, from rows (n, d) in f64
---   least       rows it takes at least
---   stream      stands for the sampler: function(stream, m) -> W (m, d)
function projection.map(opt, name, caps, def)
  local pairs = def.pairs or 1
  local W, law, structured = settle(opt, name, pairs, def.stream)
  law = law == nil and "normal" or law
  opt.scale = opt.scale or opt.dim ^ -0.25
  local scaled = scaler(opt, name)
  local function project(x) return x:matmul(W:to(x:dtype()):t()) end
  if structured then
    function project(x)
      local u = structured(x:reshape(x:numel() // opt.dim, opt.dim))
      local shape = { x:shape() }
      shape[#shape] = u:size(2)
      return u:reshape(shape)
    end
  end
  local kernel = def.kernels and def.kernels[law] or law == "normal" and def.kernel
  local object = { W = W, dim = opt.dim, features = opt.features, structured = structured ~= nil,
                   caps = kernel and caps or projection.without(caps, "unbiased") }
  function object.call(_, x, side)
    local y = scaled(x)
    return def.features(y, W:to(x:dtype()), false, side, project, structured ~= nil)
  end
  if def.log then
    function object.log(_, x, side)
      local y = scaled(x)
      return def.features(y, W:to(x:dtype()), true, side, project, structured ~= nil)
    end
  end
  if kernel == def.kernel and kernel then
    function object.kernel(_, x, y) return kernel(scaled(x), scaled(y)) end
  elseif kernel then
    function object.kernel(_, x, y)
      local aa, bb, c = closed.parts(scaled(x), scaled(y))
      return kernel(aa, bb, c, opt.dim)
    end
  end
  if def.statistics then
    function object.statistics(_, q, k)
      return def.statistics(projection.rows(name, "q", scaled(q), def.least or 1),
                            projection.rows(name, "k", scaled(k), def.least or 1))
    end
  end
  function object.cost(_, sizes)
    if def.cost then return def.cost(sizes.n) end
    local m = opt.features // pairs
    local cost = def.op:cost { n = sizes.n, d = opt.dim, m = m }
    if structured then        -- three diagonals and transforms a block for the product with W
      cost.flops = cost.flops - 2 * sizes.n * opt.dim * m + 3 * sizes.n * m * (math.log(opt.dim, 2) + 2)
    end
    return cost
  end
  return object
end

--- Logarithms of positive features from projections: u - half |x|^2, in pairs +-u.
local function positive(u, x, half, pairs, log)
  local logs = (pairs == 2 and fv.cat({ u, -u }, u:ndim()) or u)
               - ((x * x):sum(-1):unsqueeze(-1) * half + math.log(u:size(-1) * pairs) / 2)
  return log and logs or logs:exp()
end

local function trig(u, x, grow)
  local phi = fv.cat({ u:sin(), u:cos() }, u:ndim()) / u:size(-1) ^ 0.5
  return grow == 0 and phi or phi * ((x * x):sum(-1):unsqueeze(-1) * grow):exp()
end

--- What libraries do to positive features: the maximum of the projections alone (of a row for
--- queries, of all rows for keys) is subtracted, then eps is added.
local shipped = { ["google-jax"] = 1e-6, ["performer-pytorch"] = 1e-4 }

local function stabilised(u, x, pairs, eps, side)
  u = pairs == 2 and fv.cat({ u, -u }, u:ndim()) or u
  local top, m = u:detach():max(-1):unsqueeze(-1), u:size(-1)
  if side == "k" then top = top:max(-2):unsqueeze(-2) end
  return ((u - ((x * x):sum(-1):unsqueeze(-1) / 2 + top)):exp() + eps) / m ^ 0.5
end

--- The option 'compat'.
projection.compat = { "compat", "string", nil,
  "as published code computes them: eps after a maximum (google-jax 1e-6, performer-pytorch 1e-4), rows of W "
  .. "with LAPACK's signs (all three). Biased; kernel = \"softmax\" only",
  choices = { "google-jax", "performer-pytorch", "fast-transformers" } }

--- The build of a map of the softmax (or Gaussian) kernel whose features one operator
--- computes; 'regularised': of the kernel that rows of norm sqrt(d) estimate in its place.
function projection.softmax(pairs, op)
  return function(opt, name, caps, regularised)
    local gaussian, eps = opt.kernel == "gaussian", shipped[opt.compat]
    if opt.compat then
      if gaussian then error(name .. ": option 'compat': expected with kernel = \"softmax\"", 0) end
      if opt.sampler == "orthogonal" then opt.sampler = { "orthogonal", signs = "lapack" } end
      caps = projection.without(caps, "unbiased", eps and "log_features")
      caps.biased, caps.asymmetric = true, eps and true or nil
    end
    local positives = op.caps.log_features
    return projection.map(opt, name, caps, {
      pairs = pairs, op = op, log = positives and not eps,
      kernels = regularised and { sphere = function(aa, bb, c, d)
        return closed[positives and "regularised" or "bessel"](aa, bb, c, d, gaussian)
      end } or not opt.compat and { normal = closed[opt.kernel] } or nil,
      features = function(x, W, log, side, project, structured)
        if eps then
          return stabilised(project(x), x, pairs, eps, side)
        elseif structured and positives then
          return positive(project(x), x, gaussian and 1 or 0.5, pairs, log)
        elseif structured then return trig(project(x), x, gaussian and 0 or 0.5)
        end
        return op(x, W, positives and { kernel = opt.kernel, log = log } or { kernel = opt.kernel })
      end
    })
  end
end

--- A map object without a random projection: features(x, side) of scaled inputs; 'width'
--- is M for inputs of width d (function or multiple of d), cost(n, d) a table of its cost.
--- def: width, features, cost, and 'kernel', 'log', 'statistics', 'least' as above.
function projection.plain(opt, name, caps, def)
  local scaled = scaler(opt, name)
  local function width(d) return type(def.width) == "number" and def.width * d or def.width(d) end
  local object = { dim = opt.dim, features = opt.dim and width(opt.dim), caps = caps }
  function object.call(_, x, side) return def.features(scaled(x), side) end
  if def.log then function object.log(_, x, side) return def.log(scaled(x), side) end end
  if def.kernel then
    function object.kernel(_, x, y) return def.kernel(scaled(x), scaled(y)) end
  end
  function object.cost(_, sizes) return def.cost(sizes.n, opt.dim or sizes.d) end
  return object
end

--- Options of maps with randomness of their own, then 'more'.
function projection.seeded(more)
  local list = {}
  for _, o in ipairs(projection.options(more)) do
    if o[1] ~= "sampler" and o[1] ~= "projection" then list[#list + 1] = o end
    if o[1] == "dim" then
      list[#list] = { "dim", "integer", nil, "width d of the input", lo = 1, required = true }
    end
  end
  return list
end

--- A map with randomness of its own, W: as plain.
function projection.own(opt, name, caps, W, def)
  local object = projection.plain(opt, name, caps, def)
  object.W = W
  return object
end

--- Options of maps without a random projection, then 'more'.
function projection.plain_options(more)
  local list = {
    { "dim", "integer", nil, "width d of the input, checked where it is given", lo = 1 },
    { "scale", "number", 1, "the input is multiplied by it first" }
  }
  return table.move(more or {}, 1, more and #more or 0, #list + 1, list)
end

--- Cost of an elementwise map: 'flops' and 'exps' an output, n rows from d to M numbers.
function projection.elementwise(n, d, M, flops, exps)
  return { flops = n * M * flops, exps = n * M * (exps or 0), bytes = 4 * n * (d + M) }
end

return projection
