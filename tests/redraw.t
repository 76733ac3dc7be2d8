-- Random features of layers: which draw a layer uses is a function of seed, path and step, in
-- training, evaluation, files, and runs that were killed.

local tap = require "tap"
local files = require "files"
local fv = require "fovea"

local build = os.getenv "BUILD" or "build"
local dir, read = files.dir, files.read

--- The largest difference of two tensors; 0 means equal.
local function gap(x, y) return (x - y):abs():max():item() end

local function lm(more)
  local given = { kind = "lm", vocab = 7, layers = 2, width = 8, heads = 2, length = 8, hidden = 8, std = 0.3,
                  attention = "favor", redraw = 10 }
  for name, value in pairs(more or {}) do given[name] = value end
  if given.attention == "favor" then given.mixer_options = given.mixer_options or { features = 8 } end
  return fv.model(given)
end
local ids = fv.rng(1):stream "ids":integers(1, 7, 2, 8)
local function W(model, i) return model.blocks[i].mix.mixer.map(4).W end

-- ---- which draw ----

local m = lm()
for _, case in ipairs { { 1, 0 }, { 9, 0 }, { 10, 1 }, { 29, 2 }, { 3, 0 } } do
  m:train(case[1])
  local list = m:draws()
  tap.ok(#list == 2 and list[1].draw == case[2] and list[2].draw == case[2],
         ("redraw=10: step %d has draw %d"):format(case[1], case[2]))
  for i, x in ipairs(list) do
    local phi = fv.map("favor", { dim = 4, features = 8, seed = x.seed, draw = x.draw })
    tap.is(gap(W(m, i), phi.W), 0, ("layer '%s' has that draw of its seed"):format(x.path))
  end
end
local first = { W(m, 1), W(m, 2) }
tap.ok(gap(first[1], first[2]) > 0.1, "two layers have different features")
tap.ok(gap(W(m:train(10), 1), first[1]) > 0.1, "two periods too")
tap.ok(gap(W(lm { seed = 2 }, 1), first[1]) > 0.1, "and two seeds of the model")
tap.is(gap(W(lm(), 2), first[2]), 0, "the same seed, path and step have the same")
tap.ok(gap(W(lm { mixer_options = { features = 8, seed = 2 } }, 1), first[1]) > 0.1, "mixer_options has a seed")
tap.is(gap(lm { mixer_options = { features = 8, seed = 2 } }.embed.weight, m.embed.weight), 0,
       "which keys nothing else")

m:train(25)
local y = m(ids)
tap.is(gap(m(ids), y), 0, "a step keeps its features")
tap.is(gap(m:eval()(ids), y), 0, "so does evaluation after it")
tap.is(gap(fv.no_grad(m, ids), y), 0, "and no_grad")
tap.ok(gap(m:train(30)(ids), y) > 1e-4, "the next period has others")
tap.raises("training needs the step: call layer:train%(step%)", "training without a step", lm():train(), ids)
local fixed = lm { redraw = "fixed" }
tap.is(gap(fixed:train()(ids), fixed:train(1000)(ids)), 0, "without redraw there is one draw for ever")

-- ---- gradients ----

--- The gradients of a loss, one after another.
local function gradients(model)
  model(ids):sin():sum():backward()
  local list = {}
  for i, p in ipairs(model:parameters()) do list[i], p.tensor.grad = p.tensor.grad:reshape(-1), nil end
  return fv.cat(list)
end
local byhand = {}
m:train(25)
for i, x in ipairs(m:draws()) do
  byhand[i] = fv.attention("favor", { features = 8, seed = x.seed, draw = x.draw })
end
local g = gradients(m)
tap.is(gap(gradients(lm { attention = byhand }), g), 0,
       "the gradient of a step is that of its features, fixed")
tap.is(gap(gradients(lm { checkpoint = true }:train(25)), g), 0, "a block computed again has the same features")

-- ---- what draws, and what does not ----

tap.is(gap(fv.nn.attention { width = 4, mixer = "favor", mixer_options = { features = 8, seed = 3 } }.mixer.map(4).W,
           fv.map("favor", { dim = 4, features = 8, seed = 3 }).W), 0, "a layer without a path has the seed's draw")
local x = fv.rng(2):stream "x":normal(2, 6, 4)
local function one(more)
  local given = { width = 4, causal = false }
  for name, value in pairs(more) do given[name] = value end
  return fv.nn.attention(given)
end
local phi = fv.map("positive", { dim = 4, features = 8, seed = 5 })
for name, given in pairs {
  ["linear by a map's name"] = { mixer = "linear", mixer_options = { map = "positive", features = 8 } },
  ["linear with a map"] = { mixer = fv.attention("linear", { map = phi }) },
  ["favor as a value"] = { mixer = fv.attention("favor", { features = 8, seed = 5 }) },
  ["nystrom, uniform landmarks"] = { mixer = "nystrom", mixer_options = { landmarks = 2, rule = "uniform" } }
} do
  given.redraw = 3
  local l = one(given)
  local a, b, c = l:train(1)(x), l:train(3)(x), l:train(5)(x)
  tap.ok(gap(a, b) > 1e-6 and gap(b, c) == 0, name .. " is redrawn")
