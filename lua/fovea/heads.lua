--- Batch and head dimensions in compositions.

local fv = require "fovea"

local heads = {}

--- The leading sizes of x (..., a, b) followed by the sizes given.
function heads.shape(x, ...)
  local shape = { x:shape() }
  shape[#shape] = nil
  shape[#shape] = nil
  for _, size in ipairs { ... } do shape[#shape + 1] = size end
  return shape
end

--- x (..., h, a, b) with each head repeated so that there are as many as q has.
function heads.match(x, q)
  if x:ndim() < 3 or q:ndim() < 3 then return x end
  local h, want = x:size(-3), q:size(-3)
  if h == want or h <= 1 or want % h ~= 0 then return x end
  local shape = { x:shape() }
  local wide = table.move(shape, 1, #shape - 2, 1, {})
  table.move(shape, #shape - 1, #shape, #wide + 2, wide)
  wide[#shape - 1] = want // h
  shape[#shape - 2] = want
  return x:unsqueeze(-3):expand(wide):reshape(shape)
end

--- One length for each entry of x's first dimension, from a number or a tensor.
function heads.lengths(key_length, x, who)
  local count, list = x:ndim() > 2 and x:size(1) or 1, {}
  if type(key_length) == "number" then
    for b = 1, count do list[b] = key_length end
  elseif key_length:numel() == count then
    list = key_length:reshape(-1):totable()
  else
    error(("%s: option 'key_length': expected one number or %d, got %d"):format(who, count,
          key_length:numel()), 0)
  end
  return list
end

--- v (..., m, e) with zeros in the rows beyond key_length, whatever is there.
function heads.valid(v, key_length, who)
  local lengths = heads.lengths(key_length, v, who)
  local L = fv.tensor(lengths, { dtype = "i64" }):reshape(#lengths, 1, 1)
  local shape = v:ndim() > 2 and { #lengths } or {}
  for i = 2, v:ndim() - 2 do shape[i] = 1 end
  shape[#shape + 1], shape[#shape + 2] = v:size(-2), 1
  local at = fv.arange(1, v:size(-2)):reshape(1, v:size(-2), 1)
  return fv.where(at:le(L):reshape(shape), v, fv.zeros(1, { dtype = v:dtype() }))
end

return heads
