--- Other processes: quoting for the shell, this program again, peak memory.

local process = {}

function process.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- The program that runs this.
function process.executable()
  local at = 0
  while arg[at - 1] do at = at - 1 end
  return arg[at]
end

--- What a command prints; raises when it fails.
function process.read(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  local good, why, code = pipe:close()
  if not good then error(("bench: %s %d: %s"):format(why, code, command), 0) end
  return text
end

--- Largest resident size of this process so far, in MiB.
function process.peak()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmHWM:%s*(%d+)"
    if kib then return kib / 1024 end
  end
end

return process
