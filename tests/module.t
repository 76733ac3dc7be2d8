-- The module in stock lua5.4, which unloads it at the end: threads that still
-- watch for work then must find their code where it was.

local tap = require "tap"

local build = os.getenv "BUILD" or "build"
if build:find "san" or not os.execute "command -v lua5.4 >/dev/null" then
  tap.ok(true, "stock lua5.4 # SKIP it is not here, or cannot load a sanitized module")
  tap.done()
end

--- Runs a script 'times' times; how often it ended well.
local function runs(times, text)
  local name, clean = os.tmpname(), 0
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  for _ = 1, times do
    if os.execute(("LUA_CPATH='%s/lib/?.so' LUA_PATH='lua/?.lua;lua/?/init.lua' lua5.4 %s"):format(build, name)) then
      clean = clean + 1
    end
  end
  os.remove(name)
  return clean
end

tap.is(runs(1, [[
  local fv = require "fovea"
  assert(fv.tensor({ 1, 2, 3 }):sum():item() == 6)
]]), 1, "the module loads and computes in stock lua5.4")

-- Nothing else, so that the state closes within the 30 us a worker watches.
tap.is(runs(25, [[
  local core = require "fovea.core"
  core.threads(4)
  local s = core.rng(1):stream("x")
  for _ = 1, 10 do s:normal(200000) end
]]), 25, "and leaves in peace while its threads still watch")

tap.done()
