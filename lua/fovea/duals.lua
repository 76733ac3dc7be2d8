--- Functions that generalised features take by name, and the kernels they estimate where
--- closed.lua has none: by quadrature.

local closed = require "fovea.closed"

local duals = {}

--- duals.f[name](u), elementwise.
duals.f = {
  abs = function(u) return u:abs() end, cos = function(u) return u:cos() end,
  elu1 = function(u) return u:elu() + 1 end, erf = function(u) return u:erf() end,
  exp = function(u) return u:exp() end, gelu = function(u) return u:gelu() end,
  identity = function(u) return u end, relu = function(u) return u:relu() end,
  relu2 = function(u) return u:relu():square() end, sgn = function(u) return u:sign() end,
  sigmoid = function(u) return u:sigmoid() end, silu = function(u) return u:silu() end,
  sin = function(u) return u:sin() end, softplus = function(u) return u:softplus() end,
  square = function(u) return u:square() end, step = function(u) return u:gt(0):to(u:dtype()) end,
  tanh = function(u) return u:tanh() end
}

--- Those that are never negative.
duals.nonneg = { abs = true, elu1 = true, exp = true, relu = true, relu2 = true, sigmoid = true,
                 softplus = true, square = true, step = true }

function duals.names()
  local list = {}
  for name in pairs(duals.f) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local H, N = 0.1, 90                -- nodes j H, |j| <= N: the normal weight ends at 9

local function weight(j) return H * math.exp(-(j * H) ^ 2 / 2) / (2 * math.pi) ^ 0.5 end

--- E f(a s), s normal, for a = sqrt(aa): the trapezoidal rule, whose error for analytic f falls
--- as exp(-2 pi r / H), r the distance of the nearest pole of f(a s).
function duals.mean(f, aa)
  local a, sum = aa:sqrt(), nil
  for j = -N, N do
    local term = f(a * (j * H)) * weight(j)
    sum = sum and sum + term or term
  end
  return sum
end

--- E f(w.x) f(w.y): the same rule in two dimensions, w.x = a s, w.y = (c/a) s + b' t with
--- b'^2 = bb - cc/aa.
local function plane(f)
  return function(aa, bb, c)
    local a, sum = aa:maximum(1e-300):sqrt(), nil
    local slope, rest = c / a, (bb - c * c / aa:maximum(1e-300)):relu():sqrt()
    for i = -N, N do
      local inner
      for j = -N, N do
        local term = f(slope * (i * H) + rest * (j * H)) * weight(j)
        inner = inner and inner + term or term
      end
      local term = f(a * (i * H)) * inner * weight(i)
      sum = sum and sum + term or term
    end
    return sum
  end
end

--- The kernel of a name or function.
function duals.kernel(f)
  for _, name in ipairs(closed.duals) do if f == name then return closed[name] end end
  return plane(duals.f[f] or f)
end

return duals
