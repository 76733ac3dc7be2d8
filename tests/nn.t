-- Layers: what they compute, their gradients, names, files, errors; and that models with
-- each attention and rule can learn by heart.

local tap = require "tap"
local fv = require "fovea"

local s = fv.rng(7):stream "nn.t"
local f64, i64 = { dtype = "f64" }, { dtype = "i64" }

-- ---- each layer against its definition ----
do
  local x = s:normal(2, 3, 4, f64)
  local f = fv.nn.linear { inputs = 4, outputs = 5, dtype = "f64" }
  tap.near(f(x), fv.einsum("bni,oi->bno", x, f.weight:detach()) + f.bias:detach(), 1e-14,
           "linear is x W' + b")
  local y = fv.nn.layer_norm { width = 4, eps = 0, dtype = "f64" }(x)
  tap.near(y:mean(-1), fv.zeros(2, 3, f64), 1e-14, "layer_norm has rows of mean 0")
  tap.near(y:square():mean(-1), fv.ones(2, 3, f64), 1e-14, "and of variance 1")
  y = fv.nn.rms_norm { width = 4, eps = 0, dtype = "f64" }(x)
  tap.near(y:square():mean(-1), fv.ones(2, 3, f64), 1e-14, "rms_norm has rows of mean square 1")
  local e = fv.nn.embedding { vocab = 6, width = 3, dtype = "f64" }
  tap.near(e(fv.tensor({ { 6, 1 } }, i64))[1], fv.stack { e.weight:detach()[6], e.weight:detach()[1] }, 0,
           "embedding picks rows by id")
  local c = fv.nn.conv { width = 4, taps = 3, dtype = "f64" }
  local w, want = c.weight:detach(), fv.zeros(3, 4, f64)
  for t = 1, 3 do
    for j = 0, t - 1 do want[t]:add_(w[j + 1] * x[1][t - j]) end
  end
  tap.near(c(x)[1], want, 1e-14, "conv sums over the last taps tokens")
  local r = fv.nn.rotary { width = 4, dtype = "f64" }
  local q, k = s:normal(1, 4, f64):expand(6, 4), s:normal(1, 4, f64):expand(6, 4)
  local A = r(q):matmul(r(k):t())
  tap.near(A:slice(1, 1, 5):slice(2, 1, 5), A:slice(1, 2, 6):slice(2, 2, 6), 1e-14,
           "rotary makes q.k a function of the distance")
  tap.near(r(q, 2):slice(1, 1, 3), r(q):slice(1, 3, 5), 1e-14, "and starts at its offset")
  local p = fv.nn.positions { width = 4, length = 3, dtype = "f64" }
  tap.near(p(x) - x, p.weight:detach():expand(2, 3, 4), 1e-15, "positions adds a row to each token")
end

-- ---- dropout ----
do
  local x = fv.ones(200, 500)
  local d = fv.nn.dropout { rate = 0.3 }
  tap.ok(rawequal(d(x), x), "dropout is the identity in eval")
  local a, b, c = d:train(1)(x), d:train(1)(x), d:train(2)(x)
  tap.near(a, b, 0, "dropout at one step is the same every time")
  tap.ok((a - c):abs():max():item() > 0, "and another at another step")
  local kept = a:gt(0):to("f64"):mean():item()
  tap.ok(math.abs(kept - 0.7) < 4 * (0.21 / 1e5) ^ 0.5, "it keeps 1 - rate", "kept %g", kept)
  tap.close(a:max():item(), 1 / 0.7, 1e-6, "and scales by 1 / (1 - rate)")
  tap.raises("training needs the step", "training without a step is refused", d:train(), x)
end

