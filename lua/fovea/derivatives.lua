--- fv.grad(f) -> function: the gradient of a function with a scalar result
--- fv.grad(f)(x, ...) calls f(x, ...) and returns the gradient of its result with respect to
--- each f32 or f64 tensor among the arguments, in order, then the result itself. A table of
--- tensors, nested or not, gets a table of gradients with its keys; f sees a copy of it. Other
--- arguments pass through. Ordinary Lua in f is differentiated as it ran: loops, branches,
--- closures. Gradients nest: fv.grad(function(x) return (fv.grad(f)(x)):sum() end); operators
--- of fv.ops, and layers made of them, have first derivatives only: a second one raises.
--- Example: fv.grad(function(x) return (x * x):sum() end)(fv.tensor({1, 2}))
--- fv.value_and_grad(f) -> function: fv.grad with the result first: value, gradient, ...
--- fv.vjp(f, xs, seed?) -> gradients, result: seed' times the Jacobian of f at the list xs
--- gradients is a list with an entry for each of xs (false for what is no f32 or f64 tensor);
--- seed has the shape of f's result and may be left out where that is a scalar.

local core = require "fovea.core"
local tape = require "fovea.tape"

local track, node, tick = core.taping.track, core.taping.node, core.taping.tick
local sort, run, with, seed_of, check = tape.sort, tape.run, tape.with, tape.seed_of, tape.check
local is_tensor, is_real, detach, recording = tape.is_tensor, tape.is_real, tape.detach, tape.recording

local function straight(dy) return dy end

--- Any keys in an order that is the same in every run: sums of gradients depend on it.
local function before(a, b)
  local s, t = type(a), type(b)
  if s ~= t then return s < t end
  if s == "number" or s == "string" then return a < b end
  return tostring(a) < tostring(b)
end

--- Arguments, and plain tables among them, with each real tensor replaced by one that has a
--- node of its own, a child of the old one's. Also the set of these nodes; the targets
--- { node, tensor, key, table for its gradient }; whether any had a parent; and a list that
--- has the tables for gradients where the arguments have theirs. A table that is met again in
--- one argument is one table there and has one table of gradients.
local function alias(args, n)
  local xs, set, list, outer, result, copies, tables = {}, {}, {}, false, {}, nil, nil
  local function replace(x, key, into)
    if is_real(x) then
      local parent = node(x)
      local mine = { straight, false, false, false, "grad", parent }
      set[mine], list[#list + 1], outer = true, { mine, x, key, into }, outer or parent ~= nil
      return track(detach(x), mine)
    end
    if type(x) ~= "table" or getmetatable(x) then return x end
    if copies[x] then
      into[key] = tables[x]
      return copies[x]
    end
    local copy, grads, had, keys = {}, {}, #list, {}
    copies[x], tables[x] = copy, grads
    for k in pairs(x) do keys[#keys + 1] = k end
    table.sort(keys, before)
    for _, k in ipairs(keys) do copy[k] = replace(x[k], k, grads) end
    if #list == had then
      copies[x], tables[x] = x, nil
      return x
    end
    into[key] = grads
    return copy
  end
  for i = 1, n do
    copies, tables = {}, {}
    xs[i] = replace(args[i], i, result)
  end
  return xs, set, list, outer, result
end

--- The gradient that reached a target, a tensor of its own.
local function reached(grads, target)
  local g, x = grads[target[1]], target[2]
  if not g then return core.zeros({ x:shape() }, { dtype = x:dtype() }) end
  return recording() and g or g:clone()
end

--- Calls f with the tape on; returns its n results, or all of them.
local function call(who, f, xs, n, results)
  local ys = table.pack(with(true, f, table.unpack(xs, 1, n)))
  ys.n = results or ys.n
  for i = 1, ys.n do
    if not is_real(ys[i]) then
      error(("%s: expected the function to return a tensor (f32 or f64), got %s"):format(who,
            is_tensor(ys[i]) and ys[i]:dtype() or type(ys[i])), 0)
    end
  end
  return ys
end

--- Nodes of the tensors ys and the gradients 'seeds' that start there.
local function start_at(ys, seeds)
  local roots, grads = {}, {}
  for i = 1, #ys do
    local n = node(ys[i])
    if n then roots[#roots + 1], grads[n] = n, grads[n] and grads[n] + seeds[i] or seeds[i] end
  end
  return roots, grads
end

--- Calls f on aliases of args; returns the gradients of its results, weighted with 'seeds',
--- by argument, and the list of the results.
local function differentiate(who, f, args, n, seeds)
  local start, outside = tick(), recording()
  local xs, set, list, outer, result = alias(args, n)
  if #list == 0 then error(who .. ": no f32 or f64 tensor among the arguments", 0) end
  local ys = call(who, f, xs, n, not seeds and 1 or nil)
  local from = {}
  for i = 1, ys.n do
    from[i] = seed_of(ys[i], seeds and seeds[i], who)
    outer = outer or node(from[i]) ~= nil
  end
  local roots, grads = start_at({ table.unpack(ys, 1, ys.n) }, from)
  local order, live, old = sort(roots, set, start)
  local create = outside and (outer or #old > 0)    -- something outside differentiates this
  with(create, function()
    run(order, live, grads, set, create)
    for _, target in ipairs(list) do target[4][target[3]] = reached(grads, target) end
  end)
  for i = 1, ys.n do ys[i] = create and ys[i] or detach(ys[i]) end
  return result, ys
end

local function gradients(who, f, ...)
  local n, out = select("#", ...), {}
  local result, ys = differentiate(who, f, { ... }, n)
  for i = 1, n do out[#out + 1] = result[i] end
  return out, ys[1]
end

local function grad(f)
  check("grad", f)
  return function(...)
    local out, y = gradients("grad", f, ...)
    out[#out + 1] = y
    return table.unpack(out)
  end
end

local function value_and_grad(f)
  check("value_and_grad", f)
  return function(...)
    local out, y = gradients("value_and_grad", f, ...)
    return y, table.unpack(out)
  end
end

local function listed(x) return is_tensor(x) and { x } or x end

local function vjp(f, xs, seed)
  check("vjp", f, xs, "xs")
  xs = listed(xs)
  local result, ys = differentiate("vjp", f, xs, #xs, listed(seed) or {})
  for i = 1, #xs do result[i] = result[i] or false end
  return result, table.unpack(ys, 1, ys.n)
end

return {
  grad = grad, value_and_grad = value_and_grad, vjp = vjp, alias = alias, start_at = start_at,
  call = call, listed = listed, reached = reached
}
