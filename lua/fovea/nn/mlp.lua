--- y = W2 gelu(W1 x + b1) + b2

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "mlp",
  doc = "Two layers with a GELU between: x (..., n, width) -> the same.\n"
     .. "Layers inside: up (width -> hidden) and down (hidden -> width).",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of x's last dimension", required = true, lo = 1 },
    { "hidden", "integer", nil, "size between; 4 width unless given", lo = 1 },
    { "bias", "boolean", true, "have biases" },
    { "init", "any", "lecun", "of the weights, as for fv.nn.linear" },
    { "out_init", "any", nil, "of down's weight; init unless given" },
    { "dropout", "number", 0, "of the result, in training", lo = 0, hi = 0.999 }
  },
  example = "y = fv.nn.mlp{width=64}(x)",
  build = function(opt)
    local l, hidden = layer.new(opt), opt.hidden or 4 * opt.width
    layer.child(l, "up", "linear", { inputs = opt.width, outputs = hidden, bias = opt.bias, init = opt.init })
    layer.child(l, "down", "linear",
                { inputs = hidden, outputs = opt.width, bias = opt.bias, init = opt.out_init or opt.init })
    layer.child(l, "drop", "dropout", { rate = opt.dropout })
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      local up = self.up
      local h = fv.bias_gelu(x:matmul(up.weight:t()), { bias = opt.bias and up.bias or nil })
      return self.drop(self.down(h))
    end
    return l
  end
}
