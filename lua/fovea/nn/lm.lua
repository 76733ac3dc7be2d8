--- logits = W encoder(ids)

local layer = require "fovea.layer"
local options = require "fovea.options"

return {
  name = "lm",
  doc = "A language model: ids i64 (b, n), 1 .. vocab -> logits (b, n, vocab), of the next id.\n"
     .. "Parameters: those of fv.nn.encoder under its names, and head.weight (vocab, width) unless\n"
     .. "tied: then the embedding is the head. Options beside these are fv.nn.encoder's.",
  caps = "streaming",
  options = {
    { "vocab", "integer", nil, "number of ids", required = true, lo = 1 },
    { "tied", "boolean", true, "the head is the embedding" }
  },
  extend = function()
    local encoder = require "fovea.nn".entry "encoder"
    return options.join(encoder.options, encoder.extend())
  end,
  example = 'logits = fv.model{kind="lm", vocab=256, layers=2, width=64, heads=4}(ids)',
  build = function(opt)
    local l, inside = layer.new(opt), {}
    for key, value in pairs(opt) do inside[key] = value end
    inside.tied = nil
    local body = layer.child(l, "body", "encoder", inside)      -- path and seed too: the names are ours
    l.embed, l.blocks = body.embed, rawget(body, "blocks")
    if not opt.tied then
      layer.child(l, "head", "linear",
                  { inputs = opt.width, outputs = opt.vocab, bias = false, init = opt.std })
    end
    l.call = function(self, ids, given)
      local x = self.body(ids, given)
      return opt.tied and x:matmul(self.embed.weight:t()) or self.head(x)
    end
    return l
  end
}
