-- Views, whose gradient is a view too or lands in part of a tensor, and copies.

return function(rules, tape)
local record, is_real, raw, shape_of, fit, embed, method =
  tape.record, tape.is_real, tape.raw, tape.shape_of, tape.fit, tape.embed, tape.method

local function reshaped(f, x, ...)
  local shape = shape_of(x)
  return record(f, raw(f, x, ...), function(dy) return dy:reshape(shape) end, x)
end
rules.reshape, rules.squeeze, rules.unsqueeze = reshaped, reshaped, reshaped

local function own_inverse(f, x, ...)
  local args = { ... }
  return record(f, raw(f, x, ...), function(dy) return f(dy, table.unpack(args)) end, x)
end
rules.transpose, rules.t, rules.flip, rules.tril, rules.triu =
  own_inverse, own_inverse, own_inverse, own_inverse, own_inverse

rules.permute = function(f, x, ...)
  local back, n = {}, method.ndim(x)
  local y = raw(f, x, ...)
  for i, d in ipairs { ... } do back[d < 0 and d + n + 1 or d] = i end
  return record(f, y, function(dy) return dy:permute(table.unpack(back)) end, x)
end
rules.expand = function(f, x, ...)
  local y = raw(f, x, ...)
  return record(f, y, fit(x, y), x)
end

--- Views of some of the elements.
local function part(f, x, ...)
  local args, shape, dtype = { ... }, shape_of(x), method.dtype(x)
  local function view(z) return f(z, table.unpack(args)) end
  return record(f, raw(f, x, ...), function(dy) return embed(dy, view, shape, dtype) end, x)
end
rules.slice, rules.diagonal, rules.index = part, part, part

local function copied(f, x, ...)
  local y = raw(f, x, ...)
  if rawequal(y, x) or not is_real(y) then return y end
  return record(f, y, fit(x, y), x)
end
rules.contiguous, rules.clone, rules.to, rules.tensor = copied, copied, copied, copied
end
