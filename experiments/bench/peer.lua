--- Python processes that time the peers, asked one sample at a time.
---
--- Requests go down a pipe; replies come back through a FIFO, since io.popen is one-way.
--- The shell between keeps both ends open, so that a peer that dies ends in a reply.

local process = require "process"

local peer = {}
peer.__index = peer

local quote = process.quote

--- Environments: as the library comes, and the best for it that is known. Huge pages,
--- freed memory kept, and the widest instruction set are worth up to a factor of two.
peer.environments = {
  stock = {},
  tuned = {
    GLIBC_TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824"
                  .. ":glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=67108864",
    THP_MEM_ALLOC_ENABLE = "1",
  },
}

--- Starts python with 'threads' in the environment named; nil and why when there is none.
function peer.start(python, dir, environment, threads)
  if not os.execute("command -v " .. quote(python) .. " >/dev/null 2>&1") then
    return nil, ("no '%s' here"):format(python)
  end
  local words = { "env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE" }
  for _, name in ipairs { "OMP", "OPENBLAS", "MKL" } do
    words[#words + 1] = name .. "_NUM_THREADS=" .. threads
  end
  for name, value in pairs(peer.environments[environment]) do
    words[#words + 1] = name .. "=" .. quote(value)
  end
  local fifo = os.tmpname()
  os.remove(fifo)
  if not os.execute("mkfifo -m 600 " .. quote(fifo)) then return nil, "cannot make a FIFO in /tmp" end
  words[#words + 1] = ("%s -B %s 2>%s.err"):format(quote(python), quote(dir .. "/peers/server.py"), quote(fifo))
  local requests = io.popen(("exec 4>%s; %s >&4; echo ended >&4; exec 4>&-; cat >/dev/null"):format(quote(fifo),
    table.concat(words, " ")), "w")
  requests:setvbuf "line"
  local self = setmetatable({ requests = requests, fifo = fifo, environment = environment }, peer)
  self.replies = io.open(fifo)
  os.remove(fifo)
  local versions = (self.replies:read "l" or ""):match "^ready%s*(.*)"
  if not versions or versions == "" then
    local why = versions and "has neither torch nor numpy" or "ended: " .. self:stop()
    if versions then self:stop() end
    return nil, ("%s %s"):format(python, why)
  end
  self.versions = versions
  return self
end

function peer:ask(...)
  self.requests:write(table.concat({ ... }, " "), "\n")
  return self.replies:read "l" or "ended"
end

--- Forgets what was made for an earlier row.
function peer:clear() return self:ask "clear" end

local ONCE = 1   -- seconds: a call that takes longer is timed once

--- A sampler as timing.alternate takes it for { family, form, option = value, ... }, and
--- its seconds if it is timed once; or nil and why.
function peer:sampler(form, least)
  local words = { "make", form[1], form[2], ("%.3g"):format(least) }
  for name, value in pairs(form) do
    if type(name) == "string" then words[#words + 1] = name .. "=" .. tostring(value) end
  end
  local reply = self:ask(table.unpack(words))
  local number, each = reply:match "^ok (%d+) (%S+)$"
  each = tonumber(each)
  if not each then return nil, reply end
  if each > ONCE then return function() return each end, each end
  return function()
    reply = self:ask("sample", number)
    return tonumber(reply) or error("peers: " .. reply, 0)
  end
end

--- Ends the process; returns the last line of what it complained about.
function peer:stop()
  self.requests:close()
  self.replies:close()
  local last = ""
  local err = io.open(self.fifo .. ".err")
  if err then
    for line in err:lines() do last = line end
    err:close()
  end
  os.remove(self.fifo .. ".err")
  return last
end

return peer
