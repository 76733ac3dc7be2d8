-- Sums, extremes and other functions of rows.

local core = require "fovea.core"

return function(rules, tape)
local record, raw, shape_of, method =
  tape.record, tape.raw, tape.shape_of, tape.method

--- x's shape, the shape with the reduced dimensions kept as 1, how many elements meet in
--- one, the dimensions, and the options of the call.
local function reduced(x, ...)
  local full = shape_of(x)
  local kept, count, dims, opt = table.move(full, 1, #full, 1, {}), 1, {}, nil
  for i = 1, select("#", ...) do
    local d = select(i, ...)
    if type(d) == "number" then dims[#dims + 1] = d < 0 and d + #full + 1 or d else opt = d end
  end
  if #dims == 0 then for d = 1, #full do dims[d] = d end end
  for _, d in ipairs(dims) do count, kept[d] = count * full[d], 1 end
  return { full = full, kept = kept, count = count, dims = dims, opt = opt or {} }
end

local function again(f, x, r)                 -- the same call, the dimensions kept
  local args = table.move(r.dims, 1, #r.dims, 1, {})
  args[#args + 1] = { keepdim = true }
  return f(x, table.unpack(args))
end

--- z = f(x, dim..., opt); back(dz, x, z, r) has dz and z with the dimensions kept; z only if
--- 'needed'.
local function reduction(name, back, needed)
  rules[name] = function(f, x, ...)
    local z, r = raw(f, x, ...), reduced(x, ...)
    local y = needed ~= false and z or nil
    return record(f, z, function(dz) return back(dz:reshape(r.kept), x, y and y:reshape(r.kept), r) end, x)
  end
end

for name, mean in pairs { sum = false, mean = true } do
  rules[name] = function(f, x, ...)
    local r = reduced(x, ...)
    return record(f, raw(f, x, ...), function(dy)
      if mean then dy = dy / r.count end
      return dy:reshape(r.kept):expand(r.full)
    end, x)
  end
end

local function centred(x, r)
  return (x - again(method.mean, x, r)) * (1 / (r.count - (r.opt.correction or 1)))
end
reduction("var", function(dy, x, _, r) return dy * 2 * centred(x, r) end, false)

--- x / y, and 0 with all its slopes where y is 0, as those of |x| are at 0.
local function over(x, y)
  local zero = y:eq(0)
  return core.where(zero, 0, x / core.where(zero, 1, y))
end
reduction("std", function(dy, x, y, r) return dy * over(centred(x, r), y) end)
reduction("logsumexp", function(dy, x, y) return dy * core.where(y:eq(-math.huge), 0, (x - y):exp()) end)

--- Elements equal to the extreme y share its gradient; if it is NaN, those that are NaN.
local function share(dy, x, y, r)
  local hit = x:eq(y)
  if y:isnan():any():item() == 1 then hit = core.logical_or(hit, x:isnan()) end
  return core.where(hit, dy / again(method.sum, hit, r):to(dy:dtype()), 0)
end
reduction("max", share)
reduction("min", share)

reduction("norm", function(dy, x, y, r)
  local p = r.opt.p or 2
  if p == 1 then return dy * x:sign() end
  if p == 2 then return dy * over(x, y) end
  return share(dy, x:abs(), y, r) * x:sign()
end)

--- The product of all but each: n^2 factors for n elements.
local function products(x, r)
  local order, back = {}, {}                      -- the dimensions of the product come last
  for d, n in ipairs(r.kept) do if n == r.full[d] then order[#order + 1] = d end end
  for d, n in ipairs(r.kept) do if n ~= r.full[d] then order[#order + 1] = d end end
  for i, d in ipairs(order) do back[d] = i end
  local y, n = x:permute(table.unpack(order)), r.count
  return core.where(core.eye(n, { dtype = "u8" }), 1, y:reshape(-1, 1, n)):prod(-1)
             :reshape(shape_of(y)):permute(table.unpack(back))
end

--- The product of the others: with one zero it is that zero's alone, with more it is 0. In
--- that form it has no slope at a zero.
reduction("prod", function(dy, x, _, r)
  local zero = x:eq(0)
  if tape.recording() and zero:any():item() == 1 then return dy * products(x, r) end
  local others = core.where(zero, 1, x)
  local p, n = again(method.prod, others, r), again(method.sum, zero, r)
  return dy * core.where(n:eq(0), p / others, core.where(core.logical_and(zero, n:eq(1)), p, 0))
end, false)

local function last(x, dim) return dim or method.ndim(x) end
rules.softmax = function(f, x, dim)
  local y, d = raw(f, x, dim), last(x, dim)
  return record(f, y, function(dy)
    local z = dy * y
    return z - y * z:sum(d, { keepdim = true })
  end, x)
end
rules.log_softmax = function(f, x, dim)
  local y, d = raw(f, x, dim), last(x, dim)
  return record(f, y, function(dy) return dy - y:exp() * dy:sum(d, { keepdim = true }) end, x)
end
rules.cumsum = function(f, x, dim)
  local d = last(x, dim)
  return record(f, raw(f, x, dim), function(dy) return dy:flip(d):cumsum(d):flip(d) end, x)
end
end
