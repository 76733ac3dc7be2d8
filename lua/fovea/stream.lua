-- layer:stream{batch=}: a layer that is fed a sequence in pieces.
--
-- A stream has copies of the layer and of all layers inside, with the same parameters and calls;
-- the copies know the tokens before a piece and what they kept of them (fovea.layer). What a piece
-- leaves is taken over only when the whole layer has seen it, so that an error changes nothing.

local layer = require "fovea.layer"
local options = require "fovea.options"
local no_grad = require "fovea.tape".no_grad

local spec = options.declare({
  { "batch", "integer", 1, "number of sequences", lo = 1 }
}, "stream", 1)

--- Every layer from l on, once; raises where one needs the whole sequence.
local function all(l)
  local list, met = {}, {}
  local function add(m)
    if met[m] then return end
    local why = m.whole or not m.caps.streaming and "its caps do not say streaming"
    if why then
      error(("%s: stream: %s%s"):format(layer.title(l), m ~= l and layer.title(m) .. ": " or "", why), 0)
    end
    met[m], list[#list + 1] = true, m
    for _, child in ipairs(m.inside) do add(child) end
  end
  add(l)
  return list
end

--- Copies of these layers whose fields, and lists in fields, hold the copies. What is kept is
--- never written over, so copies of a stream's layers may share it.
local function copies(list)
  local twin, out = {}, {}
  for i, m in ipairs(list) do
    out[i] = {}
    twin[m] = out[i]
  end
  local function translate(value)
    if type(value) ~= "table" or getmetatable(value) then return twin[value] or value end
    local copy
    for _, x in pairs(value) do
      if twin[x] and not copy then
        copy = {}
        for k, y in pairs(value) do copy[k] = twin[y] or y end
      end
    end
    return copy or value
  end
  for i, m in ipairs(list) do
    for key, value in pairs(m) do out[i][key] = translate(value) end
    out[i].training, out[i].flow = false, { kept = m.flow and m.flow.kept or nil }
    setmetatable(out[i], getmetatable(m))
  end
  return out
end

--- How many tokens x has.
local function count(s, x)
  local ids = options.type(x) == "tensor" and x:dtype() == "i64"
  if options.type(x) ~= "tensor" or x:ndim() ~= (ids and 2 or 3) or x:size(1) ~= s.batch then
    error(("stream of %s: x: expected i64 (batch=%d, n) or %s (batch=%d, n, width), got %s"):format(
          layer.title(s.layer), s.batch, s.layer.dtype, s.batch, layer.what(x)), 0)
  end
  local n = x:size(2)
  if n == 0 or s.limit and s.tokens + n > s.limit then
    error(("stream of %s: x: expected %s, got %d after %d"):format(layer.title(s.layer), n == 0
          and "at least one token" or ("at most length=%d tokens in all"):format(s.limit), n, s.tokens), 0)
  end
  return n
end

local function feed(s, x, given)
  local n, parts = count(s, x), s.parts
  if given ~= nil and type(given) ~= "table" then
    error(("stream of %s: expected x and a table of options, got %s"):format(layer.title(s.layer),
          options.type(given)), 2)
  elseif given and given.state then
    error("stream: option 'state': a stream has its own", 2)
  end
  for i = 1, #parts do parts[i].flow.after = nil end
  local y = no_grad(s.layer, x, given)
  for _, m in ipairs(s.keepers) do
    if m.flow.after == nil then
      error(("stream: %s was not called: layers inside are called by fields of self"):format(
            layer.title(m)), 0)
    end
  end
  s.tokens = s.tokens + n
  for i = 1, #parts do
    local m = parts[i]
    m.before, m.flow.kept = s.tokens, m.flow.after
  end
  return y
end

local methods = {}

--- Bytes of the tensors kept.
function methods.bytes(s)
  local total = 0
  local function add(x)
    if options.type(x) == "tensor" then total = total + x:numel() * (x:dtype() == "f32" and 4 or 8) end
  end
  for _, m in ipairs(s.parts) do
    add(m.flow.kept)
    for _, x in pairs(type(m.flow.kept) == "table" and m.flow.kept or {}) do add(x) end
  end
  return total
end

local make

--- Another stream that goes on from where this one is.
function methods.copy(s) return make(s.parts, s) end

local meta = { __index = methods, __call = feed, __name = "fovea.layer stream" }

function meta.__tostring(s)
  return ("stream of %s: batch=%d, %d tokens seen, %d bytes kept"):format(layer.title(s.layer), s.batch,
         s.tokens, s:bytes())
end

function make(layers, from)
  local parts, keepers = copies(layers), {}
  for _, m in ipairs(parts) do
    if rawget(m, "state") then keepers[#keepers + 1] = m end
  end
  return setmetatable({ batch = from.batch, tokens = from.tokens, limit = from.limit, layer = parts[1],
                        parts = parts, keepers = keepers }, meta)
end

return function(l, given)
  local opt, layers, limit = options.read(spec, given, "stream", 3), all(l), nil
  for _, m in ipairs(layers) do
    if m.limit then limit = math.min(limit or m.limit, m.limit) end
  end
  return make(layers, { batch = opt.batch, tokens = 0, limit = limit })
end
