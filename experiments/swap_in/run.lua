--- What happens when a trained model's exact attention is replaced?
---
--- A byte model is trained with exact softmax attention. Then each approximation takes its place,
--- first as it is, then after a few hundred more steps; the control goes on with exact attention
--- for as many. All runs of one seed share first values and batches, so differences are paired.

local fv = require "fovea"
local grid = require "fovea.grid"
local plot = require "fovea.plot"
local progress = require "fovea.progress"
local report = require "fovea.report"
local results = require "fovea.results"
local stats = require "fovea.stats"

local BITS = 1 / math.log(2)

--- What takes the place of exact attention: { name, attention key, options }.
local known = {
  { "exact", "softmax", {} },
  { "uniform", "uniform", {} },
  { "FAVOR+ positive 64", "favor", { estimator = "positive", features = 64, dim = 32 } },
  { "FAVOR+ positive 256", "favor", { estimator = "positive", features = 256, dim = 32 } },
  { "FAVOR+ hyperbolic 256", "favor", { estimator = "hyperbolic", features = 256, dim = 32 } },
  { "FAVOR+ trig 256", "favor", { estimator = "trig", features = 256, dim = 32 } },
  { "ReLU features 256", "linear", { map = "relu", features = 256, dim = 32 } },
  { "elu+1", "linear", { map = "elu1" } },
  { "DPFP-2", "dpfp", { nu = 2 } },
  { "Nystrom 64", "nystrom", { landmarks = 64 } }
}

local function attention(swap, seed)
  local options = {}
  for key, value in pairs(swap[3]) do options[key] = value end
  if options.features then options.seed = seed end
  return fv.attention(swap[2], options)
end

--- 'steps' steps from batch 'from' + 1 on; returns whether every loss was finite.
local function train(model, data, opt, from, steps, schedule)
  local later = { batch = function(_, split, step, size) return data:batch(split, from + step, size) end }
  local r = fv.train { model = model, data = later, steps = steps, schedule = schedule, eval_every = 0,
                       batch = { batch = opt.batch, length = opt.length }, nan = "stop", quiet = true }
  if r.status == "interrupted" then error("interrupted!", 0) end
  return r.status == "done"
end

--- Bits a byte over the same windows for every model.
local function bits(model, data, opt, split)
  model:eval()
  local sum = 0
  for i = 1, opt.windows do
    local b = data:batch(split, i, { batch = opt.batch, length = opt.length })
    sum = sum + fv.no_grad(function() return fv.nn.cross_entropy(model(b.ids), b.labels):item() end)
  end
  return sum / opt.windows * BITS
end

