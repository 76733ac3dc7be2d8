-- Training runs: steps known by algebra, a run killed and resumed to the same bits, Ctrl-C,
-- the operator that lost a finite value, the early stop, and what is refused.

local tap = require "tap"
local files = require "files"
local fv = require "fovea"
local braille = require "fovea.braille"

local exe, dir, read, write = files.exe, files.dir, files.read, files.write

-- ---- steps known by algebra ----

--- A model of one number w; batch i of a split is { x = target }.
local function point(w0)
  local w = fv.tensor({ w0 }, { dtype = "f64" }):requires_grad()
  return { w = w, parameters = function() return { { name = "w", tensor = w } } end }
end
local constant = { batch = function() return { x = fv.tensor({ 3 }, { dtype = "f64" }) } end }
local function squared(m, b) return ((m.w - b.x) ^ 2):sum() end

-- w <- w - 0.1 * 2 (w - 3), so that w_n - 3 = 0.8^n (w_0 - 3); the loss before step n is its square
local m = point(5)
local r = fv.train { model = m, data = constant, loss = squared, steps = 6, optimizer = "sgd", lr = 0.1,
                     clip = 0, eval_every = 2, quiet = true }
tap.close(m.w:item(), 3 + 2 * 0.8 ^ 6, 1e-14, "six steps of gradient descent on a parabola")
tap.close(r.history.loss[4], 4 * 0.8 ^ 6, 1e-14, "the loss of a step is that before its update")
tap.close(r.history.norm[1], 4, 1e-15, "the norm is the gradient's")
tap.ok(#r.evals == 3 and r.evals[2].step == 4, "evaluations come every eval_every steps")
tap.close(r.final.loss, 4 * 0.8 ^ 12, 1e-14, "an evaluation sees the parameters after the step")
tap.is(r.status, "done", "the run is done")

m = point(5)
fv.train { model = m, data = constant, loss = squared, steps = 1, optimizer = "sgd", lr = 0.1, clip = 1,
           eval_every = 0, quiet = true }
tap.close(m.w:item(), 4.9, 1e-15, "a clipped gradient has norm 1")

m = point(5)
fv.train { model = m, data = constant, loss = squared, steps = 2, optimizer = "sgd", clip = 0, eval_every = 0,
           schedule = function(step) return step == 1 and 0.5 or 0 end, quiet = true }
tap.close(m.w:item(), 3, 1e-15, "the schedule's rate is used, step by step")

-- ---- early stop, metrics, the best ----

-- Validation pulls to 0, training to 3: from 1 the validation loss only grows.
local torn = { batch = function(_, split)
  return { x = fv.tensor({ split == "train" and 3 or 0 }, { dtype = "f64" }) }
end }
m = point(1)
r = fv.train { model = m, data = torn, loss = squared, steps = 100, optimizer = "sgd", lr = 0.01,
               eval_every = 5, patience = 3, quiet = true, keep_best = dir .. "/best.safetensors",
               metrics = function(model) return { w = model.w:item() } end }
tap.ok(r.status == "early stop" and r.step == 20, "three evaluations without a lower loss end the run",
       "%s at %d", r.status, r.step)
tap.ok(r.best.step == 5 and r.final.step == 20, "best and final are told apart")
tap.is(fv.load(dir .. "/best.safetensors").w:item(), r.best.w, "keep_best has the best parameters")

-- ---- a value that is not finite ----

local function diverges(loss, pattern, name, first)
  local model = point(first or 1)
  tap.raises(pattern, name, fv.train, { model = model, data = constant, loss = loss, steps = 5, quiet = true,
             optimizer = "sgd", lr = 1, clip = 0, eval_every = 0 })
end
diverges(function(mo) return ((mo.w - 2):log() * 0 + mo.w):sum() end,
         "step 1: the loss is %-?nan; 'log' %(call 2, forward%) returned nan for f64 %(1%) from %-1 to %-1",
         "the first operator that returned nan is named, with its input")
diverges(function(mo) return ((mo.w * 0):sqrt() + mo.w):sum() end,
         "step 1: the gradient's norm is .*'sqrt' %(call 2, backward%)", "in the backward pass too")
diverges(function(mo) local big = (mo.w * 1e3):exp(); return (big - big):sum() end,
         "'sub' %(call 3, forward%) returned nan .* before that 'exp' %(call 2, forward%) returned inf",
         "an infinity on the way is told")
local spoilt = point(1)
fv.no_grad(function() spoilt.w:mul_(0 / 0) end)
tap.raises("parameter 'w' held nan before the step", "a parameter that was nan already", fv.train,
           { model = spoilt, data = constant, loss = squared, steps = 1, quiet = true })
tap.raises("'x' of the batch holds nan", "a batch that holds nan", fv.train, { model = point(1),
           loss = squared, data = { batch = function() return { x = spoilt.w:detach() } end },
           steps = 1, quiet = true })
r = fv.train { model = point(2), data = constant, loss = squared, steps = 400, optimizer = "sgd", lr = 1e200,
               clip = 0, eval_every = 0, nan = "stop", quiet = true }
tap.ok(r.status == "diverged" and r.step < 3 and tostring(r):find "diverged after",
       "nan=\"stop\" gives a result")
tap.is(select(2, fv.grad(function(x) return (x * x):sum() end)(fv.tensor { 2 })):item(), 4,
       "the tape is as before")

-- ---- killed and resumed ----

local script = write("run.lua", [[
local path, steps, pause = arg[1], tonumber(arg[2]), arg[3]
local d = fv.data("text", { seed = 5 })
local m = fv.model { kind = "lm", vocab = d.vocab, layers = 1, width = 16, heads = 2, dropout = 0.1,
  seed = 5 }
local loss = function(model, b)
  if pause then local t = fv.clock() while fv.clock() < t + 0.02 do end end
  return fv.nn.cross_entropy(model(b.ids), b.labels)
end
local r = fv.train { model = m, data = d, loss = loss, steps = steps, batch = { batch = 2, length = 16 },
  schedule = "cosine", warmup = 3, lr = 1e-2, eval_every = 5, eval_batches = 2, checkpoint = path,
  checkpoint_every = 3, quiet = true }
print(r.status, r.step)
]])
local function run(path, more)
  local p = io.popen(("%s %s %s/%s 24 %s 2>&1"):format(exe, script, dir, path, more or ""))
  local text = p:read "a"
  p:close()
  return text
end
tap.is(run "whole.safetensors", "done\t24\n", "a run in one piece")

--- Starts the run slowly, waits for its first checkpoint, and sends it a signal.
local function stop(path, signal)
  os.execute(([[cd / && %s %s %s/%s 24 slow >%s/log 2>&1 &
    pid=$!; i=0; while [ ! -e %s/%s ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done
    kill -%s $pid; wait $pid 2>/dev/null; true]]):format(exe:sub(1, 1) == "/" and exe or
    os.getenv "PWD" .. "/" .. exe, script, dir, path, dir, dir, path, signal))
  return read(dir .. "/log")
end
local log = stop("killed.safetensors", "KILL")
local at = fv.load(dir .. "/killed.safetensors").step:item()
tap.ok(at >= 3 and at < 24 and log == "", "kill -9 ends the run half-way", "step %d, log %s", at, log)
tap.is(run "killed.safetensors", "done\t24\n", "it goes on to the end")
tap.ok(read(dir .. "/killed.safetensors") == read(dir .. "/whole.safetensors"),
       "parameters, optimiser and curves are those of the whole run, bit for bit")

log = stop("stopped.safetensors", "INT")
local step = tonumber(log:match "^interrupted\t(%d+)\n$")
tap.ok(step and step < 24, "Ctrl-C ends it with a result", "%s", log)
tap.is(fv.load(dir .. "/stopped.safetensors").step:item(), step, "and a checkpoint of its last whole step")
run "stopped.safetensors"
tap.ok(read(dir .. "/stopped.safetensors") == read(dir .. "/whole.safetensors"),
       "from which it goes on, bit for bit")
tap.is(run "stopped.safetensors", "done\t24\n", "a finished run stays finished")

local p = io.popen(exe .. [[ -e '
  local n = 0
  local function both() io.popen("kill -INT $PPID"):close(); (fv.ones(300, 300) + 1):sum(); n = 1 end
  print(pcall(fv.uninterrupted, both)); print(n)' 2>&1]])
local text = p:read "a"
p:close()
tap.is(text, "false\tinterrupted!\n1\n", "Ctrl-C waits for what belongs together")

-- ---- the line on a terminal ----

do
  local training, losses = require "fovea.training", {}
  for i = 1, 50 do losses[i] = 1 / i end
  local words = { "150/300", "loss 4.2027", "validation 3.6345", "97k tokens/s", "35 s left" }
  local function drawn(columns) return training.drawn("train", 0.5, losses, words, columns) end
  local fits, all = true, true
  for columns = 68, 140 do
    fits = fits and utf8.len(drawn(columns)) < columns
    for _, w in ipairs(words) do all = all and drawn(columns):find(w, 1, true) end
  end
  tap.ok(fits and all, "a line is narrower than its terminal and says all there is to say")
  tap.ok(drawn(80):find "█.*░" and drawn(80):find "\xe2\xa0", "with bar and curve on 80 columns", "%s",
         drawn(80))
  tap.ok(drawn(120):find(("█"):rep(8) .. ("░"):rep(8), 1, true), "half of the bar is full half-way", "%s",
         drawn(120))
  tap.ok(training.drawn("\xff", 0.5, losses, words, 80):find "^\xff .*%d", "a label may be any bytes")
  local live = require "fovea.live"
  tap.is(table.concat({ live.time(35), live.time(1200), live.time(9000) }, ", "), "35 s, 20 min, 2.5 h",
         "times are told in what people count in")
end

if os.execute "script -qec true /dev/null >/dev/null 2>&1 </dev/null" then
  local f = assert(io.open(dir .. "/narrow.lua", "w"))
  f:write [[
    local w = fv.ones(1):requires_grad()
    fv.train { model = { parameters = function() return { { name = "w", tensor = w } } end }, steps = 60,
               data = { batch = function() return {} end }, eval_every = 0,
               loss = function() local t = fv.clock() while fv.clock() - t < 0.02 do end return (w * w):sum() end }]]
  f:close()
  local function run(term)
    local pipe = io.popen(("TERM=%s script -qec 'stty cols 50; %s %s/narrow.lua' /dev/null </dev/null"):format(term,
                          exe, dir))
    local text = pipe:read "a"
    pipe:close()
    return text
  end
  local shown, lines, wide = run "xterm", 0, 0
  for line in shown:gmatch "\r([^\r\n\27]+)" do lines, wide = lines + 1, math.max(wide, utf8.len(line)) end
  tap.ok(not run "dumb":find "\27", "a terminal that cannot erase is sent no escapes")
  tap.ok(shown:find "%d batches/s", "what is not counted in tokens is not called so", "%s", shown)
  tap.ok(lines > 3 and wide > 30 and wide < 48 and not shown:find "\n.",
         "in a terminal of 50 columns it is drawn over itself", "%d lines, %d wide", lines, wide)
else
  print "# no script(1) or no pseudo-terminals here: no line is drawn"
end

-- ---- what is refused ----

local function refuses(pattern, name, change)
  local given = { model = point(1), data = constant, loss = squared, steps = 2, quiet = true, eval_every = 0 }
  for key, v in pairs(change) do given[key] = v end
  tap.raises(pattern, name, fv.train, given)
end
refuses("unknown option 'step' %(did you mean 'steps'", "an unknown option", { step = 3 })
refuses("option 'model': expected a layer", "a model without parameters", { model = { 1 } })
refuses("option 'data': expected an fv.data", "data without batches", { data = "text" })
refuses("option 'checkpoint': expected a path that ends in", "another kind of checkpoint",
        { checkpoint = "a.pt" })
refuses("option 'loss': expected it to return a scalar tensor, got integer", "a loss that is a number",
        { loss = function() return 1 end })
refuses("expected it to return a scalar tensor, got a tensor of 2", "a loss that is no scalar",
        { loss = function(mo) return fv.cat { mo.w, mo.w } end })
refuses("expected it to return what comes from parameters that", "a loss that leads to no parameter",
        { loss = function() return fv.ones(1) end })
refuses("option 'checkpoint': /nowhere/a.safetensors: No such file", "a checkpoint that cannot be written, at once",
        { checkpoint = "/nowhere/a.safetensors" })
refuses("option 'keep_best': /nowhere/a.safetensors: No such file", "and best parameters that cannot",
        { keep_best = "/nowhere/a.safetensors", eval_every = 1 })
refuses("'keep_best' needs evaluations, and eval_every is 0", "the best without evaluations",
        { keep_best = dir .. "/best.safetensors" })
refuses("'patience' needs evaluations", "patience without evaluations", { patience = 1 })
refuses("option 'optimizer': expected a name or an fv.optim, got integer", "no optimiser", { optimizer = 3 })
refuses("option 'optimizer': it changes no parameter of this model", "an optimiser of another model",
        { optimizer = fv.optim("sgd", point(2):parameters()) })
do
  local model = point(1)
  local own = { model = model, optimizer = fv.optim("sgd", model:parameters()) }
  for key, v in pairs { lr = 0.1, optimizer_options = {} } do
    local given = { [key] = v }
    for k, x in pairs(own) do given[k] = x end
    refuses(("option '%s' is for an optimiser given by name"):format(key), key .. " beside an fv.optim", given)
  end
end
refuses("option 'warmup' is for a schedule given by name", "a warm-up of a function",
        { warmup = 2, schedule = function() return 1 end })
refuses("option 'schedule': expected it to return a rate from 0 for step 1, got x", "a rate that is no number",
        { schedule = function() return "x" end })
refuses("^[^\n]*train: schedule: nothing is named 'cosin'", "a schedule nobody has", { schedule = "cosin" })
do
  local text = fv.data "text"
  local function late(pattern, name, change)
    change.data, change.eval_every, change.steps = change.data or text, 1000, 1000
    change.loss = change.loss or function() error("a step was taken", 0) end
    refuses(pattern, name, change)
  end
  late("train: text: unknown option 'lenght'", "a batch the data do not have", { batch = { lenght = 8 } })
  late("a batch to evaluate: text: split: expected", "a split nobody has, before the first step",
       { eval_split = "valid" })
  late("a batch to evaluate: text: option 'length': expected at most %d+ in the validation split",
       "an evaluation that would not fit, before the first step", { eval_batch = { length = 100000 } })
  late("expected its batch%(...%) to return a table, got nil", "a batch that is nothing",
       { data = { batch = function() end } })
end
tap.raises("option 'loss': unless given it takes 'ids' and 'labels' of a batch, which has 'x', 'y'; give one",
           "the default loss on other data says what to give", fv.train,
           { model = point(1), data = { batch = function() return { x = 1, y = 2 } end }, steps = 1, quiet = true,
             eval_every = 0 })
do
  local one = fv.train { model = point(1), data = constant, loss = squared, steps = 3, quiet = true, lr = 0.5,
                         optimizer = "sgd", eval_every = 0, warmup = 2 }
  local two = fv.train { model = point(1), data = constant, loss = squared, steps = 3, quiet = true, lr = 0.5,
                         optimizer = "sgd", eval_every = 0, schedule = function(s) return s == 1 and 0.25 or 0.5 end }
  tap.is(table.concat(one.history.loss, " "), table.concat(two.history.loss, " "),
         "a warm-up without a schedule is that of a constant rate")
  tap.raises("plot: expected a path that ends in .png or .svg, got nil", "a plot needs a path", one.plot, one)
  tap.raises("save: expected a path of a CSV file, got nil", "curves too", one.save, one)
end

do
  local text, path = fv.data "text", dir .. "/run.safetensors"
  local function model() return fv.model { vocab = 256, layers = 1, width = 8 } end
  local m = model()
  local one = fv.train { model = m, data = text, steps = 2, batch = { batch = 2, length = 8 }, quiet = true,
                         checkpoint = path, metrics = function() return { half = 0.5 } end }
  tap.ok(tostring(one):find "validation loss %d%.%d+, half 0%.5 at step 2", "a result prints its metrics", "%s",
         tostring(one))
  tap.near(model():load(path).embed.weight:detach(), m.embed.weight:detach(), 0, "a model loads a run's checkpoint")
  tap.raises("does not fit:\n  'embed.weight': expected f32 %(256,4%), got f32 %(256,8%)", "if it fits", function()
    fv.model { vocab = 256, layers = 1, width = 4 }:load(path)
  end)
end

-- ---- evaluation by itself ----

do
  local text, m = fv.data "text", fv.model { vocab = 256, layers = 1, width = 8, dropout = 0.5 }
  local batch, sum = { batch = 2, length = 16 }, 0
  for i = 1, 3 do
    local b = text:batch("test", i, batch)
    sum = sum + fv.nn.cross_entropy(m(b.ids), b.labels):item()
  end
  m:train(1)
  local e = fv.evaluate { model = m, data = text, split = "test", batches = 3, batch = batch,
                          metrics = function(_, b) return { ids = b.ids:numel(), half = fv.full({ 1 }, 0.5) } end }
  tap.close(e.loss, sum / 3, 1e-12, "an evaluation is the mean loss of its batches, without dropout")
  tap.is(("%g %g"):format(e.ids, e.half), "32 0.5", "and of metrics, numbers or tensors of one")
  local function evaluate(metrics)
    return fv.evaluate { model = m, data = text, batches = 1, batch = batch, metrics = metrics }
  end
  tap.raises("expected it to return { name = number }, got integer", "metrics that are none", evaluate,
             function() return 3 end)
  tap.raises("option 'loss': its result: expected a number, got f32 %(2,16,256%)", "a loss that is no scalar",
             function() fv.evaluate { model = m, data = text, batches = 1, batch = batch,
                                      loss = function(x, b) return x(b.ids) end } end)
  tap.raises("metric 'a': expected a number, got string", "a metric that is no number", evaluate,
             function() return { a = "x" } end)
  tap.raises("'loss' is a name of fv.train's", "a metric with a name that is taken", evaluate,
             function() return { loss = 1 } end)
  tap.raises("evaluate: option 'data': expected an fv.data", "no data", fv.evaluate, { model = m, data = 3 })
end

local file = dir .. "/point.safetensors"
fv.train { model = point(1), data = constant, loss = squared, steps = 2, quiet = true, checkpoint = file }
refuses("belongs to another run[^\n]*\n  there: lr=0.001, lr 0.001[^\n]* constant\n  here:  lr=0.5, lr 0.5 constant$",
        "a checkpoint of another rate, of which is told what differs", { checkpoint = file, lr = 0.5 })
refuses("it has done 2 steps, more than steps=1", "fewer steps than were done",
        { checkpoint = file, steps = 1 })
refuses("^[^\n]*train: checkpoint: fv.load: .*broken", "a broken checkpoint",
        { checkpoint = write("broken.safetensors", "no header") })
fv.save(dir .. "/other.safetensors", { w = fv.zeros(1) })
refuses("is no checkpoint of fv.train", "some other file", { checkpoint = dir .. "/other.safetensors" })
tap.is(fv.train { model = point(1), data = constant, loss = squared, steps = 2, quiet = true,
                  checkpoint = file, resume = false, lr = 0.5 }.status, "done", "resume=false starts afresh")

refuses("options 'checkpoint' and 'keep_best': expected two files, got '.*' twice", "one file for both",
        { checkpoint = file, keep_best = file, eval_every = 1 })
os.execute("mkdir " .. dir .. "/folder.safetensors")
refuses("^[^\n]*train: option 'checkpoint': [^\n]*folder.safetensors: Is a directory$", "a folder",
        { checkpoint = dir .. "/folder.safetensors" })

-- ---- files that cannot be written any more ----

local function lost(option, steps, kept)
  local gone = dir .. "/" .. option .. "/w.safetensors"
  os.execute("mkdir " .. dir .. "/" .. option)
  local model, n = point(5), 0
  local good, why = pcall(fv.train, { model = model, data = constant, steps = 4, optimizer = "sgd", lr = 0.1, clip = 0,
    quiet = true, eval_every = 1, eval_batches = 1, [option] = gone, loss = function(mo, b)
      n = n + 1
      if n == 2 * steps - 1 then          -- a step and its evaluation have a loss each
        os.execute(kept and ("mkdir %s.tmp-$PPID"):format(gone) or "rm -r " .. dir .. "/" .. option)
      end
      return squared(mo, b)
    end })
  tap.ok(not good and why:find(("^train: option '%s': after step %d: '[^\n]*w.safetensors': cannot be created: [^\n]*; "
         .. "the model in memory has that step, %s$"):format(option, steps, kept and "the file an earlier one"
         or "there is no file")), option .. ": the step that is only in memory is told", "%s", why)
  tap.close(model.w:item(), 3 + 2 * 0.8 ^ steps, 1e-14, "and it is there")
  if kept then tap.is(fv.load(gone).w:item(), 3 + 2 * 0.8 ^ (steps - 1), "the file before it is whole") end
end
lost("checkpoint", 3)
lost("keep_best", 2, true)

-- ---- metrics that come and go ----

local function metered(steps, metrics)
  return fv.train { model = point(5), data = constant, loss = squared, steps = steps, optimizer = "sgd", quiet = true,
                    eval_every = 1, eval_batches = 1, checkpoint = dir .. "/m.safetensors", metrics = metrics }
end
metered(1)
metered(2, function() return { a = 7 } end)
r = metered(3)
tap.ok(r.evals[1].a ~= r.evals[1].a and r.evals[2].a == 7 and r.evals[3].a == nil and r.evals[3].step == 3,
       "a checkpoint keeps a metric that not all evaluations had")
r:save(dir .. "/m.csv")
tap.ok(read(dir .. "/m.csv"):find "^[^\n]*,validation_a,[^\n]*\n1,[^\n]*nan,[^\n]*\n2,[^\n]*,7,[^\n]*\n3,[^\n]*,,",
       "and so do its curves", "%s", read(dir .. "/m.csv"))

-- ---- the result ----

r = fv.train { model = point(5), data = constant, loss = squared, steps = 4, optimizer = "sgd", lr = 0.25,
               clip = 0, eval_every = 2, quiet = true, label = "parabola" }
tap.ok(tostring(r):find "^parabola: done after 4 steps" and tostring(r):find "validation loss",
       "a result prints", "%s", tostring(r))
r:save(dir .. "/r.csv")
-- w - 3 halves: losses 4, 1, 1/4, 1/16; gradients 4, 2, 1, 1/2
tap.is(read(dir .. "/r.csv"), "step,loss,norm,validation_loss\n"
       .. "1,4,4,\n2,1,2,0.25\n3,0.25,1,\n4,0.0625,0.5,0.015625\n",
       "and saves its curves")
local lines, lo, hi = braille.curve({ 3, 2, 1, 0 }, 2, 1)
tap.ok(#lines == 1 and lines[1] == "⠑⢄" and lo == 0 and hi == 3, "a falling line in Braille", "%s", lines[1])
tap.is(#braille.curve({ 0 / 0, 1 / 0 }, 10, 2), 2, "nothing finite draws nothing")

os.execute("rm -r " .. dir)
tap.done()
