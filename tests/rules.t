-- Every named rule against the plain token loop of its definition, and against
-- the other rules where algebra makes them equal.

local fv = require "fovea"
local tap = require "tap"
local oracle = require "fovea.oracle.rules"

local F64 = { dtype = "f64" }
local T, K, V, J = 9, 3, 2, 2

local function draw(name, ...) return fv.rng(1):stream(name):uniform({ ... }, F64) * 2 - 1 end
local function open(name, ...) return (draw(name, ...) + 1) * 0.5 end          -- [0, 1)
local function gap(a, b)
  local err = (a:to "f64" - b:to "f64"):abs():max():item()
  return err ~= err and math.huge or err / math.max(1, b:to("f64"):abs():max():item())
end

-- per rule: its inputs, and options that are not the defaults
local q, k, v = draw("q", T, K), draw("k", T, K), draw("v", T, V)
local beta, g1, gK = open("beta", T), -open("g", T), -open("gK", T, K)
local function scalar(x) return fv.tensor(x, F64) end

local rules = {
  linear = { { q = q, k = k, v = v } },
  retnet = { { q = q, k = k, v = v } },
  lightning = { { q = q, k = k, v = v }, { first = 3, heads = 4, layer = 1, layers = 5 } },
  simple_gla = { { q = q, k = k, v = v, g = g1 }, { complement = true } },
  gla = { { q = q, k = k, v = v, g = gK } },
  mamba2 = { { C = q, B = k, x = v, dt = draw("dt", T), A_log = scalar(0.3), dt_bias = scalar(-0.2),
               D = scalar(0.7) } },
  hgrn2 = { { q = q, g = gK, v = v } },
  rwkv6 = { { r = q, k = k, v = v, w = draw("w", T, K), u = draw("u", K) } },
  rwkv7 = { { r = q, k = k, v = v, w = draw("w", T, K), kappa = draw("kappa", T, K), a = open("a", T, K),
              k_a = draw("k_a", K), r_k = draw("r_k", K) }, { eps = 0 } },
  delta = { { q = q, k = k, v = v, beta = beta } },
  gated_delta = { { q = q, k = k, v = v, beta = beta, g = g1 } },
  kda = { { q = q, k = k, v = v, beta = beta, g = gK } },
  gated_delta2 = { { q = q, k = k, v = v, erase = open("erase", T, K), w = open("write", T, V), g = gK } },
  comba = { { q = q, k = k, v = v, beta = beta, g = g1, decay = scalar(0.4), D = scalar(0.6) } },
  delta_product = { { q = q, k = draw("kj", T, J, K) * 0.5, v = draw("vj", T, J, V),
                      beta = open("bj", T, J) * 2, g = g1 } },
  longhorn = { { q = q, k = k * 4, v = v, beta = beta * 9 } },
  peng = { { q = q, k = k, v = v, beta = beta } },
  fwm = { { q = q, k = k * 2, v = v * 3, beta = beta } },                 -- large enough to be clipped
  mlstm = { { q = q, k = k, v = v, i = draw("i", T) * 4, f = draw("f", T) } }
}

local function cut(x, from, to)
  local part = {}
  for name, y in pairs(x) do part[name] = y:ndim() > 0 and y:size(1) == T and y:slice(1, from, to) or y end
  return part
end

local function whole(state)                              -- a state as one tensor
  if type(state) ~= "table" then return state end
  return fv.cat({ state.S, (state.z or state.n):unsqueeze(-1) }, -1)
end

