--- Pairs (x_i, x_{i+d/2}) of token t turned by the angle t base^{-2i/d}

local fv = require "fovea"
local layer = require "fovea.layer"

return {
  name = "rotary",
  doc = "Rotary positions: x (..., n, width) with each pair (x_i, x_{i+width/2}) of token t = 0, 1, ..\n"
     .. "turned by t base^{-2i/width}; q.k then depends on the distance of the tokens alone.\n"
     .. "rotary(x, offset) begins at token offset. No parameters.",
  ref = "Su et al. 2021, arXiv:2104.09864",
  options = {
    { "width", "integer", nil, "size of a head; even", required = true, lo = 2 },
    { "base", "number", 10000, "of the angles", lo = 1 }
  },
  example = "q = fv.nn.rotary{width=32}(q)",
  build = function(opt, name)
    if opt.width % 2 ~= 0 then
      error(("%s: option 'width': expected an even number, got %d"):format(name, opt.width), 0)
    end
    local l, half = layer.new(opt), opt.width // 2
    local turns, known, from = nil, 0, 0
    --- cos and sin (n, half), kept for the longest n so far.
    local function tables(n, offset)
      if n > known or offset ~= from then
        local t = fv.arange(offset, offset + n - 1, 1, { dtype = "f64" }):unsqueeze(-1)
        local i = fv.arange(0, half - 1, 1, { dtype = "f64" })
        local angle = t * (i * (-2 * math.log(opt.base) / opt.width)):exp()
        turns, known, from = { angle:cos():to(opt.dtype), angle:sin():to(opt.dtype) }, n, offset
      end
      return turns[1]:slice(1, 1, n), turns[2]:slice(1, 1, n)
    end
    l.call = function(self, x, offset)
      layer.check(self, "x", x, opt.width, 2)
      local c, s = tables(x:size(-2), offset or 0)
      local a, b = x:slice(-1, 1, half), x:slice(-1, half + 1, opt.width)
      return fv.cat({ a * c - b * s, a * s + b * c }, -1)
    end
    return l
  end
}
