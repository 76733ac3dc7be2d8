-- What every layer is made of: parameters with names, layers inside, a mode.
--
--   build = function(opt)
--     local l = layer.new(opt)
--     layer.param(l, "weight", { opt.outputs, opt.inputs }, opt.init)    -- is l.weight
--     layer.child(l, "norm", "rms_norm", { width = opt.outputs })        -- is l.norm
--     l.call = function(self, x) ... end
--     return l
--   end
-- The registry of fovea.nn does the rest (finish).
--
-- A layer whose entry's caps say streaming may be fed a sequence in pieces (layer:stream, in
-- fovea.stream). One that treats tokens alone needs nothing for it, and one made of layers need only
-- call those by fields of self. Else its call reads
--   self.before    the number of tokens before this piece; 0 where there is no stream
--   self.flow      false where there is no stream; self.flow.kept is what it kept of them, or nil
-- and must layer.keep(self, kept): a tensor, or a table with tensors. It then has
-- state(self, sizes) -> the numbers in them. l.limit is the most tokens it takes, l.whole says why
-- this very layer needs the whole sequence.

local core = require "fovea.core"
local draws = require "fovea.draws"
local initial = require "fovea.initial"
local options = require "fovea.options"

local layer = {}

--- Options that every layer has.
layer.options = {
  { "seed", "integer", 1, "keys the first values of parameters, random features and dropout" },
  { "path", "string", "", "what names of parameters begin with, such as \"blocks.1\"" },
  { "dtype", "string", "f32", "of parameters and inputs", choices = { "f32", "f64" } }
}

local function join(path, name) return path == "" and name or path .. "." .. name end

function layer.new(opt)
  return { path = opt.path, seed = opt.seed, dtype = opt.dtype, training = false, step = false,
           own = {}, inside = {}, before = 0, flow = false, limit = false, whole = false }
end

