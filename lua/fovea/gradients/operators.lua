-- Operators of the core bring their own backward passes.

return function(rules, tape)
local record_list, record_nodes, recording, raw, node =
  tape.record_list, tape.record_nodes, tape.recording, tape.raw, tape.node

--- Their descriptors' backward passes; optional inputs may come by position or by name.
rules.operator = function(f, op, ...)
  local outs, args, inputs = { raw(f, op, ...) }, { ... }, op.inputs
  if not op.differentiable then error(op.name .. ": not differentiable", 3) end
  local opt, ins, wanted, nodes = {}, {}, {}, {}
  local last = select("#", ...)
  if type(args[last]) == "table" then
    for key, value in pairs(args[last]) do opt[key] = value end
    args[last] = nil
  end
  for i, a in ipairs(inputs) do
    ins[i] = args[i]
    if ins[i] == nil and a.optional then ins[i], opt[a.name] = opt[a.name], nil end
    nodes[i] = node(ins[i]) or false
    if ins[i] == nil then ins[i] = false end
    wanted[i] = nodes[i] and true or false
  end
  return record_nodes(op, outs, function(d)
    for i = 1, #outs do d[i] = d[i] or false end
    local grads = op:vjp(ins, outs, d, opt, wanted)
    if not recording() then return table.unpack(grads, 1, #ins) end
    local all = {}
    for i, x in ipairs(ins) do all[i] = x end
    for i = 1, #outs do all[#ins + i] = d[i] end
    local list, at = {}, {}
    for i = 1, #ins do if grads[i] then list[#list + 1], at[#at + 1] = grads[i], i end end
    record_list(op, list, function() error(op.name .. ": its gradient has no gradient of its own", 0) end, all)
    return table.unpack(grads, 1, #ins)
  end, nodes)
end
end
