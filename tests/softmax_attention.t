-- Exact attention as Lua sees it: heads, groups, merging, errors.  Values and
-- gradients against the definition are in softmax_attention.c.
local tap = require "tap"
local fv = fv or require "fovea"

local function draw(name, ...)
  return fv.randn({ ... }, { rng = fv.rng(7):stream(name), dtype = "f64" })
end
local attend = fv.softmax_attention

-- n and m as the option table has them; the scores of one query and one key
-- of width 1 are q k.
do
  local q, k = fv.tensor({ { 2 } }, { dtype = "f64" }), fv.tensor({ { 3 }, { -1 } }, { dtype = "f64" })
  local v = fv.tensor({ { 10, 0 }, { 0, 10 } }, { dtype = "f64" })
  local o, lse = attend(q, k, v)
  local a, b = math.exp(6), math.exp(-2)
  tap.close(o:get(1, 1), 10 * a / (a + b), 1e-15, "one query, two keys: the softmax of 6 and -2")
  tap.close(lse:get(1), math.log(a + b), 1e-15, "lse is the log of the sum")
  o = attend(q, k, v, { scale = 0 })
  tap.close(o:get(1, 2), 5, 1e-15, "scale 0 averages")
end

-- A query head h reads key head ceil(h Hkv / H).
do
  local q, k, v = draw("q", 2, 6, 9, 4), draw("k", 2, 2, 11, 4), draw("v", 2, 2, 11, 3)
  local function spread(x)
    local b, _, m, w = x:shape()
    local y = fv.zeros(b, 6, m, w, { dtype = "f64" })
    for i = 1, b do for h = 1, 6 do for j = 1, m do for c = 1, w do
      y:set(i, h, j, c, x:get(i, (h - 1) // 3 + 1, j, c))
    end end end end
    return y
  end
  local o, lse = attend(q, k, v, { causal = true })
  local o2, lse2 = attend(q, spread(k), spread(v), { causal = true })
  tap.near(o, o2, 0, "grouped heads give the bits of repeated ones")
  tap.near(lse, lse2, 0, "and of lse")
  local g, gl = draw("go", 2, 6, 9, 3), draw("gl", 2, 6, 9)
  local dk = attend:vjp({ q, k, v }, nil, { g, gl }, { causal = true })[2]
  local wide = attend:vjp({ q, spread(k), spread(v) }, nil, { g, gl }, { causal = true })[2]
  local err = 0
  for i = 1, 2 do for h = 1, 2 do for j = 1, 11 do for c = 1, 4 do
    local sum = 0
    for t = 1, 3 do sum = sum + wide:get(i, 3 * (h - 1) + t, j, c) end
    err = math.max(err, math.abs(sum - dk:get(i, h, j, c)))
  end end end end
  tap.ok(err < 1e-12, "a shared key head's gradient is the sum over its queries", "%g", err)
end

-- Standard slopes, written out for 4 heads: 2^-2, 2^-4, 2^-6, 2^-8.
do
  local q, k, v = fv.zeros(4, 1, 1, { dtype = "f64" }), fv.zeros(4, 3, 1, { dtype = "f64" }), fv.zeros(4, 3, 1, { dtype = "f64" })
  local _, lse = attend(q, k, v, { alibi = true })
  for h = 1, 4 do
    local s = 2 ^ (-2 * h)
    tap.close(lse:get(h, 1), math.log(1 + math.exp(-s) + math.exp(-2 * s)), 1e-14,
              "alibi: head " .. h .. " of 4 has slope 2^-" .. 2 * h)
  end
end

-- Rows that see nothing, and sizes of zero.
do
  local q, k, v = draw("q", 3, 2), draw("k", 2, 2), draw("v", 2, 2)
  local o, lse = attend(q, k, v, { causal = true })
  tap.ok(o:get(1, 1) == 0 and o:get(1, 2) == 0, "a query before every key gets 0")
  tap.is(lse:get(1), -math.huge, "and lse = -inf")
  tap.close(o:get(2, 1), v:get(1, 1), 1e-15, "bottom right: the second query sees the first key")
  o = attend(q, k, v, { causal = true, align = "top_left" })
  tap.close(o:get(1, 1), v:get(1, 1), 1e-15, "top left: the first query sees the first key")
  o, lse = attend(q, fv.zeros(0, 2, { dtype = "f64" }), fv.zeros(0, 2, { dtype = "f64" }))
  tap.ok(o:get(3, 2) == 0 and lse:get(3) == -math.huge, "no keys: 0 and -inf")
  o = attend(fv.zeros(0, 2, { dtype = "f64" }), k, v)
  tap.is(o:size(1), 0, "no queries: an empty result")
end

-- Any partition of the keys, merged, is the one pass.
for _, dtype in ipairs { "f64", "f32" } do
  local q, k, v = draw("q", 3, 40, 8):to(dtype), draw("k", 3, 100, 8):to(dtype), draw("v", 3, 100, 5):to(dtype)
  local o, lse = attend(q, k, v)
  for _, cuts in ipairs { { 1 }, { 50 }, { 99 }, { 10, 11, 64 }, { 33, 66, 67, 90 } } do
    local from, po, pl = 1
    for i = 1, #cuts + 1 do
      local to = cuts[i] or 100
      local a, b = attend(q, k:slice(2, from, to), v:slice(2, from, to))
      if po then po, pl = fv.merge_attention(po, pl, a, b) else po, pl = a, b end
      from = to + 1
    end
    -- each merge rounds twice: a few ulp of f32, well under the 1e-6 asked
    local tol = dtype == "f32" and 1e-6 or 1e-14
    tap.near(po, o, tol, dtype .. ": keys cut at " .. table.concat(cuts, ",") .. " merge to one pass")
    tap.near(pl, lse, tol, dtype .. ": and so does lse")
  end
end

-- Merging with a part that saw nothing changes nothing, gradients included.
do
  local q, k, v = draw("q", 4, 2), draw("k", 5, 2), draw("v", 5, 3)
  local o, lse = attend(q, k, v)
  local none, low = fv.full({ 4, 3 }, 0, { dtype = "f64" }), fv.full({ 4 }, -math.huge, { dtype = "f64" })
  local po, pl = fv.merge_attention(o, lse, none, low)
  tap.near(po, o, 0, "an empty part leaves o")
  tap.near(pl, lse, 0, "and lse")
  po, pl = fv.merge_attention(none, low, none, low)
  tap.ok(po:abs():max():item() == 0 and pl:get(2) == -math.huge, "two empty parts stay empty")
end

tap.raises("key_length.*0 %.%. m=5", "key_length beyond m is refused", function()
  attend(draw("q", 4, 2), draw("k", 5, 2), draw("v", 5, 3),
         { key_length = fv.tensor(6, { dtype = "i64" }) })
end)
tap.raises("expected %(m,d=2%)", "widths of q and k must agree", function()
  attend(draw("q", 4, 2), draw("k", 5, 3), draw("v", 5, 3))
end)

-- few queries against many keys (beyond 2048) have a way of their own, with maxima by lanes: the
-- definition in f64, at widths around vectors, with a maximum that rises late
for _, n in ipairs { 1, 7, 17, 64 } do
  local worst, rounded = 0, 0
  for _, m in ipairs { 1, 95, 2600, 4100 } do
    for _, e in ipairs { 5, 64 } do
      local r = fv.rng(3):stream("few")
      local q, k, v = r:normal(n, 6, { dtype = "f64" }), r:normal(m, 6, { dtype = "f64" }),
                      r:normal(m, e, { dtype = "f64" })
      k = k * fv.linspace(0.1, 5, m, { dtype = "f64" }):unsqueeze(-1)
      local s = q:matmul(k:t()) * 6 ^ -0.5
      local want = s:softmax(-1):matmul(v)
      local o, lse = fv.softmax_attention(q, k, v)
      worst = math.max(worst, (o - want):abs():max():item(), (lse - s:logsumexp(-1)):abs():max():item())
      local small = fv.softmax_attention(q:to "f32", k:to "f32", v:to "f32")
      rounded = math.max(rounded, (small:to "f64" - want):abs():max():item())
    end
  end
  tap.ok(worst < 1e-13 and rounded < 2e-5, ("%d queries against 1 to 4100 keys"):format(n), "%.2g %.2g",
         worst, rounded)
end
for _, n in ipairs { 2, 8 } do                    -- by rows, and by lanes
  local q, k = fv.tensor { { 1e4, 0 }, { 1, 0 } }:tile(n // 2, 1), fv.zeros(3000, 2)
  k:set(2999, 1, 1e4)
  k:set(3000, 1, -1 / 0)
  local v = fv.arange(1, 3000):to "f32":unsqueeze(-1)
  local o = fv.softmax_attention(q, k, v, { scale = 1 })
  tap.ok((o - 2999):abs():max():item() < 1e-3, n .. " queries: huge logits and minus infinity")
  k:set(3, 1, 0 / 0)
  tap.ok(fv.softmax_attention(q, k, v):isnan():all():item() == 1, n .. " queries: NaN stays NaN")
end

tap.done()
