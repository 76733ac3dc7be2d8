-- Language models that differ in their attention, trained from several seeds, side by side.
--
-- The seed is the unit of replication: it keys the first parameters, the random features and
-- the batches.  All models meet the same batches at the same seed, so differences are paired.
-- Each has its own rate: of those given, the one with the least validation loss at the seed
-- before the first, which no row has.  Diverged runs keep their row.

local fv = require "fovea"
local counts = require "fovea.counts"
local grid = require "fovea.grid"
local progress = require "fovea.progress"
local results = require "fovea.results"
local stats = require "fovea.stats"

local replicate = {}

-- ---- runs ----

--- The first s.tests batches of a split, one at a time: ids and labels, of which, where ids hold
--- a mask (s.masked), those under it alone count.
local function batches(data, split, s)
  local i = 0
  return function()
    i = i + 1
    if i > s.tests then return nil end
    local b = data:batch(split, i, s.train.batch)
    return b.ids, s.masked and fv.where(b.ids:eq(data.vocab), b.labels, -100) or b.labels
  end
end

local function evaluate(model, data, split, s)
  local sum, n = 0, 0
  fv.no_grad(function()
    for ids, labels in batches(data, split, s) do
      sum = sum + fv.nn.cross_entropy(model(ids), labels, { reduce = "sum" }):item()
      n = n + labels:ne(-100):to("i64"):sum():item()
    end
  end)
  return sum / n * s.unit
end

--- One run of variant v, its loss on 'split' of the first seed's data: added to the row.
local function run(s, v, row, seed, rate, split, bar)
  local model = v.make(seed)
  local given = { model = model, data = s.data(seed), lr = rate, quiet = true, nan = "stop", eval_every = 0 }
  for key, x in pairs(s.train) do given[key] = x end
  local r = fv.train(given)
  if r.status == "interrupted" then error("interrupted!", 0) end
  local loss = r.status == "diverged" and 0 / 0 or evaluate(model, s.data(s.first), split, s)
  row.runs[#row.runs + 1] = { model = v.name, seed = seed, rate = rate, split = split, loss = loss,
                              status = r.status }
  row.seconds, row.count = row.seconds + r.seconds, model:count()
  row.why = row.why or r.diverged and ("at rate %g, seed %d: %s"):format(rate, seed, r.diverged)
  bar:step(("%s seed %d rate %g: %.4f"):format(v.name, seed, rate, loss))
  return loss
end