--- A parameter l[name] of that shape; init as fovea.initial reads it.
function layer.param(l, name, shape, init)
  local full = join(l.path, name)
  local x = initial(init, core.rng(l.seed):stream("init:" .. full), shape, l.dtype, full)
  l.own[#l.own + 1] = { name = full, tensor = x:requires_grad() }
  l[name] = x
  return x
end

--- The layer fv.nn[kind](given) as l[name], or as part of the list l[name] for "name.i".
function layer.child(l, name, kind, given)
  local all = { seed = l.seed, path = join(l.path, name), dtype = l.dtype }
  for key, value in pairs(given or {}) do all[key] = value end
  local child = require "fovea.nn".make(kind, all, 0)
  l.inside[#l.inside + 1] = child
  local list, i = name:match "^([%w_]+)%.(%d+)$"
  if list then
    l[list] = l[list] or {}
    l[list][tonumber(i)] = child
  else
    l[name] = child
  end
  return child
end

--- A value as messages name it: "f32 (2,3)", or its type.
function layer.what(x)
  local t = options.type(x)
  return t == "tensor" and x:dtype() .. " " .. layer.shape(x) or t
end

function layer.shape(x) return "(" .. table.concat({ x:shape() }, ",") .. ")" end

--- "linear 'blocks.1.mlp.up'"
function layer.title(l) return l.path == "" and l.name or ("%s '%s'"):format(l.name, l.path) end

--- Raises: argument 'arg' of layer l is not as expected.
function layer.bad(l, arg, want, got)
  error(("%s: %s: expected %s, got %s"):format(layer.title(l), arg, want, layer.what(got)), 0)
end

--- Refuses what is no tensor of the layer's dtype with that last size, and 'least' dimensions.
function layer.check(l, arg, x, size, least)
  if options.type(x) ~= "tensor" or x:dtype() ~= l.dtype or x:ndim() < (least or 1)
     or size and x:size(-1) ~= size then
    local lead = least == 3 and "b, n" or least == 2 and "..., n" or "..."
    layer.bad(l, arg, ("%s (%s, %s)"):format(l.dtype, lead, size or "d"), x)
  end
end

--- Refuses what is no i64 tensor with values in 1 .. most; returns it.
function layer.check_ids(l, arg, ids, most)
  if options.type(ids) ~= "tensor" or ids:dtype() ~= "i64" then layer.bad(l, arg, "an i64 tensor", ids) end
  if ids:numel() == 0 then
    error(("%s: %s: expected at least one id, got an empty batch %s"):format(layer.title(l), arg,
          layer.shape(ids)), 0)
  end
  local lo, hi = ids:min():item(), ids:max():item()
  if lo < 1 or hi > most then
    error(("%s: %s: expected ids in 1 .. %d, got %d"):format(layer.title(l), arg, most,
          lo < 1 and lo or hi), 0)
  end
  return ids
end

--- What a layer in a stream goes on from after this piece.
function layer.keep(l, kept)
  if l.flow.after then
    error(("stream: %s is called twice for one piece"):format(layer.title(l)), 0)
  end
  l.flow.after = kept
end

-- ---- methods ----

local methods = {}

function methods.parameters(l)
  local list, seen = {}, {}
  local function add(m)
    for _, p in ipairs(m.own) do
      if not seen[p.tensor] then
        seen[p.tensor] = true
        list[#list + 1] = { name = p.name, tensor = p.tensor }
      end
    end
    for _, child in ipairs(m.inside) do add(child) end
  end
  add(l)
  return list
end

local function set_mode(l, training, step)
  l.training, l.step = training, step or false
  if training and rawget(l, "on_step") then l:on_step(step) end
  for _, child in ipairs(l.inside) do set_mode(child, training, step) end
  return l
end

function methods.train(l, step)
  if step ~= nil and (math.type(step) ~= "integer" or step < 0) then
    error(("%s: train: step: expected a whole number from 0, got %s"):format(layer.title(l),
          type(step) == "number" and tostring(step) or options.type(step)), 2)
  end
  return set_mode(l, true, step)
end
function methods.eval(l) return set_mode(l, false) end

function methods.count(l)
  local n = 0
  for _, p in ipairs(l:parameters()) do n = n + p.tensor:numel() end
  return n
end

function methods.state_bytes(l, sizes)
  sizes = options.read(options.declare({
    { "n", "integer", 1, "tokens seen", lo = 0 } }, "state_bytes", 1), sizes, "state_bytes", 3)
  local total = 0
  local function add(m)
    if rawget(m, "state") then total = total + m:state(sizes) * (m.dtype == "f64" and 8 or 4) end
    for _, child in ipairs(m.inside) do add(child) end
  end
  add(l)
  return total
end

function methods.draws(l) return draws.list(l) end

function methods.stream(l, given) return require "fovea.stream"(l, given) end

--- f(path, ...), its error raised where the user's call is.
local function file(l, f, path, what, ...)
  if type(path) ~= "string" then
    error(("%s: %s: expected a path that ends in .safetensors, got %s"):format(layer.title(l), what,
          options.type(path)), 3)
  end
  local good, result, meta = pcall(f, path, ...)
  if not good then error(result, 3) end
  return result, meta
end

function methods.save(l, path)
  local all = {}
  for _, p in ipairs(l:parameters()) do all[p.name] = p.tensor:detach() end
  local drawn = draws.text(l)
  if drawn and type(path) == "string" and not path:find "%.safetensors$" then
    error(("%s: save: expected a path that ends in .safetensors, which also keeps which random features are in "
      .. "use, got '%s'"):format(layer.title(l), path), 2)
  end
  file(l, core.save, path, "save", all, drawn and { metadata = { draws = drawn } })
  return path
end

--- Copies 'all' (tensors by name) into the parameters; one error lists all that does not fit.
local function fill(l, all, where)
  local faults, known = {}, {}
  for _, p in ipairs(l:parameters()) do
    local x = all[p.name]
    known[p.name] = true
    if x == nil then
      faults[#faults + 1] = ("missing '%s' %s"):format(p.name, layer.shape(p.tensor))
    elseif options.type(x) ~= "tensor" or not x:dtype():find "^f"
           or layer.shape(x) ~= layer.shape(p.tensor) then
      faults[#faults + 1] = ("'%s': expected %s, got %s"):format(p.name, layer.what(p.tensor), layer.what(x))
    end
  end
  local extra = {}
  for name in pairs(all) do if not known[name] then extra[#extra + 1] = tostring(name) end end
  table.sort(extra)
  for _, name in ipairs(extra) do faults[#faults + 1] = ("unknown entry '%s'"):format(name) end
  if #faults > 0 then
    error(("%s: load: %s does not fit:\n  %s"):format(layer.title(l), where,
          table.concat(faults, "\n  ")), 3)
  end
  require "fovea.tape".no_grad(function()
    for _, p in ipairs(l:parameters()) do p.tensor:copy_(all[p.name]) end
  end)
  return l
end

function methods.load(l, path)
  local all, meta = path, nil
  if type(path) ~= "table" then all, meta = file(l, core.load, path, "load") end
  if meta and meta.format == "fovea.train 1" then       -- a run's state: its model
    local own = {}
    for name, x in pairs(all) do
      local short = name:match "^model%.(.+)"
      if short then own[short] = x end
    end
    all = own
  end
  if type(all) ~= "table" then
    error(("%s: load: '%s' holds one tensor, expected named ones (.safetensors or .npz)"):format(
          layer.title(l), tostring(path)), 2)
  end
  fill(l, all, type(path) == "table" and "the table" or "'" .. path .. "'")
  if meta and meta.draws then draws.take(l, meta.draws) end
  return l
end

--- "640 parameters: embed 128, blocks 2 x 256", or "" where there are none.
local function inventory(l)
  local list, last = {}, nil
  local function add(name, n)
    local group = name:match "^(.*)%.%d+$"
    if n == 0 then return end
    if group and last and last.group == group and last.n == n then last.times = last.times + 1 return end
    last = { name = name, group = group, n = n, times = 1 }
    list[#list + 1] = last
  end
  local function visit(m)
    for _, p in ipairs(m.own) do add(p.name:sub(#l.path + (l.path == "" and 1 or 2)), p.tensor:numel()) end
    for _, child in ipairs(m.inside) do
      if child.path == l.path then visit(child)       -- a model's body: the names are the model's
      else add(child.path:sub(#l.path + (l.path == "" and 1 or 2)), child:count()) end
    end
  end
  visit(l)
  for i, e in ipairs(list) do
    list[i] = e.times > 1 and ("%s %d x %d"):format(e.group, e.times, e.n) or ("%s %d"):format(e.name, e.n)
  end
  return #list == 0 and "" or ("\n%d parameters: %s"):format(l:count(), table.concat(list, ", "))
end

function layer.text(l) return require "fovea.registry".title(l) .. inventory(l) end

--- Completes what an entry's build returned.
function layer.finish(object)
  for name, method in pairs(methods) do object[name] = method end
end

return layer
