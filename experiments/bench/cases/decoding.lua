--- One token after n others from a byte model (2 blocks of width 128, 4 heads), one sequence:
--- exact attention on the keys and values kept, and the delta rule on its state.

local fv = require "fovea"

local VOCAB, LAYERS, WIDTH, HEADS = 256, 2, 128, 4
local TOKENS = 64        -- decoded after the prompt, then again from there
local WEIGHTS = LAYERS * 12 * WIDTH ^ 2 + VOCAB * WIDTH

local function decoding(mixer, n, flops)
  return {
    name = ("decode a token, %s n=%d"):format(mixer, n), calls = TOKENS, memory = true,
    flops = 2 * WEIGHTS + LAYERS * flops,
    make = function(rng)
      local model = fv.model { kind = "lm", vocab = VOCAB, layers = LAYERS, width = WIDTH, heads = HEADS,
                               attention = mixer, positions = "none" }
      local prompt, id = model:stream(), rng:integers(1, VOCAB, 1, 1)
      prompt(rng:integers(1, VOCAB, 1, n))
      return function()
        local s = prompt:copy()
        for _ = 1, TOKENS do s(id) end
      end
    end,
    peers = { { "decoding", mixer, n = n } },
  }
end

return {
  decoding("softmax", 256, 4 * WIDTH * 256), decoding("softmax", 4096, 4 * WIDTH * 4096),
  decoding("delta", 4096, 6 * WIDTH * WIDTH // HEADS),
}
