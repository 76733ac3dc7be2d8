--- How long does a million tokens take when the memory is one matrix?
---
--- One head reads q, k, v of width d from a memory-mapped file, piece by piece; the state
--- (d, d) is all that is carried over. Time is of the whole reading: mapping the file, the
--- rule, dropping the piece. What the last piece answers is then compared with a plain
--- continuation from a checkpoint on disk in one call.

local fv = require "fovea"

--- Rules that take q, k, v and a state, and return o and what the state is made of.
local rules = {
  { name = "additive",
    step = function(q, k, v, s) return fv.additive_rule(q, k, v, { s = s.s }) end },
  { name = "linear",
    step = function(q, k, v, s)
      return fv.linear_attention(q, k, v, { causal = true, s = s.s, z = s.z })
    end },
  { name = "delta",
    step = function(q, k, v, s) return fv.erase_write_rule(q, k, v, { s = s.s }) end }
}

--- A line of /proc/self/status in MB.
local function memory(field)
  for line in io.lines "/proc/self/status" do
    local kb = line:match("^" .. field .. ":%s*(%d+)")
    if kb then return tonumber(kb) / 1024 end
  end
  error("million_tokens: /proc/self/status has no " .. field, 0)
end

--- Starts the peak of resident memory anew.
local function forget_peak()
  local f = io.open("/proc/self/clear_refs", "w")
  local done = f and f:write "5" and f:close()
  if not done then error("million_tokens: cannot reset the peak in /proc/self/clear_refs", 0) end
end

--- Writes x (3, tokens, dim): q and k of length 1 with entries >= 0, v in [-1, 1], a block at
--- a time, so that the file may be larger than memory. A .npy file is a header, then the rows.
local function make(path, tokens, dim, seed)
  local rng = { rng = fv.rng(seed):stream "tokens" }
  local text = ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, %d, %d), }"):format(tokens, dim)
  text = text .. (" "):rep(63 - (10 + #text) % 64) .. "\n"
  local file = assert(io.open(path, "wb"))
  assert(file:write("\x93NUMPY\1\0", string.pack("<s2", text)))
  local part = path .. ".part.npy"
  for array = 1, 3 do
    for from = 1, tokens, 8192 do
      local x = fv.uniform(math.min(8192, tokens - from + 1), dim, rng)
      x = array < 3 and x / x:norm(-1):unsqueeze(-1) or x * 2 - 1
      fv.save(part, x)
      local rows = assert(io.open(part, "rb"))
      rows:seek("end", -4 * x:numel())
      assert(file:write(rows:read "a"))
      rows:close()
    end
  end
  os.remove(part)
  assert(file:close())
end

--- Tokens from .. to as q, k, v that lie in the file, as long as they live.
local function read(path, from, to)
  local x = fv.load(path, { mmap = true })
  return x[1]:slice(1, from, to), x[2]:slice(1, from, to), x[3]:slice(1, from, to)
end

local function answer(rule, path, from, to, s)
  local q, k, v = read(path, from, to)
  return rule.step(q, k, v, s)
end

--- Feeds the first tokens of the file through a rule; the last answer and the last state.
local function stream(rule, path, tokens, piece)
  local s, o = {}, nil
  for from = 1, tokens, piece do
    o, s.s, s.z = answer(rule, path, from, math.min(from + piece - 1, tokens), s)
    collectgarbage()                       -- unmaps: what was read leaves memory
  end
  return o, s
end

local function measure(rule, path, opt)
  local tokens, piece = opt.tokens, opt.piece
  local last = (tokens - 1) // piece * piece           -- before the last piece
  local mark = math.max(0, last - 3 * piece)
  collectgarbage()
  forget_peak()
  local before, seconds, work = memory "VmRSS", math.huge, math.huge
  local o
  for _ = 1, opt.repeats do
    local start, cpu = fv.clock(), os.clock()
    o = stream(rule, path, tokens, piece)
    seconds, work = math.min(seconds, fv.clock() - start), math.min(work, os.clock() - cpu)
  end
  local growth = memory "VmHWM" - before

  -- again to the checkpoint, and on from its file in one call
  local s = {}
  if mark > 0 then
    local checkpoint = opt.out .. "/" .. rule.name .. ".npz"
    fv.save(checkpoint, select(2, stream(rule, path, mark, piece)))
    s = fv.load(checkpoint)
    os.remove(checkpoint)
  end
  local whole = answer(rule, path, mark + 1, tokens, s):slice(1, last - mark + 1)
  local off = (o - whole):abs():max():item() / whole:abs():max():item()
  -- a few thousand roundings of 2^-24 that do not cancel
  if off ~= off or off > 1e-4 then
    error(("million_tokens: %s: pieces and one call differ by %.2g"):format(rule.name, off), 0)
  end
  return { name = rule.name, seconds = seconds, cpu = work, rate = tokens / seconds, growth = growth,
           off = off, o = o }
end

local function run(opt)
  fv.mkdir(opt.out)
  local path = opt.out .. "/tokens.npy"
  local _ <close> = setmetatable({}, { __close = function() if not opt.keep then os.remove(path) end end })
  make(path, opt.tokens, opt.dim, opt.seed)
  print(("%d tokens, one head, d = %d, f32, pieces of %d, %d threads; best of %d"):format(
    opt.tokens, opt.dim, opt.piece, fv.threads(), opt.repeats))
  print(("%-10s %9s %8s %12s %9s  %s"):format("rule", "seconds", "cpu s", "tokens/s", "peak MB",
    "last piece against one call"))
  local results = {}
  for i, rule in ipairs(rules) do
    local r = measure(rule, path, opt)
    results[i] = r
    print(("%-10s %9.3f %8.3f %12.0f %9.1f  %s"):format(r.name, r.seconds, r.cpu, r.rate, r.growth,
      r.off == 0 and "same bits" or ("within %.1g"):format(r.off)))
  end
  return results
end

return {
  question = "How long does a million tokens take when the memory is one matrix?",
  claim = "Under half a second a head at d = 64, in memory that does not grow with the length.",
  source = "Katharopoulos et al. 2020, arXiv:2006.16236; Schlag et al. 2021, arXiv:2102.11174",
  cost = "10 s; a file of 768 MB while it runs",
  options = {
    { name = "tokens", type = "integer", default = 1000000, lo = 1, doc = "length of the sequence" },
    { name = "dim", type = "integer", default = 64, lo = 1, doc = "width of q, k and v" },
    { name = "piece", type = "integer", default = 4096, lo = 1, doc = "tokens read at a time" },
    { name = "repeats", type = "integer", default = 3, lo = 1, doc = "runs; the fastest counts" },
    { name = "keep", type = "boolean", default = false, doc = "keep the file of tokens" }
  },
  run = run
}
