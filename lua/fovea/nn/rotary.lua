--- Pairs (x_i, x_{i+d/2}) of token t turned by the angle t base^{-2i/d}

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "rotary",
  doc = "Rotary positions: x (..., n, width) with each pair (x_i, x_{i+width/2}) of token t = 0, 1, ..\n"
     .. "turned by t base^{-2i/width}; q.k then depends on the distance of the tokens alone.\n"
     .. "rotary(x, offset) begins at token offset. No parameters.",
  ref = "Su et al. 2021, arXiv:2104.09864",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a head; even", required = true, lo = 2 },
    { "base", "number", 10000, "of the angles", lo = 1 }
  },
  example = "q = fv.nn.rotary{width=32}(q)",
  build = function(opt, name)
    if opt.width % 2 ~= 0 then
      error(("%s: option 'width': expected an even number, got %d"):format(name, opt.width), 0)
    end
    local l = layer.new(opt)
    l.call = function(self, x, offset)
      layer.check(self, "x", x, opt.width, 2)
      return fv.rotary(x, { base = opt.base, offset = offset or self.before })
    end
    return l
  end
}
