-- Gather, scatter, masks, joins and order, against loops over elements.
local tap = require "tap"

local dtypes = { "f32", "f64", "i64", "u8" }

--- Pseudo-random small whole numbers; the same for every dtype.
local function make(dtype, ...)
  local n, list = 1, {}
  for _, size in ipairs { ... } do n = n * size end
  for i = 1, n do list[i] = (i * 7919 + i * i * 31) % 101 end
  return fv.tensor(list, { dtype = dtype }):reshape(...)
end

local function i64(t) return fv.tensor(t, { dtype = "i64" }) end

--- x's values under other strides: turned storage, gaps, reversed order.
local function views(x)
  local turned = x:transpose(1, -1):contiguous():transpose(1, -1)
  local shape = { x:shape() }
  shape[1] = 2 * shape[1]
  shape[#shape] = 3 * shape[#shape]
  local gaps = fv.zeros(shape, { dtype = x:dtype() })
    :slice(1, 1, shape[1], 2):slice(x:ndim(), 2, shape[#shape], 3)
  return { plain = x, turned = turned, gaps = gaps:copy_(x), reversed = x:flip(1):contiguous():flip(1) }
end

--- 'got' has this dtype and shape, and got[i, j, ..] == want(i, j, ..) everywhere.
local function each(got, dtype, shape, want, name)
  local at, wrong = {}, nil
  local function walk(k)
    if k > #shape then
      local a, b = got:get(table.unpack(at)), want(table.unpack(at))
      if a ~= b and (a == a or b == b) then
        wrong = wrong or ("(%s): got %s, want %s"):format(table.concat(at, ","), a, b)
      end
      return
    end
    for i = 1, shape[k] do
      at[k] = i
      walk(k + 1)
    end
  end
  local seen = got:dtype() .. "(" .. table.concat({ got:shape() }, ",") .. ")"
  local expected = dtype .. "(" .. table.concat(shape, ",") .. ")"
  if seen == expected then walk(1) else wrong = "got " .. seen .. ", want " .. expected end
  return tap.ok(not wrong, name, "%s", wrong)
end

-- ---- gather, index_select and their adjoints ----------------------------------

for _, dtype in ipairs(dtypes) do
  for how, x in pairs(views(make(dtype, 4, 3, 5))) do
    local label = dtype .. ", " .. how
    local index = i64 { { { 4 }, { 1 }, { 4 } }, { { 2 }, { 2 }, { 3 } } }
    each(x:gather(1, index), dtype, { 2, 3, 5 },
      function (i, j, k) return x:get(index:get(i, j, 1), j, k) end, "gather, dim 1, broadcast: " .. label)
    local last = (make("i64", 4, 3, 7) % 5 + 1):flip(2)
    each(x:gather(-1, last), dtype, { 4, 3, 7 },
      function (i, j, k) return x:get(i, j, last:get(i, j, k)) end, "gather, last dim: " .. label)
    local ids = i64 { { 3, 3 }, { 1, 2 } }
    each(x:index_select(2, ids), dtype, { 4, 2, 2, 5 },
      function (i, a, b, k) return x:get(i, ids:get(a, b), k) end, "index_select: " .. label)
    each(x:index_select(1, { 2, 4, 2 }), dtype, { 3, 3, 5 },
      function (i, j, k) return x:get(({ 2, 4, 2 })[i], j, k) end, "index_select, a list: " .. label)
    each(x:index_select(3, i64 { 5 }), dtype, { 4, 3, 1 },
      function (i, j) return x:get(i, j, 5) end, "index_select, last dim: " .. label)

    local wrap = dtype == "u8" and 256 or math.maxinteger
    for at, src in pairs(views(make(dtype, 4, 2, 2, 5))) do
      each(x:index_add(2, ids, src), dtype, { 4, 3, 5 }, function (i, j, k)
        local sum = x:get(i, j, k)
        for a = 1, 2 do
          for b = 1, 2 do if ids:get(a, b) == j then sum = sum + src:get(i, a, b, k) end end
        end
        return sum % wrap
      end, "index_add of " .. at .. ": " .. label)
    end
    local src = make(dtype, 4, 3, 7):transpose(1, 2):contiguous():transpose(1, 2)
    each(x:scatter_add(3, last, src), dtype, { 4, 3, 5 }, function (i, j, k)
      local sum = x:get(i, j, k)
      for p = 1, 7 do if last:get(i, j, p) == k then sum = sum + src:get(i, j, p) end end
      return sum % wrap
    end, "scatter_add, last dim: " .. label)
    local first = make("i64", 6, 1, 5) % 4 + 1
    local rows = make(dtype, 6, 3, 5)
    each(x:scatter_add(1, first, rows), dtype, { 4, 3, 5 }, function (i, j, k)
      local sum = x:get(i, j, k)
      for p = 1, 6 do if first:get(p, 1, k) == i then sum = sum + rows:get(p, j, k) end end
      return sum % wrap
    end, "scatter_add, dim 1, broadcast: " .. label)
  end
end

each(i64({ 3, 1 }):one_hot(3), "f32", { 2, 3 }, function (i, j) return j == ({ 3, 1 })[i] and 1 or 0 end,
  "one_hot")
each(i64({ { 1 }, { 2 } }):t():one_hot(2, { dtype = "u8" }), "u8", { 1, 2, 2 },
  function (_, j, k) return j == k and 1 or 0 end, "one_hot of a view, as u8")

-- ---- masks ----------------------------------------------------------------------

for _, dtype in ipairs(dtypes) do
  for how, x in pairs(views(make(dtype, 4, 6))) do
    local mask = (make("i64", 4, 1) % 2):to("u8")
    local y = make(dtype, 6):flip(1)
    each(fv.where(mask, x, y), dtype, { 4, 6 },
      function (i, j) return mask:get(i, 1) ~= 0 and x:get(i, j) or y:get(j) end,
        "where: " .. dtype .. ", " .. how)
    each(x:masked_fill(mask, 9), dtype, { 4, 6 },
      function (i, j) return mask:get(i, 1) ~= 0 and 9 or x:get(i, j) end,
        "masked_fill: " .. dtype .. ", " .. how)
    local z, count = (x % 3):to(dtype), 0
    for i = 1, 4 do for j = 1, 6 do count = count + (z:get(i, j) ~= 0 and 1 or 0) end end
    local at, good, before = z:nonzero(), true, 0
    for r = 1, count do
      local i, j = at:get(r, 1), at:get(r, 2)
      good = good and z:get(i, j) ~= 0 and i * 10 + j > before
      before = i * 10 + j
    end
    tap.ok(good and at:size(1) == count and at:size(2) == 2, "nonzero: " .. dtype .. ", " .. how)
  end
end
do
  local m = fv.tensor({ 1, 0 }, { dtype = "u8" })
  local function kind(a, b) return fv.where(m, a, b):dtype() end
  local u8, i, f, d = m, i64 { 1, 2 }, fv.zeros(2), fv.zeros(2, { dtype = "f64" })
  tap.is(table.concat({ kind(u8, 3), kind(u8, 300), kind(u8, i), kind(i, 1), kind(i, 0.5), kind(i, f),
    kind(f, 1), kind(f, d), kind(1, 2) }, " "), "u8 i64 i64 i64 f32 f32 f32 f64 f32", "where: dtypes promote")
  tap.is(fv.where(m, i64 { 2 ^ 53 | 1 }, 0):get(1), 2 ^ 53 | 1, "where: large integers stay exact")
  tap.is(fv.tensor({ 0, 0 / 0, -0.0, 1 }):nonzero():numel(), 2, "NaN is not 0, -0 is")
  tap.is(fv.full({}, 3):nonzero():size(1), 1, "nonzero of one element")
end

-- ---- joins, moves ------------------------------------------------------------------

for _, dtype in ipairs(dtypes) do
  for how, x in pairs(views(make(dtype, 3, 4))) do
    local label, y = ": " .. dtype .. ", " .. how, make(dtype, 3, 2)
    each(fv.cat({ x, y, x }, 2), dtype, { 3, 10 },
      function (i, j) return j <= 4 and x:get(i, j) or j <= 6 and y:get(i, j - 4) or x:get(i, j - 6) end,
        "cat" .. label)
    each(fv.stack({ x, x }, 2), dtype, { 3, 2, 4 }, function (i, _, k) return x:get(i, k) end,
      "stack" .. label)
    each(x:roll(-3, 2), dtype, { 3, 4 }, function (i, j) return x:get(i, (j + 2) % 4 + 1) end,
      "roll" .. label)
    each(x:pad({ 1, 0, 2, 3 }, 7), dtype, { 4, 9 },
      function (i, j) return i > 1 and j > 2 and j < 7 and x:get(i - 1, j - 2) or 7 end, "pad" .. label)
    each(x:tile(2, 3, 2), dtype, { 2, 9, 8 },
      function (_, j, k) return x:get((j - 1) % 3 + 1, (k - 1) % 4 + 1) end, "tile" .. label)
    each(x:flip(1, 2), dtype, { 3, 4 }, function (i, j) return x:get(4 - i, 5 - j) end, "flip" .. label)
    for k = -4, 5 do
      each(x:tril(k), dtype, { 3, 4 }, function (i, j) return j <= i + k and x:get(i, j) or 0 end,
        "tril " .. k .. label)
      each(fv.triu(x, k), dtype, { 3, 4 }, function (i, j) return j >= i + k and x:get(i, j) or 0 end,
        "triu " .. k .. label)
      local n = math.max(0, math.min(3, 4 - k, 3 + k, 4))
      each(x:diagonal(k), dtype, { n }, function (i) return x:get(i + math.max(0, -k), i + math.max(0,
        k)) end,
        "diagonal " .. k .. label)
    end
  end
end
tap.is(fv.cat({ i64 { 1 }, fv.ones(1), fv.ones(1, { dtype = "f64" }) }):dtype(), "f64", "cat: dtypes promote")
each(make("f32", 5):roll(12, 1), "f32", { 5 }, function (i) return make("f32", 5):get((i - 13) % 5 + 1) end,
  "roll by more than the size")
each(fv.ones(2):pad { { 0, 1 } }, "f32", { 3 }, function (i) return i < 3 and 1 or 0 end,
  "pad with pairs, by 0")
each(fv.stack({ fv.full({}, 2), fv.full({}, 3) }), "f32", { 2 }, function (i) return i + 1 end,
  "stack of single elements")

-- ---- order ------------------------------------------------------------------------------

--- The definition: a stable insertion of every line, NaN last.
local function reference(line, descending)
  local order = {}
  for i, v in ipairs(line) do
    local j = #order
    local function after(w)   -- v goes before w
      if v ~= v then return false elseif w ~= w then return true end
      if descending then return v > w end
      return v < w
    end
    while j > 0 and after(line[order[j]]) do j = j - 1 end
    table.insert(order, j + 1, i)
  end
  return order
end

local inf = 1 / 0
local special = { 3, 0 / 0, -inf, 0.0, -0.0, 2.5, inf, -3, 0.0, 0 / 0, 2.5, -2.5, 1e-40, -1e-40, 1e30, -1e30 }
local function lines(dtype, n)
  local list = {}
  for i = 1, 3 * n do
    local v = (i * 7919 + i * i * 31) % 97
    if dtype == "u8" then list[i] = v
    elseif dtype == "i64" then list[i] = (v - 48) * (i % 3 == 0 and 1 << 40 or 1)
    else list[i] = i % 3 == 0 and special[i // 3 % #special + 1] or (v - 48) / 4 end
  end
  return fv.tensor(list, { dtype = dtype }):reshape(3, n)
end
for _, dtype in ipairs(dtypes) do
  for _, n in ipairs { 1, 20, 300 } do
    for how, x in pairs(views(lines(dtype, n))) do
      for _, down in ipairs { false, true } do
        local label = (": %s, %s, %d, %s"):format(dtype, how, n, down and "down" or "up")
        local orders = {}
        for i = 1, 3 do orders[i] = reference(x[i]:totable(), down) end
        local values, index = x:sort(2, { descending = down })
        each(index, "i64", { 3, n }, function (i, j) return orders[i][j] end, "sort, indices" .. label)
        each(values, dtype, { 3, n }, function (i, j) return x:get(i, orders[i][j]) end,
          "sort, values" .. label)
        local turned = x:t():argsort(1, { descending = down })
        each(turned, "i64", { n, 3 }, function (i, j) return orders[j][i] end, "argsort, dim 1" .. label)
        for _, k in ipairs { math.min(n, 7), n // 2 } do
          local top, at = x:topk(k, -1, { largest = down })
          each(at, "i64", { 3, k }, function (i, j) return orders[i][j] end, "topk, indices" .. label)
          each(top, dtype, { 3, k }, function (i, j) return x:get(i, orders[i][j]) end,
            "topk, values" .. label)
        end
      end
    end
  end
end
do
  local s = fv.tensor { -inf, 1, 1, 2, 0 / 0 }
  local v = fv.tensor { { -inf, 0 }, { 1, 2 }, { 3, 0 / 0 } }
  local function counted(right)
    return function (i, j)
      local x, n = v:get(i, j), 1
      for p = 1, 5 do
        local y = s:get(p)
        local less = y == y and (x ~= x or y < x)
        if less or (right and (y == x or (x ~= x and y ~= y))) then n = n + 1 end
      end
      return n
    end
  end
  each(fv.searchsorted(s, v), "i64", { 3, 2 }, counted(false), "searchsorted")
  each(fv.searchsorted(s, v, { right = true }), "i64", { 3, 2 }, counted(true), "searchsorted, right")
  tap.is(fv.searchsorted(i64 { 1, 5, 2 ^ 53 | 1 }, i64 { 2 ^ 53 | 0 }):item(), 3,
    "searchsorted: integers stay exact")
  tap.is(fv.searchsorted(s, 1.5), 4, "searchsorted of a number")
end

-- ---- empty tensors ------------------------------------------------------------------------

local none, no = fv.zeros(0, 3), i64({ 1 }):slice(1, 2, 1)
local function shape(x) return table.concat({ x:shape() }, ",") end
tap.is(shape(none:gather(2, i64({ { 1 } }):slice(1, 2, 1))), "0,1", "gather from nothing")
tap.is(shape(none:index_select(2, { 3, 1 })), "0,2", "index_select from nothing")
tap.is(shape(fv.ones(2, 3):index_select(1, no)), "0,3", "index_select of nothing")
tap.is(shape(fv.ones(2, 3):index_add(1, no, none)), "2,3", "index_add of nothing")
tap.is(shape(no:one_hot(4)) .. shape(no:one_hot(0)), "0,40,0", "one_hot of nothing")
tap.is(shape(fv.cat { none, fv.ones(2, 3), none }), "2,3", "cat with nothing")
tap.is(shape(none:roll(1, 1)) .. " " .. shape(none:flip(1)) .. " " .. shape(none:tril()), "0,3 0,3 0,3",
  "moves of nothing")
tap.is(shape(none:pad { 1, 1, 0, 0 }) .. " " .. shape(none:tile(2, 2)), "2,3 0,6", "pad and tile of nothing")
tap.is(shape((none:sort(1))) .. " " .. shape((none:topk(2))) .. " " .. shape(none:nonzero()), "0,3 0,2 0,2",
  "order of nothing")
tap.is(shape(fv.where(fv.zeros(0, 1, { dtype = "u8" }), 1, fv.ones(3))), "0,3", "where of nothing")
tap.is(fv.searchsorted(fv.zeros(0), 1), 1, "searchsorted in nothing")

-- ---- errors -----------------------------------------------------------------------------------

local x = fv.ones(4, 3)
tap.raises("^gather: index 5, expected 1 to 4", "gather: outside", x.gather, x, 1, i64 { { 5 } })
tap.raises("^gather: index 0, expected 1 to 4", "gather: 0", x.gather, x, 1, i64 { { 0 } })
tap.raises("index %-9223372036854775808, expected 1 to 4", "the smallest integer", x.gather, x, 1,
  i64 { { math.mininteger } })
tap.raises("index: expected %(1,3%), got %(1,2%)", "gather: a misfit", x.gather, x, 1, i64 { { 1, 1 } })
tap.raises("index: expected dtype i64, got f32", "a real index", x.gather, x, 1, fv.ones(1, 1))
tap.raises("index_select: index 4, expected 1 to 3", "index_select: outside", x.index_select, x, 2, { 1, 4 })
tap.raises("index 2: expected a whole number, got 1.5", "a fractional index", x.index_select, x, 2, { 1,
  1.5 })
tap.raises("at most 6", "too many dimensions", fv.zeros(1, 1, 1, 1, 1, 1).index_select, fv.zeros(1, 1, 1, 1,
  1, 1), 1, i64 { { 1 } })
tap.raises("index_add: index 5, expected 1 to 4", "index_add: outside", x.index_add, x, 1, { 5 }, fv.ones(1,
  3))
tap.raises("src: expected %(2,3%), got %(1,3%)", "index_add: a misfit", x.index_add, x, 1, { 1, 2 },
  fv.ones(1, 3))
tap.raises("src: expected dtype f32, got f64", "index_add: dtypes", x.index_add, x, 1, { 1 }, fv.ones(1, 3,
  { dtype = "f64" }))
tap.raises("one_hot: index 4, expected 1 to 3", "one_hot: outside", no.one_hot, i64 { 4 }, 3)
tap.raises("mask: expected dtype u8, got f32", "where: mask", fv.where, x, x, x)
tap.raises("%(2%) does not broadcast with %(4,3%)", "where: a misfit", fv.where, x:to "u8", x, fv.ones(2))
tap.raises("mask: expected %(3%), got %(4,3%)", "masked_fill: a mask larger than x", x.masked_fill,
  fv.ones(3), x:to "u8", 0)
tap.raises("cat: entry 2: expected %(4,3%) but for dimension 1, got %(4,2%)", "cat: a misfit", fv.cat, { x,
  fv.ones(4, 2) })
tap.raises("entry 2: expected a tensor, got number", "cat of a number", fv.cat, { x, 1 })
tap.raises("at least one tensor", "cat of nothing", fv.cat, {})
tap.raises("stack: entry 2: expected %(4,3%), got %(3%)", "stack: a misfit", fv.stack, { x, fv.ones(3) })
tap.raises("expected 4 numbers for 2 dimensions, got 2", "pad: too few", x.pad, x, { 1, 1 })
tap.raises("whole numbers from 0, got %-1", "pad: negative", x.pad, x, { -1, 0, 0, 0 })
tap.raises("overflows", "pad: overflow", x.pad, x, { math.maxinteger, 0, 0, 0 })
tap.raises("overflows", "tile: overflow", x.tile, x, math.maxinteger, 1)
tap.raises("k: expected 0 to 3, got 4", "topk: k", x.topk, x, 4)
tap.raises("did you mean 'descending'", "sort: an option", x.sort, x, 1, { descendin = true })
tap.raises("element 2 of 'sorted' is less", "searchsorted: not sorted", fv.searchsorted, fv.tensor { 2, 1 },
  1)

-- ---- many blocks: values known by arithmetic ----------------------------------------------------

do
  local n = 200003                     -- a prime, so i -> 7919 i is a permutation
  local at = fv.arange(1, n) * 7919 % n + 1
  local function all(mask) return mask:to("f64"):sum():item() == mask:numel() end
  local up = fv.arange(1, n)
  tap.ok(all(up:gather(1, at):eq(at)), "gather across blocks")
  tap.ok(all(up:unsqueeze(2):expand(n, 3):gather(1, at:unsqueeze(2)):eq(at:unsqueeze(2))),
    "gather, blocks cut rows")
  local values, index = at:sort()
  tap.ok(all(values:eq(up)) and all(at:gather(1, index):eq(up)), "sort of a permutation")
  tap.ok(all(at:topk(1000):eq(fv.arange(n, n - 999, -1))), "topk of a permutation")
  tap.ok(all(fv.where((up % 2):to("u8"), up, -up):eq(up * (up % 2 * 2 - 1))), "where across blocks")
  local third = (up % 3):eq(0):nonzero()
  tap.ok(third:size(1) == n // 3 and all(third:squeeze(2):eq(fv.arange(3, n, 3))), "nonzero across blocks")
  tap.ok(all(fv.searchsorted(up, at):eq(at)), "searchsorted across blocks")
  local sums = fv.zeros(5, 200, { dtype = "i64" }):index_add(1, up:slice(1, 1, 1000) % 5 + 1,
    fv.arange(1, 200):unsqueeze(1):expand(1000, 200))
  tap.ok(all(sums:eq(fv.arange(1, 200) * 200)), "index_add across blocks")
end

-- ---- threads ------------------------------------------------------------------------------------

local r = fv.rng(1):stream("index")
local table_ = fv.randn(3000, 96, { rng = r })
local ids = (fv.randn(20000, { rng = r }) * 1000):abs():to("i64") % 3000 + 1
local mask = table_:gt(0)
local function everything()
  local rows = table_:index_select(1, ids)
  local v, i = table_:sort(1, { descending = true })
  local a, b = table_:topk(5)
  return { rows, table_:index_add(1, ids, rows), v, i, a, b, mask:nonzero(), fv.where(mask, table_, rows[1]),
    table_:scatter_add(2, ids:slice(1, 1, 9000):reshape(3000, 3) % 96 + 1, rows:slice(1, 1, 3000):slice(2, 1,
      3)),
    table_:t():gather(2, ids:unsqueeze(1)), fv.searchsorted(v:t()[1]:flip(1), table_) }
end
local before, want = fv.threads(), nil
for threads = 1, 3 do
  fv.threads(threads)
  local got, same = everything(), true
  want = want or got
  for k = 1, #got do same = same and got[k]:eq(want[k]):to("f64"):sum():item() == got[k]:numel() end
  tap.ok(same, "the same bits with " .. threads .. " threads")
end
fv.threads(before)

tap.done()
