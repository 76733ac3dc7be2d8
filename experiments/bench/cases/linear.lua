--- Linear attention with phi = elu + 1, causal, 8 heads of width 64.

local fv = require "fovea"

local H, d = 8, 64
local op = fv.ops.linear_attention
local by = { causal = true, map = "elu1" }   -- the features are formed inside
local list = {}

for _, n in ipairs { 1024, 4096 } do
  for _, backward in ipairs { false, true } do
    local work = op:cost { n = n, m = n, f = d, e = d }
    list[#list + 1] = {
      name = ("linear elu+1 n=%d causal%s"):format(n, backward and " f+b" or ""), memory = true,
      flops = H * work.flops * (backward and 3.5 or 1), exps = 2 * H * n * d * (backward and 2 or 1),
      make = function(rng)
        local function draw() return fv.randn(H, n, d, { rng = rng }) end
        local q, k, v, g = draw(), draw(), draw(), draw()
        if not backward then return function() return op(q, k, v, by) end end
        return function() return op:vjp({ q, k, v }, { op(q, k, v, by) }, { g }, by) end
      end,
      peers = { { "linear", "chunks", n = n, backward = backward },
                { "linear", "package", n = n, backward = backward } },
    }
  end
end

return list
