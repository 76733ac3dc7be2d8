--- fv.op({forward=, backward=, name=}) -> operator: an operator with a gradient of your own
--- forward(x, ...) -> y is not recorded. backward(dy, y, x, ...) -> dx, ... gives a gradient
--- for each argument, nil or false where there is none; made of tensor functions it can be
--- differentiated in turn. Where forward returns several tensors dy and y are lists, and
--- dy[i] is false where no gradient came. fv.gradcheck(op, {x, ...}) tests it.
--- Example: twice = fv.op { name = "twice", forward = function(x) return x * 2 end,
---                          backward = function(dy) return dy * 2 end }

local core = require "fovea.core"
local options = require "fovea.options"
local tape = require "fovea.tape"

local node, same = core.taping.node, core.taping.same

local list = options.declare({
  { "forward", "function", nil, "from arguments to results", required = true },
  { "backward", "function", nil, "from gradients of results to those of arguments", required = true },
  { "name", "string", "op", "what errors and printing say" }
}, "op", 1)

--- The gradients that 'backward' gave, checked against the arguments they are for.
local function checked(op, args, grads)
  for i = 1, args.n do
    local g = grads[i] or false
    if g and not (tape.is_real(args[i]) and same(args[i], g)) then
      error(("%s: backward: gradient %d: expected %s"):format(op.name, i, tape.is_real(args[i])
            and args[i]:dtype() .. " (" .. table.concat({ args[i]:shape() }, ",") .. ") like argument " .. i
            or "none, argument " .. i .. " is no f32 or f64 tensor"), 0)
    end
    grads[i] = g
  end
  return table.unpack(grads, 1, args.n)
end

local function call(op, ...)
  local args, nodes, any = table.pack(...), {}, false
  for i = 1, args.n do
    nodes[i] = node(args[i]) or false
    any = any or nodes[i]
  end
  if not any or not tape.recording() then return op.forward(...) end
  local ys = table.pack(tape.with(false, op.forward, ...))
  for i = 1, ys.n do        -- a result may be an argument, which has a node of its own
    if tape.is_tensor(ys[i]) then ys[i] = tape.detach(ys[i]) end
  end
  local single = ys.n == 1
  return tape.record_nodes(ys, function(dys)
    for i = 1, ys.n do dys[i] = dys[i] or false end
    return checked(op, args, { op.backward(single and dys[1] or dys, single and ys[1] or ys,
                                           table.unpack(args, 1, args.n)) })
  end, nodes)
end

local meta = {
  __name = "fovea.op", __call = call, __tostring = function(op) return "operator " .. op.name end
}

return function(given)
  local op = options.read(list, given, "op", 3)
  return setmetatable(op, meta)
end
