--- y = rows of W by id

local layer = require "fovea.layer"

return {
  name = "embedding",
  doc = "A vector for each id: ids i64 (...), 1 .. vocab -> (..., width).\n"
     .. "Parameter: weight (vocab, width). Ids outside that range raise.",
  caps = "streaming",
  options = {
    { "vocab", "integer", nil, "number of ids", required = true, lo = 1 },
    { "width", "integer", nil, "size of a vector", required = true, lo = 1 },
    { "init", "any", "normal", "of the weight, as for fv.nn.linear" }
  },
  example = "x = fv.nn.embedding{vocab=256, width=64}(ids)",
  build = function(opt)
    local l = layer.new(opt)
    layer.param(l, "weight", { opt.vocab, opt.width }, opt.init)
    l.call = function(self, ids)
      layer.check_ids(self, "ids", ids, opt.vocab)
      local shape = { ids:shape() }
      shape[#shape + 1] = opt.width
      return self.weight:index_select(1, ids:reshape(-1)):reshape(shape)
    end
    return l
  end
}
