--- Fovea: a workbench for attention research.
---
--- The C core is there at once.  What is written in Lua is loaded when its name is
--- first used: fovea.parts knows which file of this folder has it.  A name nobody
--- has is an error.

local fv = require "fovea.core"

--- Every field there is, loaded or not; completion at the prompt asks too.
local function names()
  local list = {}
  for key in pairs(fv) do list[#list + 1] = key end
  for key in pairs(require "fovea.parts") do list[#list + 1] = key end
  return list
end

--- Methods of tensors that the tape brings, which is loaded when one is first called.
local taped = {
  requires_grad = { sig = "x:requires_grad(flag?) -> x", doc =
    "Marks x (f32 or f64): what is computed from it is recorded, and y:backward() adds to x.grad.\n"
    .. "Results of recorded calls are marked already, and keep no gradient. While x is marked,\n"
    .. "x:add_(y) and other functions in place raise; in fv.no_grad they do not. false takes the\n"
    .. "mark away. What a recorded call needs for its gradient is not copied: see fv.no_grad." },
  backward = { sig = "y:backward(seed?, {retain_graph=, create_graph=}) -> nothing", doc =
    "Adds the gradient of y to x.grad of every x marked by requires_grad that led to it.\n"
    .. "seed has y's shape and may be left out for a scalar; x.grad = nil starts afresh.\n"
    .. "The graph is used up, unless retain_graph is true. create_graph: gradients are\n"
    .. "recorded in turn, to be differentiated again. Raises, and adds nothing, where a tensor\n"
    .. "that a gradient needs was changed in place since: see fv.no_grad." },
  detach = { sig = "x:detach() -> tensor", doc =
    "A view of x that no gradient flows through: a constant. It is x's memory; to change it in\n"
    .. "place where x is still needed, clone it." }
}
local methods = getmetatable(fv.empty(0)).methods
for name, doc in pairs(taped) do
  doc.grad = "none"
  fv.docs.tensor[name] = doc
  methods[name] = function(...) return require "fovea.tape"[name](...) end
end

return setmetatable(fv, { __names = names, __index = function(_, name)
  local part = require "fovea.parts"[name]
  if not part then
    error(("fv has no field '%s'%s"):format(tostring(name), require "fovea.options".hint(name, names())), 2)
  end
  local value = require("fovea." .. part.module)
  if part.module ~= name then value = value[name] end
  rawset(fv, name, value)
  return value
end })
