--- How fast is every operator: against this machine's limits, against its peers, against
--- an earlier run?  README.md says what the columns mean.

local fv = require "fovea"
local compare = require "compare"
local json = require "json"
local measure = require "measure"
local peer = require "peer"
local present = require "present"
local process = require "process"
local progress = require "fovea.progress"

local families = { "exact", "favor", "linear", "delta", "nystrom", "features", "kernels", "sampling", "elementwise",
                   "training", "decoding", "process" }

local function cases()
  local list = {}
  for _, family in ipairs(families) do
    for _, case in ipairs(require("cases." .. family)) do list[#list + 1] = case end
  end
  return list
end

local function chosen(opt)
  local list = {}
  for _, case in ipairs(cases()) do
    if case.name:lower():find(opt.only:lower(), 1, true) and (opt.long or not case.long) then list[#list + 1] = case end
  end
  if #list == 0 then
    local names = {}
    for i, case in ipairs(cases()) do names[i] = case.name end
    error(("--only: no row contains '%s'; there are\n  %s"):format(opt.only, table.concat(names, "\n  ")), 0)
  end
  return list
end

local function split(text)
  local list = {}
  for word in text:gmatch "[^,%s]+" do list[#list + 1] = word end
  return list
end

--- Thread counts to run at: those asked for, else 1 and 2 as far as there are CPUs.
local function thread_counts(opt)
  local list = {}
  for _, word in ipairs(split(opt.threads)) do
    local n = math.tointeger(tonumber(word))
    if not n or n < 1 or n > 256 then
      error(("--threads: expected whole numbers from 1 to 256, got '%s'"):format(word), 0)
    end
    list[#list + 1] = n
  end
  if #list == 0 then return fv.threads() > 1 and not opt.quick and { 1, 2 } or { 1 } end
  return list
end

--- Levels to run at: those asked for, else this one, and v3 beside v4.
local function levels(opt)
  local list, ranks = split(opt.isa), { base = 0, v3 = 1, v4 = 2 }
  local top = fv.info().isa_max
  for _, word in ipairs(list) do
    if not ranks[word] or ranks[word] > ranks[top] then
      error(("--isa: expected base to %s on this CPU, got '%s'"):format(top, word), 0)
    end
  end
  if #list == 0 then list = fv.isa() == "v4" and not opt.quick and { "v4", "v3" } or { fv.isa() } end
  return list
end

local function environments(opt)
  local list = opt.peers == "none" and {} or split(opt.peers)
  for _, word in ipairs(list) do
    if not peer.environments[word] then
      error(("--peers: expected tuned, stock or none, got '%s'"):format(word), 0)
    end
  end
  return list
end

local function write(path, text)
  local file, why = io.open(path, "wb")
  if not file then error("cannot write the results: " .. why, 0) end
  local good, err = file:write(text)
  if good then good, err = file:close() end
  if not good then error(("cannot write the results: %s: %s"):format(path, err), 0) end
end

--- The rows of a process that runs at another level from its start: BLAS then does too.
local function at_level(level, opt)
  local path = os.tmpname()
  local words = { "FOVEA_ISA=" .. level, process.quote(process.executable()), "run", process.quote(opt.dir),
                  "--peers=none", "--isa=" .. level, "--json=" .. process.quote(path) }
  for _, name in ipairs { "only", "threads", "quick", "long", "seconds", "seed", "out" } do
    words[#words + 1] = process.quote(("--%s=%s"):format(name, opt[name]))
  end
  process.read(table.concat(words, " "))
  local file = io.open(path)
  local run = json.decode(file:read "a")
  file:close()
  os.remove(path)
  return run
end

local function start_peers(opt, threads, note, versions)
  local list = {}
  for _, environment in ipairs(environments(opt)) do
    local p, why = peer.start(opt.python, opt.dir, environment, threads)
    if not p then
      note("peers skipped: " .. why)
      break
    end
    list[#list + 1], versions.peers = p, p.versions
  end
  return list
end

local function run(opt)
  local list, counts, here = chosen(opt), thread_counts(opt), fv.isa()
  local base = opt.base ~= "" and compare.load(opt.base)
  fv.mkdir(opt.out)
  local path = opt.json ~= "" and opt.json or opt.out .. "/bench.json"
  local machine = fv.info()
  local result = { machine = { cpu = machine.cpu, isa = machine.isa, blas = machine.blas, lua = machine.lua,
                               version = machine.version, huge_pages = machine.huge_pages },
                   limits = {}, rows = {}, notes = {}, peers = "none" }
  local order, said = {}, {}
  for i, case in ipairs(list) do order[case.name] = i end
  local function note(text)
    if not said[text] then said[text], result.notes[#result.notes + 1] = true, text end
  end
  write(path, json.encode(result))   -- before the work, so that nothing measured is lost
  local bar = progress.new(#list * #counts * #levels(opt), "bench")
  for rank, level in ipairs(levels(opt)) do
    if level ~= here then
      local other = at_level(level, opt)
      for _, row in ipairs(other.rows) do
        row.rank = rank
        result.rows[#result.rows + 1] = row
        bar:step(row.name .. " " .. level)
      end
      table.move(other.limits, 1, #other.limits, #result.limits + 1, result.limits)
    else
      for _, threads in ipairs(counts) do
        local before = fv.threads(threads)
        local peers = start_peers(opt, threads, note, result)
        local rate, known = measure.rates(opt.quick and 0.02 or 0.3)
        result.limits[#result.limits + 1] = known
        known.isa, known.threads = level, threads
        for _, case in ipairs(list) do
          if not (case.serial and threads ~= counts[1]) then
            local row = measure.row(case, threads, peers, rate, opt, note)
            row.rank = rank
            result.rows[#result.rows + 1] = row
          end
          bar:step(("%s, %d threads"):format(case.name, threads))
        end
        for _, p in ipairs(peers) do p:stop() end
        fv.threads(before)
      end
    end
  end
  bar:finish()
  table.sort(result.rows, function(a, b)
    if a.name ~= b.name then return order[a.name] < order[b.name] end
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.threads < b.threads
  end)
  for _, row in ipairs(result.rows) do
    row.rank = nil
    if base then compare.mark(row, base) end
  end
  write(path, json.encode(result))
  print(tostring(machine))
  print("peers       " .. result.peers .. "\n")
  print(present(result.rows))
  for _, rates in ipairs(result.limits) do
    local words = {}
    for _, what in ipairs { "flops", "exp", "cos", "copy" } do
      if rates[what] then words[#words + 1] = ("%s %.4g"):format(what, rates[what] / 1e9) end
    end
    if words[1] then
      note(("limits of %s, %d threads, 1e9 per second: %s"):format(rates.isa, rates.threads, table.concat(words, ", ")))
    end
  end
  print("\n" .. table.concat(result.notes, "\n"))
  if base then print(compare.report(result.rows, base, result.machine)) end
  print("results  " .. path)
end

return {
  question = "How fast is every operator: against this machine's limits, its peers, an earlier run?",
  cost = "the full run takes a quarter of an hour or more; --quick or --only a few seconds",
  options = {
    { name = "only", type = "string", default = "", doc = "only rows whose name contains this" },
    { name = "quick", type = "boolean", default = false, doc = "few short samples, one thread, no memory" },
    { name = "long", type = "boolean", default = false, doc = "also the rows that take many seconds" },
    { name = "threads", type = "string", default = "", doc = "e.g. 1,2; default: 1 and 2" },
    { name = "isa", type = "string", default = "", doc = "e.g. v4,v3; default: the CPU's best, and v3 beside v4" },
    { name = "seconds", type = "number", default = 1, doc = "of samples, for each side of a row" },
    { name = "peers", type = "string", default = "tuned,stock", doc = "environments of the peers, or none" },
    { name = "python", type = "string", default = "python3", doc = "the Python that has the peers' packages" },
    { name = "json", type = "string", default = "", doc = "file of the results; default: bench.json in out" },
    { name = "base", type = "string", default = "", doc = "results of an earlier run to compare with" },
    { name = "memory", type = "string", default = "", doc = "run this row once, print the peak MiB, end" },
  },
  run = function(opt)
    if not (opt.seconds > 0 and opt.seconds <= 3600) then error("--seconds: expected a number up to 3600", 0) end
    if opt.quick then opt.seconds = math.min(opt.seconds, 0.05) end
    if opt.memory == "" then return run(opt) end
    for _, case in ipairs(cases()) do
      if case.name == opt.memory then
        print(measure.memory(case, opt.seed))
        return
      end
    end
    error(("--memory: no row is named '%s'"):format(opt.memory), 0)
  end,
}
