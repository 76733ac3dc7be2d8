--- What the files of this folder export, read from the comments they begin with:
---   --- fv.name(arguments) -> result: what it does
---   --- more of its documentation, up to the next such line or the end of the comment
--- A file may export several names; it then returns a table of them.  One that exports
--- only its own name returns that value.
---
--- parts[name] = { module, sig, doc, factory = true where it is a registry }

local core = require "fovea.core"

local parts = {}
local folder = package.searchpath("fovea.parts", package.path):match("^(.*)/[^/]*$")

local function read(module)
  local file = assert(io.open(folder .. "/" .. module .. ".lua"))
  local part
  for line in file:lines() do
    local text = line:match("^%-%-%- ?(.*)")
    if not text then break end
    local sig, doc = text:match("^(fv%.[%w_]+.-): (.*)")
    if sig then
      part = { module = module, sig = sig, doc = doc }
      parts[sig:match("^fv%.([%w_]+)")] = part
    elseif part then
      part.doc = part.doc .. "\n" .. text
    end
  end
  if part then part.factory = file:read("a"):find "registry[^\n]*%.new" ~= nil end
  file:close()
end

for _, file in ipairs(core.listdir(folder)) do
  local module = file:match("^([%w_]+)%.lua$")
  if module and module ~= "meta" then read(module) end
end

return parts
