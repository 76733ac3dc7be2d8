--- Kernels entry by entry in Lua's doubles: kernels[name](x (n, d), y (m, d), options).

local core = require "fovea.core"
local plain = require "fovea.oracle.plain"

local function length(u) return math.sqrt(plain.dot(u, u)) end

local function each(f)
  return function(x, y, opt)
    local a, b, K = x:totable(), y:totable(), {}
    local c = opt.scale or 1
    for i, u in ipairs(a) do
      K[i] = {}
      for j, v in ipairs(b) do
        local dot, square, one = 0, 0, 0
        for l = 1, #u do
          local p, q = u[l] * c, v[l] * c
          dot, square, one = dot + p * q, square + (p - q) ^ 2, one + math.abs(p - q)
        end
        K[i][j] = f(dot, square, one, opt, u, v)
      end
    end
    return core.tensor(K, { dtype = "f64" })
  end
end

return {
  softmax = each(function(dot) return math.exp(dot) end),
  gaussian = each(function(_, square) return math.exp(-square / 2) end),
  laplacian = each(function(_, _, one) return math.exp(-one) end),
  polynomial = each(function(dot, _, _, opt) return (dot + opt.offset) ^ opt.degree end),
  matern = each(function(_, square, _, opt)
    local s = math.sqrt(2 * opt.nu * square)
    return (opt.nu == 0.5 and 1 or opt.nu == 1.5 and 1 + s or 1 + s + s * s / 3) * math.exp(-s)
  end),
  arccos = each(function(_, _, _, opt, u, v)
    local a, b, c = opt.scale * length(u), opt.scale * length(v), opt.scale ^ 2 * plain.dot(u, v)
    local t = math.acos(math.max(-1, math.min(1, c / (a * b))))
    local J = ({ [0] = math.pi - t, math.sin(t) + (math.pi - t) * math.cos(t),
                 3 * math.sin(t) * math.cos(t) + (math.pi - t) * (1 + 2 * math.cos(t) ^ 2) })[opt.order]
    return (a * b) ^ opt.order * J / math.pi
  end),
  constant = each(function(_, _, _, opt) return opt.value end)
}
