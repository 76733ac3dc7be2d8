--- Products, elementwise functions, and what a small call costs beside its work.

local fv = require "fovea"

local list = {}

for _, n in ipairs { 64, 512, 1024 } do
  list[#list + 1] = {
    name = ("matmul %dx%d"):format(n, n), flops = 2 * n ^ 3,
    make = function(rng)
      local a, b = fv.randn(n, n, { rng = rng }), fv.randn(n, n, { rng = rng })
      return function() return a:matmul(b) end
    end,
    peers = { { "elementwise", "matmul", n = n }, { "elementwise", "matmul_numpy", n = n } },
  }
end

for _, n in ipairs { 1 << 16, 1 << 24 } do
  list[#list + 1] = {
    name = n > 1 << 20 and "exp 16Mi" or "exp 64Ki", exps = n,
    bytes = n > 1 << 20 and 8 * n or nil,   -- what caches do not hold
    make = function(rng)
      local x = fv.randn(n, { rng = rng })
      return function() return x:exp() end
    end,
    peers = { { "elementwise", "exp", n = n }, { "elementwise", "exp_numpy", n = n } },
  }
end

for _, name in ipairs { "tanh", "erf", "gelu", "sin" } do
  local n, far = 1 << 16, name == "sin"   -- nearer sines are in the trig features
  list[#list + 1] = {
    name = far and "sin 64Ki of 1e6 x" or name .. " 64Ki",
    make = function(rng)
      local x = fv.randn(n, { rng = rng }) * (far and 1e6 or 1)
      return function() return x[name](x) end
    end,
    peers = { { "elementwise", far and "sin_far" or name, n = n } },
  }
end

for _, n in ipairs { 2, 64 } do
  list[#list + 1] = {
    name = ("a+b %dx%d"):format(n, n),
    make = function(rng)
      local a, b = fv.randn(n, n, { rng = rng }), fv.randn(n, n, { rng = rng })
      return function() return a + b end
    end,
    peers = { { "elementwise", "add", n = n }, { "elementwise", "add_numpy", n = n } },
  }
end

return list
