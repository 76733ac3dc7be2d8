--- y = W pool(encoder(x)) + b

local layer = require "fovea.layer"
local options = require "fovea.options"

return {
  name = "classifier",
  doc = "A model of whole sequences: ids i64 (b, n), or x (b, n, inputs) -> (b, outputs).\n"
     .. "The tokens of fv.nn.encoder, whose options it has, are pooled to their mean or the last and\n"
     .. "projected. outputs are logits for fv.nn.cross_entropy, or values for fv.nn.mse. Tokens see\n"
     .. "each other both ways unless causal; rules need causal=true.",
  options = {
    { "outputs", "integer", nil, "number of classes or values", required = true, lo = 1 },
    { "pool", "string", "mean", "of the tokens", choices = { "mean", "last" } },
    { "causal", "boolean", false, "tokens see those before alone" }
  },
  extend = function()
    local encoder = require "fovea.nn".entry "encoder"
    return options.join(encoder.options, encoder.extend())
  end,
  example = 'logits = fv.model{kind="classifier", vocab=256, outputs=10, width=64, attention="nystrom"}(ids)',
  build = function(opt)
    local l, inside = layer.new(opt), {}
    for key, value in pairs(opt) do inside[key] = value end
    inside.outputs, inside.pool = nil, nil
    local body = layer.child(l, "body", "encoder", inside)      -- path and seed too: the names are ours
    l.embed, l.blocks = body.embed, rawget(body, "blocks")
    l.whole = "it pools the whole sequence"
    layer.child(l, "head", "linear", { inputs = opt.width, outputs = opt.outputs })
    l.call = function(self, x, given)
      local y = self.body(x, given)
      return self.head(opt.pool == "mean" and y:mean(-2) or y:slice(-2, y:size(-2), y:size(-2)):squeeze(-2))
    end
    return l
  end
}
