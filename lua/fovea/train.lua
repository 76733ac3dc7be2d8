--- fv.train{model=, data=, steps=, ...} -> result: trains a model on batches of data.
--- model has parameters() and may have train(step) and eval(), as every layer has; data has
--- batch(split, step, options), as every fv.data has; loss(model, batch) -> scalar is the mean
--- cross entropy of model(batch.ids) with batch.labels unless given. Step i uses batch i of
--- "train" and keys dropout by i: the run is a function of its options and the first
--- parameters. Options, beside those three:
---   steps           how many; required
---   batch           what data:batch is given: {batch=16, length=128}
---   optimizer       a name with optimizer_options (table), or an fv.optim; default "adamw"
---   lr, schedule    rate (1e-3); fv.schedule's name ("constant") with warmup (steps), or
---                   function(step) -> lr
---   clip            largest norm of all gradients (1; 0: no limit)
---   eval_every      steps between evaluations (100; 0: none) on the first eval_batches (8)
---                   batches of eval_split ("validation"), each with eval_batch (batch), as
---                   fv.evaluate does
---   metrics         function(model, batch) -> { name = number }, averaged in each evaluation
---   patience        stops after so many evaluations without a lower loss (0: never)
---   checkpoint      path (.safetensors): parameters, optimiser, step and curves, written whole
---                   every checkpoint_every steps (eval_every) and at the end. If it exists the
---                   run goes on from there, bit for bit; resume=false starts afresh
---   keep_best       path (.safetensors) of the parameters with the lowest validation loss
---   nan             a loss or gradient that is not finite: "raise", or "stop" with a result.
---                   The step is repeated and the first operator that returned it is named
---   label, quiet, every   name, silence, and seconds (10) between lines where there is no terminal
--- Random features are redrawn as the model's option redraw says; an evaluation has those of the
--- step before it, and the model that is left those of the last step.
--- Batches that do not fit and files that cannot be written are told before the first step.
--- Ctrl-C ends the run after the last whole step, with its checkpoint. The result has status
--- ("done", "early stop", "interrupted", "diverged"), step, history.loss and .norm (a number
--- for each step), evals (list of { step =, loss =, ... }), best and final (two of these),
--- seconds; it prints as a curve; r:plot("a.png" or ".svg"); r:save("a.csv").
--- Example: d = fv.data "text"; m = fv.model{kind="lm", vocab=d.vocab, layers=2, width=64, heads=4}
---          r = fv.train{model=m, data=d, steps=300, batch={batch=8, length=64}, lr=3e-3}

local fv = require "fovea"
local core = require "fovea.core"
local draws = require "fovea.draws"
local finite = require "fovea.finite"
local options = require "fovea.options"
local preflight = require "fovea.preflight"
local progress = require "fovea.progress"
local resume = require "fovea.resume"
local training = require "fovea.training"

local spec = options.declare({
  { "model", "any", nil, "what is trained", required = true },
  { "data", "any", nil, "where batches come from", required = true },
  { "loss", "function", nil, "function(model, batch) -> scalar tensor" },
  { "steps", "integer", nil, "number of steps", required = true, lo = 1 },
  { "batch", "table", nil, "options of data:batch" },
  { "optimizer", "any", "adamw", "name or fv.optim" },
  { "optimizer_options", "table", nil, "options of a named optimiser" },
  { "lr", "number", nil, "rate; 1e-3 unless given", lo = 0 },
  { "schedule", "string|function|table", nil, "name, or function(step) -> lr" },
  { "warmup", "integer", 0, "steps of a named schedule's rise", lo = 0 },
  { "clip", "number", 1, "largest norm of the gradients; 0: no limit", lo = 0 },
  { "eval_every", "integer", 100, "steps between evaluations; 0: none", lo = 0 },
  { "eval_batches", "integer", 8, "batches of an evaluation", lo = 1 },
  { "eval_batch", "table", nil, "options of data:batch there" },
  { "eval_split", "string", "validation", "split of the evaluations" },
  { "metrics", "function", nil, "function(model, batch) -> { name = number }" },
  { "patience", "integer", 0, "evaluations without a lower loss; 0: no end", lo = 0 },
  { "checkpoint", "string", "", "path of the run's state" },
  { "checkpoint_every", "integer", nil, "steps between checkpoints; eval_every unless given", lo = 1 },
  { "resume", "boolean", true, "go on from an existing checkpoint" },
  { "keep_best", "string", "", "path of the best parameters" },
  { "nan", "string", "raise", "what a loss that is not finite does", choices = { "raise", "stop" } },
  { "label", "string", "train", "name of the run" },
  { "quiet", "boolean", false, "no lines" },
  { "every", "number", 10, "seconds between lines without a terminal", lo = 0 }
}, "train", 1)

