--- The process itself: how soon it is there, and what temporaries leave behind.

local fv = require "fovea"
local process = require "process"

local STARTS = 20

return {
  {
    name = "start-up", serial = true,
    -- one shell starts them all: its own start is shared by 20
    make = function()
      local command = ("i=0; while [ $i -lt %d ]; do %s -e ''; i=$((i+1)); done"):format(STARTS,
        process.quote(process.executable()))
      return function() os.execute(command) end
    end,
    calls = STARTS,
    peak = function()
      return tonumber(process.read(process.quote(process.executable()) .. " -e " .. process.quote(
        [[for l in io.lines "/proc/self/status" do print((l:match "^VmHWM:%s*(%d+)")) end]])):match "%d+") / 1024
    end,
    peers = { { "process", "import_numpy" }, { "process", "import_torch" } },
  },
  {
    name = "dropped tensors 40 MB", memory = true, repeats = 300,
    make = function() return function() return fv.ones(10000000) end end,
    peers = { { "elementwise", "ones", n = 10000000 } },
  },
}
