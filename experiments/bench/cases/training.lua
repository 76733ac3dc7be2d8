--- A training step (loss, gradients, clipping, AdamW) of a byte model: 2 blocks of width 128,
--- 4 heads, 16 sequences of 256; and what a node of the tape costs.

local fv = require "fovea"

local VOCAB, LAYERS, WIDTH, HEADS, LENGTH, BATCH = 256, 2, 128, 4, 256, 16
local ADDS = 1000

--- Products of weights alone: 2 flops a weight and token, three times that with gradients.
local function flops(mixer)
  local weights = LAYERS * 12 * WIDTH ^ 2 + VOCAB * WIDTH
  local sizes, op = { n = LENGTH, d = WIDTH // HEADS, e = WIDTH // HEADS }, fv.ops.erase_write_rule
  if mixer == "softmax" then
    op, sizes.m, sizes.causal = fv.ops.softmax_attention, LENGTH, true
  end
  return 6 * weights * LENGTH * BATCH + 3.5 * op:cost(sizes).flops * HEADS * BATCH * LAYERS
end

local function training(mixer, peers)
  return {
    name = "training step " .. mixer, memory = true, repeats = 3, flops = flops(mixer),
    make = function(rng)
      local model = fv.model { kind = "lm", vocab = VOCAB, layers = LAYERS, width = WIDTH, heads = HEADS,
                               attention = mixer, length = LENGTH }
      local ids = rng:integers(1, VOCAB, BATCH, LENGTH + 1)
      local x, y = ids:slice(2, 1, LENGTH):contiguous(), ids:slice(2, 2, LENGTH + 1):contiguous()
      local parameters = model:parameters()
      local optimiser = fv.optim("adamw", parameters, { lr = 1e-3 })
      return function()
        fv.nn.cross_entropy(model(x), y):backward()
        fv.optim.clip(parameters, 1)
        optimiser:step()
        optimiser:zero()
      end
    end,
    peers = peers,
  }
end

return {
  training("softmax", { { "training", "softmax", compiled = false },
                        { "training", "softmax", compiled = true } }),
  training("delta", { { "training", "delta", compiled = false }, { "training", "delta", compiled = true },
                      { "training", "delta_loop", compiled = false } }),
  {
    name = "tape: 1000 adds and their gradients", serial = true,
    make = function()
      local x = fv.ones(1):requires_grad()
      return function()
        local y = x
        for _ = 1, ADDS do y = y + x end
        y:backward()
        x.grad = nil
      end
    end,
    peers = { { "training", "chain", n = ADDS } },
  },
  {
    name = "tape: 1000 adds untracked", serial = true,
    make = function()
      local x = fv.ones(1)
      return function()
        local y = x
        for _ = 1, ADDS do y = y + x end
      end
    end,
  },
}
