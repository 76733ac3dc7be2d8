-- Models fed token by token: the same logits as in one pass for every causal mixer, what they
-- keep, what is refused; and ids drawn from them.

local tap = require "tap"
local fv = require "fovea"

local s = fv.rng(3):stream "decode.t"
local f64, i64 = { dtype = "f64" }, { dtype = "i64" }
local VOCAB, B, N, CUTS = 13, 2, 14, { 5, 6, 7, 10, 11, 12, 13, 14 }
local ids = s:integers(1, VOCAB, B, N)

local function lm(opt)
  local all = { kind = "lm", vocab = VOCAB, layers = 2, width = 8, heads = 2, dtype = "f64", std = 0.4,
                sizes = { j = 2 } }
  for name, value in pairs(opt) do all[name] = value end
  return fv.model(all)
end

--- The logits of the pieces, joined, and the stream.
local function pieces(m, given)
  local flow, parts, from = m:stream { batch = B }, {}, 1
  for i, to in ipairs(CUTS) do parts[i], from = flow(ids:slice(2, from, to), given), to + 1 end
  return fv.cat(parts, 2), flow
end

local function same(opt, what)
  local m = lm(opt)
  local got, flow = pieces(m)
  -- two blocks in doubles, logits of a few units
  tap.near(got, m(ids):detach(), 1e-12, what .. ": pieces give the logits of one pass")
  tap.is(flow:bytes(), B * m:state_bytes { n = N }, what .. ": and it keeps what state_bytes says")
  local alone = m:stream { batch = B }(ids:slice(2, 13, N))
  tap.ok((alone - m(ids):detach():slice(2, 13, N)):abs():max():item() > 1e-6, what .. ": and needs it")
end

-- ---- every causal mixer, with what else a block may have in turn ----
local variants = {
  { positions = "rotary" }, { positions = "learned", length = N, conv = 3 },
  { positions = "none", gate = true, mlp = "swiglu", norm = "rms_norm" },
  { positions = "rotary", conv = 1, gate = true, mlp = "none", tied = false, checkpoint = true }
}
local streaming = 0
for _, name in ipairs(fv.attention.names()) do
  if not fv.attention.entry(name).acausal then
    streaming = streaming + 1
    for i, v in ipairs(variants) do
      local opt = { attention = name, kv_heads = i % 2 == 0 and 1 or nil }
      for key, value in pairs(v) do opt[key] = value end
      same(opt, ("attention %s, variant %d"):format(name, i))
    end
  end
end
for _, name in ipairs(fv.rule.names()) do
  streaming = streaming + 1
  local i = streaming % #variants + 1
  local opt = { attention = "rule:" .. name }
  for key, value in pairs(variants[i]) do opt[key] = value end
  same(opt, ("rule %s, variant %d"):format(name, i))
end
tap.ok(streaming >= 25, "there are many", "%d", streaming)
same({ attention = { "softmax", "delta" }, positions = "rotary" }, "softmax, then delta")
local maps = { { map = "cosformer", length = N, guard = 0.1 }, { map = "dpfp", nu = 2, guard = 0.1 },
               { map = function(x) return x:exp() end } }
for i, opt in ipairs(maps) do
  local attend = fv.attention("linear", opt)
  local m = lm { attention = attend, positions = "none" }
  tap.near((pieces(m)), m(ids):detach(), 1e-12, "linear attention on another map, " .. i)
end
for _, estimator in ipairs { "hyperbolic", "trig" } do
  same({ attention = fv.attention("favor", { features = 16, estimator = estimator }), kv_heads = 1 },
       "favor, " .. estimator)
end
do
  local m, by = lm { attention = "softmax", positions = "rotary" }, { window = 3, alibi = true }
  tap.near((pieces(m, by)), m(ids, by):detach(), 1e-12, "options of a call reach the mixer")
  tap.ok((m(ids, by) - m(ids)):detach():abs():max():item() > 1e-3, "and change something")
  local l = fv.nn.block { width = 4, mixer = "delta", dropout = 0.5, dtype = "f64" }
  local x, flow = s:normal(1, 6, 4, f64), l:train(1):stream()
  local y = fv.cat({ flow(x:slice(2, 1, 4)), flow(x:slice(2, 5, 6)) }, 2)
  tap.near(y, l:eval()(x):detach(), 1e-13, "any layer streams, in eval and without gradients")
  tap.raises("nothing that requires a gradient", "nothing is recorded", function() y:sum():backward() end)
  for _, name in ipairs { "softmax", "delta" } do
    m = lm { attention = name, conv = 2, positions = "rotary" }
    flow = m:stream { batch = B }
    flow(ids:slice(2, 1, 8))
    local other, first = flow:copy(), flow(ids:slice(2, 9, 10))
    flow:copy()(ids:slice(2, 1, 3))
    other(ids:slice(2, 2, 4))
    tap.near(fv.cat({ first, flow(ids:slice(2, 11, N)) }, 2), m(ids):detach():slice(2, 9, N), 1e-12,
             name .. ": a stream that was copied goes on")
    tap.near(other(ids:slice(2, 9, N)), m(fv.cat({ ids:slice(2, 1, 8), ids:slice(2, 2, 4), ids:slice(2, 9, N) }, 2))
             :detach():slice(2, 12, 17), 1e-12, name .. ": and so does the copy")
  end
  local d = lm { attention = "gated_delta", conv = 2 }:stream { batch = B }
  d(ids)
  local bytes = d:bytes()
  for _ = 1, 5 do d(ids) end
  tap.is(d:bytes(), bytes, "a rule's state does not grow")
  tap.is(d.tokens, 6 * N, "a stream counts its tokens")
