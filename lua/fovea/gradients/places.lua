-- Elements by index, in order, and tensors put together.

return function(rules, tape)
local record, record_list, raw, node, shape_of, zeros, sum_to, method =
  tape.record, tape.record_list, tape.raw, tape.node, tape.shape_of, tape.zeros, tape.sum_to, tape.method

rules.gather = function(f, x, dim, index)
  local y = raw(f, x, dim, index)
  local shape, n, dtype = shape_of(x), method.size(x, dim), method.dtype(x)
  return record(f, y, function(dy)
    local wide = shape_of(dy)                     -- x may have been broadcast
    wide[dim < 0 and dim + #wide + 1 or dim] = n
    return sum_to(zeros(wide, dtype):scatter_add(dim, index, dy), shape, dtype)
  end, x)
end
rules.scatter_add = function(f, x, dim, index, src)
  local y, shape = raw(f, x, dim, index, src), shape_of(src)
  if not node(src) then index = nil end
  return record_list(f, y, function(dy)
    return dy, index and dy:gather(dim, index):expand(shape)
  end, { x, src })
end
rules.index_select = function(f, x, dim, index)
  local shape, dtype = shape_of(x), method.dtype(x)
  return record(f, raw(f, x, dim, index), function(dy)
    return zeros(shape, dtype):index_add(dim, index, dy)
  end, x)
end
rules.index_add = function(f, x, dim, index, src)
  local y = raw(f, x, dim, index, src)
  if not node(src) then index = nil end
  return record_list(f, y, function(dy) return dy, index and dy:index_select(dim, index) end, { x, src })
end

local function ordered(f, x, ...)
  local values, indices = raw(f, x, ...)
  local args, shape, dtype = { ... }, shape_of(x), method.dtype(x)
  local dim = #shape                              -- the last number is the dimension, but for topk's k
  local from = tape.names[f] == "topk" and 2 or 1
  if type(args[from]) == "number" then dim = args[from] end
  return record(f, values, function(dy) return zeros(shape, dtype):scatter_add(dim, indices, dy) end, x), indices
end
rules.sort, rules.topk = ordered, ordered

rules.cat = function(f, list, dim)
  local y, d, ends, types = raw(f, list, dim), dim or 1, {}, {}
  local at = 0
  for i, x in ipairs(list) do
    at = at + method.size(x, d)
    ends[i], types[i] = at, method.dtype(x)
  end
  return record_list(f, y, function(dy)
    local out = {}
    for i, stop in ipairs(ends) do out[i] = dy:slice(d, (ends[i - 1] or 0) + 1, stop):to(types[i]) end
    return table.unpack(out)
  end, list)
end
rules.stack = function(f, list, dim)
  local y, types = raw(f, list, dim), {}
  local d = dim or 1
  for i, x in ipairs(list) do types[i] = method.dtype(x) end
  return record_list(f, y, function(dy)
    local out = {}
    for i, dtype in ipairs(types) do out[i] = dy:slice(d, i, i):squeeze(d):to(dtype) end
    return table.unpack(out)
  end, list)
end
rules.roll = function(f, x, shift, dim)
  return record(f, raw(f, x, shift, dim), function(dy) return dy:roll(-shift, dim) end, x)
end
rules.pad = function(f, x, widths, value)
  local shape, before = shape_of(x), {}
  for k = 1, #shape do
    before[k] = type(widths[1]) == "table" and widths[k][1] or widths[2 * k - 1]
  end
  return record(f, raw(f, x, widths, value), function(dy)
    for k, n in ipairs(shape) do dy = dy:slice(k, before[k] + 1, before[k] + n) end
    return dy
  end, x)
end
--- Copies of x add up: one dimension at a time, seen as (before, times, n * after).
rules.tile = function(f, x, ...)
  local y, shape, dtype = raw(f, x, ...), shape_of(x), method.dtype(x)
  return record(f, y, function(dy)
    if dy:numel() == 0 then return zeros(shape, dtype) end
    local wide = shape_of(dy)
    for k, total in ipairs(shape_of(dy)) do
      local n, pre = shape[k - #wide + #shape] or 1, 1
      for j = 1, k - 1 do pre = pre * wide[j] end
      wide[k] = n
      if n ~= total then dy = dy:reshape(pre, total // n, -1):sum(2):reshape(wide) end
    end
    return dy:reshape(shape):to(dtype)
  end, x)
end
end
