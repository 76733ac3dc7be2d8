-- Gradients of everything that has one, against central differences in f64. A
-- name that is exported without a rule, a refusal or a note that it has no
-- gradient fails here.

local fv = require "fovea"
local tap = require "tap"
local tape = require "fovea.tape"

local cases = require "tape_cases"
local r, calls = cases.r, cases.calls

-- Differences of step 1e-5 lose half the digits of f64 and curve by h^2: 1e-6
-- relative to the gradient leaves a factor of 10 to both.
local TOL, SECOND = 1e-6, 2e-5
local seen = {}

local function check(name, f, xs, label)
  seen[name] = true
  local good, gap, place = pcall(fv.gradcheck, f, xs, { tol = math.huge })
  tap.ok(good and gap <= TOL, label or name, "%s %s", gap, place)
end

--- The gradient, weighted, as a function with gradients of its own.
local function slope_of(f)
  return function(...)
    return table.unpack((fv.vjp(function(...)
      local total = 0
      for _, y in ipairs { f(...) } do total = total + (y * y * y):sum() end
      return total
    end, { ... })))
  end
end

local again = {}
for _, c in ipairs(calls) do
  again[c[1]] = (again[c[1]] or 0) + 1
  c.label = ("%s, case %d"):format(c[1], again[c[1]])
  check(c[1], c[2], c[3], c.label)
end

-- ---- the same calls once more: second derivatives, jvp, views, f32 ----

--- Runs test on every call; what it returns is what is wrong.
local function every(name, test)
  local bad = {}
  for _, c in ipairs(calls) do
    local good, fault = pcall(test, c[2], c[3])
    if fault then bad[#bad + 1] = ("%s: %s%s"):format(c.label, good and "" or "raised ", fault) end
  end
  tap.ok(#bad == 0, name, "%s", table.concat(bad, "\n"))
end

--- Fixed numbers like each of xs.
local function like(xs, seed)
  local s, out = fv.rng(seed):stream "like", {}
  for i, x in ipairs(xs) do out[i] = s:normal({ x:shape() }, { dtype = "f64" }) end
  return out
end

local function dot(a, b)
  local sum = 0
  for i, x in ipairs(a) do sum = sum + (x * b[i]):sum():item() end
  return sum
end

every("second derivatives", function(f, xs)
  local gap, place = fv.gradcheck(slope_of(f), xs, { tol = math.huge })
  return not (gap <= SECOND) and ("%.2g %s"):format(gap, place)
end)

--- <u, J v> = <J' u, v>: rounding apart.
every("jvp is the transpose of vjp", function(f, xs)
  local vs = like(xs, 1)
  local t, y = fv.jvp(f, xs, vs)
  if tape.is_tensor(t) then t, y = { t }, { y } end
  local us = like(y, 2)
  local a, b = dot(t, us), dot((fv.vjp(f, xs, us)), vs)
  return not (math.abs(a - b) <= 1e-10 * math.max(1, math.abs(a))) and ("%.17g and %.17g"):format(a, b)
end)

--- Whether the gradients of f at xs and at change(x) are the same within tol.
local function unchanged(change, tol)
  return function(f, xs)
    local us, other = like({ f(table.unpack(xs)) }, 3), {}
    local want = fv.vjp(f, xs, us)
    for i, x in ipairs(xs) do other[i] = change(x) end
    for i, y in ipairs { f(table.unpack(other)) } do us[i] = us[i]:to(y:dtype()) end
    for i, g in ipairs((fv.vjp(f, other, us))) do
      local d = (g:to "f64" - want[i]):abs():max():item() / math.max(1, want[i]:abs():max():item())
      if not (d <= tol) or g:dtype() ~= other[i]:dtype() then return ("argument %d: %.2g"):format(i, d) end
    end
  end
end
every("views, every second element of a larger tensor", unchanged(function(x)
  return fv.stack({ x, x * 0 + 7 }, -1):slice(-1, 1, 1):squeeze(-1)
end, 1e-12))
every("transposed views", unchanged(function(x)
  return x:ndim() < 2 and x or x:t():contiguous():t()
end, 1e-12))
every("f32 within 2e-4 of f64", unchanged(function(x) return x:to "f32" end, 2e-4))   -- eps 6e-8 and conditions

-- ---- everything exported is accounted for ----

for group, list in pairs { fv = fv.docs.fv, tensor = fv.docs.tensor } do
  local bad = {}
  for name, doc in pairs(list) do
    local f = group == "fv" and fv[name] or getmetatable(r { 1 }).methods[name]
    local known = doc.grad == "none" or doc.grad == "place" and rawget(tape.rules, f)
                  or rawget(tape.rules, f) and (seen[name] or name == "lstsq")
    if not known then bad[#bad + 1] = name end
  end
  table.sort(bad)
  tap.ok(#bad == 0, group .. ": each function has a tested rule or says that it has none", "%s",
    table.concat(bad, " "))
end

tap.done()
