--- Exact softmax attention, 8 heads of width 64.

local fv = require "fovea"

local H, d = 8, 64
local op = fv.ops.softmax_attention
local list = {}

for _, n in ipairs { 128, 512, 1024, 2048, 4096, 16384 } do
  for _, causal in ipairs { false, true } do
    for _, backward in ipairs { false, true } do
      local work = op:cost { n = n, m = n, d = d, e = d, causal = causal }
      -- backward: four products of the pass and the scores again, beside the two of forward
      local products, exps = backward and 3.5 or 1, backward and 2 or 1
      list[#list + 1] = {
        name = ("softmax n=%d%s%s"):format(n, causal and " causal" or "", backward and " f+b" or ""),
        long = n > 4096, memory = true,
        flops = H * work.flops * products, exps = H * work.exps * exps,
        make = function(rng)
          local function draw() return fv.randn(H, n, d, { rng = rng }) end
          local q, k, v, g, by = draw(), draw(), draw(), draw(), { causal = causal }
          if not backward then return function() return op(q, k, v, by) end end
          return function()
            local o, lse = op(q, k, v, by)
            return op:vjp({ q, k, v }, { o, lse }, { g }, by)
          end
        end,
        peers = { { "attention", "sdpa", n = n, causal = causal, backward = backward },
                  { "attention", "blocks", n = n, causal = causal, backward = backward } },
      }
    end
  end
end

return list
