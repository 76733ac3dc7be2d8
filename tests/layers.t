-- House rules a reader relies on, kept by a machine: includes point down, one
-- file knows each foreign library, no operator knows another, files stay
-- small, generated files are fresh, and what is exported is documented.

local tap = require "tap"

local rank = { base = 0, tensor = 1, expr = 2, ops = 3, io = 3, bind = 4, app = 5 }
local home = {
  ["lua.h"] = { bind = true, app = true }, ["lauxlib.h"] = { bind = true, app = true },
  ["cblas.h"] = { ["tensor/blas.c"] = true }, ["lapacke.h"] = {},
  ["pthread.h"] = { base = true, ["tensor/blas.c"] = true },   -- a lock round a serial BLAS
  ["readline/readline.h"] = { app = true },
  ["jansson.h"] = { io = true },
}

local function lines_of(path)
  local n = 0
  for _ in io.lines(path) do n = n + 1 end
  return n
end

local function faults(path)
  local found = {}
  local layer, file = path:match "^src/(%w+)/(.+)%.[ch]$"
  for line in io.lines(path) do
    local inc = line:match '^%s*#%s*include%s+[<"]([%w_/.]+)'
    if inc then
      local dir, name = inc:match "^(%w+)/(.+)%.h$"
      if rank[dir] and rank[dir] > rank[layer] then found[#found + 1] = "includes up: " .. inc end
      if dir == "ops" and layer == "ops" and name ~= "op" and name ~= file then
        found[#found + 1] = "operator includes operator: " .. inc
      end
      local at = home[inc]
      if at and not at[layer] and not at[layer .. "/" .. file .. ".c"] then
        found[#found + 1] = inc .. " does not belong here"
      end
    end
    if #line > 110 and layer ~= "bind" then found[#found + 1] = "a line of " .. #line .. " columns" end
  end
  if lines_of(path) > 400 then found[#found + 1] = lines_of(path) .. " lines" end
  return table.concat(found, "; ")
end

for path in io.popen("find src -name '*.[ch]' | sort"):lines() do
  local f = faults(path)
  tap.ok(f == "", path, "%s", f)
end
for path in io.popen("find lua experiments tests -name '*.lua' -o -name '*.t' -type f | sort"):lines() do
  if not path:find "meta%.lua$" then
    tap.ok(lines_of(path) <= 400, path .. " stays small", "%d lines", lines_of(path))
  end
end

-- every file that claims to be an operator exports one descriptor
for path in io.popen("ls src/ops/*.c"):lines() do
  local name = path:match "([%w_]+)%.c$"
  if name ~= "op" then
    local text = io.open(path):read "a"
    tap.ok(text:find("FOV_OP%(" .. name .. "%)") and text:find('%.name = "' .. name .. '"'),
           path .. " defines the operator it is named after")
  end
end

-- the annotations are those the definitions give now
do
  local file = io.open "lua/fovea/meta.lua"
  local text = file and file:read "a" or ""
  if file then file:close() end
  tap.ok(text == require("fovea.stubs").text(), "lua/fovea/meta.lua is fresh", "run 'make stubs'")
end

tap.done()
