--- fv.model{kind="lm", ...} -> layer: a whole model, ready for fv.train.
--- kind names an entry of fv.nn; the other options are its own. "lm" maps ids i64 (b, n), 1 .. vocab,
--- to logits (b, n, vocab), "classifier" ids or x (b, n, inputs) to (b, outputs): see their help.
--- Example: m = fv.model{kind="lm", vocab=256, layers=2, width=128, heads=4, attention="delta"}
---          loss = fv.nn.cross_entropy(m(ids), labels); loss:backward()

local nn = require "fovea.nn"
local options = require "fovea.options"

return function(given)
  if type(given) ~= "table" then
    error(("model: expected a table of options, got %s"):format(options.type(given)), 2)
  end
  local kind, rest = given.kind or "lm", {}
  for name, value in pairs(given) do rest[name] = value end
  rest.kind = nil
  local model = nn.make(kind, rest, 3)
  if type(model) == "function" then error(("model: '%s' is a loss, not a model"):format(kind), 2) end
  return model
end
