--- A bar on a terminal, one line per step elsewhere.  Written to stderr.

local progress = {}
progress.__index = progress

--- total: how many steps.  label: what is being done.
function progress.new(total, label)
  local fv = require "fovea"
  return setmetatable({ total = total, label = label, done = 0, start = fv.clock(),
                        clock = fv.clock, live = fv.isatty(2), wide = 0 }, progress)
end

function progress:step(text)
  self.done = self.done + 1
  local spent = self.clock() - self.start
  local left = spent / self.done * (self.total - self.done)
  if self.live then
    local full = self.done * 24 // self.total
    local line = ("%s %s%s %d/%d  %s  %.0f s left"):format(self.label, ("█"):rep(full),
      ("░"):rep(24 - full), self.done, self.total, text or "", left)
    io.stderr:write("\r", line, (" "):rep(math.max(0, self.wide - #line)))
    self.wide = #line
  else
    io.stderr:write(("%s %d/%d %s (%.1f s)\n"):format(self.label, self.done, self.total, text or "", spent))
  end
end

function progress:finish()
  if self.live then io.stderr:write("\r", (" "):rep(self.wide), "\r") end
  return self.clock() - self.start
end

return progress
