--- fv.evaluate{model=, data=, ...} -> { loss = mean, ... }: a model's loss on batches it does not learn from.
--- model and data are as for fv.train. Options, beside those two:
---   split      of the data; "validation" unless given
---   batches    how many, from the first (8), and batch, what data:batch is given
---   loss       function(model, batch) -> scalar; the mean cross entropy of model(batch.ids) with
---              batch.labels unless given
---   metrics    function(model, batch) -> { name = number }; their means are in the result too
--- Nothing is recorded, and the model is left in eval mode. The same batches are taken each time.
--- Example: fv.evaluate{model=m, data=d, split="test", batch={batch=8, length=64}}.loss

local shown = require "fovea.layer".what
local options = require "fovea.options"
local tape = require "fovea.tape"
local training = require "fovea.training"

local spec = options.declare({
  { "model", "any", nil, "what is evaluated", required = true },
  { "data", "any", nil, "where batches come from", required = true },
  { "split", "string", "validation", "of the data" },
  { "batches", "integer", 8, "how many", lo = 1 },
  { "batch", "table", nil, "options of data:batch" },
  { "loss", "function", nil, "function(model, batch) -> scalar tensor" },
  { "metrics", "function", nil, "function(model, batch) -> { name = number }" }
}, "evaluate", 1)

--- A number, from a tensor of one element too.
local function number(x, what)
  if options.type(x) == "tensor" and x:numel() == 1 then x = x:item() end
  if type(x) ~= "number" then
    error(("%s: expected a number, got %s"):format(what, shown(x)), 0)
  end
  return x
end

return function(given)
  local opt = options.read(spec, given, "evaluate", 3)
  training.check(opt, "evaluate", 3)
  local sums, loss = { loss = 0 }, opt.loss or training.cross_entropy
  if training.has(opt.model, "eval") then opt.model:eval() end
  tape.no_grad(function()
    for i = 1, opt.batches do
      local batch = training.batch(opt.data, opt.split, i, opt.batch)
      sums.loss = sums.loss + number(loss(opt.model, batch), "option 'loss': its result")
      local more = opt.metrics and opt.metrics(opt.model, batch) or {}
      if type(more) ~= "table" then
        error(("option 'metrics': expected it to return { name = number }, got %s"):format(
              options.type(more)), 0)
      end
      for key, v in pairs(more) do
        if key == "loss" or key == "step" then
          error(("option 'metrics': '%s' is a name of fv.train's: give another"):format(key), 0)
        end
        sums[key] = (sums[key] or 0) + number(v, ("metric '%s'"):format(tostring(key)))
      end
    end
  end)
  for key, v in pairs(sums) do sums[key] = v / opt.batches end
  return sums
end
