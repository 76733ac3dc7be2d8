--- y = norm(blocks(embed(x) + positions))

local fv = require "fovea"
local find = require "fovea.mixer".find
local layer = require "fovea.layer"
local options = require "fovea.options"

return {
  name = "encoder",
  doc = "Blocks over tokens: ids i64 (b, n), 1 .. vocab, or x (b, n, inputs) -> (b, n, width).\n"
     .. "Layers inside: embed (an embedding of ids, or a linear layer of x), positions (if any),\n"
     .. "blocks.1 .., norm. Weights begin at std (0.02), projections back into the stream at\n"
     .. "std / sqrt(2 layers). attention is the mixer of every block, or a list of one for each;\n"
     .. "the other options are those of fv.nn.block.",
  caps = "streaming",
  options = {
    { "vocab", "integer", nil, "number of ids; or give inputs", lo = 1 },
    { "inputs", "integer", nil, "size of a token of x; or give vocab", lo = 1 },
    { "layers", "integer", 2, "number of blocks", lo = 0 },
    { "width", "integer", 64, "size of a token inside", lo = 1 },
    { "attention", "any", "softmax", "fv.attention or fv.rule, by name or value, or a list of one a block" },
    { "positions", "string", "learned", "how tokens know where they are",
      choices = { "learned", "rotary", "none" } },
    { "length", "integer", 1024, "longest sequence where positions are learned", lo = 1 },
    { "checkpoint", "boolean", false, "keep only what is between blocks, and compute them again backward" },
    { "std", "number", 0.02, "of the first weights", lo = 0 }
  },
  extend = function()
    local block, list = require "fovea.nn".entry("block"), {}
    local own = { mixer = true, rotary = true, init = true, out_init = true }   -- set by the encoder
    for _, o in ipairs(options.join(block.options, block.extend())) do
      if not own[o.name] then list[#list + 1] = o end
    end
    return list
  end,
  example = 'y = fv.nn.encoder{inputs=3, width=64, heads=4, causal=false}(x)',
  build = function(opt, name)
    local l, own = layer.new(opt), require "fovea.nn".entry("encoder").options.by
    local block = { rotary = opt.positions == "rotary", init = opt.std,
                    out_init = { opt.std, gain = (2 * math.max(opt.layers, 1)) ^ -0.5 } }
    for key, value in pairs(opt) do
      if not own[key] or key == "width" then block[key] = value end
    end
    local list = type(opt.attention) == "table" and not getmetatable(opt.attention) and opt.attention
    if list and #list ~= opt.layers then
      error(("%s: option 'attention': expected a list of layers=%d, got %d"):format(name, opt.layers,
            #list), 0)
    elseif (opt.vocab == nil) == (opt.inputs == nil) then
      error(name .. ": expected one of the options 'vocab' (ids) and 'inputs' (real tokens)", 0)
    end
    if opt.vocab then
      layer.child(l, "embed", "embedding", { vocab = opt.vocab, width = opt.width, init = opt.std })
    else
      layer.child(l, "embed", "linear", { inputs = opt.inputs, outputs = opt.width })
    end
    if opt.positions == "learned" then
      layer.child(l, "positions", "positions", { width = opt.width, length = opt.length, init = opt.std })
    end
    layer.child(l, "drop", "dropout", { rate = opt.dropout })
    for i = 1, opt.layers do
      block.mixer = list and list[i] or opt.attention
      find(block.mixer, name, "attention")
      block.mixer_options = (not list or type(block.mixer) == "string") and opt.mixer_options or nil
      layer.child(l, "blocks." .. i, "block", block)
    end
    layer.child(l, "norm", opt.norm, { width = opt.width })
    l.call = function(self, x, given)
      local y = self.embed(x)
      if y:ndim() ~= 3 then
        layer.bad(self, "x", opt.vocab and "i64 (b, n)" or opt.dtype .. " (b, n, inputs)", x)
      end
      if opt.positions == "learned" then y = self.positions(y) end
      y = self.drop(y)
      for i = 1, opt.layers do
        local one = self.blocks[i]
        y = opt.checkpoint and fv.checkpoint(one, y, given) or one(y, given)
      end
      return self.norm(y)
    end
    return l
  end
}
