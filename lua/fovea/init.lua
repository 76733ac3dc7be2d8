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
