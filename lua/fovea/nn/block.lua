--- x <- x + mix(norm(x)),  x <- x + mlp(norm(x))

local layer = require "fovea.layer"

local shared = { "width", "heads", "kv_heads", "head_width", "mixer", "mixer_options", "redraw", "causal", "rotary",
                 "conv", "feature", "project", "sizes", "gate", "bias", "init", "out_init" }

return {
  name = "block",
  doc = "A pre-norm block: x + mix(norm(x)), then x + mlp(norm(x)); x (b, n, width) -> the same.\n"
     .. "Layers inside: norm1, mix (fv.nn.attention with the options of that name), norm2, mlp.\n"
     .. "With a rule as mixer it is a recurrent block.",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a token", required = true, lo = 1 },
    { "heads", "integer", 1, "number of heads", lo = 1 },
    { "mlp", "string", "mlp", "second half", choices = { "mlp", "swiglu", "none" } },
    { "hidden", "integer", nil, "size inside the mlp; its own default unless given", lo = 1 },
    { "norm", "string", "layer_norm", "of the residual stream", choices = { "layer_norm", "rms_norm" } },
    { "dropout", "number", 0, "of both halves, in training", lo = 0, hi = 0.999 }
  },
  extend = function()
    local list = {}
    for _, o in ipairs(require "fovea.nn".entry("attention").options) do
      for _, name in ipairs(shared) do if o.name == name then list[#list + 1] = o end end
    end
    return list
  end,
  example = 'y = fv.nn.block{width=64, heads=4, mixer="softmax"}(x)',
  build = function(opt)
    local l, mix = layer.new(opt), {}
    for _, name in ipairs(shared) do mix[name] = opt[name] end
    layer.child(l, "norm1", opt.norm, { width = opt.width })
    layer.child(l, "mix", "attention", mix)
    layer.child(l, "drop", "dropout", { rate = opt.dropout })
    if opt.mlp ~= "none" then
      layer.child(l, "norm2", opt.norm, { width = opt.width })
      layer.child(l, "mlp", opt.mlp, { width = opt.width, hidden = opt.hidden, init = opt.init,
                                       out_init = opt.out_init, dropout = opt.dropout })
    end
    l.call = function(self, x, given)
      layer.check(self, "x", x, opt.width, 3)
      x = x + self.drop(self.mix(self.norm1(x), given))
      return opt.mlp == "none" and x or x + self.mlp(self.norm2(x))
    end
    return l
  end
}