--- Relative error of each block's attention output over all rows, then over the thirds of rows
--- with the least, middle and most entropy of the exact weights: errors[block] = { all, low, mid, high }.
local function local_errors(swap, inputs, seed, causal)
  local out = {}
  for i, x in ipairs(inputs) do
    local n = x.q:size(-2)
    local A = fv.softmax_attention(x.q, x.k, fv.eye(n), { causal = causal })
    local entropy = -(A * A:clamp(1e-30, 1):log()):sum(-1):reshape(-1)
    local exact = fv.softmax_attention(x.q, x.k, x.v, { causal = causal })
    local o = attention(swap, seed)(x.q, x.k, x.v, { causal = causal or nil })
    local off, size = (o - exact):square():sum(-1):reshape(-1), exact:square():sum(-1):reshape(-1)
    local order = entropy:argsort()
    local rows, errors = order:numel(), {}
    local function ratio(from, to)
      local at = order:slice(1, from, to)
      return math.sqrt(off:index_select(1, at):sum():item() / size:index_select(1, at):sum():item())
    end
    errors[1] = ratio(1, rows)
    for third = 1, 3 do errors[1 + third] = ratio(1 + rows * (third - 1) // 3, rows * third // 3) end
    out[i] = errors
  end
  return out
end

--- One seed: trains, swaps, goes on. rows[name] = { before, after, errors }.
local function replicate(opt, shape, seed, swaps, bar)
  local masked = opt.objective == "masked"
  local data = fv.data("text", { path = opt.text, seed = seed, objective = opt.objective, rate = 0.3 })
  local model = shape.build("softmax", seed, masked)
  local good = train(model, data, opt, 0, opt.steps,
                     fv.schedule("cosine", { lr = opt.lr, steps = opt.steps, warmup = opt.steps // 10 }))
  if not good then error(("seed %d: training with exact attention diverged; lower --lr"):format(seed), 0) end
  bar:step(("seed %d: trained"):format(seed))
  local b = data:batch("validation", 1, { batch = 4, length = opt.length })
  local inputs = shape.observe(model, b.ids)
  local rows = {}
  for _, swap in ipairs(swaps) do
    local other = shape.copy(model, shape.build(attention(swap, seed), seed, masked))
    local row = { before = bits(other, data, opt, "validation"),
                  errors = local_errors(swap, inputs, seed, not masked) }
    if train(other, data, opt, opt.steps, opt.tune, fv.schedule("constant", { lr = opt.lr / 10 })) then
      row.after = bits(other, data, opt, "validation")
    end
    rows[swap[1]] = row
    bar:step(("seed %d: %s"):format(seed, swap[1]))
  end
  return rows, model
end

--- The table: means over seeds; 'cost' is the paired difference to exact after as many steps.
local function summarise(all, swaps)
  local function bracket(name) return { name, nil, "95 %", right = true } end
  local g = grid.new { { "name", nil, "attention" }, { "before", "%.3f", "swapped" }, bracket "before95",
    { "after", "%.3f", "after tuning" }, bracket "after95", { "cost", "%+.3f" }, bracket "cost95",
    { "diverged" }, { "e1", "%.3f", "error 1" }, { "e2", "%.3f", "error 2" },
    { "low", "%.3f", "low entropy" }, { "mid", "%.3f", "middle" }, { "high", "%.3f", "high" } }
  for _, swap in ipairs(swaps) do
    local before, after, cost, e, lost = {}, {}, {}, { {}, {}, {}, {}, {} }, 0
    for i, rows in ipairs(all) do
      local r, exact = rows[swap[1]], rows.exact
      before[i] = r.before
      if r.after and exact.after then
        after[#after + 1], cost[#cost + 1] = r.after, r.after - exact.after
      else
        lost = lost + 1
      end
      local a, b = r.errors[1], r.errors[#r.errors]
      for j, value in ipairs { a[1], b[1], (a[2] + b[2]) / 2, (a[3] + b[3]) / 2, (a[4] + b[4]) / 2 } do
        e[j][i] = value
      end
    end
    local row = { name = swap[1], diverged = lost, e1 = stats.mean(e[1]), e2 = stats.mean(e[2]),
                  low = stats.mean(e[3]), mid = stats.mean(e[4]), high = stats.mean(e[5]) }
    local function add(name, list, format)
      row[name] = #list > 0 and stats.mean(list) or nil
      local lo, hi = stats.t_interval(list)
      row[name .. "_lo"], row[name .. "_hi"], row[name .. "95"] = lo, hi, grid.interval(format, lo, hi)
    end
    add("before", before, "%.3f")
    add("after", after, "%.3f")
    if swap[1] ~= "exact" then add("cost", cost, "%+.3f") end
    g:add(row)
  end
  return g
end

--- Bits before and after tuning; errors by entropy. What fails altogether leaves the second panel.
local function figure(g)
  local cost, errors = {}, {}
  for i, row in ipairs(g) do
    local after = row.after or row.before
    cost[i] = { name = row.name, x = { 0, 1 }, y = { row.before, after }, point = 4 + i }
    errors[i] = { name = row.name, x = { 1, 2, 3 }, y = { row.low, row.mid, row.high }, point = 4 + i }
  end
  table.remove(errors, 1)      -- exact attention has none
  return plot { title = "Attention replaced in a trained model", panels = {
    { title = "loss", xlabel = "0: swapped, 1: tuned", ylabel = "bits a byte", lines = cost },
    { title = "error by entropy of the exact row", xlabel = "third of the rows, by entropy",
      ylabel = "relative error of the attention output", yrange = "0.8:1.3", lines = errors } } }
end

local reading = [[
Reading. 'swapped' is bits a byte (or masked byte) on validation windows with trained parameters and another
attention in place; 'after tuning' the same after more training steps at a tenth of the rate; 'cost' is what
is then lost against exact attention given the same steps (paired by seed). 'error 1' and 'error 2' are the
relative errors of the attention output of the first and second block, on the exact model's queries and
keys; the last three columns split the rows of both blocks into thirds by the entropy of the exact weights.
Intervals are 95 % (Student's t over seeds). Nystrom attention has no causal form: it takes part where
the objective is masked bytes.]]

return {
  question = "What happens when a trained model's exact attention is replaced?",
  claim = "Positive features can take the place of softmax attention after a short adaptation.",
  source = "Choromanski et al. 2021, arXiv:2009.14794: the Transformer's weights moved to a Performer",
  cost = "about five minutes on two cores",
  options = {
    { name = "text", type = "string", default = "", doc = "UTF-8 text; default: Genesis, embedded" },
    { name = "objective", type = "string", default = "causal", choices = { "causal", "masked" },
      doc = "next byte, or the bytes under a mask (30 %), seen from both sides" },
    { name = "steps", type = "integer", default = 1000, lo = 1, doc = "steps of training with exact attention" },
    { name = "tune", type = "integer", default = 200, lo = 1, doc = "steps after the swap" },
    { name = "seeds", type = "integer", default = 3, lo = 1, doc = "independent models" },
    { name = "batch", type = "integer", default = 8, lo = 1, doc = "windows of a batch" },
    { name = "length", type = "integer", default = 256, lo = 1, doc = "bytes of a window" },
    { name = "windows", type = "integer", default = 8, lo = 1, doc = "batches of the evaluation" },
    { name = "lr", type = "number", default = 3e-3, lo = 0, doc = "the highest rate" },
    { name = "model", type = "string", default = "", doc = "also saves the first model here (.safetensors)" },
  },
  smoke = { steps = 2, tune = 1, seeds = 2, batch = 2, length = 16, windows = 1 },
  run = function(opt)
    if opt.model ~= "" then
      if not opt.model:find "%.safetensors$" then
        error(("--model: expected a path that ends in .safetensors, got '%s'"):format(opt.model), 0)
      end
      local good, why = results.writable(opt.model)
      if not good then error("--model: " .. why, 0) end
    end
    local text_model = dofile(opt.dir .. "/../data/text_model.lua")
    results.folder(opt.out)
    local swaps = {}
    for _, swap in ipairs(known) do
      local acausal = fv.attention.entry(swap[2]).acausal
      if opt.objective == "masked" or not acausal then swaps[#swaps + 1] = swap end
    end
    local bar = progress.new(opt.seeds * (#swaps + 1), "swap in")
    local all = {}
    local stopped = progress.interrupted(function()
      for i = 1, opt.seeds do
        local rows, model = replicate(opt, text_model, opt.seed + i - 1, swaps, bar)
        all[i] = rows
        if i == 1 and opt.model ~= "" then model:save(opt.model) end
      end
    end)
    local seconds = bar:finish()
    if #all == 0 then error("interrupted before the first seed was done", 0) end
    local g = summarise(all, swaps)
    report.publish(opt.out, { grid = g, reading = reading, figure = figure(g),
      caption = "Loss after the swap and after tuning; error by entropy of the row.",
      setting = ("seeds %d to %d; %d steps, then %d; batches of %d x %d bytes; %.0f s\n%s"):format(opt.seed,
        opt.seed + #all - 1, opt.steps, opt.tune, opt.batch, opt.length, seconds, tostring(fv.info())),
      columns = { "name", "before", "before_lo", "before_hi", "after", "after_lo", "after_hi", "cost",
                  "cost_lo", "cost_hi", "diverged", "e1", "e2", "low", "mid", "high" } })
    if stopped then error(("interrupted: the results are of %d of %d seeds"):format(#all, opt.seeds), 0) end
  end,
}
