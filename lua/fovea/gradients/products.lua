-- Matrix products, and sums of products by named dimensions. X' is the transpose over the
-- last two dimensions, dX = dL/dX.

local core = require "fovea.core"

return function(rules, tape)
local record, record_list, raw, node, fit, sum_to, method =
  tape.record, tape.record_list, tape.raw, tape.node, tape.fit, tape.sum_to, tape.method

local function T(x) return x:transpose(-2, -1) end
local function like(x) return { dtype = x:dtype() } end

--- dX = dZ Y' and dY = X' dZ; vectors are matrices with a size of 1. Where one matrix
--- meets a batch, its gradient is one product over the whole batch, made as (dZ' X)' where
--- Y is the transpose of a matrix as it lies in memory: then so is dY.
local function product(f, x, y, more)
  local z = raw(f, x, y, more)   -- refuses more than two
  local fx, fy = fit(x, x), fit(y, y)
  local nx, ny = method.ndim(x), method.ndim(y)
  local left, right = x, y
  if not fy then x = nil end                  -- each is for the gradient of the other
  if not fx then y = nil end
  local shape_x, shape_y = { method.shape(left) }, { method.shape(right) }
  local dtype_x, dtype_y = method.dtype(left), method.dtype(right)
  local turned = fy and ny == 2 and not method.is_contiguous(right)
                 and method.is_contiguous(raw(method.t, right))
  return record(f, z, function(dz)
    if nx == 1 then dz = dz:unsqueeze(ny == 1 and -1 or -2) end
    if ny == 1 then dz = dz:unsqueeze(-1) end
    local dx, dy
    if fx then
      dx = dz:matmul(T(ny == 1 and y:unsqueeze(-1) or y))
      dx = sum_to(nx == 1 and dx:squeeze(-2) or dx, shape_x, dtype_x)
    end
    if fy then
      local X = nx == 1 and x:unsqueeze(-2) or x
      if ny <= 2 and X:ndim() > 2 then
        X, dz = X:reshape(-1, X:size(-1)), dz:reshape(-1, dz:size(-1))
      end
      dy = turned and T(T(dz):matmul(X)) or T(X):matmul(dz)
      dy = sum_to(ny == 1 and dy:squeeze(-1) or dy, shape_y, dtype_y)
    end
    return dx, dy
  end, left, right)
end
rules.matmul, rules.dot = product, product

rules.outer = function(f, x, y)
  local z = raw(f, x, y)
  local sx, sy, tx, ty = { method.shape(x) }, { method.shape(y) }, method.dtype(x), method.dtype(y)
  local left, right = x, y
  if not node(right) then x = nil end
  if not node(left) then y = nil end
  return record(f, z, function(dz)
    return y and sum_to((dz * y:unsqueeze(-2)):sum(-1), sx, tx),
           x and sum_to((dz * x:unsqueeze(-1)):sum(-2), sy, ty)
  end, left, right)
end

rules.trace = function(f, A)
  local n, dtype = method.size(A, -1), method.dtype(A)
  return record(f, raw(f, A), function(dy)
    return dy:unsqueeze(-1):unsqueeze(-1) * core.eye(n, { dtype = dtype })
  end, A)
end

--- The spec with a letter for every dimension: a list of strings for the operands, and the
--- result's. Dimensions of '...' take letters nobody uses, from the last one.
local function letters(spec, xs)
  spec = spec:gsub("%s", "")
  local left, right = spec:match("^(.-)%->(.*)$")
  left = left or spec
  local free = {}
  for c in ("zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA"):gmatch "." do
    if not spec:find(c, 1, true) then free[#free + 1] = c end
  end
  local ins, most, i = {}, 0, 0
  for term in (left .. ","):gmatch "(.-)," do
    i = i + 1
    if term:find("...", 1, true) then
      local n = xs[i]:ndim() - (#term - 3)
      most = math.max(most, n)
      local dots = {}
      for k = n, 1, -1 do dots[#dots + 1] = free[k] end
      term = term:gsub("%.%.%.", table.concat(dots))
    end
    ins[i] = term
  end
  local dots = {}
  for k = most, 1, -1 do dots[#dots + 1] = free[k] end
  if right then right = right:gsub("%.%.%.", table.concat(dots))
  else
    local count, once = {}, {}
    for c in left:gmatch "%a" do count[c] = (count[c] or 0) + 1 end
    for c, n in pairs(count) do if n == 1 then once[#once + 1] = c end end
    table.sort(once)
    right = table.concat(dots) .. table.concat(once)
  end
  return ins, right, table.move(free, most + 1, #free, 1, {})
end

--- An order of the terms from the first on in which each shares as many letters as it can
--- with those before: no product of two is larger than need be.
local function chain(terms, args)
  for i = 2, #terms - 1 do
    local done, best, most = table.concat(terms, "", 1, i - 1), i, -1
    for j = i, #terms do
      local n = 0
      for c in terms[j]:gmatch "." do if done:find(c, 1, true) then n = n + 1 end end
      if n > most then best, most = j, n end
    end
    table.insert(terms, i, table.remove(terms, best))
    table.insert(args, i, table.remove(args, best))
  end
end

--- The gradient of operand i is the sum over all letters it does not have of dy and the
--- other operands. A letter it has twice (a diagonal) meets an identity; one that nobody
--- else has (it was summed) meets ones; sizes of 1 that were broadcast are widened first.
rules.einsum = function(f, spec, ...)
  local xs, inputs = { ... }, { ... }
  local y = raw(f, spec, ...)
  local ins, out, free = letters(spec, xs)
  local size, shapes, types, wanted, count, last = {}, {}, {}, {}, 0, nil
  for i, x in ipairs(xs) do
    shapes[i], types[i], wanted[i] = { x:shape() }, x:dtype(), node(x) ~= nil
    if wanted[i] then count, last = count + 1, i end
    for k, n in ipairs(shapes[i]) do
      local c = ins[i]:sub(k, k)
      size[c] = math.max(size[c] or n, n == 1 and 0 or n)
      if n == 0 then size[c] = 0 end
    end
  end
  local function wide(x, term)
    local shape = {}
    for k = 1, #term do shape[k] = size[term:sub(k, k)] end
    return x:expand(shape)
  end
  if count == 1 then xs[last] = false end       -- an operand meets the others only
  return record_list(f, y, function(dy)
    local grads = {}
    for i in ipairs(xs) do
      if wanted[i] then
        local terms, args, term, have = { out }, { dy }, "", {}
        for j, x in ipairs(xs) do
          if j ~= i then terms[#terms + 1], args[#args + 1] = ins[j], wide(x, ins[j]) end
        end
        chain(terms, args)
        local known, spare = table.concat(terms), 0
        for c in ins[i]:gmatch "." do
          if have[c] then
            spare = spare + 1
            terms[#terms + 1], args[#args + 1] = c .. free[spare], core.eye(size[c], like(dy))
            c = free[spare]
          elseif not known:find(c, 1, true) then
            terms[#terms + 1], args[#args + 1] = c, core.ones(size[c], like(dy))
          end
          have[c], term = true, term .. c
        end
        local g = core.einsum(table.concat(terms, ",") .. "->" .. term, table.unpack(args))
        grads[i] = sum_to(g, shapes[i], types[i])
      end
    end
    return table.unpack(grads, 1, #xs)
  end, inputs)
end
end
