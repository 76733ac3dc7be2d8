-- The line that is redrawn on a terminal while something runs, on standard error.

local core = require "fovea.core"

local live = {}

--- Columns of the terminal, or nil where standard error is none that can erase a line.
function live.columns()
  local terminal, columns = core.isatty(2)
  local plain = (os.getenv "TERM" or "dumb") == "dumb"
  return terminal and not plain and (columns or 80) or nil
end

--- Draws 'text' over what is there. A line as wide as the terminal would wrap, and could
--- not be drawn over: it is cut to 'columns' - 1 characters.
function live.draw(text, columns)
  local stop = utf8.offset(text, columns)
  io.stderr:write("\r", stop and text:sub(1, stop - 1) or text, "\27[K")
end

function live.clear() io.stderr:write("\r\27[K") end

--- A bar of 'wide' characters, of which 'part' in [0, 1] is full.
function live.bar(part, wide)
  local full = math.floor(part * wide)
  return ("█"):rep(full) .. ("░"):rep(wide - full)
end

--- "35 s", "12 min" or "3.5 h".
function live.time(seconds)
  if seconds < 99.5 then return ("%.0f s"):format(seconds) end
  if seconds < 99.5 * 60 then return ("%.0f min"):format(seconds / 60) end
  return ("%.1f h"):format(seconds / 3600)
end

return live
