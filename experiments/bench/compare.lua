--- What an earlier run measured, held against this one.

local json = require "json"

local compare = {}

local function key(row) return ("%s|%d|%s"):format(row.name, row.threads, row.isa) end

function compare.load(path)
  local file, why = io.open(path, "rb")
  if not file then error("--base: cannot read " .. why, 0) end
  local text = file:read "a"
  file:close()
  local good, run = pcall(json.decode, text or "")
  if not good or type(run) ~= "table" or type(run.rows) ~= "table" then
    error(("--base: '%s' is no result of this benchmark%s"):format(path, good and "" or ": " .. run), 0)
  end
  local base = { machine = run.machine or {}, path = path }
  for _, row in ipairs(run.rows) do base[key(row)] = row end
  return base
end

--- Sets row.change = median / earlier median, and row.verdict where the two spreads do not
--- meet: "slower" or "faster".
function compare.mark(row, base)
  local was = base[key(row)]
  if not was then return end
  row.change = row.median / was.median
  if row.p10 > was.p90 then row.verdict = "slower"
  elseif row.p90 < was.p10 then row.verdict = "faster" end
end

--- Lines that say what moved, and whether the machines are the same.
function compare.report(rows, base, machine)
  local out, known = {}, 0
  for _, what in ipairs { "cpu", "blas" } do
    if base.machine[what] ~= machine[what] then
      out[#out + 1] = ("note: %s was measured with %s '%s', this run with '%s'"):format(base.path, what,
        tostring(base.machine[what]), tostring(machine[what]))
    end
  end
  for _, verdict in ipairs { "slower", "faster" } do
    local count = 0
    for _, row in ipairs(rows) do
      if row.verdict == verdict then count = count + 1 end
      if verdict == "slower" and row.change then known = known + 1 end
    end
    out[#out + 1] = ("%d of %d rows %s than in %s, beyond the spread of both"):format(count, known, verdict, base.path)
  end
  return table.concat(out, "\n")
end

return compare