for _, name in ipairs(fv.rule.names()) do
  local case = rules[name]
  if tap.ok(case, name .. " has a case here") then
    local rule = fv.rule(name, case[2])
    local want, S = oracle[name](case[1], rule.options)
    want = fv.tensor(want, F64)
    local o, last = rule:apply(case[1])
    -- sums of nine products of size 1
    tap.near(o, want, 1e-13, name .. ": outputs are the token loop's")
    if name ~= "mlstm" then
      tap.near(type(last) == "table" and last.S or last, fv.tensor(S.S or S, F64), 1e-13,
               name .. ": and the last state")
    else
      local m = last.m:exp()
      tap.near(last.S * m, fv.tensor(S.S, F64), 1e-13, name .. ": and the last state, times e^m")
      tap.near(last.n * m, fv.tensor(S.z, F64), 1e-13, name .. ": and its normaliser")
    end

    -- fed in pieces
    local parts, state = {}, nil
    for _, range in ipairs { { 1, 4 }, { 5, 5 }, { 6, T } } do
      parts[#parts + 1], state = rule:apply(cut(case[1], range[1], range[2]), { state = state })
    end
    tap.ok(gap(fv.cat(parts, 1), o) < 1e-13 and gap(whole(state), whole(last)) < 1e-13,
           name .. ": three pieces with carried state are one pass")

    -- positional, batched with a shared first input, in f32
    local args, two = {}, {}
    for i, a in ipairs(rule.inputs) do
      local x = case[1][a.name]
      args[i] = x:to "f32"
      two[i] = i == 1 and x or fv.stack({ x, x }, 1)
    end
    local o32 = rule(table.unpack(args))
    tap.near(o32, want, 2e-5, name .. ": positional inputs, in f32")
    if name ~= "retnet" and name ~= "lightning" then
      local ob = rule(table.unpack(two))
      tap.ok(gap(ob[1], o) == 0 and gap(ob[2], o) == 0,
             name .. ": two heads with one shared input are two calls")
    end
    tap.raises(("bad argument #2 to '%s' %%(%s: expected a tensor, got nil%%)"):format(name,
               rule.inputs[2].name),
               name .. ": a missing input is named", rule, q)
  end
end

-- what algebra makes equal
local function out(name, opt, ...) return (fv.rule(name, opt):apply(...)) end
local b2, half = beta * 2, k * 0.5
tap.near(out("delta_product", nil, q, half:unsqueeze(2), v:unsqueeze(2), b2:unsqueeze(2)),
         out("delta", nil, q, half, v, b2),
         1e-15, "DeltaProduct of one step is the delta rule")
tap.near(out("gated_delta", nil, q, k, v, beta, 0), out("delta", nil, q, k, v, beta), 0,
         "a gate of 1 gives the delta rule's bits")
local function wide(x, width) return x:unsqueeze(-1):expand(T, width) end
tap.near(out("kda", nil, q, k, v, beta, wide(g1, K)), out("gated_delta", nil, q, k, v, beta, g1),
         1e-15, "equal gates: KDA is the gated delta rule")
tap.near(out("gated_delta2", nil, q, k, v, wide(beta, K), wide(beta, V), gK), out("kda", nil, q, k, v,
         beta, gK),
         1e-15, "equal erase and write gates: KDA")
tap.near(out("comba", nil, q, k, v, beta, g1, 50), out("gated_delta", nil, q, k, v, beta, g1), 1e-15,
         "Comba with an undamped key and no correction is the gated delta rule")
local H = 3
local qh, kh, vh = draw("qh", H, T, K), draw("kh", H, T, K), draw("vh", H, T, V)
local const = fv.tensor({ { math.log(1 - 2 ^ -5) }, { math.log(1 - 2 ^ -6) }, { math.log(1 - 2 ^ -7) } }, F64)
tap.near(out("retnet", nil, qh, kh, vh), out("simple_gla", nil, qh, kh, vh, const:expand(H, T)), 1e-15,
         "retention is simple GLA with the constant gate of each head")
tap.near(out("gla", nil, qh, kh, vh, 0), out("linear", nil, qh, kh, vh), 1e-15,
         "gates of 1: linear attention")
local graded = fv.tensor({ { 0.0 }, { -8 / 3 }, { -16 / 3 } }, F64):expand(H, T)
tap.near(out("lightning", nil, qh, kh, vh), out("simple_gla", nil, qh, kh, vh, graded), 1e-15,
         "lightning grades its heads")

local fq, fk = fv.map("elu1")(q), fv.map("elu1")(k)
local A = fq:matmul(fk:t()):tril()
tap.near(out("linear", { normalize = true, eps = 0.1 }, fq, fk, v),
         A:matmul(v) / (A:sum(2) + 0.1):unsqueeze(2), 1e-14,
                  "normalised linear attention is the explicit masked matrix")

-- keys that are orthonormal are remembered by delta and faded by peng
local I, one = fv.eye(3, F64), fv.ones(3, F64)
local _, S = fv.rule("delta"):apply(I, I, draw("x", 3, V), one)
tap.near(S, draw("x", 3, V), 0, "delta: orthonormal keys keep their values")
local same, values = fv.ones(2, 1, F64), fv.tensor({ { 5.0 }, { 7.0 } }, F64)
tap.near(out("delta", nil, same, same, values, 1), values, 0, "delta: a second write overwrites")

-- mLSTM: gates that would overflow without the stabiliser
local far = fv.rule("mlstm"):apply(q:to "f32", k:to "f32", v:to "f32", (draw("i", T) * 4 + 300):to "f32",
                                   draw("f", T):to "f32")
tap.ok(far:isfinite():all():item() ~= 0, "mlstm: input gates of e^300 stay finite in f32")
local shifted = fv.rule("mlstm"):apply(q, k, v, draw("i", T) * 4 + 40, draw("f", T))
local plain = fv.rule("mlstm"):apply(q, k, v, draw("i", T) * 4 + 30, draw("f", T))
tap.near(shifted, plain, 1e-12, "mlstm: beyond the floor of 1 a common factor of the input gates cancels")

-- the functions
tap.near((fv.delta_rule(q, k, v, beta, { scale = 0.5 })), out("delta", nil, q * 0.5, k, v, beta), 0,
         "fv.delta_rule")
local o, last = fv.gated_delta_rule(q, k, v, 0.5, g1, { form = "token" })
local want, wlast = fv.rule("gated_delta"):apply({ q = q, k = k, v = v, beta = 0.5, g = g1 },
                                                 { form = "token" })
tap.ok(gap(o, want) == 0 and gap(last, wlast) == 0, "fv.gated_delta_rule; a number is a constant input")

-- refusals
tap.raises("'delta_rule' %(beta: expected %(n=9%), got %(3%)%)", "a wrong shape", fv.delta_rule, q, k, v, one)
tap.raises("'delta_rule' %(k: expected f64 like the first input, got f32%)", "a wrong dtype",
           fv.delta_rule, q, k:to "f32", v, beta)
tap.raises("delta: unknown input 'bta' %(did you mean 'beta'%?%)", "a wrong name",
           fv.rule("delta"), { bta = beta })
tap.raises("delta_rule: unknown option 'stat' %(did you mean 'state'%?%)", "a wrong option",
           fv.delta_rule, q, k, v, beta, { stat = S })
tap.raises("option 'state': S: expected %(d=3,e=2%), got %(3,3%)", "a wrong state",
           fv.delta_rule, q, k, v, beta, { state = I })
tap.raises("option 'state': z: expected a tensor, got nil", "half a state", fv.rule("linear"), q, k, v,
           { state = { S = S } })
tap.raises("linear: unknown option 'form'", "forms only where the operator has them",
           fv.rule("linear"), q, k, v, { form = "token" })
tap.raises("expected at most 4 inputs", "too much", fv.delta_rule, q, k, v, beta, g1)
tap.raises("g: log gates must be <= 0", "a growing gate is named", fv.gated_delta_rule, q, k, v, beta, 0.1)
tap.raises("beta: expected values in %[0, 1%]", "peng's beta is an average", fv.rule("peng"), q, k, v, 1.5)
tap.raises("rule: expected a name, got table", "a rule is named", fv.rule, {})
tap.raises("option 'layer'", "a layer beyond the last", fv.rule, "lightning", { layer = 3, layers = 2 })

tap.raises("'delta_rule' %(q: expected f32 or f64, got i64%)", "whole numbers", fv.delta_rule,
           fv.ones(3, 2, { dtype = "i64" }))
tap.raises("delta: expected rule:apply%(%.%.%.%), with a colon", "a method called as a function",
           fv.rule("delta").apply, q, k, v, beta)

-- nothing and one token; the state of nothing is the state given
local size = { n = 0, d = K, e = V, j = J }
local bad = {}
for _, name in ipairs(fv.rule.names()) do
  local rule, none, first = fv.rule(name), {}, {}
  for i, a in ipairs(rule.inputs) do
    local x = rules[name][1][a.name]
    first[i] = x:ndim() > 0 and x:size(1) == T and x:slice(1, 1, 1) or x
    local shape = {}
    for j, letter in ipairs(a.dims) do shape[j] = size[letter] end
    none[i] = fv.full(shape, 0.5, F64)
  end
  local _, after = rule(table.unpack(first))
  none[#none + 1] = { state = after }
  local nothing, kept = rule(table.unpack(none))
  if nothing:numel() ~= 0 or nothing:size(-1) ~= V or gap(whole(kept), whole(after)) ~= 0 then
    bad[#bad + 1] = name
  end
end
tap.is(table.concat(bad, " "), "", "a sequence of nothing answers nothing and keeps the state")

-- beta |k|^2 > 2 is told once in a process, on standard error
local code = [[local q = fv.ones(4, 2) for _ = 1, 2 do fv.delta_rule(q, q, q, %s) end]]
local build = os.getenv "BUILD" or "build"
local function warnings(b)
  local pipe = io.popen(("%s/fovea -e '%s' 2>&1"):format(build, code:format(b)))
  local text = pipe:read "a"
  pipe:close()
  return select(2, text:gsub("beta k%.k = 3 > 2", "")), text
end
tap.is(warnings "1.5", 1, "an unstable step is warned of once")
tap.is(select(2, warnings "0.9"), "", "a stable one is not")

tap.done()
