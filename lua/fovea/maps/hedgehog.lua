--- phi(x) = [softmax(W x), softmax(-W x)]

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "hedgehog",
  doc = "Hedgehog: two softmaxes over the entries of W x and -W x, M = 2d' for W (d', d); made to be\n"
     .. "trained so that its attention mimics softmax attention. weight may require a gradient, may be\n"
     .. "(h, d', d) for h heads, and is the identity if left out (then dim is required). Positive; the\n"
     .. "features of a row sum to 2. O(n d d').",
  ref = "Zhang et al. 2024, \"The Hedgehog & the Porcupine\", arXiv:2402.04347",
  caps = "nonneg",
  options = {
    { "dim", "integer", nil, "width d of the input; from weight if that is given", lo = 1 },
    { "scale", "number", 1, "the input is multiplied by it first" },
    { "weight", "tensor", nil, "W (d', d) or (h, d', d)" }
  },
  example = 'phi = fv.map("hedgehog", {dim=64}); phi(q)',
  build = function(opt, name, caps)
    projection.weighted(opt, name, "weight")
    local W, wide = opt.weight, 2 * (opt.weight and opt.weight:size(-2) or opt.dim)
    return projection.plain(opt, name, caps, {
      width = function() return wide end,
      cost = function(n, d)
        local cost = projection.elementwise(n, d, wide, 4, 1)
        cost.flops = cost.flops + (W and n * d * wide or 0)
        return cost
      end,
      features = function(x)
        local u = W and x:matmul(W:to(x:dtype()):transpose(-1, -2)) or x
        return fv.cat({ u:softmax(-1), (-u):softmax(-1) }, u:ndim())
      end
    })
  end
}
