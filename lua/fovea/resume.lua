-- The state of a training run as one .safetensors file that appears whole or not at all.
--
--   model.NAME       parameters            history.loss, history.norm   of every step
--   optim.NAME       the optimiser         eval.NAME   columns of the evaluations
--   step             steps done: the place in the data, and what keys every random stream
-- Metadata 'setting' says which run it belongs to, 'draws' which random features are in use.

local core = require "fovea.core"
local draws = require "fovea.draws"
local tape = require "fovea.tape"

local resume = {}

local function column(list) return core.tensor(list, { dtype = "f64" }) end

--- state: { step, history = { loss, norm }, evals = list of { step =, loss =, ... } }; drawn: what
--- draws.text tells of the model.
function resume.save(path, setting, parameters, optimiser, state, drawn)
  local all = { step = core.tensor({ state.step }, { dtype = "i64" }) }
  for _, p in ipairs(parameters) do all["model." .. p.name] = p.tensor:detach() end
  for key, x in pairs(optimiser:state()) do
    all["optim." .. key] = type(x) == "number" and core.tensor({ x }, { dtype = "i64" }) or x
  end
  for name, list in pairs(state.history) do
    if #list > 0 then all["history." .. name] = column(list) end
  end
  local columns = {}
  for i, e in ipairs(state.evals) do
    for key, v in pairs(e) do
      columns[key] = columns[key] or {}
      columns[key][i] = v
    end
  end
  for key, list in pairs(columns) do              -- NaN where an evaluation had no such metric
    for i = 1, #state.evals do list[i] = list[i] or 0 / 0 end
    all["eval." .. key] = column(list)
  end
  core.save(path, all, { metadata = { format = "fovea.train 1", setting = setting, draws = drawn } })
end

--- The parts of one setting that another does not have.
local function unlike(one, other)
  local count, list = {}, {}
  for part in other:gmatch "[^,|{}]+" do count[part] = (count[part] or 0) + 1 end
  for part in one:gmatch "[^,|{}]+" do
    count[part] = (count[part] or 0) - 1
    if count[part] < 0 then list[#list + 1] = part:match "^%s*(.-)%s*$" end
  end
  return #list > 0 and table.concat(list, ", ") or "nothing but the order"
end

--- Fills parameters, optimiser and the model's random features from the file and returns the
--- state. Nothing is changed unless all of it fits.
function resume.load(path, setting, parameters, optimiser, model, steps)
  local function bad(why, ...) error(("train: checkpoint '%s': "):format(path) .. why:format(...), 0) end
  local good, all, meta = pcall(core.load, path)
  if not good then error("train: checkpoint: " .. all, 0) end
  if (meta or {}).format ~= "fovea.train 1" then bad "is no checkpoint of fv.train" end
  if meta.setting ~= setting then
    bad("belongs to another run; give another path, or resume=false to overwrite it:\n"
        .. "  there: %s\n  here:  %s", unlike(meta.setting or "?", setting), unlike(setting, meta.setting or "?"))
  end
  local faults = {}
  local function shape(x)
    return x and x:dtype() .. " (" .. table.concat({ x:shape() }, ",") .. ")" or "nothing"
  end
  for _, p in ipairs(parameters) do
    local x = all["model." .. p.name]
    if shape(x) ~= shape(p.tensor) then
      faults[#faults + 1] = ("'%s': expected %s, got %s"):format(p.name, shape(p.tensor), shape(x))
    end
  end
  if not all.step then faults[#faults + 1] = "'step' is missing" end
  if draws.text(model) and not meta.draws then
    faults[#faults + 1] = "it does not say which random features it had"
  end
  if all.step and all.step:reshape(-1):get(1) > steps then
    faults[#faults + 1] = ("it has done %d steps, more than steps=%d"):format(all.step:reshape(-1):get(1), steps)
  end
  if #faults > 0 then bad("does not fit:\n  %s", table.concat(faults, "\n  ")) end
  local state = { step = all.step:reshape(-1):get(1), history = { loss = {}, norm = {} }, evals = {} }
  local slots = {}
  for key, x in pairs(all) do
    local kind, name = key:match "^(%w+)%.(.+)$"
    if kind == "history" then state.history[name] = x:totable()
    elseif kind == "optim" then slots[name] = x
    elseif kind == "eval" then
      for i, v in ipairs(x:totable()) do
        state.evals[i] = state.evals[i] or {}
        state.evals[i][name] = name == "step" and math.tointeger(v) or v
      end
    end
  end
  slots.step = slots.step and slots.step:reshape(-1):get(1)
  optimiser:load(slots)
  tape.no_grad(function()
    for _, p in ipairs(parameters) do p.tensor:copy_(all["model." .. p.name]) end
  end)
  if meta.draws then draws.take(model, meta.draws) end
  return state
end

return resume
