-- Windows of tokens: what text and proteins have in common.
--
-- A split is a list of runs; a run answers n tokens and get(i, j), the list of its ids i .. j.
-- A window of length T is T + 1 tokens of one run, so no window crosses two splits.

local corpus = require "fovea.corpus"
local options = require "fovea.options"

local windows = {}

--- A run of bytes s whose ids are id[byte].
function windows.bytes(s, id)
  return { n = #s, get = function(i, j)
    local out = {}
    for a = i, j, 4096 do
      local part = { s:byte(a, math.min(j, a + 4095)) }
      for k = 1, #part do out[#out + 1] = id[part[k]] end
    end
    return out
  end }
end

--- A run that is a list of ids.
function windows.list(ids)
  return { n = #ids, get = function(i, j) return table.move(ids, i, j, 1, {}) end }
end

--- Cuts the places 1 .. n into runs by split: run(i, j) makes the run of places i .. j, of
--- blocks of 'block' places that follow each other in one split.
function windows.cut(n, block, run)
  local runs = { train = {}, validation = {}, test = {} }
  local first, split = 1, corpus.place(1)
  for b = 2, (n - 1) // block + 2 do
    local at = (b - 1) * block + 1
    local next_split = at <= n and corpus.place(b) or nil
    if next_split ~= split then
      table.insert(runs[split], run(first, math.min(at - 1, n)))
      first, split = at, next_split
    end
  end
  return runs
end

--- Draws windows from runs[split]: sizes by split and draw(split, stream, count, T, who) ->
--- list of windows, each a list of T + 1 ids.
function windows.new(runs)
  local sizes, tables = {}, {}
  for split, list in pairs(runs) do
    sizes[split] = 0
    for _, r in ipairs(list) do sizes[split] = sizes[split] + r.n end
  end
  --- Numbers of windows before each run.
  local function starts(split, T)
    local key = split .. T
    if not tables[key] then
      local sum, before = 0, {}
      for i, r in ipairs(runs[split]) do
        before[i] = sum
        sum = sum + math.max(0, r.n - T)
      end
      tables[key] = { before = before, total = sum }
    end
    return tables[key].before, tables[key].total
  end
  local function draw(split, stream, count, T, who)
    local before, total = starts(split, T)
    if total == 0 then
      local longest = 0
      for _, r in ipairs(runs[split]) do longest = math.max(longest, r.n) end
      if longest < 2 then error(("%s: the %s split is empty: the data are too short"):format(who, split), 0) end
      error(("%s: option 'length': expected at most %d in the %s split, got %d"):format(who,
            math.max(longest - 1, 0), split, T), 0)
    end
    local picks, out = stream:integers(1, total, count):totable(), {}
    for k, pick in ipairs(picks) do
      local lo, hi = 1, #before
      while lo < hi do                        -- the last run with before < pick
        local mid = (lo + hi + 1) // 2
        if before[mid] < pick then lo = mid else hi = mid - 1 end
      end
      local at = pick - before[lo]
      out[k] = runs[split][lo].get(at, at + T)
    end
    return out
  end
  return { sizes = sizes, draw = draw }
end

--- encode(_, text) -> list and decode(_, ids) -> text of data 'who' for its users. word(id) is
--- what ids 1 .. most mean, 'gap' stands between them; ids are a list or an i64 tensor, whose
--- rows, if it has two dimensions, become a list of texts.
function windows.codec(who, most, encode, word, gap)
  local function text(ids)
    local out = {}
    for i, id in ipairs(ids) do
      if math.type(id) ~= "integer" or id < 1 or id > most then
        error(("%s: decode: expected ids in 1 .. %d, got %s"):format(who, most, tostring(id)), 3)
      end
      out[i] = word(id)
    end
    return table.concat(out, gap)
  end
  local function decode(_, ids)
    local kind = options.type(ids)
    if kind == "tensor" then
      local n = ids:ndim()
      if ids:dtype() ~= "i64" or n < 1 or n > 2 then
        error(("%s: decode: expected a list or an i64 tensor (n) or (b, n), got %s with %d dimensions"):format(who,
              ids:dtype(), n), 2)
      end
      ids = ids:totable()
      if n == 1 then return text(ids) end
      for i, row in ipairs(ids) do ids[i] = text(row) end
      return ids
    elseif kind ~= "table" then
      error(("%s: decode: expected a list or an i64 tensor of ids, got %s"):format(who, kind), 2)
    end
    return text(ids)
  end
  return function(_, s)
    if type(s) ~= "string" then
      error(("%s: encode: expected a string, got %s"):format(who, options.type(s)), 2)
    end
    return encode(s)
  end, decode
end

--- { ids, labels } (count, T) of windows: labels are the ids one place later.
function windows.next(list, T)
  local ids, labels = {}, {}
  for _, w in ipairs(list) do
    table.move(w, 1, T, #ids + 1, ids)
    table.move(w, 2, T + 1, #labels + 1, labels)
  end
  return { ids = corpus.ids(ids, #list, T), labels = corpus.ids(labels, #list, T) }
end

--- { ids, labels } (count, T) corrupted as by BERT: of the tokens (except o.skip) a share
--- o.rate has labels, all others -100; of these, in ids, 8 tenths are o.mask, 1 tenth any of
--- 1 .. o.others, 1 tenth themselves.
function windows.mask(list, T, stream, o)
  local n = #list * T
  local u, other = stream:uniform(n):totable(), stream:integers(1, o.others, n):totable()
  local ids, labels, any = {}, {}, false
  for b, w in ipairs(list) do
    for t = 1, T do
      local i, x = (b - 1) * T + t, w[t]
      ids[i], labels[i] = x, -100
      if u[i] < o.rate and x ~= o.skip then
        labels[i], any = x, true
        local part = u[i] / o.rate
        ids[i] = part < 0.8 and o.mask or part < 0.9 and other[i] or x
      end
    end
  end
  if not any then labels[1], ids[1] = list[1][1], o.mask end    -- a loss needs one label
  return { ids = corpus.ids(ids, #list, T), labels = corpus.ids(labels, #list, T) }
end

return windows
