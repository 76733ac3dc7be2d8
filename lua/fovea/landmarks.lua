--- fv.landmarks(rule, {count=, seed=, ...}) -> rule: m points that stand for n, by a rule chosen by name
--- rule(x (..., n, d), kernel?) -> landmarks (..., m, d), index: index is i64 (m) where one choice
--- serves the whole batch, (..., m) where each entry has its own, and nil where landmarks are means.
--- Landmarks are made of x by selection or averaging, and gradients flow to x through that; which
--- rows are taken, or averaged, is a constant. Only "leverage" looks at the kernel. Raises for more
--- landmarks than points, and for NaN or infinity where a rule looks at x.
--- Example: L, index = fv.landmarks("farthest", {count=64})(x)

local fv = require "fovea"
local draws = require "fovea.draws"
local options = require "fovea.options"
local registry = require "fovea.registry"

local function check(name, count, x, looks)
  if options.type(x) ~= "tensor" then
    error(("%s: x: expected a tensor (..., n, d), got %s"):format(name, x == nil and "no value"
          or options.type(x)), 3)
  end
  local shape = "(" .. table.concat({ x:shape() }, ",") .. ")"
  if x:ndim() < 2 or x:dtype() ~= "f32" and x:dtype() ~= "f64" then
    error(("%s: x: expected (..., n, d) of f32 or f64, got %s %s"):format(name, x:dtype(), shape), 3)
  end
  if count > x:size(-2) then
    error(("%s: option 'count': expected at most n=%d landmarks, got %d"):format(name, x:size(-2), count), 3)
  end
  if looks and x:isfinite():all():item() == 0 then
    error(name .. ": x: expected finite numbers, got NaN or infinity", 3)
  end
end

--- Rows index (b, m) of x (b, n, d).
local function rows(x, index)
  return x:gather(-2, index:unsqueeze(-1):expand { x:size(1), index:size(2), x:size(3) })
end

--- A rule is one of: pool(x, m) -> landmarks; index(n, m, rng) -> i64 (m), without a look at x;
--- pick(x (b, n, d) in f64, m, rng, kernel) -> i64 (b, m), or weights (b, m, n) of means and, for
--- rows of zeros among them, the i64 (b, m) of the rows that take their place.
local function finish(object, entry, opt)
  local name, m = entry.name, opt.count
  local pool, index_of, pick = object.pool, object.index, object.pick
  object.call = function(_, x, kernel, ...)
    if select("#", ...) > 0 then error(name .. ": expected x and a kernel, got more", 3) end
    check(name, m, x, pick)
    if pool then return pool(x, m), nil end
    local rng = draws.stream(opt, "landmarks")
    if index_of then
      local index = index_of(x:size(-2), m, rng)
      return x:index_select(-2, index), index
    end
    local lead = { x:shape() }
    local n, d = table.remove(lead, #lead - 1), table.remove(lead)
    local flat = x:reshape { -1, n, d }
    local a, b = fv.no_grad(pick, flat:to "f64", m, rng, kernel)
    local shape = table.move(lead, 1, #lead, 1, {})
    shape[#shape + 1], shape[#shape + 2] = m, d
    if a:dtype() == "i64" then
      lead[#lead + 1] = m
      return rows(flat, a):reshape(shape), a:reshape(lead)
    end
    local L = a:to(x:dtype()):matmul(flat)
    if b then L = fv.where(a:sum(-1):eq(0):unsqueeze(-1), rows(flat, b), L) end
    return L:reshape(shape), nil
  end
end

return registry.new {
  kind = "landmarks", folder = "fovea.landmarks", finish = finish,
  common = { { "count", "integer", nil, "number m of landmarks", lo = 1, required = true },
             { "seed", "integer", 1, 'rules that draw use fv.rng(seed):stream("landmarks")' },
             { "draw", "integer", 0, 'or, for draw i > 0, the stream "landmarks:i"', lo = 0 } }
}