--- The first line of what prints itself as such, or its type.
local function named(x)
  local t = type(x) ~= "function" and tostring(x):match "[^\n]*" or "function"
  return (t:gsub("0x%x+", "?"))
end

--- f(...), whose errors are about options of the user's.
local function made(f, ...)
  local good, x = pcall(f, ...)
  if not good then error("train: " .. tostring(x):gsub("^%S*train%.lua:%d+: ", ""), 5) end
  return x
end

--- Fills in what options leave open; what a user might get wrong is refused here.
local function prepare(given)
  local opt = options.read(spec, given, "train", 4)
  training.check(opt, "train", 4)
  opt.parameters = opt.model:parameters()
  preflight(opt)
  opt.loss, opt.eval_batch = opt.loss or training.cross_entropy, opt.eval_batch or opt.batch
  opt.lr = opt.lr or 1e-3
  if opt.warmup > 0 then opt.schedule = opt.schedule or "constant" end
  if type(opt.optimizer) == "string" then
    local o = { lr = opt.lr }
    for key, v in pairs(opt.optimizer_options or {}) do o[key] = v end
    opt.optimizer = made(fv.optim, opt.optimizer, opt.parameters, o)
  end
  local rate = "constant"
  if type(opt.schedule) == "string" then
    rate = ("%s(%d of %d)"):format(opt.schedule, opt.warmup, opt.steps)
    opt.schedule = made(fv.schedule, opt.schedule, { lr = opt.lr, warmup = opt.warmup,
                        steps = opt.schedule ~= "constant" and opt.steps or nil })
  elseif opt.schedule then
    rate = named(opt.schedule)
  end
  local batch = {}
  for key, v in pairs(opt.batch or {}) do batch[#batch + 1] = key .. "=" .. tostring(v) end
  table.sort(batch)
  opt.setting = ("%s | %s | %s | lr %.17g %s | clip %.17g | {%s}"):format(named(opt.model), named(opt.data),
    named(opt.optimizer), opt.lr, rate, opt.clip, table.concat(batch, ", "))
  opt.has_mode = training.has(opt.model, "train") and training.has(opt.model, "eval")
  opt.checkpoint_every = opt.checkpoint_every or opt.eval_every > 0 and opt.eval_every or opt.steps
  return opt
end

local function evaluate(opt, step)
  if opt.has_mode then opt.model:train(step) end     -- with the random features of that step
  local e = fv.evaluate { model = opt.model, data = opt.data, split = opt.eval_split, batches = opt.eval_batches,
                          batch = opt.eval_batch, loss = opt.loss, metrics = opt.metrics }
  e.step = step
  return e
end

local function forward(opt, step, batch)
  if opt.has_mode then opt.model:train(step) end
  opt.optimizer:zero()
  return opt.loss(opt.model, batch)
end

local function is_finite(x) return x == x and math.abs(x) < math.huge end

--- Why step's loss or gradient is not finite: the step is done again under watch.
local function autopsy(opt, step, batch, value, norm)
  local lost, number = "loss", value
  if is_finite(value) then lost, number = "gradient's norm", norm end
  local head = ("step %d: the %s is %s"):format(step, lost, number ~= number and "nan" or ("%g"):format(number))
  for _, p in ipairs(opt.parameters) do
    local what = finite.fault(p.tensor)
    if what then return ("%s; parameter '%s' held %s before the step"):format(head, p.name, what) end
  end
  for key, x in pairs(type(batch) == "table" and batch or {}) do
    local what = finite.fault(x)
    if what then return ("%s; '%s' of the batch holds %s"):format(head, tostring(key), what) end
  end
  local found = finite.find(function() forward(opt, step, batch):backward() end)
  return head .. "; " .. (found and finite.text(found)
    or "no recorded call returned it: it came from outside the tape, or from a sum of gradients")
end

--- How much a batch holds, and of what: its ids, or rows of any tensor of it.
local function amount(batch)
  if options.type(batch.ids) == "tensor" then return batch.ids:numel(), "tokens" end
  for _, x in pairs(batch) do
    if options.type(x) == "tensor" and x:ndim() > 0 then return x:size(1), "rows" end
  end
  return 1, "batches"
end

--- One step; a text if it diverged, else nil.
local function advance(opt, state, step, batch)
  local loss = forward(opt, step, batch)
  if options.type(loss) ~= "tensor" or loss:numel() ~= 1 then
    local got = options.type(loss)
    if got == "tensor" then got = ("a tensor of %d elements"):format(loss:numel()) end
    error(("option 'loss': expected it to return a scalar tensor, got %s"):format(got), 0)
  end
  if not core.taping.node(loss) then
    error("option 'loss': expected it to return what comes from parameters that require gradients", 0)
  end
  local value, norm = loss:item(), 0
  if is_finite(value) then
    loss:backward()
    norm = fv.optim.clip(opt.parameters, opt.clip > 0 and opt.clip or math.huge)
  end
  if not is_finite(value) or not is_finite(norm) then return autopsy(opt, step, batch, value, norm) end
  local rate = opt.schedule and opt.schedule(step)
  if opt.schedule and not (type(rate) == "number" and rate >= 0 and rate < math.huge) then
    error(("option 'schedule': expected it to return a rate from 0 for step %d, got %s"):format(step,
          tostring(rate)), 0)
  end
  fv.uninterrupted(function()
    opt.optimizer.lr = rate or opt.optimizer.lr
    opt.optimizer:step()
    opt.optimizer:zero()
    state.step = step
    state.history.loss[step], state.history.norm[step] = value, norm
  end)
end

--- Writes a file of the run with f(path, ...); what fails says which step is only in memory.
local function write(opt, option, step, f, ...)
  local good, why = pcall(fv.uninterrupted, f, opt[option], ...)
  if good then return end
  if progress.stopped(why) then error(why, 0) end
  local old = io.open(opt[option], "rb")
  if old then old:close() end
  error(("train: option '%s': after step %d: %s; the model in memory has that step, %s"):format(option, step,
        (tostring(why):gsub("^.-fv%.save: ", "", 1)), old and "the file an earlier one" or "there is no file"), 0)
end

local function save(opt, state)
  if opt.checkpoint ~= "" then
    write(opt, "checkpoint", state.step, resume.save, opt.setting, opt.parameters, opt.optimizer, state,
          draws.text(opt.model))
  end
end

local function keep(opt, step)
  local all = {}
  for _, p in ipairs(opt.parameters) do all[p.name] = p.tensor:detach() end
  local drawn = draws.text(opt.model)
  write(opt, "keep_best", step, fv.save, all, drawn and { metadata = { draws = drawn } })
end

--- Evaluations since the one with the lowest loss.
local function stale(evals)
  local best, n = training.best(evals), 0
  for _, e in ipairs(evals) do
    if best and e.step > best.step then n = n + 1 end
  end
  return n
end

--- The evaluation that is due after state.step, unless it is there already: then false.
local function settle(opt, state)
  local step, last = state.step, state.evals[#state.evals]
  local due = opt.eval_every > 0 and step > 0 and (step % opt.eval_every == 0 or step == opt.steps)
  if not due or last and last.step == step then return false end
  local e = evaluate(opt, step)
  fv.uninterrupted(function()
    state.evals[#state.evals + 1] = e
    if opt.keep_best ~= "" and training.best(state.evals) == e then keep(opt, step) end
  end)
  return true
end

--- The steps from state.step on; returns a status and a text.
local function loop(opt, state, line)
  local first = state.step + 1
  local function enough() return opt.patience > 0 and stale(state.evals) >= opt.patience end
  if settle(opt, state) then save(opt, state) end      -- a run that was stopped before it
  if enough() then return "early stop" end
  for step = first, opt.steps do
    local batch = training.batch(opt.data, "train", step, opt.batch)
    local why = advance(opt, state, step, batch)
    if why then return "diverged", why end
    settle(opt, state)
    local last, stop = state.evals[#state.evals], enough()
    line:step(step, state.history.loss, first, last and last.loss, amount(batch))
    if stop or step == opt.steps or step % opt.checkpoint_every == 0 then save(opt, state) end
    if stop then return "early stop" end
  end
  return "done"
end

return function(given)
  local opt = prepare(given)
  local state = { step = 0, history = { loss = {}, norm = {} }, evals = {} }
  local line = training.line(opt.label, opt.steps, opt.every, opt.quiet)
  local existing = opt.checkpoint ~= "" and opt.resume and io.open(opt.checkpoint, "rb")
  if existing then
    existing:close()
    state = fv.uninterrupted(resume.load, opt.checkpoint, opt.setting, opt.parameters, opt.optimizer, opt.model,
                             opt.steps)
    line:say(("goes on from step %d of '%s'"):format(state.step, opt.checkpoint))
  end
  local good, status, why = xpcall(loop, core.taping.untold, opt, state, line)
  if opt.has_mode then
    if state.step > 0 then opt.model:train(state.step) end
    opt.model:eval()
  end
  local seconds = line:finish()
  if not good then
    if not progress.stopped(status) then
      if type(status) == "string" and status:find "^option '" then status = "train: " .. status end
      error(status, 0)
    end
    save(opt, state)
    status = "interrupted"
    opt.optimizer:zero()
    line:say(("interrupted: step %d of %d is the last whole one; %s"):format(state.step, opt.steps,
             opt.checkpoint == "" and "there is no checkpoint" or "'" .. opt.checkpoint .. "' goes on from it"))
  elseif status == "diverged" then
    if opt.nan == "raise" then error("train: " .. why, 2) end
    line:say(why)
  end
  return training.result { status = status, step = state.step, history = state.history, evals = state.evals,
                           seconds = seconds, label = opt.label, diverged = why }
end
