--- fv.variance{map=, sampler=, features=, draws=, target=, ...} -> study: how random features err.
---
--- Draws every map many times and compares with the kernel or with exact attention.
---   map       a name, { name, option = ... }, or a list of them; fitted maps are fitted to the inputs
---   sampler   a name, or a list (where a map's options do not say it): names, { name, option = ... }
---   features  M, or a list
--- target = "kernel" (the default): phi(x).phi(y) against the kernel, for pairs of norm |x| = |y| and
--- angle (radians), numbers or lists, in d dimensions: norms are those of the scaled inputs,
--- x = q d^(-1/4). Or for the pairs (q_i, k_i) of q and k (n, d).
--- target = "attention" or "output": matrices, or outputs, against exact softmax attention of
--- q, k (, v) (..., n, d); without q: n rows with entries N(0, sigma^2), v ~ N(0, 1).
--- Each row has bias, variance, mean squared error, tail probability with standard errors from the
--- draws, the closed form of fv.theory where there is one, the error of uniform averaging and the
--- skill beside it. All maps meet the same draws, a smaller M the first rows of a larger.
--- The study prints, r:plot(path) .png or .svg, r:save(path) .csv, .json or .npz; r[i].mse reads it.
--- Cost: draws * pairs * M features; 1e5 draws at d = 16, M = 64 take seconds.
--- Errors: unknown names and options, ranges. NaN and inf in the inputs come out as they are.
--- Example: print(fv.variance{map={"positive", "trig"}, features={16, 64}, norm=0.7, angle={0.5, 2}})
--- Source: arXiv:2009.14794, lemma 2 and figure 4

local fv = require "fovea"
local draws = require "fovea.variance.draws"
local options = require "fovea.options"

local spec = options.declare({
  { "map", "string|table|map", "positive", "what is drawn" },
  { "sampler", "string|table", "orthogonal", "how" },
  { "features", "integer|table", 64, "number M of features" },
  { "target", "string", "kernel", "what is compared", choices = { "kernel", "attention", "output" } },
  { "d", "integer", 16, "width of the inputs, unless q is given", lo = 1, hi = 65536 },
  { "norm", "number|table", 1, "of the scaled inputs" },
  { "angle", "number|table", math.pi / 3, "between them, radians" },
  { "draws", "integer", 1000, "number of draws", lo = 2, hi = 10 ^ 8 },
  { "seed", "integer", 1, "of the draws and of what is made up" },
  { "tail", "number", 0.5, "relative error that counts as tail (kernel)", lo = 0 },
  { "q", "tensor", nil, "raw queries" }, { "k", "tensor", nil, "raw keys" }, { "v", "tensor", nil, "values" },
  { "n", "integer", 256, "rows that are made up without q", lo = 1, hi = 2 ^ 24 },
  { "sigma", "number", 1, "standard deviation of their entries", lo = 0 },
  { "dtype", "string", "f32", "of what is made up (attention, output)", choices = { "f32", "f64" } }
}, "variance", 2)

--- What only one of the targets reads.
local only = { kernel = { "norm", "angle", "tail" }, other = { "v", "n", "sigma", "dtype" } }

local function check(o, given)
  for _, name in ipairs(o.target == "kernel" and only.other or only.kernel) do
    if given[name] ~= nil then
      error(("variance: option '%s': not read with target = \"%s\""):format(name, o.target), 0)
    end
  end
  if (o.q == nil) ~= (o.k == nil) then error("variance: q and k: expected both or neither", 0) end
  for _, name in ipairs { "q", "k", "v" } do
    local x = o[name]
    if x and (x:ndim() < 2 or x:numel() == 0 or (x:dtype() ~= "f32" and x:dtype() ~= "f64")) then
      error(("variance: option '%s': expected (..., n, d) of f32 or f64 that is not empty, got %s (%s)")
        :format(name, x:dtype(), table.concat({ x:shape() }, ",")), 0)
    end
  end
  for _, name in ipairs { "norm", "angle", "d" } do
    if o.q and given[name] ~= nil then
      error(("variance: option '%s': q and k say it"):format(name), 0)
    end
  end
end

--- A list of samplers from a name, { name, option = ... } or a list of either.
local function samplers(s)
  if type(s) == "string" then return { s } end
  for key in pairs(s) do
    if type(key) == "string" then return { s } end
  end
  if #s == 0 then error("variance: option 'sampler': expected at least one", 0) end
  return s
end

--- Every map with every sampler and number of features, as { name, sampler, phi, raw, est }.
local function instances(o, x, y)
  local list = {}
  for _, method in ipairs(draws.methods(o.map)) do
    local by = fv.map.entry(method[1]).options.by
    local how = method.sampler and { method.sampler } or by.sampler and samplers(o.sampler) or { false }
    local sizes = by.features and draws.numbers("features", o.features, 1, 2 ^ 24, true) or { false }
    for _, s in ipairs(how) do
      for _, M in ipairs(sizes) do
        local raw = x:size(-1) ^ 0.25
        local phi = draws.make(method, s or nil, M or nil, x:size(-1), o.seed, x * raw, y * raw)
        local words = {}
        for key, value in pairs(method) do
          if key ~= 1 and key ~= "sampler" then words[#words + 1] = ("%s=%s"):format(key, tostring(value)) end
        end
        table.sort(words)
        list[#list + 1] = { name = table.concat({ method[1], table.unpack(words) }, " "), phi = phi, est = {},
          sampler = s and draws.label(s) or "", raw = 1 / (phi.spec.by.scale and phi.options.scale or 1) }
      end
    end
  end
  return list
end

--- Runs all draws of all instances, batch by batch, so that each batch of W is drawn once
--- for everyone. points: rows that phi is applied to in a draw.
local function each(o, list, points, lead, dtype, f)
  local rows, widest = 1, 1
  for _, it in ipairs(list) do
    rows = math.max(rows, it.phi.W and it.phi.W:size(-2) or 1)
    widest = math.max(widest, it.phi.features or 1)
  end
  local size = math.max(1, math.min(4e6 // (widest * points), 4e6 // (rows * o.d), o.draws) // 1 | 0)
  for first = 1, o.draws, size do
    local cache = {}
    for _, it in ipairs(list) do
      if it.phi.spec.by.seed or first == 1 then       -- what is not random is seen once
        local count = it.phi.spec.by.seed and math.min(size, o.draws - first + 1) or 1
        draws.each(it.phi, rows, first, count, o.seed, dtype, lead, cache,
                   function(phi, B) f(it, phi, B) end)
      end
    end
  end
end

return function(given, ...)
  if select("#", ...) > 0 or (given ~= nil and type(given) ~= "table") then
    error(("variance: expected one table of options, got %s"):format(select("#", ...) > 0 and "more"
          or options.type(given)), 2)
  end
  local o = options.read(spec, given, "variance", 3)
  local good, r = pcall(function()
    check(o, given or {})
    return require(o.target == "kernel" and "fovea.variance.kernel" or "fovea.variance.outputs").run(o,
      function(x, y) return instances(o, x, y) end, function(...) return each(o, ...) end)
  end)
  if not good then error(type(r) == "string" and r:gsub("^[^:]+%.lua:%d+: ", "") or r, 2) end
  return r
end
