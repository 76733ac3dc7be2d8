--- fv.generate(model, prompt, {n=, temperature=, top_k=, top_p=, seed=}) -> ids: draws what comes next
--- model is an fv.model of kind "lm", or any layer from ids i64 (b, n) to logits (b, n, vocab) that
--- streams; prompt is i64 (b, m), m >= 1. The result is i64 (b, n), the new ids alone:
--- fv.cat({prompt, ids}, 2) has both. Each id is drawn from the softmax of the last logits over
--- temperature (1; 0: always the likeliest), cut to the top_k likeliest ids and to the fewest of
--- these that have at least top_p of their probability; all of them unless given.
--- Draws are keyed by seed (1) and the row of the batch: the same call gives the same ids.
--- Time is that of model:stream(): one token a step, state as model:state_bytes{n=} says.
--- Errors: ids outside the vocabulary; more tokens than learned positions; logits that are not finite.
--- Example: d = fv.data "text"; prompt = fv.tensor({ d:encode "And God said" }, {dtype="i64"})
---          ids = fv.generate(model, prompt, {n=200, temperature=0.8, seed=1})
---          print(d:decode(ids[1]:totable()))

local fv = require "fovea"
local layer = require "fovea.layer"
local options = require "fovea.options"

local spec = options.declare({
  { "n", "integer", 100, "ids to draw", lo = 1 },
  { "temperature", "number", 1, "logits are divided by it; 0: the likeliest", lo = 0, hi = 1e6 },
  { "top_k", "integer", nil, "ids to draw from", lo = 1 },
  { "top_p", "number", 1, "least probability of the ids to draw from", lo = 0, hi = 1 },
  { "seed", "integer", 1, "keys the draws" }
}, "generate", 1)

--- The next id of each row of logits (b, vocab), a list.
local function draw(logits, opt, streams)
  local best, at = logits:to "f64":topk(math.min(opt.top_k or logits:size(2), logits:size(2)), 2)
  local top, finite = best:slice(2, 1, 1), logits:isnan():any():item() == 0
  if not finite or top:isfinite():all():item() == 0 then
    error("generate: the model's logits are not finite", 0)
  end
  if opt.temperature == 0 then return at:slice(2, 1, 1):reshape(-1):totable() end
  local p = ((best - top) / opt.temperature):softmax(2)
  local sum = p:cumsum(2)
  local kept = (sum - p):lt(math.max(opt.top_p, 2 ^ -1074))    -- those before it do not reach top_p
  local u = {}
  for b, s in ipairs(streams) do u[b] = { s:number() } end
  local total = fv.where(kept, sum, fv.zeros(1, { dtype = "f64" })):max(2, { keepdim = true })
  local place = sum:le(fv.tensor(u, { dtype = "f64" }) * total):to "i64":sum(2, { keepdim = true }) + 1
  local most = kept:to "i64":sum(2, { keepdim = true })
  return at:gather(2, place:minimum(most)):reshape(-1):totable()
end

return function(model, prompt, given)
  local streams, rows = {}, {}
  local opt = options.read(spec, given, "generate", 3)
  if type(model) ~= "table" or not (rawget(model, "inside") and rawget(model, "stream")) then
    error(("generate: model: expected a layer such as fv.model{kind=\"lm\", ...}, got %s"):format(
          options.type(model)), 2)
  elseif options.type(prompt) ~= "tensor" or prompt:dtype() ~= "i64" or prompt:ndim() ~= 2
         or prompt:numel() == 0 then
    error(("generate: prompt: expected ids i64 (b, m), m from 1, got %s"):format(layer.what(prompt)), 2)
  end
  local s, m = model:stream { batch = prompt:size(1) }, prompt:size(2)
  if s.limit and m > s.limit then
    error(("generate: prompt: expected at most the model's length=%d tokens, got %d"):format(s.limit, m), 2)
  elseif s.limit and m + opt.n - 1 > s.limit then
    error(("generate: option 'n': expected at most %d after %d tokens, as the model has length=%d, got %d"):format(
          s.limit - m + 1, m, s.limit, opt.n), 2)
  end
  for b = 1, prompt:size(1) do
    streams[b], rows[b] = fv.rng(opt.seed):stream("generate:" .. b), {}
  end
  for t = 1, opt.n do
    local logits = s(prompt)
    if logits:ndim() ~= 3 then
      error(("generate: model: expected logits (b, n, vocab) from it, got %s"):format(layer.what(logits)), 2)
    end
    local next_ids, column = draw(logits:slice(2, -1, -1):squeeze(2), opt, streams), {}
    for b, id in ipairs(next_ids) do rows[b][t], column[b] = id, { id } end
    prompt = fv.tensor(column, { dtype = "i64" })
  end
  return fv.tensor(rows, { dtype = "i64" })
end
