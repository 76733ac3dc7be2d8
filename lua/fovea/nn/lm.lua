--- logits = W norm(blocks(embed(ids) + positions))

local layer = require "fovea.layer"
local options = require "fovea.options"

return {
  name = "lm",
  doc = "A language model: ids i64 (b, n), 1 .. vocab -> logits (b, n, vocab).\n"
     .. "Layers inside: embed, positions (if any), blocks.1 .., norm, head (none where tied: the\n"
     .. "embedding is the head). Weights begin at std (0.02), projections back into the stream at\n"
     .. "std / sqrt(2 layers). attention is the mixer of every block, or a list of one for each.",
  options = {
    { "vocab", "integer", nil, "number of ids", required = true, lo = 1 },
    { "layers", "integer", 2, "number of blocks", lo = 0 },
    { "width", "integer", 64, "size of a token", lo = 1 },
    { "attention", "any", "softmax", "fv.attention or fv.rule, by name or value, or a list of one a block" },
    { "positions", "string", "learned", "how tokens know where they are",
      choices = { "learned", "rotary", "none" } },
    { "length", "integer", 1024, "longest sequence where positions are learned", lo = 1 },
    { "tied", "boolean", true, "the head is the embedding" },
    { "std", "number", 0.02, "of the first weights", lo = 0 }
  },
  extend = function()
    local block, list = require "fovea.nn".entry("block"), {}
    local own = { mixer = true, rotary = true, init = true, out_init = true }   -- set by lm
    for _, o in ipairs(options.join(block.options, block.extend())) do
      if not own[o.name] then list[#list + 1] = o end
    end
    return list
  end,
  example = 'logits = fv.model{kind="lm", vocab=256, layers=2, width=64, heads=4}(ids)',
  build = function(opt, name)
    local l, own = layer.new(opt), require "fovea.nn".entry(name).options.by
    local block = { rotary = opt.positions == "rotary", init = opt.std,
                    out_init = { opt.std, gain = (2 * math.max(opt.layers, 1)) ^ -0.5 } }
    for key, value in pairs(opt) do
      if not own[key] or key == "width" then block[key] = value end
    end
    local list = type(opt.attention) == "table" and not getmetatable(opt.attention) and opt.attention
    if list and #list ~= opt.layers then
      error(("%s: option 'attention': expected a list of layers=%d, got %d"):format(name, opt.layers,
            #list), 0)
    end
    layer.child(l, "embed", "embedding", { vocab = opt.vocab, width = opt.width, init = opt.std })
    if opt.positions == "learned" then
      layer.child(l, "positions", "positions", { width = opt.width, length = opt.length, init = opt.std })
    end
    layer.child(l, "drop", "dropout", { rate = opt.dropout })
    for i = 1, opt.layers do
      block.mixer = list and list[i] or opt.attention
      layer.child(l, "blocks." .. i, "block", block)
    end
    layer.child(l, "norm", opt.norm, { width = opt.width })
    if not opt.tied then
      layer.child(l, "head", "linear",
                  { inputs = opt.width, outputs = opt.vocab, bias = false, init = opt.std })
    end
    l.call = function(self, ids, given)
      local x = self.embed(ids)
      if ids:ndim() ~= 2 then layer.bad(self, "ids", "i64 (b, n)", ids) end
      if opt.positions == "learned" then x = self.positions(x) end
      x = self.drop(x)
      for i = 1, opt.layers do x = self.blocks[i](x, given) end
      x = self.norm(x)
      return opt.tied and x:matmul(self.embed.weight:t()) or self.head(x)
    end
    return l
  end
}
