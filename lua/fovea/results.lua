--- Where an experiment puts its results: a folder made before the work, files that
--- appear whole or not at all.

local core = require "fovea.core"

local results = {}

--- What 'f' returns, or an error for the user without a place in the code.
local function told(f, ...)
  local r = table.pack(pcall(f, ...))
  if not r[1] then error("cannot write the results: " .. tostring(r[2]), 0) end
  return table.unpack(r, 2, r.n)
end

--- Lets make(temporary) write, then gives the file its name; what fails leaves nothing.
function results.whole(path, make)
  local temporary = path:gsub("(%.%w+)$", ".tmp%1")
  if temporary == path then temporary = path .. ".tmp" end
  local good, err = pcall(make, temporary)
  if good then good, err = os.rename(temporary, path) end
  if not good then
    os.remove(temporary)
    error(err, 0)
  end
end

--- Writes 'text' as the file 'path'.
function results.write(path, text)
  told(results.whole, path, function(temporary)
    local f, err = io.open(temporary, "wb")
    if not f then error(err, 0) end
    local good, why = f:write(text)
    local shut, also = f:close()
    if not (good and shut) then error(path .. ": " .. (why or also), 0) end
  end)
end

--- Whether a file of that name can be written: true, or false and why not.
function results.writable(path)
  local f, err = io.open(path .. ".probe", "wb")
  if not f then return false, (err:gsub("%.probe", "", 1)) end
  f:close()
  os.remove(path .. ".probe")
  local old, why = io.open(path, "rb"), nil
  if old then
    why = select(2, old:read(1))        -- what can be opened but not read: a folder
    old:close()
  end
  if why then return false, path .. ": " .. why end
  return true
end

--- Makes the folder and sees that it takes files, so that nothing computed is lost.
function results.folder(path)
  told(core.mkdir, path)
  results.write(path .. "/.probe", "")
  os.remove(path .. "/.probe")
end

return results
