--- Linear attention with phi = elu + 1, causal, 8 heads of width 64.

local fv = require "fovea"

local H, d = 8, 64
local op, elu = fv.ops.linear_attention, fv.ops.elu1
local by = { causal = true }
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
        if not backward then return function() return op(elu(q), elu(k), v, by) end end
        return function()
          local fq, fk = elu(q), elu(k)
          local out = { op(fq, fk, v, by) }
          local grad = op:vjp({ fq, fk, v }, out, { g }, by)
          return elu:vjp({ q }, { fq }, { grad[1] }), elu:vjp({ k }, { fk }, { grad[2] }), grad[3]
        end
      end,
      peers = { { "linear", "chunks", n = n, backward = backward },
                { "linear", "package", n = n, backward = backward } },
    }
  end
end

return list
