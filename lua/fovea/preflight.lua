-- What would end a training run late, or be ignored in it, found before its first step.

local options = require "fovea.options"
local results = require "fovea.results"
local training = require "fovea.training"

--- Why this is no fv.optim of some of these parameters, or nil.
local function misfit(optimiser, parameters)
  for _, method in ipairs { "zero", "step", "state", "load" } do
    if not training.has(optimiser, method) then
      return "expected a name or an fv.optim, got " .. options.type(optimiser)
    end
  end
  local ours, shared = {}, false
  for _, p in ipairs(parameters) do ours[p.tensor] = true end
  for _, p in ipairs(training.has(optimiser, "parameters") and optimiser.parameters or parameters) do
    shared = shared or ours[p.tensor]
  end
  return not shared and "it changes no parameter of this model" or nil
end

--- opt: what the user gave, with defaults. Errors are raised for the caller's caller's caller.
return function(opt)
  local function bad(why, ...) error("train: " .. why:format(...), 5) end
  if type(opt.optimizer) ~= "string" then
    local why = misfit(opt.optimizer, opt.parameters)
    if why then bad("option 'optimizer': %s", why) end
    if opt.optimizer_options then bad "option 'optimizer_options' is for an optimiser given by name" end
    if opt.lr and type(opt.schedule) ~= "string" then
      bad "option 'lr' is for an optimiser given by name: this one has its own"
    end
  end
  if opt.warmup > 0 and opt.schedule and type(opt.schedule) ~= "string" then
    bad "option 'warmup' is for a schedule given by name"
  end
  for _, key in ipairs { "checkpoint", "keep_best" } do
    if opt[key] ~= "" then
      if not opt[key]:find "%.safetensors$" then
        bad("option '%s': expected a path that ends in .safetensors, got '%s'", key, opt[key])
      end
      local good, why = results.writable(opt[key])
      if not good then bad("option '%s': %s", key, why) end
    end
  end
  if opt.checkpoint ~= "" and opt.checkpoint == opt.keep_best then
    bad("options 'checkpoint' and 'keep_best': expected two files, got '%s' twice", opt.checkpoint)
  end
  local good, why = pcall(training.batch, opt.data, "train", 1, opt.batch)
  if not good then bad("%s", why) end
  if opt.eval_every == 0 then
    local idle = opt.patience > 0 and "patience" or opt.keep_best ~= "" and "keep_best"
    if idle then bad("option '%s' needs evaluations, and eval_every is 0", idle) end
  else
    good, why = pcall(training.batch, opt.data, opt.eval_split, 1, opt.eval_batch or opt.batch)
    if not good then bad("a batch to evaluate: %s", why) end
  end
end
