--- Fovea: a workbench for attention research.
---
--- The C core is there at once.  What is written in Lua is loaded when its name is
--- first used: fovea.parts knows which file of this folder has it.  A name nobody
--- has is an error.

local fv = require "fovea.core"

local function unknown(name)
  local names = {}
  for key in pairs(fv) do names[#names + 1] = key end
  for key in pairs(require "fovea.parts") do names[#names + 1] = key end
  return ("fv has no field '%s'%s"):format(tostring(name), require "fovea.options".hint(name, names))
end

return setmetatable(fv, { __index = function(_, name)
  local part = require "fovea.parts"[name]
  if not part then error(unknown(name), 2) end
  local value = require("fovea." .. part.module)
  if part.module ~= name then value = value[name] end
  rawset(fv, name, value)
  return value
end })
