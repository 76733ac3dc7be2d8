--- A bar on a terminal, one line per step elsewhere.  Written to stderr.

local live = require "fovea.live"

local progress = {}
progress.__index = progress

--- total: how many steps.  label: what is being done.
function progress.new(total, label)
  local clock = require "fovea".clock
  return setmetatable({ total = total, label = label, done = 0, start = clock(), clock = clock }, progress)
end

function progress:step(text)
  self.done = self.done + 1
  local spent, columns = self.clock() - self.start, live.columns()
  if columns then
    local left = spent / self.done * (self.total - self.done)
    self.drawn = true
    live.draw(("%s %s %d/%d  %s  %s left"):format(self.label, live.bar(self.done / self.total, 24), self.done,
              self.total, text or "", live.time(left)), columns)
  else
    io.stderr:write(("%s %d/%d %s (%.1f s)\n"):format(self.label, self.done, self.total, text or "", spent))
  end
end

function progress:finish()
  if self.drawn then live.clear() end
  return self.clock() - self.start
end

--- Whether an error is Ctrl-C's.
function progress.stopped(why) return tostring(why):find("interrupted!", 1, true) ~= nil end

--- Calls f(...); whether Ctrl-C ended it. Any other error goes on.
function progress.interrupted(f, ...)
  local good, why = pcall(f, ...)
  if not good and not progress.stopped(why) then error(why, 0) end
  return not good
end

return progress