end

-- ---- what raises, and that it changes nothing ----
do
  local m = lm { attention = "softmax", positions = "learned", length = N, conv = 2 }
  local flow = m:stream { batch = B }
  flow(ids:slice(2, 1, 9))
  tap.raises("expected ids in 1 .. 13, got 99", "an id outside the vocabulary", flow,
             fv.full({ B, 1 }, 99, i64))
  tap.raises("expected at most length=14 tokens in all, got 6 after 9", "more than learned positions", flow,
             ids:slice(2, 1, 6))
  tap.raises("x: expected i64 %(batch=2, n%).* got i64 %(1,2%)", "another batch", flow,
             ids:slice(1, 1, 1):slice(2, 1, 2))
  tap.raises("at least one token", "no token", flow, ids:slice(2, 1, 0))
  tap.raises("got nil", "no tensor", flow)
  tap.raises("'key_length' does not go with 'state'", "padding", flow, ids:slice(2, 10, 10), { key_length = 3 })
  tap.raises("stream of lm: expected x and a table of options, got integer", "a number for options", flow,
             ids:slice(2, 10, 10), 1)
  tap.raises("a stream has its own", "a state", flow, ids:slice(2, 10, 10), { state = {} })
  -- keys and values are kept before the attention fails, in every layer up to it
  tap.raises("window", "an option that the mixer refuses", flow, ids:slice(2, 10, 10), { window = -7 })
  tap.near(flow(ids:slice(2, 10, N)), m(ids):detach():slice(2, 10, N), 1e-12, "the stream goes on after errors")
  tap.ok(tostring(flow):find "^stream of lm: batch=2, 14 tokens seen, %d+ bytes kept$", "and prints what it is")
  tap.raises("unknown option 'bach' %(did you mean 'batch'", "a misspelt option", m.stream, m, { bach = 1 })
  tap.raises("lm: stream: attention 'blocks.1.mix': with causal=false tokens see", "a model that sees both sides",
             function() lm { causal = false }:stream() end)
  tap.raises("classifier: stream: it pools the whole sequence", "a classifier", function()
    fv.model { kind = "classifier", vocab = 3, outputs = 2, causal = true }:stream()
  end)
  fv.attention.register { name = "silent", doc = "says nothing", call = { { "causal", "boolean", true, "yes" } },
    build = function() return { attend = fv.softmax_attention } end }
  tap.raises("the caps of 'silent' do not say streaming", "a mixer that does not say so",
             function() lm { attention = "silent" }:stream() end)
  tap.raises("the map 'efficient' looks over the whole sequence", "a map over the sequence", function()
    lm { attention = fv.attention("linear", { map = "efficient", keys = "softmax" }) }:stream { batch = B }(ids)
  end)
  local layer = require "fovea.layer"
  local function wrap(name, call, caps)
    fv.nn.register { name = name, doc = "a user's layer", caps = caps, build = function(opt)
      local l = layer.new(opt)
      local inner = layer.child(l, "inner", "conv", { width = 4 })
      l.call = function(self, x) return call(self, x, inner) end
      return l
    end }
    return fv.nn[name] {}
  end
  local x = s:normal(1, 3, 4)
  tap.raises("its caps do not say streaming", "a layer that does not say so",
             function() wrap("quiet", function(self, y) return self.inner(y) end):stream() end)
  tap.raises("conv 'inner' was not called", "a layer that calls another behind the stream's back",
             function() wrap("behind", function(_, y, inner) return inner(y) end, "streaming"):stream()(x) end)
  tap.raises("conv 'inner' is called twice", "a layer that calls another twice", function()
    wrap("twice", function(self, y) return self.inner(self.inner(y)) end, "streaming"):stream()(x)
  end)
end

