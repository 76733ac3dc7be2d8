--- y = x W' + b

local layer = require "fovea.layer"

return {
  name = "linear",
  doc = "y = x W' + b: x (..., inputs) -> y (..., outputs).\n"
     .. "Parameters: weight (outputs, inputs), bias (outputs). Time 2 outputs inputs flops a row.",
  caps = "streaming",
  options = {
    { "inputs", "integer", nil, "size of x's last dimension", required = true, lo = 1 },
    { "outputs", "integer", nil, "size of y's last dimension", required = true, lo = 1 },
    { "bias", "boolean", true, "add b, which begins at 0" },
    { "init", "any", "lecun", "of the weight: a standard deviation, \"normal\" (0.02), \"lecun\" "
      .. "(1/sqrt(inputs)), \"xavier\", \"kaiming\", \"zeros\", {name, gain=}, or a function(stream, "
      .. "shape, dtype)" }
  },
  example = "y = fv.nn.linear{inputs=8, outputs=4}(x)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.outputs, opt.inputs }, opt.init)
    if opt.bias then layer.param(l, "bias", { opt.outputs }, "zeros") end
    l.call = function(self, x)
      layer.check(self, "x", x, opt.inputs)
      local y = x:matmul(self.weight:t())
      return opt.bias and y + self.bias or y
    end
    return l
  end
}
