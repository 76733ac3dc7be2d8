--- y_t = sum_{j < taps} w_j o x_{t-j} + b: a causal convolution of each channel by itself

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "conv",
  doc = "Short causal convolution along the tokens, each channel by itself: x (..., n, width).\n"
     .. "y_t = sum_{j=0}^{taps-1} w_j o x_{t-j} (+ b), or silu of that, tokens before the first being 0.\n"
     .. "Parameters: weight (taps, width), bias (width). Recurrent mixers use 4 taps before silu.",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "channels", required = true, lo = 1 },
    { "taps", "integer", 4, "tokens each output sees", lo = 1, hi = 64 },
    { "bias", "boolean", false, "have a bias" },
    { "silu", "boolean", false, "apply silu to the result" },
    { "residual", "boolean", true, "begin near the identity: w_0 = 1 and the others small" }
  },
  example = "y = fv.nn.conv{width=64, taps=4}(x)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.taps, opt.width }, function(stream, shape, dtype)
      local std = opt.residual and 0.02 or opt.taps ^ -0.5
      local w = stream:normal(shape[1], shape[2], { dtype = dtype }) * std
      if opt.residual then w[1]:add_(1) end
      return w
    end)
    if opt.bias then layer.param(l, "bias", { opt.width }, "zeros") end
    l.state = function() return (opt.taps - 1) * opt.width end
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      local flow, n, by = self.flow, x:size(-2), { bias = opt.bias and self.bias or nil, silu = opt.silu }
      if not flow then return fv.short_conv(x, self.weight, by) end
      local shape, taps = { x:shape() }, opt.taps
      shape[#shape - 1] = taps - 1
      local all = fv.cat({ flow.kept or fv.zeros(shape, { dtype = self.dtype }), x }, -2)
      layer.keep(self, all:slice(-2, n + 1, n + taps - 1))
      return fv.short_conv(all, self.weight, by):slice(-2, taps, n + taps - 1)
    end
    return l
  end
}
