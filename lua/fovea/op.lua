--- fv.op({forward=, backward=, name=}) -> operator: an operator with a gradient of your own
--- forward(x, ...) -> y is not recorded. backward(dy, y, x, ...) -> dx, ... gives a gradient
--- for each argument, nil or false where there is none; made of tensor functions it can be
--- differentiated in turn. y and the arguments that backward takes are kept, and must not be
--- changed in place before the backward pass. Where forward returns several tensors dy and y are lists, and
--- dy[i] is false where no gradient came. fv.gradcheck(op, {x, ...}) tests it.
--- Example: twice = fv.op { name = "twice", forward = function(x) return x * 2 end,
---                          backward = function(dy) return dy * 2 end }

local core = require "fovea.core"
local options = require "fovea.options"
local tape = require "fovea.tape"

local node = core.taping.node

local list = options.declare({
  { "forward", "function", nil, "from arguments to results", required = true },
  { "backward", "function", nil, "from gradients of results to those of arguments", required = true },
  { "name", "string", "op", "what errors and printing say" }
}, "op", 1)

--- What a gradient of x must be; false if x can have none.
local function kind(x)
  return tape.is_real(x) and x:dtype() .. " (" .. table.concat({ x:shape() }, ",") .. ")"
end

--- The n gradients that 'backward' gave, checked against the kinds of the arguments.
local function checked(op, kinds, n, grads)
  for i = 1, n do
    local g = grads[i] or false
    if g and kinds[i] ~= kind(g) then
      error(("%s: backward: gradient %d: expected %s"):format(op.name, i, kinds[i]
            and kinds[i] .. " like argument " .. i or "none, argument " .. i .. " is no f32 or f64 tensor"), 0)
    end
    grads[i] = g
  end
  return table.unpack(grads, 1, n)
end

local function call(op, ...)
  local args, nodes, kinds, any = { ... }, {}, {}, false
  local n = select("#", ...)
  for i = 1, n do
    nodes[i] = node(args[i]) or false
    any = any or nodes[i]
  end
  if not any or not tape.recording() then return op.forward(...) end
  local ys = table.pack(tape.with(false, op.forward, ...))
  for i = 1, ys.n do        -- a result may be an argument, which has a node of its own
    if tape.is_tensor(ys[i]) then ys[i] = tape.detach(ys[i]) end
  end
  for i = 1, n do kinds[i] = kind(args[i]) end
  local count, y, takes = ys.n, ys.n == 1 and ys[1] or ys, debug.getinfo(op.backward, "u")
  local most = takes.isvararg and n + 2 or takes.nparams      -- what backward has no name for is let go
  if most < 2 then y = nil end
  local seen = math.max(0, math.min(n, most - 2))
  args = table.move(args, 1, seen, 1, {})
  return tape.record_nodes(op, ys, function(dys)
    for i = 1, count do dys[i] = dys[i] or false end
    return checked(op, kinds, n, { op.backward(count == 1 and dys[1] or dys, y, table.unpack(args, 1, seen)) })
  end, nodes, tape.tensors(args, seen))
end

local meta = {
  __name = "fovea.op", __call = call, __tostring = function(op) return "operator " .. op.name end
}

return function(given)
  local op = options.read(list, given, "op", 3)
  return setmetatable(op, meta)
end
