--- The delta rule with step sizes beta, 8 heads of width 64, keys of norm 1.

local fv = require "fovea"

local H, d = 8, 64
local op = fv.ops.erase_write_rule
local list = {}

for _, n in ipairs { 1024, 4096 } do
  for _, backward in ipairs { false, true } do
    local work = op:cost { n = n, d = d, e = d }
    list[#list + 1] = {
      name = ("delta rule n=%d%s"):format(n, backward and " f+b" or ""), memory = true,
      flops = H * work.flops * (backward and 20 / 6 or 1),
      make = function(rng)
        local function draw() return fv.randn(H, n, d, { rng = rng }) end
        local q, k, v, g = draw(), draw(), draw(), draw()
        k = k / (k * k):sum(-1):sqrt():unsqueeze(-1)
        local by = { beta = fv.uniform(H, n, { rng = rng }) }
        if not backward then return function() return op(q, k, v, by) end end
        return function() return op:vjp({ q, k, v }, { op(q, k, v, by) }, { g }, by) end
      end,
      peers = { { "delta", "chunks", n = n, backward = backward },
                { "delta", "package", n = n, backward = backward },
                n <= 1024 and { "delta", "loop", n = n, backward = backward } or nil },
    }
  end
end

return list
