--- y = (x - mean x) / sqrt(var x + eps) o weight + bias

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "layer_norm",
  doc = "Rows of x (..., n, width) moved to mean 0 and scaled to variance 1, then scaled and moved.\n"
     .. "Parameters: weight (width), 1 at first, and bias (width), 0 at first.",
  ref = "Ba, Kiros & Hinton 2016, arXiv:1607.06450",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a row", required = true, lo = 1 },
    { "eps", "number", 1e-5, "added to the variance", lo = 0 },
    { "bias", "boolean", true, "have a bias" }
  },
  example = "y = fv.nn.layer_norm{width=64}(x)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.width }, "ones")
    if opt.bias then layer.param(l, "bias", { opt.width }, "zeros") end
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      return (fv.layer_norm(x, { weight = self.weight, bias = opt.bias and self.bias or nil, eps = opt.eps }))
    end
    return l
  end
}
