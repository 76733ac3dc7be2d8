--- fv.jvp(f, xs, vs) -> tangent, result: the Jacobian of f at the list xs times the list vs
--- The derivative of fv.vjp by its seed, which is linear: two backward passes. Raises where f
--- uses an operator of fv.ops, whose gradient has no gradient of its own.

local core = require "fovea.core"
local derivatives = require "fovea.derivatives"
local tape = require "fovea.tape"

local same, tick = core.taping.same, core.taping.tick
local alias, start_at, call = derivatives.alias, derivatives.start_at, derivatives.call
local listed, reached = derivatives.listed, derivatives.reached
local sort, run, with, seed_of = tape.sort, tape.run, tape.with, tape.seed_of
local detach, check = tape.detach, tape.check

--- With u the seeds, s(u) = sum_i <vjp(u)_i, vs_i> is linear; its gradient is the tangent.
return function(f, xs, vs)
  check("jvp", f, xs, "xs")
  check("jvp", f, vs, "vs", 3)
  xs, vs = listed(xs), listed(vs)
  local start, outside = tick(), tape.recording()
  local s, ys, ulist, uset
  with(true, function()
    local inner, set, list = alias(xs, #xs)
    ys = call("jvp", f, inner, #xs)
    local zeros, us = {}
    for i, y in ipairs(ys) do zeros[i] = core.zeros({ y:shape() }, { dtype = y:dtype() }) end
    us, uset, ulist = alias(zeros, ys.n)
    local roots, grads = start_at(ys, us)
    local order, live = sort(roots, set, start)
    run(order, live, grads, set, true)
    for _, target in ipairs(list) do
      local g, v = grads[target[1]], vs[target[3]]
      if not same(target[2], v) then
        error(("jvp: vs[%s]: expected the shape and dtype of xs[%s]"):format(target[3], target[3]), 0)
      end
      if g then
        local part = (g * v):sum()
        s = s and s + part or part
      end
    end
  end)
  local roots, grads = start_at({ s }, s and { seed_of(s) } or {})
  local order, live, old = sort(roots, uset, start)
  local create, tangents = outside and #old > 0, {}
  with(create, function()
    run(order, live, grads, uset, create)
    for i, target in ipairs(ulist) do tangents[i] = reached(grads, target) end
  end)
  for i = 1, ys.n do ys[i] = create and ys[i] or detach(ys[i]) end
  if ys.n == 1 then return tangents[1], ys[1] end
  return tangents, { table.unpack(ys, 1, ys.n) }
end
