--- fv.no_grad(f, ...) -> results of f: calls f(...) with nothing recorded
--- Tensors that are marked, such as parameters, may be changed in place there. A backward pass
--- still to come may need what was there before: log needs its argument, exp its result, a
--- product both factors, a sum nothing. It then raises, and names the call and the tensor; call
--- backward before the change, or change a clone. This holds wherever a tensor is changed, by
--- x:add_(y), x[i] = y, {out=x} or a step of an optimiser, and through any view of it.
--- Example: loss:backward(); fv.no_grad(function() w:sub_(w.grad * 0.1) end)

-- A tensor that a gradient can flow to has a node: { back, serial, a, b, f, input 1, ... }.
-- back(dy, a, b) takes the gradient of the result and what was saved, and returns those of
-- the inputs, which are nodes in their turn; false is none. f is the function that was called,
-- or its name. Each result of a call that has several is { pick, serial, i, false, false, node
-- of the call }; the back of the call then takes the list of their gradients. Nodes hang on
-- their tensors alone, so a graph that nobody holds is garbage.
--
-- Serials are times: a write into a tensor notes the latest. What a node saved, a and b and the
-- tensors that back closes over, one by one or in lists, is stale if written after the node.

local core = require "fovea.core"
local taping = core.taping
local raw, track, node, same = taping.raw, taping.track, taping.node, taping.same
local stale, unseen, tick = taping.stale, taping.unseen, taping.tick
local real = { f32 = true, f64 = true }

local with, recording = taping.with, taping.recording    -- with(on, f, ...) is f(...)

local meta = getmetatable(core.empty(0))
local method = meta.methods
local function is_tensor(x) return type(x) == "userdata" and getmetatable(x) == meta end
local function is_real(x) return is_tensor(x) and real[x:dtype()] or false end

-- ---- recording ----

--- Gives y the node of a call of f whose inputs were x, z, w; returns y.
local function record(f, y, back, x, z, w)
  if z == nil then return track(y, { back, false, false, false, f, node(x) }) end
  local last = w ~= nil and node(w) or false
  return track(y, { back, false, false, false, f, node(x) or false, node(z) or false, last })
end

--- The same with nodes for inputs, and a and b saved for back.
local function record_saved(f, y, back, a, b, n, m)
  if m == nil then return track(y, { back, false, a, b, f, n }) end
  return track(y, { back, false, a, b, f, n, m })
end

local function pick() end     -- marks a node of one result among several
local function leaf() end     -- marks a node that keeps its gradient

--- The same for several results, which it returns one by one, a list of input nodes, and a
--- list of tensors that were saved beside those that back closes over.
local function record_nodes(f, y, back, inputs, saved)
  local n = { back, false, saved or false, false, f, table.unpack(inputs) }
  if is_tensor(y) then return track(y, n) end
  n[2] = tick()
  for i, out in ipairs(y) do
    if is_real(out) then track(out, { pick, false, i, false, false, n }) end
  end
  return table.unpack(y)
end

--- The tensors among n values and in the plain tables that are among them.
local function tensors(values, n)
  local list, seen = {}, {}
  local function add(x)
    if is_tensor(x) then list[#list + 1] = x end
    if type(x) ~= "table" or getmetatable(x) or seen[x] then return end
    seen[x] = true
    for _, y in pairs(x) do add(y) end
  end
  for i = 1, n do add(values[i]) end
  return list
end

local function record_list(f, y, back, inputs)
  local nodes = {}
  for i = 1, #inputs do nodes[i] = node(inputs[i]) or false end
  return record_nodes(f, y, back, nodes)
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
        for k = 6, #n do
          local m = n[k]
          if m and live[m] == nil then top = top + 1; stack[top] = m end
        end
      end
    else
      top = top - 1
      if state == 0 then
        local any = false
        for k = 6, #n do any = any or n[k] and live[n[k]] end
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

local names

--- Raises: x, which node n saved under that name, as entry i of a list, was overwritten.
local function overwritten(n, x, name, i)
  local f, mine = n[5], node(x)
  local who = names[f] or type(f) == "string" and f or f.name
  local what = name
  if mine and (mine == n or mine[1] == pick and mine[6] == n) then what = "its result"
  elseif i then
    what = name == "ins" and f.inputs[i].name or (name == "outs" or name == "y") and "its result"
           or name == "x" and "a tensor among its inputs" or "input " .. i
  end
  error(("backward: %s: %s, %s (%s), was changed in place, but its old values are needed for the "
      .. "gradient; call backward before the change, or change a clone"):format(who, what, x:dtype(),
        table.concat({ x:shape() }, ",")), 0)
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
    unseen(method.add_, g, d)
  else
    grads[m] = g + d
    owned[m] = not on
  end
end

--- Runs the sorted graph backward from grads[root]; returns the gradients of the targets.
local function run(order, live, grads, targets, keep)
  local owned, met, on = {}, {}, recording()
  for i = #order, 1, -1 do
    local n = order[i]
    local g, back = grads[n], n[1]
    if g == nil or targets and targets[n] then goto continue end
    if back == leaf then
      met[#met + 1] = n
      goto continue
    end
    grads[n] = nil
    if back == pick then
      local m = n[6]
      local list = grads[m] or {}
      list[n[3]], grads[m] = g, list
    else
      local x, name, at = stale(n)
      if x then overwritten(n, x, name, at) end
      local d = { back(g, n[3], n[4]) }
      if not keep then n[1], n[3], n[4] = used, false, false end
      for k = 6, #n do
        local m = n[k]
        if m and d[k - 5] and live[m] then add(grads, owned, m, d[k - 5], on) end
      end
    end
    ::continue::
  end
  for _, n in ipairs(met) do           -- at the end: a pass that raises adds to none
    local old, g = n.grad, grads[n]
    n.grad = old and old + g or on and g or g:clone()
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
  return track(x, { leaf, false, false, false, false })
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

local function no_grad(f, ...)
  check("no_grad", f)
  return with(false, f, ...)
end

-- ---- the hook ----

local rules
rules, names = require "fovea.gradients" {
  record = record, record_saved = record_saved, record_list = record_list, record_nodes = record_nodes,
  is_tensor = is_tensor, is_real = is_real,
  with = with, recording = recording
}

setmetatable(rules, { __index = function(_, f)
  return function() error((names[f] or "function") .. ": not differentiable: no gradient rule", 3) end
end })
taping.rules(rules)

return {
  no_grad = no_grad, requires_grad = requires_grad, backward = backward, detach = detach,
  rules = rules, names = names, record = record, record_nodes = record_nodes, tensors = tensors,
  with = with, recording = recording, leaf = leaf, pick = pick, sort = sort, run = run,
  seed_of = seed_of, check = check, is_tensor = is_tensor, is_real = is_real
}
