-- Ctrl-C at any moment, in stock lua5.4 and in the launcher: a run goes on from what was kept
-- to the bits of one that was left alone, and the tape is as before.

local tap = require "tap"
local files = require "files"
local fv = require "fovea"

local build = os.getenv "BUILD" or "build"
local dir, read = files.dir, files.read

-- ---- the tape, where an error comes between any two calls ----

local wrong, kept = {}, 0
for k = 1, 150 do
  local x, n = fv.tensor({ { 2, 1 }, { 3, 4 } }, { dtype = "f64" }):requires_grad(), 0
  local good = pcall(function()
    debug.sethook(function()
      n = n + 1
      if n == k then
        debug.sethook()
        error("interrupted!", 0)
      end
    end, "c")
    local y = ((x * x):matmul(x) + x:detach() + fv.no_grad(function() return x * 2 end)):sum()
    y:backward()
    debug.sethook()
  end)
  debug.sethook()
  kept = kept + (good and 1 or 0)
  x.grad = nil
  local after, why = pcall(function() (x * 3):sum():backward() end)
  if not after or x.grad:sum():item() ~= 12 then
    wrong[#wrong + 1] = ("%d: %s"):format(k, tostring(why))
  end
end
tap.ok(kept < 30, "most of 150 moments lie in the computation", "%d do not", kept)
tap.ok(#wrong == 0, "after each, gradients are recorded as before", "%s", table.concat(wrong, "\n"))

-- ---- a training run ----

local script = dir .. "/run.lua"
local f = assert(io.open(script, "w"))
f:write [[
local fv = require "fovea"
local path, where, moment = arg[1], arg[2], tonumber(arg[3])
local pid = io.open("/proc/self/stat"):read "n"
local function interrupt() io.popen("kill -INT " .. pid):close() end
local m = fv.model { kind = "lm", vocab = 5, layers = 1, width = 4, hidden = 4, dropout = 0.1, length = 4 }
local data = { batch = function(_, split, step)
  local ids = fv.rng(3):stream(split .. step):integers(1, 5, 2, 5)
  return { ids = ids:slice(2, 1, 4), labels = ids:slice(2, 2, 5):contiguous() }
end }
local count = 0
local function tick(name)
  if name ~= where then return end
  count = count + 1
  if count == moment then interrupt() end
end
local optimiser = fv.optim("adamw", m:parameters(), { lr = 1e-2 })
local update = optimiser.update
optimiser.update = function(...) tick "update" return update(...) end
local function loss(model, b) tick "loss" return fv.nn.cross_entropy(model(b.ids), b.labels) end
if where == "instruction" then debug.sethook(function() debug.sethook() interrupt() end, "", moment) end
local r = fv.train { model = m, data = data, steps = 4, optimizer = optimiser, schedule = "cosine", eval_every = 2,
  eval_batches = 1, checkpoint = path .. ".safetensors", keep_best = path .. ".best.safetensors", loss = loss,
  metrics = function() tick "metrics" return {} end, lr = 1e-2 }
print(r.status, r.step)
]]
f:close()

local programs = { { "launcher", build .. "/fovea" } }
if not build:find "san" and os.execute "command -v lua5.4 >/dev/null" then
  programs[2] = { "lua5.4", ("LUA_CPATH='%s/lib/?.so' LUA_PATH='lua/?.lua;lua/?/init.lua' lua5.4"):format(build) }
end
local function run(program, path, more)
  local p = io.popen(("%s %s %s/%s %s 2>&1"):format(program, script, dir, path, more or ""))
  local text = p:read "a"
  p:close()
  return text
end

run(programs[1][2], "whole")
local whole = { read(dir .. "/whole.safetensors"), read(dir .. "/whole.best.safetensors") }
local parameters = #fv.model { kind = "lm", vocab = 5, layers = 1, width = 4, hidden = 4, length = 4 }:parameters()

--- Stops a run there and lets it go on; what the first part said.
local function stopped(program, where, moment)
  os.remove(dir .. "/part.safetensors")
  os.remove(dir .. "/part.best.safetensors")
  local text = run(program, "part", where .. " " .. moment)
  local rest = run(program, "part")
  local same = rest:find "done\t4\n$" and read(dir .. "/part.safetensors") == whole[1]
               and read(dir .. "/part.best.safetensors") == whole[2]
  return text, same, rest
end

-- Losses: steps 1 and 2, evaluation, steps 3 and 4, evaluation.
for _, case in ipairs {
  { "update", parameters + 2, 2, "in the middle of an optimiser's step: it is finished" },
  { "update", 4 * parameters, 4, "in the last optimiser's step" },
  { "loss", 2, 1, "in a forward pass: the step before is kept" }, { "loss", 1, 0, "in the first" },
  { "metrics", 1, 2, "in an evaluation: it is made when the run goes on" }, { "metrics", 2, 4, "in the last one" }
} do
  for _, p in ipairs(programs) do
    local text, same, rest = stopped(p[2], case[1], case[2])
    local says = ("interrupted: step %d of 4 is the last whole one; '%s/part.safetensors' goes on from it")
                 :format(case[3], dir)
    tap.ok(text:find(says, 1, true) and text:find("interrupted\t" .. case[3], 1, true) and same,
           p[1] .. ": Ctrl-C " .. case[4], "%s then %s", text, rest)
  end
end
-- Any moment: after so many instructions of the virtual machine.
for _, p in ipairs(programs) do
  local bad, steps = {}, {}
  for i = 1, 8 do
    local text, same, rest = stopped(p[2], "instruction", i * 9001)
    if not same then bad[#bad + 1] = ("%d: %s then %s"):format(i * 9001, text, rest) end
    steps[text:match "interrupted\t(%d)" or "none"] = true
  end
  tap.ok(#bad == 0 and steps["0"] and steps["2"], p[1] .. ": Ctrl-C at eight moments", "%s", table.concat(bad, "\n"))
end

os.execute("rm -r " .. dir)
tap.done()