-- ---- gradients, in inputs and in parameters ----
local function gap(l, x)
  local ps = l:parameters()
  local worst = fv.gradcheck(function(y) return l(y) end, { x }, { tol = math.huge })
  for _, p in ipairs(ps) do p.tensor.grad = nil end
  local w = fv.linspace(0.3, 1.1, l(x):numel(), f64):reshape { l(x):shape() }
  local function loss() return (l(x):detach() * w):sum():item() end
  if #ps > 0 then (l(x) * w):sum():backward() end
  for _, p in ipairs(ps) do
    local flat, g = p.tensor:detach():reshape(-1), p.tensor.grad and p.tensor.grad:reshape(-1)
    for _, k in ipairs { 1, flat:numel() // 2 + 1, flat:numel() } do
      local at, h = flat:get(k), 1e-5
      flat:set(k, at + h)
      local up = loss()
      flat:set(k, at - h)
      local down = loss()
      flat:set(k, at)
      local want, got = (up - down) / (2 * h), g and g:get(k) or 0
      worst = math.max(worst, math.abs(want - got) / math.max(1, math.abs(want)))
    end
  end
  return worst
end

for _, case in ipairs {
  { "linear", { inputs = 4, outputs = 3 } }, { "layer_norm", { width = 4 } }, { "rms_norm", { width = 4 } },
  { "conv", { width = 4, bias = true } }, { "mlp", { width = 4, hidden = 5 } },
  { "swiglu", { width = 4, hidden = 3 } },
  { "positions", { width = 4, length = 5 } }, { "rotary", { width = 4 } },
  { "attention", { width = 4, heads = 2, kv_heads = 1, rotary = true, conv = 2, gate = true, norm = true } },
  { "attention", { width = 4, heads = 2, mixer = "gated_delta", conv = 2 } },
  { "attention", { width = 4, heads = 2, mixer = "nystrom", causal = false,
                   mixer_options = { landmarks = 2 } } },
  { "attention", { width = 4, heads = 2, mixer = "rwkv7" } },
  { "attention", { width = 4, mixer = "mamba2" } },
  { "attention", { width = 4, heads = 2, mixer = fv.rule "gla", gate = true, norm = false } },
  { "encoder", { inputs = 4, width = 6, heads = 2, hidden = 5, layers = 1, std = 0.3 } },
  { "classifier", { inputs = 4, width = 4, heads = 2, outputs = 3, layers = 1, std = 0.3, pool = "last" } },
  { "attention", { width = 4, heads = 2, mixer = "delta_product", sizes = { j = 2 } } },
  { "block", { width = 4, heads = 2, mlp = "swiglu" } }
} do
  local kind, opt = case[1], case[2]
  opt.dtype = "f64"
  local worst = gap(fv.nn[kind](opt), s:normal(2, 5, 4, f64))
  local mixer = opt.mixer and " with " .. (type(opt.mixer) == "string" and opt.mixer or opt.mixer.name) or ""
  tap.ok(worst < 1e-6, kind .. mixer .. " has the gradients of differences", "gap %g", worst)
end

-- ---- names, counts, files ----
do
  local function build(seed)
    return fv.model { kind = "lm", vocab = 11, layers = 2, width = 8, heads = 2, length = 6, seed = seed }
  end
  local m = build(3)
  local names, n = {}, 0
  for i, p in ipairs(m:parameters()) do names[i], n = p.name, n + p.tensor:numel() end
  tap.is(names[1] .. " " .. names[5], "embed.weight blocks.1.mix.q.weight", "parameters have dotted names")
  tap.is(m:count(), n, "count adds them up")
  local blocks = 4 * 64 + 2 * 16 + 8 * 32 * 2 + 32 + 8
  tap.ok(tostring(m):find(("\n%d parameters: embed %d, positions %d, blocks 2 x %d, norm 16$"):format(n, 11 * 8,
         6 * 8, blocks)), "a model prints where they are", "%s", tostring(m))
  local two = fv.model { vocab = 3, width = 4, attention = { "softmax", fv.attention("svd", { rank = 2 }) }, causal = false }
  tap.ok(tostring(two):find('attention={"softmax", attention svd {rank=2}}', 1, true),
         "and mixers by name and by value", "%s", tostring(two))
  tap.is(n, 11 * 8 + 6 * 8 + 2 * (4 * 64 + 2 * 16 + 8 * 32 * 2 + 32 + 8) + 16,
         "which is what the formula says")
  tap.near(build(3).blocks[2].mix.q.weight:detach(), m.blocks[2].mix.q.weight:detach(), 0,
           "a seed gives one model")
  local wide = fv.model { kind = "lm", vocab = 11, layers = 3, width = 8, heads = 2, length = 6, seed = 3,
                          mlp = "swiglu" }
  tap.near(wide.blocks[2].mix.q.weight:detach(), m.blocks[2].mix.q.weight:detach(), 0,
           "what else there is does not shift a parameter's draws")
  local path, ids = os.tmpname() .. ".safetensors", s:integers(1, 11, 2, 6)
  m:save(path)
  local other = build(4)
  tap.ok((other(ids) - m(ids)):detach():abs():max():item() > 0, "another seed gives another model")
  other:load(path)
  tap.near(other(ids):detach(), m(ids):detach(), 0, "save and load give the same bits")
  local good, err = pcall(function()
    local m2 = fv.model { kind = "lm", vocab = 12, layers = 1, width = 8, heads = 2, length = 6,
                          tied = false }
    m2:load(path)
  end)
  tap.ok(not good and err:find("missing 'head.weight' (12,8)", 1, true)
         and err:find("'embed.weight': expected f32 (12,8), got f32 (11,8)", 1, true)
         and err:find("unknown entry 'blocks.2.mix.q.weight'", 1, true),
         "load lists all that does not fit in one error", "%s", tostring(err))
  os.remove(path)
  tap.is(m:state_bytes { n = 100 }, 2 * 2 * 8 * 100 * 4,
         "the state of softmax attention is its keys and values")
  local d = fv.nn.attention { width = 8, heads = 2, mixer = "delta" }
  tap.is(d:state_bytes { n = 100 }, 2 * 4 * 4 * 4, "that of the delta rule is a matrix a head")
end

-- ---- operators of layers ----
do
  local x, b = s:normal(40, 7, f64) * 3, s:normal(7, f64)
  tap.near(fv.bias_gelu(x, { bias = b }), (x + b):gelu(), 1e-14, "bias_gelu is gelu(x + b)")
  local z = fv.linspace(-13, 13, 4001)
  local off = (fv.bias_gelu(z:unsqueeze(1)):squeeze(1):to "f64" - z:to("f64"):gelu()):abs()
  tap.ok((off / z:to("f64"):abs():maximum(1)):max():item() < 2e-7, "to 2e-7 of max(1, |z|) in f32")
  tap.near(fv.silu_mul(x, x + 1), x:silu() * (x + 1), 1e-14, "silu_mul is silu(a) b")
  tap.near(fv.l2_norm(x, { silu = true, eps = 0 }):square():sum(-1), fv.ones(40, f64), 1e-14,
           "l2_norm has rows of length 1")
  tap.near(fv.l2_norm(x, { silu = true, eps = 0 }) * x:silu():norm(-1):unsqueeze(-1), x:silu(), 1e-13,
           "in the direction of silu(x)")
  for name, op in pairs { bias_gelu = fv.bias_gelu, l2_norm = fv.l2_norm, rms_norm = fv.rms_norm,
                          layer_norm = fv.layer_norm } do
    local y = op(fv.tensor { { 1, 0 / 0, 2 }, { 1, 2, 3 } })
    tap.ok(y[1]:isnan():any():item() == 1 and y[2]:isnan():any():item() == 0, name .. " keeps NaN in its row")
  end
  -- the pair (x_1, x_2) of token t is the complex number x_1 + i x_2 times e^{it}
  local r, c1, s1 = fv.rotary(fv.tensor({ { 1, 0 }, { 1, 0 }, { 0, 2 } }, f64)), math.cos(1), math.sin(1)
  tap.near(r, fv.tensor({ { 1, 0 }, { c1, s1 }, { -2 * math.sin(2), 2 * math.cos(2) } }, f64), 1e-15,
           "rotary multiplies by e^{it}")
end

-- ---- every parameter takes part and has draws of its own; no token sees the future ----
do
  local names = {}
  for _, name in ipairs(fv.attention.names()) do
    if not fv.attention.entry(name).acausal then names[#names + 1] = name end
  end
  for _, name in ipairs(fv.rule.names()) do names[#names + 1] = "rule:" .. name end
  local idle, twins, leaks = {}, {}, {}
  for _, name in ipairs(names) do
    local m = fv.model { kind = "lm", vocab = 9, layers = 1, width = 8, heads = 2, length = 6,
                         attention = name, conv = 2,
                         gate = true, std = 0.3, sizes = name:find "product" and { j = 2 } or nil }
    local ids = fv.tensor({ { 1, 5, 3, 2, 9, 4 }, { 2, 2, 7, 8, 1, 6 } }, i64)
    local before = m(ids)
    fv.nn.cross_entropy(before, ids):backward()
    local seen = {}
    for _, p in ipairs(m:parameters()) do
      if not p.tensor.grad then idle[#idle + 1] = name .. " " .. p.name end
      if p.tensor:ndim() == 2 then
        local first = p.tensor:reshape(-1):get(1)
        if seen[first] then twins[#twins + 1] = name .. " " .. p.name end
        seen[first] = true
      end
    end
    ids:slice(2, 6, 6):fill(7)
    local moved = (m(ids) - before):detach():slice(2, 1, 5):abs():max():item()
    if moved > 1e-4 or moved ~= moved then leaks[#leaks + 1] = ("%s by %g"):format(name, moved) end
  end
  -- these mix without looking at queries or keys
  local aside = { uniform = true }
  for i = #idle, 1, -1 do if aside[idle[i]:match "%S+"] then table.remove(idle, i) end end
  tap.ok(#idle == 0, "every parameter gets a gradient, with every mixer", "%s", table.concat(idle, ", "))
  tap.ok(#twins == 0, "no two weights begin with the same draw", "%s", table.concat(twins, ", "))
  tap.ok(#leaks == 0, "no token sees the future, with any mixer", "%s", table.concat(leaks, ", "))
end

-- ---- training is the same bits at any thread count ----
do
  local function trained(threads)
    local before = fv.threads(threads)
    local m = fv.model { kind = "lm", vocab = 30, layers = 1, width = 32, heads = 2, length = 40, conv = 3,
                         attention = "gated_delta", mlp = "swiglu", norm = "rms_norm", dropout = 0.1 }
    local o = fv.optim("adamw", m:parameters())
    local ids = fv.rng(2):stream "ids":integers(1, 30, 8, 40)
    for step = 1, 3 do
      fv.nn.cross_entropy(m:train(step)(ids), ids):backward()
      fv.optim.clip(m:parameters(), 0.5)
      o:step()
      o:zero()
    end
    fv.threads(before)
    return m:parameters()
  end
  local a, b, same = trained(1), trained(3), true
  for i, p in ipairs(a) do same = same and p.tensor:eq(b[i].tensor):all():item() == 1 end
  tap.ok(same, "three steps at 1 and at 3 threads give the same bits")
end

-- ---- checkpoints ----
do
  local function gradient(checkpoint)
    local m = fv.model { kind = "lm", vocab = 5, layers = 2, width = 8, heads = 2, length = 4, dropout = 0.2,
                         checkpoint = checkpoint }:train(3)
    local ids = fv.tensor({ { 1, 2, 3, 4 }, { 5, 4, 3, 2 } }, i64)
    fv.nn.cross_entropy(m(ids), ids):backward()
    return m.blocks[1].mix.q.weight.grad
  end
  tap.near(gradient(true), gradient(false), 1e-6,
           "checkpointed blocks drop the same and have the same gradient")
end

-- ---- one clear error each ----
do
  local m = fv.model { kind = "lm", vocab = 5, layers = 1, width = 8, heads = 2, length = 4 }
  tap.raises("embedding 'embed': ids: expected ids in 1 .. 5, got 6", "ids beyond the vocabulary are refused",
             m, fv.tensor({ { 1, 6 } }, i64))
  tap.raises("empty batch %(0,3%)", "so are empty batches", m, fv.zeros(0, 3, i64))
  tap.raises("positions 'positions': x: expected at most length=4 tokens, got 5", "and too many tokens",
             m, fv.ones(1, 5, i64))
  tap.raises("linear 'blocks.1.mlp.up': x: expected f32 %(..., 8%), got f32 %(2,7%)",
             "a layer inside names itself, the argument and both shapes", m.blocks[1].mlp.up, fv.zeros(2, 7))
  local logits = fv.zeros(2, 3, 5)
  tap.raises("labels: expected ids in 1 .. 5, got 0", "labels out of range are refused",
             fv.nn.cross_entropy, logits, fv.zeros(2, 3, i64))
  tap.raises("labels: expected i64 %(2,3%) like logits %(2,3,5%), got i64 %(2,4%)",
             "so are labels of another shape", fv.nn.cross_entropy, logits, fv.ones(2, 4, i64))
  tap.raises("all ignored", "and labels that are all ignored", fv.nn.cross_entropy, logits,
             fv.full({ 2, 3 }, -100, i64))
  tap.raises("no attention or rule is named 'detla'; did you mean 'delta'",
             "a mixer nobody has names the nearest", fv.nn.attention, { width = 8, mixer = "detla" })
  tap.raises("option 'attention': no attention or rule is named 'detla'; did you mean 'delta'",
             "as the option that was given", fv.model, { vocab = 4, width = 8, attention = { "delta", "detla" } })
  tap.raises("expected one of the options 'vocab' %(ids%) and 'inputs'",
             "an encoder needs to know its tokens", fv.nn.encoder, { width = 8 })
  tap.raises("rules are causal", "a rule that should look ahead is refused", fv.nn.attention,
             { width = 8, mixer = "delta", causal = false })
  tap.raises("unknown kind 'sigmod' of input 'beta'",
             "a kind of projection nobody has is told", fv.nn.attention,
             { width = 8, mixer = "delta", project = { beta = "sigmod" } })
  tap.raises("no causal form", "causal without a causal form is refused when built", fv.nn.attention,
             { width = 8, mixer = "nystrom" })
  tap.raises("layer_norm: x: expected f32 %(..., n, 4%), got f32 %(4%)", "rows of tokens are asked for as such",
             fv.nn.layer_norm { width = 4 }, fv.ones(4))
  local function linear(init) return pcall(fv.nn.linear, { inputs = 2, outputs = 3, path = "f", init = init }) end
  for _, case in ipairs { { "lecum", "got lecum" }, { -1, "from 0.* got %-1" }, { 0 / 0, "got %-?nan" },
                          { { "lecun", gian = 2 }, "unknown field 'gian'" },
                          { { "lecun", gain = "big" }, "gain to be a finite number, got big" },
                          { function() return 3 end, "tensor f32 %(3,2%), got integer" },
                          { function() return fv.ones(2, 3) end, "tensor f32 %(3,2%), got f32 %(2,3%)" } } do
    local good, err = linear(case[1])
    tap.ok(not good and err:find "^init of 'f.weight': expected " and err:find(case[2]),
           "a first value that cannot be is refused: " .. case[2], "%s", err)
  end
  tap.raises("option 'mixer_options' is for a mixer given by name", "options of a mixer that has its own already",
             fv.nn.attention, { width = 8, mixer = fv.attention "softmax", mixer_options = { scale = 2 } })
  tap.raises("input 'k' of the rule has a dimension 'j': give its size, sizes={j=}", "a size no layer knows",
             fv.nn.attention, { width = 8, mixer = "delta_product" })
  tap.raises("attention 'blocks.1.mix': options: expected a table, got integer", "options that are none",
             m.blocks[1].mix, fv.zeros(1, 2, 8), 3)
  tap.raises("model: 'mse' is a loss", "a loss is no model", fv.model, { kind = "mse" })
  local _, err = pcall(function() m:save "/nowhere/m.safetensors" end)
  tap.ok(err:find "^[^\n]*nn.t:%d+: fv.save: '/nowhere/m.safetensors': cannot be created",
         "a file that cannot be written is told where save is called", "%s", err)
  tap.raises("lm: load: expected a path that ends in .safetensors, got nil", "no path", m.load, m)
  tap.raises("liner.*did you mean 'linear'", "a layer nobody has names the nearest",
             function() return fv.nn.liner end)
end

-- ---- losses ----
do
  local logits, labels = s:normal(4, 5, f64), fv.tensor({ 2, -100, 5, 1 }, i64)
  local p, sum = logits:softmax(-1), 0
  for i, y in ipairs { 2, false, 5, 1 } do if y then sum = sum - math.log(p[i]:get(y)) end end
  tap.close(fv.nn.cross_entropy(logits, labels):item(), sum / 3, 1e-14,
            "cross_entropy is the mean over labels that count")
  tap.close(fv.nn.cross_entropy(logits, labels, { reduce = "sum" }):item(), sum, 1e-14, "or their sum")
  tap.is(fv.nn.cross_entropy(logits, labels, { reduce = "none" }):get(2), 0, "an ignored row has loss 0")
  local even = 0
  for i, y in ipairs { 2, false, 5, 1 } do if y then even = even - p[i]:log():mean():item() end end
  tap.close(fv.nn.cross_entropy(logits, labels, { smoothing = 0.1 }):item(), (0.9 * sum + 0.1 * even) / 3, 1e-14,
            "smoothing gives all classes a share of the target, in rows that count")
  local smooth = fv.gradcheck(function(z) return fv.nn.cross_entropy(z, labels, { smoothing = 0.3 }) end, { logits })
  tap.ok(smooth < 1e-6, "with its gradient", "%g", smooth)
  local big = fv.tensor { { 1e4, 0 }, { 0, 1e4 } }
  tap.is(fv.nn.cross_entropy(big, fv.tensor({ 1, 2 }, i64)):item(), 0, "large logits do not overflow")
  tap.close(fv.nn.mse(fv.tensor { 1, 2 }, fv.tensor { 3, 5 }):item(), 6.5, 1e-6, "mse is the mean square")
  local worst = fv.gradcheck(function(z) return fv.nn.cross_entropy(z, labels) end, { logits })
  tap.ok(worst < 1e-6, "cross_entropy has the gradient of differences")
end

tap.done()
