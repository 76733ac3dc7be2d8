--- y = x o mask / (1 - rate), in training

local core = require "fovea.core"
local layer = require "fovea.layer"

return {
  name = "dropout",
  doc = "Each element of x is 0 with probability rate, else divided by 1 - rate; in eval, x.\n"
     .. "The mask is a function of seed, path, step and x's shape alone: layer:train(step) sets\n"
     .. "the step and must have been called, so that a run that is resumed drops the same.",
  ref = "Srivastava et al. 2014",
  caps = "streaming",
  options = { { "rate", "number", 0.1, "probability of 0", lo = 0, hi = 0.999 } },
  example = "drop = fv.nn.dropout{rate=0.1}; y = drop:train(1)(x)",
  build = function(opt)
    local l = layer.new(opt)
    l.call = function(self, x)
      layer.check(self, "x", x)
      if not self.training or opt.rate == 0 then return x end
      if not self.step then
        error(layer.title(self) .. ": training needs the step: call layer:train(step)", 0)
      end
      local shape = { x:shape() }
      shape[#shape + 1] = { dtype = x:dtype() }
      local u = core.rng(self.seed):stream(("dropout:%s:%d"):format(self.path, self.step)):uniform(
        table.unpack(shape))
      return (x * (1 / (1 - opt.rate))):masked_fill(u:lt(opt.rate), 0)
    end
    return l
  end
}