-- ---- ids drawn ----
do
  local m = lm { attention = "delta", positions = "rotary" }
  local prompt = ids:slice(2, 1, 4)
  local greedy, all = fv.generate(m, prompt, { n = 6, temperature = 0 }), prompt
  for _ = 1, 6 do all = fv.cat({ all, m(all):detach():slice(2, -1, -1):argmax(3) }, 2) end
  tap.is(tostring(greedy), tostring(all:slice(2, 5, 10):contiguous()), "temperature 0 takes the likeliest each time")
  local function text(opt, p) return tostring(fv.generate(m, p or prompt, opt)) end
  tap.is(text { n = 9 }, text { n = 9 }, "the same call draws the same ids")
  tap.is(text { n = 4 }, tostring(fv.generate(m, prompt, { n = 9 }):slice(2, 1, 4):contiguous()),
         "fewer are the first of them")
  tap.ok(text { n = 9 } ~= text { n = 9, seed = 2 }, "another seed draws others")
  tap.is(text({ n = 5 }, prompt:slice(1, 1, 1)), tostring(fv.generate(m, prompt, { n = 5 }):slice(1, 1, 1)),
         "a row does not depend on the others")
  local twice = fv.generate(m, fv.cat({ prompt, prompt }, 1), { n = 9 })
  tap.ok(tostring(twice:slice(1, 1, B):contiguous()) ~= tostring(twice:slice(1, B + 1, 2 * B):contiguous()),
         "rows with the same prompt draw for themselves")
  tap.is(text { n = 5, top_k = 1 }, text { n = 5, temperature = 0 }, "the one likeliest is the likeliest")

  -- a layer with the same logits after every token: 0.15, 0.5, 0.05, 0.3
  local p, layer = { 0.15, 0.5, 0.05, 0.3 }, require "fovea.layer"
  fv.nn.register { name = "die", doc = "fixed logits", caps = "streaming", options = {
      { "add", "number", 0, "to every logit" }, { "broken", "boolean", false, "one logit is NaN" } },
    build = function(opt)
      local l = layer.new(opt)
      local row = fv.tensor(p, { dtype = "f64" }):log() + opt.add
      if opt.broken then row:set(3, 0 / 0) end
      l.call = function(_, x) return row:expand(x:size(1), x:size(2), 4) end
      return l
    end }
  local D, one = 4000, fv.full({ 1, 1 }, 1, i64)
  local function frequencies(opt, want, name)
    local die, count = fv.nn.die { add = opt.add }, { 0, 0, 0, 0 }
    opt.n, opt.add = D, nil
    for _, id in ipairs(fv.generate(die, one, opt)[1]:totable()) do
      count[id] = count[id] + 1
    end
    for i = 1, 4 do
      local se = (want[i] * (1 - want[i]) / D) ^ 0.5
      tap.ok(math.abs(count[i] / D - want[i]) <= 4 * se, ("%s, id %d"):format(name, i), "%g, want %g within 4 x %.2g",
             count[i] / D, want[i], se)
    end
  end
  frequencies({}, p, "ids come as often as their probability")
  frequencies({ add = 800 }, p, "logits of any size")
  local square = 0.15 ^ 2 + 0.5 ^ 2 + 0.05 ^ 2 + 0.3 ^ 2
  frequencies({ temperature = 0.5 }, { 0.15 ^ 2 / square, 0.25 / square, 0.05 ^ 2 / square, 0.09 / square },
              "temperature 1/2")
  frequencies({ top_k = 2 }, { 0, 0.625, 0, 0.375 }, "the two likeliest")
  frequencies({ top_p = 0.79 }, { 0, 0.625, 0, 0.375 }, "the fewest that have 0.79")
  frequencies({ top_p = 0.81 }, { 0.15 / 0.95, 0.5 / 0.95, 0, 0.3 / 0.95 }, "the fewest that have 0.81")
  frequencies({ top_p = 0 }, { 0, 1, 0, 0 }, "none of the probability")
  frequencies({ top_k = 3, top_p = 0.8 }, { 0, 0.625, 0, 0.375 }, "top_p is of what top_k leaves")   -- 0.8/0.95
  frequencies({ temperature = 1e-307, add = 800 }, { 0, 1, 0, 0 }, "a temperature near 0")

  tap.raises("logits are not finite", "logits that are NaN", fv.generate, fv.nn.die { broken = true }, one, { n = 1 })
  tap.raises("logits are not finite", "or infinite", fv.generate, fv.nn.die { add = math.huge }, one,
             { temperature = 0 })
  tap.raises("expected ids in 1 .. 13, got 99", "ids outside the vocabulary", fv.generate, m,
             fv.full({ 1, 2 }, 99, i64))
  local short = lm { positions = "learned", length = 7 }
  tap.raises("expected at most the model's length=7 tokens, got 8", "a prompt beyond learned positions", fv.generate,
             short, ids:slice(2, 1, 8))
  tap.raises("'n': expected at most 3 after 5 tokens, as the model has length=7, got 4", "or ids beyond them",
             fv.generate, short, ids:slice(2, 1, 5), { n = 4 })
  tap.is(fv.generate(short, ids:slice(2, 1, 5), { n = 3 }):size(2), 3, "the last id needs no position")
  for _, x in ipairs { "ids", 3, ids:to "f64", ids[1], ids:slice(2, 1, 0) } do
    tap.raises("generate: prompt: expected ids i64 %(b, m%), m from 1, got ",
               "a prompt that is " .. tostring(x):match "[^\n]*", fv.generate, m, x)
  end
  tap.raises("generate: model: expected a layer", "no model", fv.generate, 3, prompt)
  tap.raises("top_k': expected a whole number from 1", "no ids to draw from", fv.generate, m, prompt, { top_k = 0 })
  tap.raises("top_p': expected a number in %[0, 1%]", "a probability above 1", fv.generate, m, prompt, { top_p = 2 })
  tap.raises("lm: stream: attention", "a model that sees both sides", fv.generate, lm { causal = false }, prompt)
end

tap.done()
