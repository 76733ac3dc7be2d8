-- Models learn: by heart with every attention and rule, the entropy of a chain, to copy.

local tap = require "tap"
local fv = require "fovea"

--- Trains on what batch(step) gives; returns the last loss.
local function train(model, optimiser, steps, batch)
  local parameters, loss = model:parameters(), nil
  for step = 1, steps do
    local ids, labels = batch(step)
    loss = fv.nn.cross_entropy(model(ids), labels)
    loss:backward()
    fv.optim.clip(parameters, 1)
    optimiser:step()
    optimiser:zero()
  end
  return loss:item()
end

-- ---- every mixer: 2 sequences of 8 by heart ----
do
  local s = fv.rng(5):stream "by heart"
  local ids = s:integers(1, 12, 2, 9)
  local x, y = ids:slice(2, 1, 8):contiguous(), ids:slice(2, 2, 9):contiguous()
  y:slice(2, 1, 1):fill(-100)            -- the first token does not tell which sequence it is
  local names = {}
  for _, name in ipairs(fv.attention.names()) do
    if not fv.attention.entry(name).acausal then names[#names + 1] = name end
  end
  for _, name in ipairs(fv.rule.names()) do names[#names + 1] = "rule:" .. name end
  for _, name in ipairs(names) do
    local good, model = pcall(fv.model, {
      kind = "lm", vocab = 12, layers = 1, width = 16, heads = 2, length = 8, attention = name,
      hidden = 16, std = 0.2, sizes = name:find "product" and { j = 2 } or nil })
    if good then
      local before = fv.nn.cross_entropy(model(x), y):item()
      local loss = train(model, fv.optim("adamw", model:parameters(), { lr = 0.02, weight_decay = 0 }), 60,
                         function() return x, y end)
      tap.ok(loss < 0.02 and before > 1.5, name .. " learns two sequences by heart", "from %g to %g", before,
             loss)
    else
      tap.ok(false, name .. " makes a model", "%s", model)
    end
  end
end

-- ---- a chain of known entropy ----
do
  local P = { { 0.7, 0.1, 0.1, 0.1 }, { 0.05, 0.05, 0.8, 0.1 },
              { 0.25, 0.25, 0.25, 0.25 }, { 0.9, 0, 0, 0.1 } }
  local s = fv.rng(3):stream "chain"
  local B, n = 16, 24
  --- Sequences (B, n+1) of the chain, and the mean and error of -log P over what is predicted.
  local function draw()
    local ids, total, squares = fv.zeros(B, n + 1, { dtype = "i64" }), 0, 0
    for b = 1, B do
      local at = s:integers(1, 4)
      ids:set(b, 1, at)
      for t = 2, n + 1 do
        local u, next = s:number(), 1
        while u > P[at][next] and next < 4 do u, next = u - P[at][next], next + 1 end
        local nats = -math.log(P[at][next])
        total, squares, at = total + nats, squares + nats ^ 2, next
        ids:set(b, t, at)
      end
    end
    local count = B * n
    return ids, total / count, ((squares / count - (total / count) ^ 2) / count) ^ 0.5
  end
  local function split(ids) return ids:slice(2, 1, n):contiguous(), ids:slice(2, 2, n + 1):contiguous() end
  local model = fv.model { kind = "lm", vocab = 4, layers = 1, width = 8, heads = 1, length = n, hidden = 8,
                           attention = "gated_delta", positions = "none" }
  local rate = fv.schedule("cosine", { lr = 0.03, steps = 120, warmup = 10 })
  local optimiser = fv.optim("adamw", model:parameters(), { weight_decay = 0 })
  train(model, optimiser, 120, function(step)
    optimiser.lr = rate(step)
    return split((draw()))
  end)
  local excess, least, trials = 0, 0, 4
  for _ = 1, trials do
    local ids, ideal, spread = draw()
    local x, y = split(ids)
    excess = excess + (fv.nn.cross_entropy(model(x), y):item() - ideal) / trials
    least = least + (spread / trials) ^ 2
  end
  -- the truth has the least mean loss; on a sample another model can win by luck
  tap.ok(excess < 0.03 and excess > -4 * least ^ 0.5, "a model finds the entropy of a Markov chain",
         "%g nats above it", excess)
end

-- ---- copying ----
-- ---- mixers of a script's own, as their help shows them ----

do
  local function example(name)
    local code = require "fovea.parts"[name].doc:match("\n%s*(fv%." .. name .. "%.register.*)")
    return assert(load("local fv = ...\n" .. code))(fv)
  end
  example "attention"
  example "rule"
  local q = fv.rng(1):stream("own"):normal(2, 5, 4)
  tap.near(fv.attention "doubled"(q, q, q, { causal = true }), fv.softmax_attention(q * 2, q, q, { causal = true }),
           0, "an attention of one's own needs no bill")
  tap.near(fv.rule "leaky"(q, q, q, fv.zeros(2, 5)), fv.additive_rule(q, q, q), 0, "a rule of one's own runs")
  for name, value in pairs { doubled = fv.attention "doubled", leaky = fv.rule "leaky" } do
    local function logits(mixer)
      return fv.model { vocab = 5, layers = 1, width = 8, heads = 2, attention = mixer }(fv.ones(1, 3,
             { dtype = "i64" }))
    end
    tap.near(logits(name), logits(value), 0, name .. " is taken by name and by value")
  end
  fv.attention.register { name = "bare", doc = "An operator.", build = function()
    return { attend = fv.softmax_attention }
  end }
  tap.near(fv.attention "bare"(q, q, q), fv.softmax_attention(q, q, q), 0, "an operator is enough of an attention")
  local function bad(part, name, entry, pattern, ...)
    entry.name, entry.doc = name, "Broken."
    fv[part].register(entry)
    local args = { ... }
    tap.raises(pattern, "an entry that cannot work is told: " .. name, function()
      local x = fv[part](name)
      return #args > 0 and x(table.unpack(args))
    end)
  end
  local function nothing() return {} end
  local sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)"
  bad("attention", "idle", { build = nothing }, "attention 'idle': expected its build to return { attend =")
  bad("attention", "narrow", { build = function() return { attend = function(x) return x[1] end } end },
      "attention 'narrow': expected its attend to return o %(..., n=5, e=2%), got %(5,4%)", q[1]:reshape(1, 5, 4),
      q[1]:reshape(1, 5, 4), q[1]:reshape(1, 5, 4):slice(3, 1, 2))
  bad("rule", "rootless", { build = nothing, sig = sig }, "rule 'rootless': field 'kernel': expected an operator")
  bad("rule", "unsigned", { build = nothing, kernel = "additive_rule" }, "rule 'unsigned': field 'sig': expected a signature")
  bad("rule", "idle", { build = nothing, sig = sig, kernel = "additive_rule" },
      "rule 'idle': build: expected a table { run = function")
end

for _, mixer in ipairs { "softmax", "gated_delta" } do
  local s, n = fv.rng(4):stream "copy", 5
  local function draw()                     -- a1 .. an 9 a1 .. an, the second half to be told
    local a = s:integers(1, 8, 32, n)
    local ids = fv.cat({ a, fv.full({ 32, 1 }, 9, { dtype = "i64" }), a }, 2)
    local x, y = ids:slice(2, 1, 2 * n):contiguous(), ids:slice(2, 2, 2 * n + 1):contiguous()
    y:slice(2, 1, n):fill(-100)
    return x, y
  end
  local model = fv.model { kind = "lm", vocab = 9, layers = 1, width = 32, heads = 2, length = 2 * n,
                           std = 0.2, hidden = 32, attention = mixer, conv = 2 }
  train(model, fv.optim("adamw", model:parameters(), { lr = 0.01, weight_decay = 0 }), 150, draw)
  local x, y = draw()
  local said = model(x):detach():argmax(-1)
  local right = said:eq(y):to("f64"):sum():item() / (32 * n)
  tap.ok(right > 0.95, mixer .. " learns to copy sequences it has not seen", "%g right", right)
end

tap.done()
