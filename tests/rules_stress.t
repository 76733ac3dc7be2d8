-- Gates at the edges of their range: the named rules in floats against the same
-- in doubles, which tests/rules.t compares with plain loops.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }
local T, K, V = 64, 8, 5

local function draw(name, ...) return fv.rng(2):stream(name):uniform({ ... }, F64) end
local function signed(name, ...) return draw(name, ...) * 2 - 1 end
local q, v, beta = signed("q", T, K), signed("v", T, V), draw("beta", T)
local k = signed("k", T, K)
k = k / k:norm(-1):unsqueeze(-1)

--- Gates of 'width' columns (0: one a token), by how strong they are.
local gates = {
  mild = function(shape) return draw("g", table.unpack(shape)) * -5 end,
  strong = function(shape) return draw("g", table.unpack(shape)) * -60 end,
  zero = function(shape) return fv.zeros(shape, F64) end,
  cut = function(shape)
    local g = draw("g", table.unpack(shape)) * -0.5
    g[20]:fill(-1e4)
    g[33]:fill(-math.huge)
    return g
  end
}

local rules = {
  simple_gla = { { q, k, v }, { T } }, gla = { { q, k, v }, { T, K } }, hgrn2 = { { q }, { T, K }, { v } },
  gated_delta = { { q, k, v, beta }, { T } }, kda = { { q, k, v, beta }, { T, K } },
  gated_delta2 = { { q, k, v, draw("erase", T, K), draw("write", T, V) }, { T, K } },
  comba = { { q, k, v, beta }, { T }, { fv.tensor(0.3, F64) } }
}
local names = {}
for name in pairs(rules) do names[#names + 1] = name end
table.sort(names)

for _, name in ipairs(names) do
  local case, rule, worst, finite, forgot = rules[name], fv.rule(name), 0, true, true
  for kind, make in pairs(gates) do
    local args, floats = table.move(case[1], 1, #case[1], 1, {}), {}
    args[#args + 1] = make(case[2])
    table.move(case[3] or {}, 1, #(case[3] or {}), #args + 1, args)
    for i, x in ipairs(args) do floats[i] = x:to "f32" end
    local want, last = rule(table.unpack(args))
    for _, form in ipairs { "auto", "token", "chunk" } do
      floats[#args + 1] = { form = form }
      local o, s = rule(table.unpack(floats))
      for got, exact in pairs { [o] = want, [s] = last } do
        finite = finite and got:isfinite():all():item() ~= 0
        worst = math.max(worst, (got:to "f64" - exact):norm():item() / exact:norm():item())
      end
    end
    if kind == "cut" then      -- what came before a gate of -inf is forgotten, to e^-60 of it
      local after = {}
      for i, x in ipairs(args) do after[i] = x:ndim() > 0 and x:slice(1, 33, T) or x end
      forgot = (rule(table.unpack(after)) - want:slice(1, 33, T)):abs():max():item() < 1e-15
    end
  end
  tap.ok(finite, name .. ": gates from 0 to -inf give finite answers and states in f32")
  tap.ok(worst <= 1e-4, name .. ": and those of f64", "off by %.2g", worst)
  tap.ok(forgot, name .. ": a gate of -inf starts anew")
end

-- mLSTM: gates that are shut altogether, on either side
local i, f = signed("i", T) * 9, signed("f", T)
local mlstm = fv.rule "mlstm"
i:slice(1, 1, 3):fill(-math.huge)
f[20]:fill(-math.huge)
i[40]:fill(-math.huge)
local function part(from, to, given)
  local x = {}
  for at, y in ipairs { q, k, v, i, f } do x[at] = y:slice(1, from, to) end
  x[6] = { state = given }
  return mlstm(table.unpack(x))
end
local o, state = part(1, T)
tap.is(o:slice(1, 1, 3):abs():max():item(), 0, "mlstm: nothing written reads as 0")
tap.near(o:slice(1, 4, 19), (part(4, 19)), 1e-12, "mlstm: tokens that write nothing leave nothing")
tap.near(o:slice(1, 20, T), (part(20, T)), 1e-12, "mlstm: a forget gate of 0 starts anew")
local a, early = part(1, 2)
local b, late = part(3, T, early)
tap.ok(a:abs():max():item() == 0 and (b - o:slice(1, 3, T)):abs():max():item() < 1e-12
       and (late.m - state.m):abs():item() < 1e-12, "mlstm: a state in which nothing was written goes on")

-- long sequences: an attended memory of one state, whatever the length
local n = 65536
local long = fv.rng(3):stream "long"
local function draws(width) return long:uniform({ n, width }) * 2 - 1 end
local Q, Kx, Vx, b1 = draws(16), draws(16), draws(16), long:uniform { n }
Kx = Kx / Kx:norm(-1):unsqueeze(-1)
local g = long:uniform { n } * -0.05
local fast, s32 = fv.gated_delta_rule(Q, Kx, Vx, b1, g)
local slow, s64 = fv.gated_delta_rule(Q:to "f64", Kx:to "f64", Vx:to "f64", b1:to "f64", g:to "f64",
                                      { form = "token" })
tap.ok((fast:to "f64" - slow):norm():item() <= 1e-3 * slow:norm():item()
       and (s32:to "f64" - s64):norm():item() <= 1e-3 * s64:norm():item(),
       "65,536 tokens in f32 are those in f64")

tap.done()
