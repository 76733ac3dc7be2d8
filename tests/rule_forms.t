-- Forms of the named rules: each says which one ran, all agree, gradients too,
-- with gates at the edges of their range.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }
local rng = fv.rng(4):stream "x"
local function uniform(lo, hi, ...) return rng:uniform({ ... }, F64) * (hi - lo) + lo end
local function unit(x) return x / x:norm(-1):unsqueeze(-1) end

-- which form ran
do
  local q, v = uniform(-1, 1, 2, 20, 6), uniform(-1, 1, 2, 20, 5)
  local narrow = uniform(-1, 1, 8192, 64)
  local function form(name, opt, ...)
    local args = { ... }
    args[#args + 1] = opt
    local _, _, info = fv.rule(name)(table.unpack(args))
    return ("%s %s %d"):format(info.kernel, info.form, info.chunk)
  end
  local k = unit(q)
  tap.is(form("delta", {}, q, k, v, 0.5), "erase_write_rule chunk 4", "delta resolves four tokens at once")
  tap.is(form("delta", { form = "token" }, q, k, v, 0.5), "erase_write_rule token 1", "or one, when asked")
  local few = { q:slice(2, 1, 3), k:slice(2, 1, 3), v:slice(2, 1, 3), 0.5 }
  tap.is(form("delta", {}, table.unpack(few)), "erase_write_rule token 1", "and where there are not four")
  tap.is(form("retnet", {}, q, k, v), "additive_rule token 1", "an additive rule goes token by token")
  tap.is(form("retnet", { form = "chunk", chunk = 7 }, q, k, v), "additive_rule chunk 7",
         "or in chunks of a given size")
  tap.is(form("retnet", {}, narrow, narrow, narrow:slice(2, 1, 2)), "additive_rule chunk 256",
         "a lone long head of few columns has nothing else to cut")
  tap.is(form("linear", {}, q, k, v), "linear_attention token 1", "linear is the operator of that name")
  tap.is(form("fwm", {}, q, k, v, 0.5), "fwm_rule token 1", "a clipped state has one form")
  local cost = fv.ops.additive_rule:cost { n = 8192, d = 64, e = 2 }
  tap.ok(cost.form == "chunk" and cost.flops == 6 * 8192 * 64 * 2, "op:cost tells it beforehand, with its flops")
  cost = fv.ops.additive_rule:cost { n = 8192, d = 64, e = 2, heads = 8 }
  tap.is(cost.form, "token", "heads= changes the choice")
  tap.raises("heads: expected a whole number from 1, got 0", "there are heads", function()
    return fv.ops.additive_rule:cost { n = 1, d = 1, e = 1, heads = 0 }
  end)
end

-- every form and chunk, forward and backward
local T, K, V = 37, 6, 5
local q, k, v = uniform(-1, 1, T, K), unit(uniform(-1, 1, T, K)), uniform(-1, 1, T, V)
local beta, w, z = uniform(0, 1, T), uniform(-1, 1, T, V), uniform(-1, 1, K, V)
local gates = {
  mild = function(...) return uniform(-5, 0, ...) end,
  strong = function(...) return uniform(-60, 0, ...) end,
  zero = function(...) return uniform(-1, 0, ...) * 0 end,
  cut = function(...)
    local g = uniform(-0.5, 0, ...)
    g[11]:fill(-1e4)
    g[25]:fill(-math.huge)
    return g
  end
}

local rules = {
  simple_gla = { { q, k, v }, { T } }, gla = { { q, k, v }, { T, K } },
  gated_delta = { { q, k, v, beta }, { T } }, kda = { { q, k, v, beta }, { T, K } }
}
local function gap(a, b)
  local err = (a:to "f64" - b:to "f64"):norm():item()
  return err ~= err and math.huge or err / math.max(1e-3, b:to("f64"):norm():item())
end

for _, name in ipairs { "simple_gla", "gla", "gated_delta", "kda" } do
  local case, rule = rules[name], fv.rule(name)
  for _, kind in ipairs { "mild", "strong", "zero", "cut" } do
    local args = table.move(case[1], 1, #case[1], 1, {})
    args[#args + 1] = gates[kind](table.unpack(case[2]))
    local function gradients(list, opt)
      local function loss(...)
        local x = { ... }
        x[#x + 1] = opt
        local o, S = rule(table.unpack(x))
        return (o * w:to(o:dtype())):sum() + (S * z:to(o:dtype())):sum()
      end
      return { fv.grad(loss)(table.unpack(list)) }
    end
    local want, worst, worst32, finite = gradients(args, { form = "token" }), 0, 0, true
    local floats = {}
    for i, x in ipairs(args) do floats[i] = x:to "f32" end
    for _, chunk in ipairs { 1, 3, 7, 16, 32, T, T + 9 } do
      local by = { form = "chunk", chunk = chunk }
      local got, got32 = gradients(args, by), gradients(floats, by)
      for i = 1, #args do
        for _, x in ipairs { got[i], got32[i] } do finite = finite and x:isfinite():all():item() == 1 end
        worst, worst32 = math.max(worst, gap(got[i], want[i])), math.max(worst32, gap(got32[i], want[i]))
      end
    end
    tap.ok(finite, ("%s, %s gates: gradients of every chunk are finite"):format(name, kind))
    tap.ok(worst <= 1e-12, ("%s, %s gates: and those of the token form"):format(name, kind), "off by %.2g", worst)
    tap.ok(worst32 <= 1e-4, ("%s, %s gates: near them in f32"):format(name, kind), "off by %.2g", worst32)
  end
end

-- two packed sequences are two calls, to the bit
for _, name in ipairs { "gated_delta", "gla" } do
  local x = table.move(rules[name][1], 1, #rules[name][1], 1, {})
  x[#x + 1] = gates.mild(table.unpack(rules[name][2]))
  local both = {}
  for i, a in ipairs(x) do both[i] = fv.stack({ a, a * 0.5 }, 1) end
  local o = fv.rule(name)(table.unpack(both))
  local half = {}
  for i, a in ipairs(x) do half[i] = a * 0.5 end
  local a, b = fv.rule(name)(table.unpack(x)), fv.rule(name)(table.unpack(half))
  tap.ok(o[1]:eq(a):all():item() == 1 and o[2]:eq(b):all():item() == 1, name .. ": a batch is separate calls")
end

tap.done()
