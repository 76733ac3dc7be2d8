--- The byte model whose parameters are text_model.safetensors: two blocks of width 64 with two
--- heads of 32 and exact softmax attention, trained on genesis.txt by experiments/swap_in.
---
---   build(attention, seed, masked)   a new model of this shape; masked: it sees both sides and
---                            has one more id, the mask
---   load(dir, attention)     the trained one; 'attention' may be any that has no parameters
---   copy(from, to)           gives 'to' the parameters of 'from', which are copied
---   observe(model, ids)      runs it; returns { q, k, v } (b, heads, n, 32) of each block

local fv = require "fovea"

local text_model = {}

function text_model.build(attention, seed, masked)
  return fv.model { kind = "lm", vocab = masked and 257 or 256, layers = 2, width = 64, heads = 2,
                    positions = "rotary", attention = attention or "softmax", causal = not masked,
                    std = masked and 0.1 or 0.02, seed = seed }
end

function text_model.load(dir, attention)
  return text_model.build(attention, 1):load(dir .. "/text_model.safetensors"):eval()
end

local seen

fv.attention.register {
  name = "observed_softmax",
  doc = "Exact attention that keeps its inputs.",
  call = { { "causal", "boolean", false, "a query sees no later key" } },
  build = function()
    return {
      attend = function(q, k, v, c)
        seen[#seen + 1] = { q = q:detach(), k = k:detach(), v = v:detach() }
        return fv.softmax_attention(q, k, v, { causal = c.causal }), { path = "exact" },
               { flops = 0, bytes = 0, exps = 0 }
      end,
      cost = function() return { flops = 0, bytes = 0, exps = 0 } end
    }
  end
}

function text_model.copy(from, to)
  local given = from:parameters()
  fv.no_grad(function()
    for i, p in ipairs(to:parameters()) do p.tensor:copy_(given[i].tensor) end
  end)
  return to
end

function text_model.observe(model, ids)
  seen = {}
  local twin = text_model.copy(model,
                               text_model.build("observed_softmax", 1, model.options.vocab == 257)):eval()
  fv.no_grad(twin, ids)
  return seen
end

return text_model
