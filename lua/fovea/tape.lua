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
--- fv.no_grad(f, ...) -> results of f: calls f(...) with nothing recorded
--- Parameters may be changed in place there.

-- A tensor that a gradient can flow to has a node: { back, serial, a, b, input 1, ... }.
-- back(dy, a, b) takes the gradient of the result and what was saved, and returns those of
-- the inputs, which are nodes in their turn; false is none. Each result of a call that has
-- several is { pick, serial, i, false, node of the call }; the back of the call then takes
-- the list of their gradients. Nodes hang on their tensors alone, so a graph that nobody
-- holds is garbage.

local core = require "fovea.core"
local taping = core.taping
local raw, track, node, same = taping.raw, taping.track, taping.node, taping.same
local real = { f32 = true, f64 = true }

local count = 0
local with, recording = taping.with, taping.recording    -- with(on, f, ...) is f(...)

local meta = getmetatable(core.empty(0))
local method = meta.methods
local function is_tensor(x) return type(x) == "userdata" and getmetatable(x) == meta end
local function is_real(x) return is_tensor(x) and real[x:dtype()] or false end

-- ---- recording ----

--- Gives y the node of a call whose inputs were x, z, w; returns y.
local function record(y, back, x, z, w)
  count = count + 1
  if z == nil then return track(y, { back, count, false, false, node(x) }) end
  local last = w ~= nil and node(w) or false
  return track(y, { back, count, false, false, node(x) or false, node(z) or false, last })
end

--- The same with nodes for inputs, and a and b saved for back.
local function record_saved(y, back, a, b, n, m)
  count = count + 1
  if m == nil then return track(y, { back, count, a, b, n }) end
  return track(y, { back, count, a, b, n, m })
end

local function pick() end     -- marks a node of one result among several
local function leaf() end     -- marks a node that keeps its gradient

--- The same for several results, which it returns one by one, and a list of input nodes.
local function record_nodes(y, back, inputs)
  count = count + 1
  local n = { back, count, false, false, table.unpack(inputs) }
  if is_tensor(y) then return track(y, n) end
  for i, out in ipairs(y) do
    if is_real(out) then track(out, { pick, count, i, false, n }) end
  end
  return table.unpack(y)
end

local function record_list(y, back, inputs)
  local nodes = {}
  for i = 1, #inputs do nodes[i] = node(inputs[i]) or false end
  return record_nodes(y, back, nodes)
end

-- ---- going back ----