end
local l = one { mixer = fv.attention("linear", { map = phi }), redraw = 3 }:train(7)
tap.is(gap(l.mixer.map(4).W, phi:redraw(2).W), 0, "a map given as a value keeps its seed")
l = one { mixer = "favor", mixer_options = { features = 8, redraw = "per_call" } }
tap.is(l:train(7):draws()[1].draw, 7, "the mixer's own option redraw holds")
tap.is(one { mixer = "favor", mixer_options = { features = 8, redraw = 2 }, redraw = 7 }:train(14):draws()[1].draw,
       2, "unless the layer has one")
for name, given in pairs {
  softmax = {}, ["a rule"] = { mixer = "delta", causal = true },
  ["elu + 1"] = { mixer = "linear" }, ["segments"] = { mixer = "nystrom", mixer_options = { landmarks = 2 } }
} do
  given.redraw = 1
  l = one(given)
  tap.ok(#l:draws() == 0 and gap(l:train(1)(x), l:train(2)(x)) == 0, name .. ": nothing is drawn")
end
tap.raises("option 'redraw': the option 'projection' of 'favor' fixes its features", "a fixed projection", one,
           { mixer = "favor", mixer_options = { projection = fv.eye(4) }, redraw = 2 })
tap.raises('option \'redraw\': expected one of "fixed", "per_call" or a whole number from 1', "redraw=0", one,
           { mixer = "favor", redraw = 0 })
tap.is(lm { attention = { "softmax", "favor" } }:train(20):draws()[1].path, "blocks.2.mix",
       "a list of mixers")
local attend = fv.attention("favor", { features = 8, redraw = 10 })
tap.is(attend:at(29).options.draw, 2, "an attention has at(step)")
tap.is(attend:redraw(0), attend, "and redraw(i), itself for its own draw")
tap.is(attend:redraw(1, 9).options.seed, 9, "or of another seed")
tap.raises("favor: redraw: expected the number of a draw", "no draw -1", attend.redraw, attend, -1)

-- ---- files ----

m:train(25)
y = m:eval()(ids)
m:save(dir .. "/m.safetensors")
local other = lm { seed = 9, redraw = "fixed" }:load(dir .. "/m.safetensors")
tap.is(gap(other(ids), y), 0, "a loaded model has the features it was saved with, whatever its seed")
other = lm { seed = 9 }:load(dir .. "/m.safetensors")
tap.is(gap(other:train(30)(ids), m:train(30)(ids)), 0, "and goes on with those of the seed it was saved with")
local own = lm { seed = 9 }
local table_only = lm { seed = 9 }:load((fv.load(dir .. "/m.safetensors")))
tap.is(gap(W(table_only, 1), W(own, 1)), 0, "a table of parameters has none: the model keeps its own")
lm { attention = "softmax" }:load(dir .. "/m.safetensors"):save(
  dir .. "/s.safetensors")
tap.is(gap(W(own:load(dir .. "/s.safetensors"), 1), W(table_only, 1)), 0, "nor has a file of another mixer")
tap.raises("expected a path that ends in .safetensors, which also keeps which random features", "another file",
           m.save, m, dir .. "/m.npz")

-- ---- runs ----

local script = dir .. "/run.lua"
local f = assert(io.open(script, "w"))
f:write [[
local fv = require "fovea"
local path, kill, signal, mode = arg[1], tonumber(arg[2]), arg[3] or "KILL", arg[4] or "train"
local m = fv.model { kind = "lm", vocab = 5, layers = 2, width = 4, hidden = 4, length = 4, attention = "favor",
                     mixer_options = { features = 4 }, redraw = 2 }
local data = { batch = function(_, split, step)
  local ids = fv.rng(3):stream(split .. step):integers(1, 5, 2, 5)
  return { ids = ids:slice(2, 1, 4), labels = ids:slice(2, 2, 5):contiguous() }
end }
local at
local function loss(model, b)
  at = m.step or at
  if kill and m.training == (mode == "train") and (m.step or at) == kill then
    io.popen("kill -" .. signal .. " " .. io.open("/proc/self/stat"):read "n"):close()
  end
  return fv.nn.cross_entropy(model(b.ids), b.labels)
end
local r = fv.train { model = m, data = data, steps = 9, eval_every = 3, checkpoint_every = 1, eval_batches = 1,
  checkpoint = path, keep_best = path:gsub("%.s", "_best.s"), loss = loss, lr = 1e-2, quiet = true }
print(r.status, m:draws()[1].draw, r.final.loss == fv.evaluate { model = m, data = data, batches = 1 }.loss)
]]
f:close()
local function run(path, more)
  local p = io.popen(("%s/fovea %s %s/%s %s 2>&1"):format(build, script, dir, path, more or ""))
  local text = p:read "a"
  p:close()
  return text
end
tap.is(run "whole.safetensors", "done\t4\ttrue\n", "a run leaves a model with the features of its last step")
local whole, best = read(dir .. "/whole.safetensors"), read(dir .. "/whole_best.safetensors")
for kill = 2, 9 do
  os.remove(dir .. "/k.safetensors")
  os.remove(dir .. "/k_best.safetensors")
  run("k.safetensors", kill)
  local at = fv.load(dir .. "/k.safetensors").step:item()
  local text = run "k.safetensors"
  tap.ok(at == kill - 1 and text == "done\t4\ttrue\n" and read(dir .. "/k.safetensors") == whole
         and read(dir .. "/k_best.safetensors") == best,
         ("killed in step %d: the same bits at the end"):format(kill), "%s %s", at, text)
end
os.remove(dir .. "/k.safetensors")
run("k.safetensors", "6 INT eval")
local kept = fv.load(dir .. "/k.safetensors")
tap.ok(kept.step:item() == 6 and kept["eval.step"]:numel() == 1 and run "k.safetensors" == "done\t4\ttrue\n"
       and read(dir .. "/k.safetensors") == whole, "Ctrl-C in an evaluation: it is made with its step's features")
os.remove(dir .. "/k.safetensors")
run("k.safetensors", "4 INT")
local _, meta = fv.load(dir .. "/k.safetensors")
tap.ok(meta.draws:find "^%d+ 1 " and run "k.safetensors" == "done\t4\ttrue\n"
       and read(dir .. "/k.safetensors") == whole, "in a forward pass: the step before has its features",
       "%s", meta.draws)
tap.is(run "k.safetensors", "done\t4\ttrue\n", "a finished run gives the model its features back")
_, meta = fv.load(dir .. "/whole_best.safetensors")
tap.ok(meta.draws:find "^%d+ %d+ blocks%.1%.mix\n%d+ %d+ blocks%.2%.mix$", "keep_best has them too", "%s", meta.draws)

-- ---- learning ----

local s = fv.rng(5):stream "by heart"
local tokens = s:integers(1, 7, 2, 9)
local b = { ids = tokens:slice(2, 1, 8):contiguous(), labels = tokens:slice(2, 2, 9):contiguous() }
b.labels:slice(2, 1, 1):fill(-100)            -- the first token does not tell which sequence it is
local run_of = { data = { batch = function() return b end }, steps = 2, quiet = true, eval_every = 0,
                 checkpoint = dir .. "/tuned.safetensors" }
run_of.model = lm { seed = 9, redraw = "fixed" }:load(dir .. "/m.safetensors")
fv.train(run_of)
run_of.model = lm { seed = 9, redraw = "fixed" }
fv.train(run_of)
tap.is(run_of.model:draws()[1].seed, m:draws()[1].seed, "a checkpoint has the features of a model that was loaded")

--- A model of the user's own around a layer: nothing of its features is in the file.
local function wrapped(fail)
  local inside = lm { redraw = 2 }
  return setmetatable({ parameters = function() return inside:parameters() end, eval = function() inside:eval() end,
                        train = function(_, step) inside:train(step) end },
                      { __call = function(_, z)
                        if fail and not inside.training then error "interrupted!" end
                        return inside(z)
                      end, __tostring = function() return "wrapped" end })
end
run_of.checkpoint, run_of.eval_every, run_of.eval_batches = dir .. "/w.safetensors", 2, 1
run_of.model = wrapped()
local kept_loss = fv.train(run_of).final.loss
os.remove(run_of.checkpoint)
run_of.model = wrapped(true)
tap.is(fv.train(run_of).status, "interrupted", "stopped in an evaluation")
run_of.model = wrapped()
tap.is(fv.train(run_of).final.loss, kept_loss, "a model around layers: it is made with its step's features")

m = lm { width = 16, hidden = 16, mixer_options = { features = 64 }, redraw = 5 }
local r = fv.train { model = m, data = { batch = function() return b end }, steps = 120, lr = 0.02, quiet = true,
                     eval_every = 0 }
local losses = r.history.loss
tap.ok(losses[1] > 1.5 and losses[120] < 0.1, "two sequences by heart, with features redrawn every five steps",
       "from %g to %g", losses[1], losses[120])

os.execute("rm -r " .. dir)
tap.raises("train: step: expected a whole number from 0, got %-1", "there is no step before 0", function()
  fv.nn.attention { width = 4, mixer = "favor", redraw = 2 }:train(-1)
end)

tap.done()
