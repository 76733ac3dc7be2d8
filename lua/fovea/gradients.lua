-- How every function of tensors is differentiated: rules[name](f, ...) stands in for a call
-- f(...) with a tracked tensor among its arguments. It computes with raw(f, ...), and
-- record(f, y, back, x, ...) says how the gradient dy of the result becomes those of the inputs.
-- back is made of tensor functions, so it can be differentiated in turn. The tensors it closes
-- over, one by one or in lists, are what the graph keeps alive and what must not be overwritten
-- before the backward pass: those it needs and no others, under the names of the arguments.
--
-- The rules are in gradients/, by kind; this file has what they share.

local core = require "fovea.core"
local taping = core.taping
local node, same, unseen = taping.node, taping.same, taping.unseen
local meta = getmetatable(core.empty(0))
local method = meta.methods

return function(tape)
local record = tape.record
local rules = {}

local function shape_of(x) return { method.shape(x) } end
local function zeros(shape, dtype) return core.zeros(shape, { dtype = dtype }) end
local function straight(dy) return dy end


--- g summed to 'shape', which broadcast to g's, in 'dtype'.
local function sum_to(g, shape, dtype)
  local lead, dims = g:ndim() - #shape, {}
  for i = 1, lead do dims[i] = i end
  for i, n in ipairs(shape) do
    if n == 1 and g:size(lead + i) ~= 1 then dims[#dims + 1] = lead + i end
  end
  if #dims > 0 then g = g:sum(table.unpack(dims)):reshape(shape) end
  return g:dtype() == dtype and g or g:to(dtype)
end

--- How a gradient like y becomes one like x, which broadcast to y; nil if x needs none.
local function fit(x, y)
  if not node(x) then return end
  if same(x, y) then return straight end
  local shape, dtype = shape_of(x), method.dtype(x)
  return function(g) return sum_to(g, shape, dtype) end
end

--- The gradient of y = view(x), a view of some of the elements of an x of that shape.
--- While nothing is recorded it is a function that adds to a buffer: see tape.add.
local function embed(dy, view, shape, dtype)
  local function place(buffer)
    buffer = buffer or zeros(shape, dtype)
    unseen(method.add_, view(buffer), dy)
    return buffer
  end
  if not tape.recording() then return place end
  local x = tape.with(false, place)
  return node(dy) and record("embed", x, view, dy) or x
end

local function refused(name)
  return function()
    error(name .. ": in place with a tensor whose gradient is recorded: the tape needs what it would "
       .. "overwrite; write x = x + y, or use x:detach() or fv.no_grad", 3)
  end
end
rules.newindex = refused "x[i] = y"
for name, doc in pairs(core.docs.tensor) do
  if doc.grad == "place" then rules[name] = refused(name) end
end

-- ---- which function is which ----

local by, names = {}, {}
local shared = setmetatable({
  raw = taping.raw, node = node, same = same, method = method, names = names,
  shape_of = shape_of, zeros = zeros, straight = straight, fit = fit, sum_to = sum_to, embed = embed
}, { __index = tape })
for _, kind in ipairs { "elementwise", "reductions", "views", "places", "products", "equations",
                        "factors", "operators" } do
  require("fovea.gradients." .. kind)(rules, shared)
end

--- Functions without a gradient, such as comparisons, run unseen: their results are constants.
local function bind(f, name, doc)
  by[f], names[f] = rules[name] or doc and doc.grad == "none" and taping.raw or nil, name
end
for name, doc in pairs(core.docs.fv) do bind(core[name], name, doc) end
for name, doc in pairs(core.docs.tensor) do bind(method[name], name, doc) end
for event, name in pairs { __add = "add", __sub = "sub", __mul = "mul", __div = "div", __pow = "pow",
                           __mod = "mod", __idiv = "floordiv", __unm = "neg", __index = "index",
                           __newindex = "newindex" } do
  bind(meta[event], name)
end
bind(getmetatable(core.ops.softmax_attention).__call, "operator")
return by, names
end
