-- Every operator with options, optional inputs, sizes, batches and views drawn at random; a
-- part of its inputs is differentiated, through a part of its results, by the tape. ops.t
-- changes one setting at a time; here they meet.

local fv = require "fovea"
local tap = require "tap"
local specimen = require "fovea.specimen"

local ROUNDS, TOL = 40, 1e-6
local batches = { {}, { 2 }, { 1, 3 }, { 2, 1 } }

local function option(o, s)
  if o.type == "boolean" then return s:integers(0, 1) == 1 end
  if o.choices then
    local words = {}
    for w in o.choices:gmatch "[^|]+" do words[#words + 1] = w end
    return words[s:integers(1, #words)]
  end
  local lo = math.max(o.lo or -2, -2)
  local hi = math.min(o.hi or 8, lo + 4)
  if o.type == "integer" then return s:integers(math.ceil(lo), math.floor(hi)) end
  return lo + (hi - lo) * (0.1 + 0.8 * s:uniform(1):item())
end

--- Sizes 2 to 6; one time in four many tokens, more than a tile or a chunk holds.
local function sizes_of(s)
  local many = s:integers(1, 4) == 1
  local square = s:integers(0, 1) == 1
  return setmetatable({}, { __index = function(t, l)
    local n
    if l == "m" and square then n = t.n
    elseif l == "p" then n = 8
    else n = many and (l == "n" or l == "m") and s:integers(30, 150) or s:integers(2, 6) end
    t[l] = n
    return n
  end })
end

local function case(op, seed)
  local s, opt, x = fv.rng(seed):stream(op.name), {}, {}
  for _, o in ipairs(op.options) do if s:integers(1, 2) == 1 then opt[o.name] = option(o, s) end end
  local sizes = sizes_of(s)
  for i, a in ipairs(op.inputs) do
    x[i] = (not a.optional or s:integers(1, 3) == 1)
      and specimen.draw(a, batches[s:integers(1, 4)], sizes, "f64", seed + i, s:integers(0, 1) == 1) or false
    if x[i] and a.name == "alpha" then x[i] = x[i]:abs() * 0.01 end     -- so that the iteration converges
    if x[i] and x[i]:ndim() > 1 and s:integers(0, 1) == 1 then x[i] = x[i]:t():contiguous():t() end
  end
  return s, opt, x
end

--- What does not fit, or the gap between <gradient, direction> and differences along it.
local function gap_of(op, s, opt, x)
  local good, y = pcall(specimen.call, op, x, opt)
  if not good or y[1]:isfinite():all():item() == 0 then return nil end     -- refused, or out of range
  local at, args, along, weights, finite = {}, {}, {}, {}, {}
  for i, a in ipairs(x) do
    if a and a:dtype() == "f64" and (#at == 0 or s:integers(0, 1) == 1) then
      at[#at + 1], args[#args + 1] = i, a
      along[#at] = s:uniform({ a:shape() }, { lo = -1, hi = 1, dtype = "f64" })
    end
  end
  local first = s:integers(1, #y)
  for j, z in ipairs(y) do
    if j == first or s:integers(0, 1) == 1 then
      weights[j], finite[j] = s:uniform({ z:shape() }, { lo = -1, hi = 1, dtype = "f64" }), z:isfinite()
    end
  end
  local function f(...)
    local all, total = table.move(x, 1, #x, 1, {}), nil
    for k, i in ipairs(at) do all[i] = (select(k, ...)) end
    for j, z in ipairs(specimen.call(op, all, opt)) do
      local part = weights[j] and (fv.where(finite[j], z, 0) * weights[j]):sum()
      total = part and (total and total + part or part) or total
    end
    return total
  end
  local made, g = pcall(fv.vjp, f, args)
  if not made then return not tostring(g):find "not differentiable" and g or nil end
  local got = 0
  for k in ipairs(args) do got = got + (g[k] * along[k]):sum():item() end
  local function value(t)
    local moved = {}
    for k, a in ipairs(args) do moved[k] = a + along[k] * t end
    return fv.no_grad(f, table.unpack(moved)):item()
  end
  local gap
  for _, h in ipairs { 1e-5, 1e-6, 1e-7, 1e-8 } do         -- a kink within h is not met with a smaller one
    local able, want = pcall(function()
      return (8 * (value(h) - value(-h)) - value(2 * h) + value(-2 * h)) / (12 * h)
    end)
    if not able then return nil end                        -- out of the operator's range
    gap = math.abs(got - want) / math.max(1, math.abs(want))
    if gap <= TOL then break end
  end
  return gap
end

local names = {}
for name, op in pairs(fv.ops) do
  if op.kind ~= "sampler" and op.differentiable and not op.caps.surrogate then names[#names + 1] = name end
end
table.sort(names)
for _, name in ipairs(names) do
  local op, ran, bad = fv.ops[name], 0, {}
  for seed = 1, ROUNDS do
    local gap = gap_of(op, case(op, seed))
    if gap then ran = ran + 1 end
    if gap and not (type(gap) == "number" and gap <= TOL) then bad[#bad + 1] = ("%d: %s"):format(seed, gap) end
  end
  tap.ok(#bad == 0 and ran >= 5, ("%s: gradients in %d random settings"):format(name, ran), "%s",
         table.concat(bad, "\n"))
end

tap.done()
