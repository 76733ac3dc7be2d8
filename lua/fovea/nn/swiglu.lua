--- y = W2 (silu(Wg x) o W1 x)

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "swiglu",
  doc = "A gated layer pair: y = down(silu(gate(x)) o up(x)), x (..., n, width) -> the same.\n"
     .. "Layers inside: gate and up (width -> hidden), down (hidden -> width).",
  ref = "Shazeer 2020, arXiv:2002.05202",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of x's last dimension", required = true, lo = 1 },
    { "hidden", "integer", nil, "size between; 8/3 width rounded to a multiple of 8 unless given", lo = 1 },
    { "bias", "boolean", false, "have biases" },
    { "init", "any", "lecun", "of the weights, as for fv.nn.linear" },
    { "out_init", "any", nil, "of down's weight; init unless given" },
    { "dropout", "number", 0, "of the result, in training", lo = 0, hi = 0.999 }
  },
  example = "y = fv.nn.swiglu{width=64}(x)",
  build = function(opt)
    local l, hidden = layer.new(opt), opt.hidden or (opt.width * 8 // 3 + 7) // 8 * 8
    for _, name in ipairs { "gate", "up" } do
      layer.child(l, name, "linear",
                  { inputs = opt.width, outputs = hidden, bias = opt.bias, init = opt.init })
    end
    layer.child(l, "down", "linear",
                { inputs = hidden, outputs = opt.width, bias = opt.bias, init = opt.out_init or opt.init })
    layer.child(l, "drop", "dropout", { rate = opt.dropout })
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      return self.drop(self.down(fv.silu_mul(self.gate(x), self.up(x))))
    end
    return l
  end
}