--- Trains every variant { name =, make = function(seed) -> model } at each of s.rates, then from
--- the seeds s.first and the s.seeds - 1 after it at the rate that was best.  s.data(seed);
--- s.train = options of fv.train; s.tests, s.masked: see batches; s.unit: a factor of losses.
--- Returns a row for each, { name =, rate =, losses = by seed, runs =, seconds =, count = }, and
--- whether Ctrl-C ended it: rows then have the runs that were done.
function replicate.run(s)
  local choices = #s.rates > 1 and #s.rates or 0
  local bar, rows = progress.new(#s.variants * (s.seeds + choices), s.label), {}
  for i, v in ipairs(s.variants) do
    rows[i] = { name = v.name, losses = {}, runs = {}, seconds = 0, rate = s.rates[1] }
  end
  local stopped = progress.interrupted(function()
    for i, v in ipairs(s.variants) do
      local least = math.huge
      for k = 1, choices do
        local loss = run(s, v, rows[i], s.first - 1, s.rates[k], "validation", bar)
        if loss < least then least, rows[i].rate = loss, s.rates[k] end
      end
    end
    for k = 1, s.seeds do
      for i, v in ipairs(s.variants) do
        rows[i].losses[k] = run(s, v, rows[i], s.first + k - 1, rows[i].rate, "test", bar)
      end
    end
  end)
  bar:finish()
  return rows, stopped
end

-- ---- the table ----

--- Rows and what counts know as a grid: the mean over the seeds that did not diverge with
--- Student's 95 % interval, and the paired difference from the variant 'base'.
function replicate.table(rows, baselines, base)
  local g = grid.new { { "model" }, { "loss", "%.4f" }, { "interval", nil, "95 %", right = true },
    { "difference", "%+.4f", "- " .. base }, { "paired", nil, "95 %", right = true },
    { "rate", "%g" }, { "seeds" }, { "diverged" }, { "parameters" }, { "seconds", "%.0f" } }
  local reference
  for _, r in ipairs(rows) do if r.name == base then reference = r end end
  for _, name in ipairs { "uniform", "unigram", "bigram" } do
    if baselines[name] then g:add { model = name .. " (baseline)", loss = baselines[name] } end
  end
  for i, r in ipairs(rows) do
    local kept, gaps, lost = {}, {}, 0
    for k, x in ipairs(r.losses) do
      if x == x then kept[#kept + 1] = x else lost = lost + 1 end
      local y = reference and reference.losses[k]
      if y and x == x and y == y and r ~= reference then gaps[#gaps + 1] = x - y end
    end
    local row = { model = r.name, loss = #kept > 0 and stats.mean(kept) or 0 / 0, rate = r.rate,
                  difference = #gaps > 0 and stats.mean(gaps) or nil, seeds = #r.losses, diverged = lost,
                  parameters = r.count, seconds = r.seconds, rule = i == 1 }
    row.loss_lo, row.loss_hi = stats.t_interval(kept)
    row.difference_lo, row.difference_hi = stats.t_interval(gaps)
    row.interval = grid.interval("%.4f", row.loss_lo, row.loss_hi)
    row.paired = grid.interval("%+.4f", row.difference_lo, row.difference_hi)
    g:add(row)
  end
  return g
end

--- Prints the table and why runs diverged, and writes results.csv (a line for each row) and
--- runs.csv (for each run), without times: their bits are those of the inputs.  prefix: of the
--- files' names.
function replicate.present(g, rows, folder, prefix)
  print(g:text())
  local runs, path = grid.new {}, folder .. "/" .. prefix
  for _, r in ipairs(rows) do
    if r.why then print(("%s diverged %s"):format(r.name, r.why)) end
    for _, one in ipairs(r.runs) do runs:add(one) end
  end
  results.write(path .. "results.csv", g:csv { "model", "loss", "loss_lo", "loss_hi", "difference",
    "difference_lo", "difference_hi", "rate", "seeds", "diverged", "parameters" })
  results.write(path .. "runs.csv", runs:csv { "model", "seed", "rate", "split", "loss", "status" })
  print(("\nresults  %sresults.csv\nruns     %sruns.csv\n"):format(path, path))
end

-- ---- the experiment ----

local common = {
  { name = "seeds", type = "integer", default = 5, lo = 1, doc = "seeds, from --seed on" },
  { name = "steps", type = "integer", default = 800, lo = 1, doc = "steps of each run" },
  { name = "layers", type = "integer", default = 2, lo = 1, doc = "blocks" },
  { name = "width", type = "integer", default = 64, lo = 1, doc = "size of a token" },
  { name = "heads", type = "integer", default = 4, lo = 1, doc = "heads" },
  { name = "features", type = "integer", default = 64, lo = 2, doc = "random features" },
  { name = "positions", type = "string", default = "rotary", choices = { "rotary", "learned", "none" },
    doc = "how tokens know where they are" },
  { name = "batch", type = "integer", default = 4, lo = 1, doc = "windows of a batch" },
  { name = "length", type = "integer", default = 128, lo = 2, doc = "tokens of a window" },
  { name = "rates", type = "string", default = "3e-3,1e-2",
    doc = "highest rates to choose from for each model, by validation loss at the seed before --seed" },
  { name = "std", type = "number", default = 0.1, lo = 0, doc = "of the first weights" },
  { name = "tests", type = "integer", default = 64, lo = 1, doc = "batches of an evaluation" },
  { name = "only", type = "string", default = "", doc = "softmax and the models whose name contains this" },
}

--- The numbers in "2e-3,1e-2".
local function numbers(text)
  local list = {}
  for word in (text .. ","):gmatch "%s*(.-)%s*," do
    local x = tonumber(word)
    if not x or not (x > 0 and x < math.huge) then
      error(("--rates: expected positive numbers with commas between, got '%s'"):format(text), 0)
    end
    list[#list + 1] = x
  end
  return list
end

--- The models of one objective.
local function variants(e, opt, masked)
  local list = {}
  local function add(name, mixer)
    list[#list + 1] = { name = name, make = function(seed)
      local mixers = {}
      for i = 1, opt.layers do mixers[i] = type(mixer) == "function" and mixer(seed * 100 + i) or mixer end
      return fv.model { kind = "lm", vocab = e.vocab, layers = opt.layers, width = opt.width,
                        heads = opt.heads, length = opt.length, attention = mixers, causal = not masked,
                        seed = seed, std = opt.std, positions = opt.positions }
    end }
  end
  add("softmax", "softmax")
  add("uniform averaging", "uniform")
  add("FAVOR+", function(seed)
    return fv.attention("favor", { features = opt.features, estimator = "positive", seed = seed })
  end)
  e.models(add, opt, masked)
  return list
end

--- For each objective, softmax and the models whose name contains 'part'; an objective without one
--- is left out.
local function chosen(e, opt, part)
  local lists, names = {}, {}
  for _, objective in ipairs(e.objectives) do
    local list, any = {}, false
    for _, v in ipairs(variants(e, opt, objective == "masked")) do
      local found = v.name:lower():find(part, 1, true)
      any = any or found
      if found or v.name == "softmax" then list[#list + 1] = v end
      names[v.name], names[#names + 1] = true, not names[v.name] and "'" .. v.name .. "'" or nil
    end
    lists[objective] = any and list or nil
  end
  if not next(lists) then
    error(("--only: expected part of a model's name, got '%s'; there are %s"):format(part,
          table.concat(names, ", ")), 0)
  end
  return lists
end

--- All models on one objective.
local function compare(e, opt, objective, list, rates)
  local kept, masked = {}, objective == "masked"
  local function data(seed)
    kept[seed] = kept[seed] or e.data(opt, objective, seed)
    return kept[seed]
  end
  local s = { label = objective, variants = list, seeds = opt.seeds, first = opt.seed, rates = rates,
              data = data, masked = masked, tests = opt.tests, unit = e.unit,
              train = { steps = opt.steps, batch = { batch = opt.batch, length = opt.length },
                        schedule = "cosine", warmup = math.min(opt.steps, opt.steps // 10 + 1) } }
  local baselines = counts(data(opt.seed), batches(data(opt.seed), "test", s), not masked)
  for name, loss in pairs(baselines) do baselines[name] = loss * e.unit end
  local rows, stopped = replicate.run(s)
  if #rows[1].losses == 0 then error("interrupted before the first run of a seed was done", 0) end
  print(masked and "Tokens under a mask" or "Next token")
  replicate.present(replicate.table(rows, baselines, "softmax"), rows, opt.out,
                    #e.objectives > 1 and objective .. "_" or "")
  if stopped then error("interrupted: the tables hold the runs that were done", 0) end
end

--- Fills in options, smoke and run of an experiment e that has { vocab =, unit = factor of losses,
--- reading = text, objectives = of fv.data, data = function(opt, objective, seed) -> fv.data,
--- models = function(add, opt, masked) } beside what every experiment has.  models calls
--- add(name, mixer): an attention or rule, or function(seed) -> one, called for each block.
function replicate.experiment(e)
  e.options = table.move(e.options, 1, #e.options, #common + 1, table.move(common, 1, #common, 1, {}))
  e.smoke = { seeds = 2, steps = 2, width = 8, heads = 2, length = 16, batch = 2, features = 8, tests = 2,
              rates = "1e-2,5e-3" }
  function e.run(opt)
    local t, rates, lists = fv.clock(), numbers(opt.rates), chosen(e, opt, opt.only:lower())
    results.folder(opt.out)
    for _, objective in ipairs(e.objectives) do
      if lists[objective] then compare(e, opt, objective, lists[objective], rates) end
    end
    print(("%s\n\nseeds %d to %d, %.0f s\n%s"):format(e.reading, opt.seed, opt.seed + opt.seeds - 1,
          fv.clock() - t, tostring(fv.info())))
  end
  return e
end

return replicate
