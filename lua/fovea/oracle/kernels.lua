--- Kernels entry by entry in Lua's doubles: kernels[name](x (n, d), y (m, d), options).

local core = require "fovea.core"

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
        K[i][j] = f(dot, square, one)
      end
    end
    return core.tensor(K, { dtype = "f64" })
  end
end

return {
  softmax = each(function(dot) return math.exp(dot) end),
  gaussian = each(function(_, square) return math.exp(-square / 2) end),
  laplacian = each(function(_, _, one) return math.exp(-one) end)
}
