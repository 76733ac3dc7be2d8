-- What was saved for a backward pass and is overwritten before it: the pass raises, or its
-- gradient is right.  Every tensor of every recorded call is overwritten in turn, by the
-- calls of tape.t and by every operator of the core.

local fv = require "fovea"
local tap = require "tap"
local tape = require "fovea.tape"
local specimen = require "fovea.specimen"
local cases = require "tape_cases"

local taping = require "fovea.core".taping
local methods = getmetatable(fv.empty(0)).methods
local f64 = { dtype = "f64" }
local CHANGED = "was changed in place"

--- f(...) and the distinct tensors that its recorded calls took and gave, in order, each
--- with the name of the first such call.
local function watched(f, ...)
  local met, seen = {}, {}
  local function note(x, name)
    if tape.is_tensor(x) and not seen[x] then
      seen[x] = true
      met[#met + 1] = { tensor = x, name = name }
    elseif type(x) == "table" then
      for _, y in ipairs(x) do note(y, name) end
    end
  end
  local watch = setmetatable({}, { __index = function(_, key)
    return function(...)
      local results = table.pack(tape.rules[key](...))
      for i = 2, select("#", ...) do note(select(i, ...), tape.names[key]) end
      for i = 1, results.n do note(results[i], tape.names[key]) end
      return table.unpack(results, 1, results.n)
    end
  end })
  taping.rules(watch)
  local out = table.pack(pcall(f, ...))
  taping.rules(tape.rules)
  if not out[1] then error(out[2], 0) end
  return met, { table.unpack(out, 2, out.n) }
end

--- Other values of the same dtype, away from every value of the cases; indices stay valid.
local function spoil(x)
  local dtype = x:dtype()
  if dtype == "u8" then return x:copy_(x:eq(0)) end
  if dtype == "i64" then return x:fill(1) end
  return x:mul_(0.75):add_(0.375)
end

--- The same where no clock sees it.
local function spoil_unseen(x) taping.unseen(spoil, x) end

--- One pass: f on fresh inputs of which 'wanted' have gradients, 'change' made to tensor k
--- of those that were met, then backward. Returns the tensors met and the gradients, or nil,
--- the error, and what gradients there are all the same.
local function pass(f, xs, wanted, k, change)
  local leaves = {}
  for i, x in ipairs(xs) do
    leaves[i] = tape.is_tensor(x) and x:clone() or x
    if wanted[i] then leaves[i]:requires_grad() end
  end
  local met, ys = watched(f, table.unpack(leaves, 1, #xs))
  local total
  for j, y in ipairs(ys) do
    if tape.is_real(y) and taping.node(y) then
      local w = fv.rng(j):stream("w"):uniform({ y:shape() }, f64)
      local part = (fv.where(y:isfinite(), y, 0) * w):sum()
      total = total and total + part or part
    end
  end
  if not total then return met, {} end
  local x = k and met[k].tensor
  local old = k and x:detach():clone()
  if k then fv.no_grad(change, x) end
  local good, err = pcall(total.backward, total)
  if k then fv.no_grad(x.copy_, x, old) end       -- the cases close over some
  local grads = {}
  for i in pairs(wanted) do grads[i] = leaves[i].grad or false end
  for i in pairs(wanted) do leaves[i]:requires_grad(false) end
  if good then return met, grads end
  return nil, err, grads
end

local function alike(a, b)
  for i, x in pairs(a) do
    if x ~= b[i] and not (x and b[i] and specimen.same(x, b[i])) then return false end
  end
  return true
end

-- What went wrong; and how often which call refused, where the gradient would have been wrong,
-- and where new values give the same one.
local function count(t, key) t[key] = (t[key] or 0) + 1 end
local wrong, unnamed, needed, needless = {}, {}, {}, {}

local function sweep(label, f, xs, wanted)
  local met, right = pass(f, xs, wanted)
  for k, m in ipairs(met) do
    local _, without = pass(f, xs, wanted, k, spoil_unseen)
    local good, with, partial = pass(f, xs, wanted, k, spoil)
    local needs = type(without) ~= "table" or not alike(right, without)
    if good and not alike(right, with) then
      wrong[#wrong + 1] = ("%s: %s, tensor %d"):format(label, m.name, k)
    elseif not good then
      if not with:find(CHANGED, 1, true) then unnamed[#unnamed + 1] = label .. ": " .. with end
      for _, g in pairs(partial) do if g then unnamed[#unnamed + 1] = label .. ": half a gradient" end end
      count(needs and needed or needless, with:match "^backward: ([%w_]+): ")
    end
  end
end

local function both(label, f, xs)
  local all, n = {}, 0
  for i, x in ipairs(xs) do if tape.is_real(x) then all[i], n = true, n + 1 end end
  sweep(label, f, xs, all)
  if n > 1 then for i in pairs(all) do sweep(label, f, xs, { [i] = true }) end end
end

-- By algebra these need nothing that was there.
local free = {}
for name in ([[neg add sub sign floor ceil round floordiv sum mean cumsum trace transpose t permute
  reshape expand squeeze unsqueeze slice index flip diagonal contiguous clone tensor to cat stack roll
  pad tile tril triu]]):gmatch "%w+" do free[name] = true end
-- Needless refusals there may be: comparisons rarely turn, that of p with 0 among them; norm keeps
-- its result for p = 1 too; 1 / (x / y) has the slope 1 / x; two diagonals of a tensor are one memory.
local cautious = { minimum = math.huge, maximum = math.huge, clamp = math.huge, pow = 2, norm = 1, div = 1,
                   mul = 1 }
-- Their gradients do not depend on their inputs, which are kept like those of other operators.
local linear = { hadamard = true, rotary = true, round_to = true }

do
  local none, extra = {}, {}
  for _, c in ipairs(cases.calls) do
    local name = c[1]
    both(name, c[2], c[3])
    if not free[name] then none[name] = true end
  end
  for name in pairs(needed) do
    if free[name] then extra[#extra + 1] = name end
    none[name] = nil
  end
  for name, n in pairs(needless) do
    if n > (cautious[name] or 0) then extra[#extra + 1] = name end
  end
  tap.is(table.concat(wrong, "; "), "", "an overwritten tensor gives no wrong gradient")
  tap.is(table.concat(unnamed, "; "), "", "the error says so and leaves no part of a gradient")
  tap.is(table.concat(extra, " "), "", "functions refuse only where old values are needed")
  tap.is(next(none), nil, "every function that needs old values refuses")
end

for name, op in pairs(fv.ops) do
  if op.differentiable then
    wrong, unnamed, needed, needless = {}, {}, {}, {}
    local ran = 0
    for _, s in ipairs(specimen.settings(op)) do
      local x = specimen.draws(op, { 2 }, specimen.tied, "f64", 11, s[3], s[4])
      local function f(...) return table.unpack(specimen.call(op, { ... }, s[2])) end
      if pcall(f, table.unpack(x)) then
        ran = ran + 1
        both(name .. " " .. s[1], f, x)
      end
    end
    tap.ok(ran > 0 and #wrong + #unnamed == 0 and (linear[name] or needed[name]), name .. ": overwritten tensors", "%s %s",
           table.concat(wrong, "; "), table.concat(unnamed, "; "))
  end
end

tap.done()