--- Nodes that lead from the roots to a target, inputs first, and the nodes older than
--- 'start' that were met. Targets and older nodes are not entered; without targets, leaves
--- are the targets.
local function sort(roots, targets, start)
  local order, live, outer, stack, top = {}, {}, {}, {}, 0
  for _, n in ipairs(roots) do top = top + 1; stack[top] = n end
  while top > 0 do
    local n = stack[top]
    local state = live[n]
    if state == nil then
      local stop
      if targets then stop = targets[n] else stop = n[1] == leaf end
      if stop then
        live[n], order[#order + 1], top = true, n, top - 1
      elseif start and n[2] <= start then
        live[n], outer[#outer + 1], top = false, n, top - 1
      else
        live[n] = 0                                    -- entered, inputs first
        for k = 5, #n do
          local m = n[k]
          if m and live[m] == nil then top = top + 1; stack[top] = m end
        end
      end
    else
      top = top - 1
      if state == 0 then
        local any = false
        for k = 5, #n do any = any or n[k] and live[n[k]] end
        live[n] = any or false
        if any then order[#order + 1] = n end
      end
    end
  end
  return order, live, outer
end

local function used()
  error("backward: this part of the graph was used up by an earlier backward pass; "
     .. "give that one {retain_graph=true}", 0)
end

--- Adds d to what reached node m. A function d(buffer) adds to part of a tensor of zeros
--- that it makes unless given one: many slices of one tensor share the buffer.
local function add(grads, owned, m, d, on)
  local g = grads[m]
  if type(d) == "function" then
    if g and not owned[m] then g = g:clone() end
    grads[m], owned[m] = d(g), true
  elseif not g then
    grads[m] = d
  elseif owned[m] then
    g:add_(d)
  else
    grads[m] = g + d
    owned[m] = not on
  end
end

--- Runs the sorted graph backward from grads[root]; returns the gradients of the targets.
local function run(order, live, grads, targets, keep)
  local owned, on = {}, recording()
  for i = #order, 1, -1 do
    local n = order[i]
    local g, back = grads[n], n[1]
    if g == nil or targets and targets[n] then goto continue end
    grads[n] = nil
    if back == leaf then
      local old = n.grad
      n.grad = old and old + g or on and g or g:clone()
    elseif back == pick then
      local m = n[5]
      local list = grads[m] or {}
      list[n[3]], grads[m] = g, list
    else
      local d = { back(g, n[3], n[4]) }
      if not keep then n[1], n[3], n[4] = used, false, false end
      for k = 5, #n do
        local m = n[k]
        if m and d[k - 4] and live[m] then add(grads, owned, m, d[k - 4], on) end
      end
    end
    ::continue::
  end
  return grads
end

--- The seed of a backward pass from y.
local function seed_of(y, seed, who)
  if seed == nil then
    if y:numel() ~= 1 then
      error(("%s: expected a scalar result, got (%s); %s"):format(who, table.concat({ y:shape() }, ","),
            who:find "grad" and "add it up, or use fv.vjp with a seed" or "give a seed of that shape"), 0)
    end
    return core.ones({ y:shape() }, { dtype = y:dtype() })
  end
  if not same(y, seed) then
    error(("%s: seed: expected %s (%s) like the result"):format(who, y:dtype(),
          table.concat({ y:shape() }, ",")), 0)
  end
  return seed
end

-- ---- methods of tensors ----

local function detach(x) return raw(method.expand, x, { x:shape() }) end

local function requires_grad(x, flag)
  if not is_real(x) then
    local got = is_tensor(x) and x:dtype() or type(x)
    error("requires_grad: expected an f32 or f64 tensor, got " .. got, 2)
  end
  if flag ~= nil and type(flag) ~= "boolean" then
    error("requires_grad: flag: expected true, false or nothing, got " .. type(flag), 2)
  end
  if flag == false then return track(x, nil) end
  taping.begin()
  if node(x) then return x end
  count = count + 1
  return track(x, { leaf, count, false, false })
end

local function backward(y, seed, opt)
  if type(seed) == "table" then seed, opt = nil, seed end
  if opt ~= nil and type(opt) ~= "table" then
    error("backward: expected a table of options, got " .. type(opt), 2)
  end
  for key in pairs(opt or {}) do
    if key ~= "create_graph" and key ~= "retain_graph" then
      error("backward: unknown option '" .. tostring(key) .. "': create_graph, retain_graph", 2)
    end
  end
  local create = opt and opt.create_graph or false
  local n = node(y)
  if not n then error("backward: nothing that requires a gradient leads to this tensor", 2) end
  local order, live = sort { n }
  with(create, run, order, live, { [n] = seed_of(y, seed, "backward") }, nil,
       create or opt and opt.retain_graph)
end

-- ---- functions ----

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
--- has the tables for gradients where the arguments have theirs.
local function alias(args, n)
  local xs, set, list, outer, result, copies = {}, {}, {}, false, {}, {}
  local function replace(x, key, into)
    if is_real(x) then
      local parent = node(x)
      count = count + 1
      local mine = { straight, count, false, false, parent }
      set[mine], list[#list + 1], outer = true, { mine, x, key, into }, outer or parent ~= nil
      return track(detach(x), mine)
    end
    if type(x) ~= "table" or getmetatable(x) then return x end
    if copies[x] then return copies[x] end
    local copy, grads, had, keys = {}, {}, #list, {}
    copies[x] = copy
    for k in pairs(x) do keys[#keys + 1] = k end
    table.sort(keys, before)
    for _, k in ipairs(keys) do copy[k] = replace(x[k], k, grads) end
    if #list == had then return x end
    into[key] = grads
    return copy
  end
  for i = 1, n do xs[i] = replace(args[i], i, result) end
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
  local start, outside = count, recording()
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

--- Refuses what is no function, and what is no list.
local function check(who, f, xs, name, i)
  if type(f) ~= "function" and not (getmetatable(f) or {}).__call then
    error(("bad argument #1 to '%s' (f: expected a function, got %s)"):format(who, type(f)), 3)
  end
  if name and type(xs) ~= "table" and not is_tensor(xs) then
    error(("bad argument #%d to '%s' (%s: expected a list of tensors, got %s)"):format(i or 2, who, name,
          type(xs)), 3)
  end
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

local function no_grad(f, ...)
  check("no_grad", f)
  return with(false, f, ...)
end

-- ---- the hook ----

local rules, names = require "fovea.gradients" {
  record = record, record_saved = record_saved, record_list = record_list, record_nodes = record_nodes,
  is_tensor = is_tensor, is_real = is_real,
  with = with, recording = recording
}

setmetatable(rules, { __index = function(_, f)
  return function() error((names[f] or "function") .. ": not differentiable: no gradient rule", 3) end
end })
taping.rules(rules)

return {
  grad = grad, value_and_grad = value_and_grad, vjp = vjp, no_grad = no_grad,
  requires_grad = requires_grad, backward = backward, detach = detach, rules = rules, names = names,
  record = record, record_list = record_list, record_nodes = record_nodes, with = with, alias = alias,
  leaf = leaf, pick = pick, sort = sort, run = run, start_at = start_at, is_tensor = is_tensor,
  is_real = is_real,
  check = check, call = call, listed = listed, seed_of = seed_of, reached = reached,
  recording = recording, serial = function() return count end
}
