-- Models trained from several seeds on one data set, side by side.
--
-- The seed is the unit of replication: it keys the first parameters, the random features and
-- the batches.  All variants meet the same batches at the same seed, so differences are
-- paired.  Diverged runs keep their row.

local fv = require "fovea"
local grid = require "fovea.grid"
local progress = require "fovea.progress"
local results = require "fovea.results"
local stats = require "fovea.stats"

local replicate = {}

--- Mean loss over the labels of the first 'count' batches of the test split.
function replicate.evaluate(model, data, count, batch)
  local sum, n = 0, 0
  fv.no_grad(function()
    for i = 1, count do
      local b = data:batch("test", i, batch)
      sum = sum + fv.nn.cross_entropy(model(b.ids), b.labels, { reduce = "sum" }):item()
      n = n + b.labels:ne(-100):to("i64"):sum():item()
    end
  end)
  return sum / n
end

--- Trains every variant { name =, make = function(seed) -> model } from the seeds s.first and
--- the s.seeds - 1 after it; s.data(seed), s.train = options of fv.train, s.test = { count,
--- batch }: test batches are those of the first seed for all.
--- Returns a row for each: { name =, losses = by seed, status = by seed, seconds =, count = }.
function replicate.run(s)
  local bar, rows = progress.new(#s.variants * s.seeds, s.label), {}
  for i, v in ipairs(s.variants) do rows[i] = { name = v.name, losses = {}, status = {}, seconds = 0 } end
  local fixed = s.data(s.first)
  for k = 1, s.seeds do
    local seed = s.first + k - 1
    local data = s.data(seed)
    for i, v in ipairs(s.variants) do
      local row, model = rows[i], v.make(seed)
      local given = { model = model, data = data, quiet = true, nan = "stop", label = v.name }
      for key, x in pairs(s.train) do given[key] = x end
      local r = fv.train(given)
      if r.status == "interrupted" then error("interrupted!", 0) end
      row.status[k], row.seconds, row.count = r.status, row.seconds + r.seconds, model:count()
      local lost = r.status == "diverged"
      row.losses[k] = lost and 0 / 0 or replicate.evaluate(model, fixed, s.test[1], s.test[2])
      row.why = row.why or r.diverged
      bar:step(("%s seed %d: %.4f"):format(v.name, seed, row.losses[k]))
    end
  end
  bar:finish()
  return rows
end

-- ---- baselines ----

--- Counts over the training split: one[id], two[id before][id], n.
local function counts(data)
  local one, two, n = {}, {}, 0
  for _, run in ipairs(data.runs.train) do
    local ids, before = run.get(1, run.n), nil
    for _, x in ipairs(ids) do
      one[x], n = (one[x] or 0) + 1, n + 1
      if before then
        local row = two[before] or {}
        two[before] = row
        row[x] = (row[x] or 0) + 1
      end
      before = x
    end
  end
  return one, two, n
end

--- Losses on the test batches of what counts know: uniform 1 / V, unigram (c + 1) / (n + V),
--- and, where labels are the token after ids, bigram (c_ab + unigram_b) / (c_a + 1).
function replicate.baselines(data, test, next_token)
  local one, two, n = counts(data)
  local V, sums, count = data.vocab, { 0, 0, 0 }, 0
  for i = 1, test[1] do
    local b = data:batch("test", i, test[2])
    local ids, labels = b.ids:reshape(-1):totable(), b.labels:reshape(-1):totable()
    for j, y in ipairs(labels) do
      if y ~= -100 then
        local p = ((one[y] or 0) + 1) / (n + V)
        local row = two[ids[j]] or {}
        local q = ((row[y] or 0) + p) / ((one[ids[j]] or 0) + 1)
        sums[1], sums[2], sums[3] = sums[1] + math.log(V), sums[2] - math.log(p), sums[3] - math.log(q)
        count = count + 1
      end
    end
  end
  return { uniform = sums[1] / count, unigram = sums[2] / count,
           bigram = next_token and sums[3] / count or nil }
end

-- ---- the table ----

--- Rows and baselines (averaged over seeds) as a grid: mean over the seeds that
--- did not diverge with Student's 95 % interval, and the paired difference from the variant
--- 'base'.  unit: a factor of the losses.
function replicate.table(rows, baselines, base, unit)
  local g = grid.new { { "model" }, { "loss", "%.4f" }, { "interval", nil, "95 %", right = true },
    { "difference", "%+.4f", "- " .. base }, { "paired", nil, "95 %", right = true },
    { "seeds" }, { "diverged" }, { "parameters" }, { "seconds", "%.0f" } }
  local function interval(list, sign)
    local lo, hi = stats.t_interval(list)
    local f = sign and "%+.4f" or "%.4f"
    return lo and ("[" .. f .. ", " .. f .. "]"):format(lo, hi) or ""
  end
  local reference
  for _, r in ipairs(rows) do if r.name == base then reference = r end end
  for _, name in ipairs { "uniform", "unigram", "bigram" } do
    if baselines[name] then g:add { model = name .. " (baseline)", loss = baselines[name] * unit } end
  end
  for i, r in ipairs(rows) do
    local kept, gaps, lost = {}, {}, 0
    for k, x in ipairs(r.losses) do
      if x == x then kept[#kept + 1] = x * unit else lost = lost + 1 end
      local y = reference and reference.losses[k]
      if y and x == x and y == y and r ~= reference then gaps[#gaps + 1] = (x - y) * unit end
    end
    g:add { model = r.name, loss = #kept > 0 and stats.mean(kept) or 0 / 0, interval = interval(kept),
            difference = #gaps > 0 and stats.mean(gaps) or nil, paired = interval(gaps, true),
            seeds = #r.losses, diverged = lost, parameters = r.count, seconds = r.seconds, rule = i == 1 }
  end
  return g
end

--- Prints the table and why runs diverged, and writes both tables of numbers: results.csv as
--- printed, runs.csv with a line for each run.  prefix: of the files' names.
function replicate.present(g, rows, reading, folder, prefix)
  print(g:text())
  for _, r in ipairs(rows) do if r.why then print(("%s diverged: %s"):format(r.name, r.why)) end end
  if reading then print("\n" .. reading) end
  local runs = grid.new {}
  for _, r in ipairs(rows) do
    for k, x in ipairs(r.losses) do runs:add { model = r.name, run = k, loss = x, status = r.status[k] } end
  end
  local path = folder .. "/" .. (prefix or "")
  local names = {}
  for i, c in ipairs(g.columns) do names[i] = c[1] end
  results.write(path .. "results.csv", g:csv(names))
  results.write(path .. "runs.csv", runs:csv { "model", "run", "loss", "status" })
  print(("\nresults  %sresults.csv\nruns     %sruns.csv"):format(path, path))
end

return replicate
