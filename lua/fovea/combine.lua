--- What sums, products and multiples of kernels share: their parts.

local options = require "fovea.options"

--- A kernel object of the list 'parts', joined two at a time by 'join', its Gram matrix and
--- its diagonal changed by 'after'.
return function(parts, name, sign, join, after)
  local formulas, caps = {}, { nonneg = true }
  for i, k in ipairs(parts) do
    if type(k) ~= "table" or rawget(k, "kind") ~= "kernel" then
      error(("%s: expected kernels, got a %s"):format(name, options.type(k)), 0)
    end
    formulas[i] = #parts > 1 and (k.name == "sum" and "(" .. k.formula .. ")") or k.formula
    caps.nonneg = caps.nonneg and k.caps.nonneg or nil
  end
  if #parts == 0 then error(name .. ": expected at least one kernel, got none", 0) end
  local function all(value)
    local total = value(parts[1])
    for i = 2, #parts do total = join(total, value(parts[i])) end
    return after and after(total) or total
  end
  return {
    formula = table.concat(formulas, sign), caps = caps,
    gram = function(x, y) return all(function(k) return k(x, y) end) end,
    diag = function(x) return all(function(k) return k:diag(x) end) end,
    cost = function(_, sizes)
      local total = { flops = #parts * sizes.n * sizes.m, bytes = 0, exps = 0 }
      for _, k in ipairs(parts) do
        for what, count in pairs(k:cost(sizes)) do total[what] = total[what] + count end
      end
      return total
    end
  }
end
