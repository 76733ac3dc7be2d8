--- y_t = x_t + P_t

local layer = require "fovea.layer"

return {
  name = "positions",
  doc = "Learned positions: adds row t of a table to token t of x (..., n, width), n <= length.\n"
     .. "Parameter: weight (length, width).",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a token", required = true, lo = 1 },
    { "length", "integer", nil, "longest sequence", required = true, lo = 1 },
    { "init", "any", "normal", "of the table, as for fv.nn.linear" }
  },
  example = "y = fv.nn.positions{width=64, length=256}(x)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.length, opt.width }, opt.init)
    l.limit = opt.length
    l.call = function(self, x)
      layer.check(self, "x", x, opt.width, 2)
      local before, n = self.before, x:size(-2)
      if before + n > opt.length then
        error(("%s: x: expected at most length=%d tokens, got %d"):format(layer.title(self), opt.length,
              before + n), 0)
      end
      return x + self.weight:slice(1, before + 1, before + n)
    end
    return l
  end
}
