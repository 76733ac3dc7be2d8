--- y = x / sqrt(mean x^2 + eps) o weight

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "rms_norm",
  doc = "Rows of x (..., n, width) divided by their root mean square, then scaled.\n"
     .. "Parameter: weight (width), 1 at first.",
  ref = "Zhang & Sennrich 2019, arXiv:1910.07467",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a row", required = true, lo = 1 },
    { "eps", "number", 1e-6, "added to the mean of the squares", lo = 0 }
  },
  example = "y = fv.nn.rms_norm{width=64}(x)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.width }, "ones")
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      return (fv.rms_norm(x, { weight = self.weight, eps = opt.eps }))
    end
    return l
  end
}
