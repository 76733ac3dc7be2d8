--- FAVOR+ with 256 positive features, 8 heads of width 64.

local fv = require "fovea"

local H, d, r = 8, 64, 256
local op = fv.ops.favor_attention
local list = {}

local function case(n, causal, backward)
  local work = op:cost { n = n, m = n, d = d, e = d, r = r }
  return {
    name = ("favor+ n=%d%s%s"):format(n, causal and " causal" or "", backward and " f+b" or ""), memory = true,
    -- backward: the map again, its gradient, and 10 products of the state beside 4
    flops = H * work.flops * (backward and 26 / 8 or 1), exps = H * work.exps * (backward and 2 or 1),
    make = function(rng)
      local function draw() return fv.randn(H, n, d, { rng = rng }) end
      local q, k, v, g = draw(), draw(), draw(), draw()
      local W, by = fv.sample("orthogonal", { rows = r, dim = d, rng = rng }), { causal = causal }
      if not backward then return function() return op(q, k, v, W, by) end end
      return function()
        return op:vjp({ q, k, v, W }, { op(q, k, v, W, by) }, { g }, by, { true, true, true, false })
      end
    end,
    peers = { { "favor", "chunks", n = n, causal = causal, backward = backward },
              causal and { "favor", "package", n = n, backward = backward } or nil },
  }
end

for _, n in ipairs { 1024, 4096 } do
  list[#list + 1] = case(n, false, false)
  list[#list + 1] = case(n, true, false)
  list[#list + 1] = case(n, true, true)
end

return list
