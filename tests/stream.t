-- A sequence fed in pieces, the state carried over, is the sequence in one
-- pass: every operator that says it streams, and a long file read by pieces.

local fv = require "fovea"
local tap = require "tap"

local F64 = { dtype = "f64" }
local N, CUTS = 41, { { 1, 16 }, { 17, 17 }, { 18, 41 } }

local function size_of(letter)
  return (letter == "n" or letter == "m") and N or 3 + letter:byte() % 4
end

--- An input as its name means: log gates g, rates beta, keys of length below 1.
local function draw(a, dims)
  local shape = {}
  for i = 1, #dims do shape[i] = size_of(dims:sub(i, i)) end
  local x = fv.rng(1):stream(a.name):uniform(shape, F64)
  if a.name == "g" then return -x end
  return a.name == "beta" and x or (x * 2 - 1) * 0.5
end

local function gap(a, b)
  local err = (a - b):abs():max():item()
  return err ~= err and math.huge or err / math.max(1, b:abs():max():item())
end

--- The operator on tokens from .. to, with 'state' for its state inputs.
local function call(op, x, from, to, state)
  local args, opt = {}, {}
  for _, a in ipairs(op.inputs) do
    local y = x[a.name]
    if y and a.dims:find "^[nm]" then y = y:slice(1, from, to) end
    if a.optional then opt[a.name] = y else args[#args + 1] = y end
  end
  for _, o in ipairs(op.options) do
    if o.name == "causal" then opt.causal = true end
  end
  for name, y in pairs(state) do opt[name] = y end
  args[#args + 1] = opt
  local all, out, last = { op(table.unpack(args)) }, nil, {}
  for i, a in ipairs(op.outputs) do
    if a.name == "o" then out = all[i] end
    local name = a.name:match "^(.+)_n$"
    if name then last[name] = all[i] end
  end
  return out, last
end

local streaming = {}
for name, op in pairs(fv.ops) do
  if op.caps.streaming then streaming[#streaming + 1] = name end
end
table.sort(streaming)
tap.ok(#streaming >= 4, "the recurrences and linear attention stream")

for _, name in ipairs(streaming) do
  local op = fv.ops[name]
  for _, gates in ipairs(op.sig:find "%[" and { "scalar", "vector" } or { "no" }) do
    local x, states = {}, {}
    for _, a in ipairs(op.outputs) do states[a.name:match "^(.+)_n$" or ""] = true end
    for _, a in ipairs(op.inputs) do
      if not states[a.name] and a.dtype ~= "i64" and a.name ~= "u" then
        x[a.name] = draw(a, gates == "vector" and a.dims or a.dims:sub(1, a.least))
      end
    end
    local o, last = call(op, x, 1, N, {})
    local parts, state = {}, {}
    for i, cut in ipairs(CUTS) do parts[i], state = call(op, x, cut[1], cut[2], state) end
    local off = gap(fv.cat(parts, 1), o)
    for key, s in pairs(last) do off = math.max(off, gap(state[key], s)) end
    -- sums of 41 terms in doubles, grown by at most a thousand
    tap.ok(off < 1e-12, ("%s (%s gates) fed in three pieces is one pass"):format(name, gates),
           "off by %.2g", off)
    local alone = call(op, x, CUTS[3][1], N, {})
    tap.ok(gap(alone, o:slice(1, CUTS[3][1], N)) > 1e-3, name .. ": and needs the state it is given")
  end
end

-- exact attention goes on by keeping its keys
local function rows(name) return fv.rng(1):stream(name):uniform(N, 5, F64) * 2 - 1 end
local q, k, v = rows "q", rows "k", rows "v"
local whole, parts = fv.softmax_attention(q, k, v, { causal = true }), {}
local keys, values = k:slice(1, 1, 0), v:slice(1, 1, 0)
for i, cut in ipairs(CUTS) do
  keys = fv.cat({ keys, k:slice(1, cut[1], cut[2]) }, -2)
  values = fv.cat({ values, v:slice(1, cut[1], cut[2]) }, -2)
  parts[i] = fv.softmax_attention(q:slice(1, cut[1], cut[2]), keys, values, { causal = true })
end
tap.near(fv.cat(parts, 1), whole, 1e-14, "softmax attention streams by concatenating keys and values")

-- the experiment, at 20,000 tokens in pieces that do not divide them
local dir = os.tmpname()
os.remove(dir)
local show, shown = print, {}
print = function(line) shown[#shown + 1] = line end                     -- luacheck: ignore
local results = require "fovea.run"("experiments/million_tokens", "--tokens=20000", "--dim=12",
                                    "--piece=3001", "--repeats=1", "--keep", "--out=" .. dir)
print = show                                                            -- luacheck: ignore
tap.is(#shown, 5, "million_tokens prints its table")
local x = fv.load(dir .. "/tokens.npy", { mmap = true })
tap.is(table.concat({ x:shape() }, ","), "3,20000,12", "the file of tokens is a .npy")
local lengths = x[1]:norm(-1)
tap.ok((lengths - 1):abs():max():item() < 1e-6 and x[2]:min():item() >= 0 and x[3]:min():item() < -0.99,
       "unit keys, positive; values of both signs")

--- The last answers in Lua's doubles: sum, average, and the delta rule's.
local Q, K, V = x[1]:totable(), x[2]:totable(), x[3]:totable()
local n, d = #Q, #Q[1]
local S, D, z = fv.zeros(d, d):totable(), fv.zeros(d, d):totable(), 0
for t = 1, n do
  local key, value, held = K[t], V[t], {}
  for j = 1, d do
    local s = 0
    for i = 1, d do s = s + D[i][j] * key[i] end
    held[j] = value[j] - s
  end
  for i = 1, d do
    local Si, Di, ki = S[i], D[i], key[i]
    for j = 1, d do Si[j], Di[j] = Si[j] + ki * value[j], Di[j] + ki * held[j] end
    z = z + ki * Q[n][i]
  end
end
local last = fv.tensor({ Q[n] }, F64)
local sum = last:matmul(fv.tensor(S, F64))
local want = { additive = sum, linear = sum / z, delta = last:matmul(fv.tensor(D, F64)) }
for _, r in ipairs(results) do
  local got = r.o:slice(1, -1):to "f64"
  -- 20,000 additions in floats of sums a hundred times the terms
  tap.ok((got - want[r.name]):abs():max():item() <= 1e-4 * want[r.name]:abs():max():item(),
         "million_tokens: " .. r.name .. ": the last answer is the plain loop's in doubles")
  tap.ok(r.off <= 1e-5 and r.seconds > 0, r.name .. ": one call from a checkpoint answers the same")
end
x, lengths = nil, nil                                                   -- luacheck: ignore
local again = "%s/fovea run experiments/million_tokens --tokens=3000 --repeats=1 --out=%s >/dev/null"
local ran = os.execute(again:format(os.getenv "BUILD" or "build", dir))
tap.ok(ran and not io.open(dir .. "/tokens.npy"), "the file goes away unless kept")
os.remove(dir)

tap.done()
