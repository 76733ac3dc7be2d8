--- Inputs for an operator from its signature, by the meaning of their names: g is a log
--- gate (<= 0), beta a rate in (0, 1), key_length a count of keys, labels are classes 1 .. c,
--- from and to are different columns; everything else is uniform in (-1, 1). The letter p is
--- a power of two.

local core = require "fovea.core"

local specimen = {}

--- Size of a letter: n[letter] or one of its own, odd ones included.
function specimen.size(letter, n)
  return n and n[letter] or letter == "p" and 8 or 2 + (letter:byte() * 7) % 6
end

--- Sizes that satisfy most operators' ties: as many queries as keys.
specimen.tied = setmetatable({}, { __index = function(_, l)
  return l == "m" and specimen.size "n" or nil
end })

--- The core shape of an argument; 'full': with the letters that may be left out.
function specimen.shape(a, sizes, full)
  local s = {}
  for i = 1, full and #a.dims or a.least do s[i] = specimen.size(a.dims:sub(i, i), sizes) end
  return s
end

--- One input of the given batch.
function specimen.draw(a, batch, sizes, dtype, seed, full)
  if a.leading then batch = { batch[1] } end
  local s = table.move(batch, 1, #batch, 1, {})
  table.move(specimen.shape(a, sizes, full), 1, 6, #s + 1, s)
  local rng = core.rng(seed):stream(a.name)
  if a.dtype == "i64" then
    local lo, hi = 0, specimen.size("m", sizes)
    if a.name == "labels" then lo, hi = 1, math.max(1, specimen.size("c", sizes)) end
    if a.name == "from" then lo, hi = 1, 1 elseif a.name == "to" then lo, hi = 2, 2 end
    local x = rng:integers(lo, hi, s)
    return #s == 0 and core.tensor(rng:integers(lo, hi), { dtype = "i64" }) or x
  end
  local x = rng:uniform(s, { dtype = "f64" })
  if a.name == "g" then x = -x
  elseif a.name ~= "beta" then x = x * 2 - 1 end
  return x:to(dtype)
end

--- All inputs of 'op' in order; false for optional ones, but for that named 'with' ("all").
function specimen.draws(op, batch, sizes, dtype, seed, with, full)
  local x = {}
  for i, a in ipairs(op.inputs) do
    x[i] = (not a.optional or with == a.name or with == "all")
      and specimen.draw(a, batch, sizes, dtype, seed + i, full) or false
  end
  return x
end

--- The operator on such a list; a list of its results.
function specimen.call(op, x, opt)
  local named, args = {}, {}
  for k, v in pairs(opt or {}) do named[k] = v end
  for i, a in ipairs(op.inputs) do
    if a.optional then named[a.name] = x[i] or nil else args[#args + 1] = x[i] end
  end
  args[#args + 1] = named
  return { op(table.unpack(args)) }
end

--- Equal bits, NaN where NaN.
function specimen.same(a, b)
  if a:numel() == 0 then return true end
  local na, nb = a:ne(a), b:ne(b)
  return a:eq(b):logical_or(na:logical_and(nb)):all():item() == 1
end

--- Settings worth testing, as { label, options, optional input, all of its letters }: the
--- defaults, each boolean turned over, each word, and each optional input alone.
function specimen.settings(op)
  local list = { { "defaults", {} } }
  for _, o in ipairs(op.options) do
    if o.type == "boolean" then
      list[#list + 1] = { ("%s=%s"):format(o.name, not o.default), { [o.name] = not o.default } }
    elseif o.choices then
      for w in o.choices:gmatch "[^|]+" do
        if w ~= o.default then list[#list + 1] = { o.name .. "=" .. w, { [o.name] = w } } end
      end
    end
  end
  for _, a in ipairs(op.inputs) do
    if a.optional then
      list[#list + 1] = { "with " .. a.name, {}, a.name }
      if a.least < #a.dims then list[#list + 1] = { "with full " .. a.name, {}, a.name, true } end
    end
  end
  local causal
  for _, o in ipairs(op.options) do causal = causal or o.name == "causal" end
  if causal then
    for i = #list, 2, -1 do
      if list[i][3] then
        list[#list + 1] = { "causal " .. list[i][1], { causal = true }, list[i][3], list[i][4] }
      end
    end
  end
  return list
end

return specimen
