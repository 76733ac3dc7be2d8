--- Nystrom attention with 64 landmarks and 6 steps, 8 heads of width 64.

local fv = require "fovea"

local H, d = 8, 64
local list = {}

for _, n in ipairs { 1024, 4096 } do
  local attend = fv.attention("nystrom", { landmarks = 64, iterations = 6 })
  local work = attend:cost { n = n, m = n, d = d, e = d }
  list[#list + 1] = {
    name = ("nystrom m=64 n=%d"):format(n), memory = true, flops = H * work.flops, exps = H * work.exps,
    make = function(rng)
      local function draw() return fv.randn(H, n, d, { rng = rng }) end
      local q, k, v = draw(), draw(), draw()
      return function() return attend(q, k, v) end
    end,
    peers = { { "nystrom", "torch", n = n } },
  }
end

return list
