-- Where a computation lost a finite value: it is done again while every recorded call, and
-- its part of the backward pass, is looked at.

local core = require "fovea.core"
local tape = require "fovea.tape"

local finite = {}
local taping = core.taping

--- "nan" or "inf" if x, f32 or f64, holds one; else nil.
local function fault(x)
  if not tape.is_real(x) or x:numel() == 0 then return nil end
  return tape.with(false, function()
    if core.isfinite(x):all():item() == 1 then return nil end
    return core.isnan(x):any():item() == 1 and "nan" or "inf"
  end)
end
finite.fault = fault

local function shape(x) return x:dtype() .. " (" .. table.concat({ x:shape() }, ",") .. ")" end

local function described(x)
  if type(x) == "number" then return x == x and ("%.6g"):format(x) or "nan" end
  if not tape.is_real(x) or x:numel() == 0 then return nil end
  return tape.with(false, function()
    return ("%s from %.4g to %.4g"):format(shape(x), x:min():item(), x:max():item())
  end)
end

--- Tensors among arguments, one level of tables down.
local function tensors(list, n)
  local out = {}
  for i = 1, n do
    local x = list[i]
    if type(x) == "table" and not getmetatable(x) then
      for _, y in ipairs(x) do out[#out + 1] = y end
    else
      out[#out + 1] = x
    end
  end
  return out
end

--- Calls f() with the tape on. Returns what is known of the first call that returned nan, or
--- else inf: { what =, operator =, call =, pass =, inputs = text, first = the same of an
--- earlier inf }; nil if every call stayed finite.
function finite.find(f)
  local calls, first, first_nan = 0, nil, nil
  local wrapped = {}

  local function look(operator, pass, call, results, n, inputs)
    if first_nan then return end
    for i = 1, n do
      local what = fault(results[i])
      if what and (what == "nan" or not first) then
        local words, had = {}, nil
        for _, x in ipairs(inputs) do
          had = had or fault(x)
          words[#words + 1] = described(x)
        end
        local found = { what = what, operator = operator, call = call, pass = pass, had = had,
                        inputs = table.concat(words, ", ") }
        first = first or found
        if what == "nan" then first_nan = found end
        return
      end
    end
  end

  local function wrap(y, operator, call)
    local n = tape.is_tensor(y) and taping.node(y)
    if n and n[1] == tape.pick then n = n[6] end
    if not n or n[1] == tape.leaf or wrapped[n] then return end
    wrapped[n] = true
    local back = n[1]
    n[1] = function(dy, ...)
      local d = table.pack(back(dy, ...))
      local given = type(dy) == "table" and tensors({ dy }, 1) or { dy }
      look(operator, "backward", call, d, d.n, given)
      return table.unpack(d, 1, d.n)
    end
  end

  local watch = setmetatable({}, { __index = function(_, key)
    local rule = tape.rules[key]
    return function(g, ...)
      local results = table.pack(rule(g, ...))
      calls = calls + 1
      local operator = tape.names[key] or "function"
      if operator == "operator" then operator = (...).name end
      look(operator, "forward", calls, results, results.n, tensors({ ... }, select("#", ...)))
      for i = 1, results.n do wrap(results[i], operator, calls) end
      return table.unpack(results, 1, results.n)
    end
  end })
  local good, err = pcall(function()
    taping.rules(watch)
    tape.with(true, f)
  end)
  taping.rules(tape.rules)
  if not good then error(err, 0) end
  local found = first_nan or first
  if found and first ~= found then found.first = first end
  return found
end

--- What 'find' found, as a sentence.
function finite.text(found)
  local function one(x)
    return ("'%s' (call %d, %s) returned %s%s"):format(x.operator, x.call, x.pass, x.what,
           x.inputs ~= "" and " for " .. x.inputs or "")
  end
  return one(found) .. (found.first and "; before that " .. one(found.first) or "")
end

return finite
