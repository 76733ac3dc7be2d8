--- One row: a case at a number of threads, in alternation with its peers.

local fv = require "fovea"
local process = require "process"
local timing = require "timing"

local measure = {}

--- Seconds that the machine's measured rates allow for the case's work: multiply-adds and
--- elementary functions share the pipes and add up; a stream is bound by either side.
local function bound(case, rate)
  local t = 0
  if case.flops then t = t + case.flops / rate "flops" end
  if case.exps then t = t + case.exps / rate "exp" end
  if case.cosines then t = t + case.cosines / rate "cos" end
  if case.bytes then t = math.max(t, case.bytes / rate "copy") end
  return t > 0 and t or nil
end

--- rate(what): this machine's measured limit at the threads and level in use, asked once.
function measure.rates(seconds)
  local known = {}
  return function(what)
    known[what] = known[what] or fv.peak(what, { seconds = seconds })
    return known[what]
  end, known
end

--- Peak resident MiB of a process that makes the case's inputs and runs it.
local function peak(case, threads, opt)
  if case.peak then return case.peak() end
  local text = process.read(("FOVEA_THREADS=%d FOVEA_ISA=%s %s run %s --memory=%s --seed=%d"):format(threads,
    fv.isa(), process.quote(process.executable()), process.quote(opt.dir), process.quote(case.name), opt.seed))
  return tonumber(text) or error("bench: no memory figure for " .. case.name, 0)
end

--- Runs the case as often as its peak memory is defined over, and returns that.
function measure.memory(case, seed)
  local f = case.make(fv.rng(seed):stream(case.name))
  for _ = 1, case.repeats or 1 do f() end
  return process.peak()
end

--- The row of 'case'; 'peers' are running processes (peer.lua), note(text) takes remarks.
function measure.row(case, threads, peers, rate, opt, note)
  local least = opt.quick and 5e-4 or 2e-3
  local f = case.make(fv.rng(opt.seed):stream(case.name))
  collectgarbage()
  local samplers, who = { timing.sampler(f, least) }, {}
  for _, p in ipairs(peers) do
    p:clear()
    for _, form in ipairs(case.peers or {}) do
      local sample, why = p:sampler(form, least)
      local name = form[1] .. "." .. form[2]
      if sample then
        samplers[#samplers + 1] = sample
        who[#who + 1] = { name = name, environment = p.environment, once = why and true or nil }
        if why then
          note(("%s: peer %s, %s: timed once, %.3g s"):format(case.name, name, p.environment, why))
        end
      else
        note(("peer %s: %s"):format(name, why))
      end
    end
  end
  local ours = samplers[1]
  if #who > 0 then
    samplers[1] = function()   -- peers' threads spin for 0.2 s, on the CPUs that ours are to use
      os.execute "sleep 0.3"
      return ours()
    end
  end
  local taken = timing.alternate(samplers, opt.seconds * #samplers, opt.quick and 3 or 5, 100)
  for i, t in ipairs(taken[1]) do taken[1][i] = t / (case.calls or 1) end
  local row = timing.summary(taken[1])
  row.name, row.threads, row.isa = case.name, threads, fv.isa()
  row.flops, row.bound = case.flops, bound(case, rate)
  row.rate = case.flops and case.flops / row.median
  row.fraction = row.bound and row.bound / row.median
  row.peers = who
  for i, p in ipairs(who) do
    for k, v in pairs(timing.summary(taken[i + 1])) do p[k] = v end
    p.ratio = p.median / row.median
  end
  -- the inputs it holds would count as memory in use
  f = nil   -- luacheck: ignore 311
  collectgarbage()
  if not opt.quick and (case.memory or case.peak) then row.peak_mib = peak(case, threads, opt) end
  return row
end

--- The fastest peer of a row, of one environment or of any; nil when there is none.
function measure.best(row, environment)
  local best
  for _, p in ipairs(row.peers or {}) do
    if (not environment or p.environment == environment) and (not best or p.median < best.median) then best = p end
  end
  return best
end

return measure
