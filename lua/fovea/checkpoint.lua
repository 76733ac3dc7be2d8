--- fv.checkpoint(f, ...) -> results of f: f(...) without keeping what its gradient needs
--- The backward pass calls f again: memory for time. f must then do the same: it raises if
--- sums of the results differ, or if a tensor that f uses was changed in place. Layers drop by
--- step, but a stream moves on, see stream:position. What f uses beside its arguments gets
--- its gradient too. Results are the tensors f returns.

local core = require "fovea.core"
local derivatives = require "fovea.derivatives"
local tape = require "fovea.tape"

local node, tick, within = core.taping.node, core.taping.tick, core.taping.within
local alias, start_at = derivatives.alias, derivatives.start_at

return function(f, ...)
  tape.check("checkpoint", f)
  if not tape.recording() then return f(...) end
  local args, n, start = { ... }, select("#", ...), tick()
  local function sum(y) return tape.detach(y):sum():item() end
  local function forward(given)
    local xs, set, list = alias(given, n)
    local ys = table.pack(f(table.unpack(xs, 1, n)))
    for i = 1, ys.n do
      if not tape.is_tensor(ys[i]) then
        error(("checkpoint: expected the function to return tensors, got %s"):format(type(ys[i])), 0)
      end
    end
    return ys, set, list
  end
  local ys, set, list = forward(args)
  local done, count, sums = tick(), ys.n, {}
  for i = 1, count do sums[i] = sum(ys[i]) end
  local _, _, outer = tape.sort(start_at(ys, ys), set, start)   -- what f met on its way
  local function back(dys)
    local again, targets, mine = within(done, tick(), tape.with, true, forward, args)
    for i = 1, count do
      local s = sum(again[i])
      if s ~= sums[i] and (s == s or sums[i] == sums[i]) then
        error("checkpoint: the function did not return the same when the backward pass called it again; "
           .. "it may use no stream that has moved on and nothing that was changed since", 0)
      end
    end
    for _, m in ipairs(outer) do targets[m] = true end
    local met, seeds = {}, {}
    for i = 1, again.n do
      if dys[i] then met[#met + 1], seeds[#seeds + 1] = again[i], dys[i] end
    end
    local roots, grads = start_at(met, seeds)
    local order, live = tape.sort(roots, targets)
    tape.run(order, live, grads, targets, tape.recording())
    local out = {}
    for i, target in ipairs(mine) do out[i] = grads[target[1]] or false end
    for i, m in ipairs(outer) do out[#mine + i] = grads[m] or false end
    return table.unpack(out)
  end
  local inputs = {}
  for i, target in ipairs(list) do inputs[i] = node(target[2]) or false end
  table.move(outer, 1, #outer, #inputs + 1, inputs)
  for i = 1, ys.n do ys[i] = tape.detach(ys[i]) end
  if #list + #outer == 0 then return table.unpack(ys, 1, ys.n) end
  return tape.record_nodes("checkpoint", ys, back, inputs, tape.tensors(args, n))
end
