-- A sequence fed in pieces, the state carried over, is the sequence in one
-- pass: every operator and attention that says it streams, and a long file read by pieces.

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

-- attention methods: a state given back goes on with the sequence
do
  local rng = fv.rng(3):stream "attention"
  local q, k, v = rng:normal(2, 9, 4, F64), rng:normal(2, 9, 4, F64), rng:normal(2, 9, 3, F64)
  local function cut(from, to) return q:slice(2, from, to), k:slice(2, from, to), v:slice(2, from, to) end
  local function call(attend, from, to, state)
    local a, b, c = cut(from, to)
    return attend(a, b, c, { causal = true, state = state })
  end
  local softmax = fv.attention "softmax"
  local whole = softmax(q, k, v, { causal = true })
  local o, info, first = call(softmax, 1, 4, {})
  tap.ok(info.path == "exact" and first.k:size(2) == 4, "a call with a state returns the next, third")
  local one, _, more = call(softmax, 5, 7, first)
  call(softmax, 1, 2, first)                                  -- the same state with other tokens
  local two = call(softmax, 8, 9, more)
  tap.near(fv.cat({ o, one, two }, 2), whole, 1e-13, "a state may be gone on from twice")
  local room = first.room.k:size(2)
  local calls, grown, state = 0, 0, first
  for _ = 1, 60 do
    local before = state.room
    _, _, state = call(softmax, 5, 5, state)
    calls, grown = calls + 1, grown + (state.room ~= before and 1 or 0)
  end
  tap.ok(room >= 4 and grown <= 5, "room doubles", "%d copies in %d calls", grown, calls)
  for _, name in ipairs { "softmax", "linear", "favor" } do
    local attend = fv.attention(name)
    local function loss(pieces_of)
      return fv.grad(function(a, b, c)
        local y, st, from = {}, {}, 1
        for i, to in ipairs(pieces_of) do
          y[i], _, st = attend(a:slice(2, from, to), b:slice(2, from, to), c:slice(2, from, to),
                               { causal = true, state = st })
          from = to + 1
        end
        return (fv.cat(y, 2):square()):sum()
      end, { argnums = { 1, 2, 3 } })(q, k, v)
    end
    local got, want = { loss { 4, 5, 9 } }, { loss { 9 } }
    for i = 1, #want do tap.near(got[i], want[i], 1e-11, name .. ": gradients flow through the state, " .. i) end
  end
  tap.raises("softmax: option 'state': needs causal=true", "a state without causal", softmax, q, k, v, { state = {} })
  tap.raises("expected {} or the third result of a call of softmax", "the state of another method", function()
    local _, _, other = call(fv.attention "linear", 1, 4, {})
    call(softmax, 5, 6, other)
  end)
  tap.raises("as many queries as keys, got 9 and 4", "more queries than keys", softmax, q, k:slice(2, 1, 4),
             v:slice(2, 1, 4), { causal = true, state = {} })
  tap.raises("k is f64 %(1,9,4%) and cannot go on from f64 %(2,4,4%)", "another batch", softmax, q:slice(1, 1, 1),
             k:slice(1, 1, 1), v:slice(1, 1, 1), { causal = true, state = first })
  tap.raises("nystrom: unknown option 'state'", "a method without causal form", fv.attention "nystrom", q, k, v,
             { state = {} })
  for _, attend in ipairs { softmax, fv.attention "linear", fv.attention "favor", fv.attention "uniform" } do
    local bad = fv.check(attend, { only = "streaming", quiet = true })
    tap.ok(bad.passed and bad.rows[1].verdict == "pass", "fv.check tests that " .. attend.name .. " streams")
  end
end

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
