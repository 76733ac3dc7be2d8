--- phi(x) = relu(W x + b)

local projection = require "fovea.projection"

return {
  name = "t2r",
  doc = "Transformer-to-RNN features relu(W x + b) with trained weights: weight (M, d) or (h, M, d) for\n"
     .. "h heads, bias (M) or (h, 1, M); both may require gradients. weight is the identity if left out\n"
     .. "(then dim is required). Never negative; a row can be all zero. O(nMd).",
  ref = "Kasai et al. 2021, \"Finetuning pretrained transformers into RNNs\", arXiv:2103.13076",
  caps = "nonneg",
  options = {
    { "dim", "integer", nil, "width d of the input; from weight if that is given", lo = 1 },
    { "scale", "number", 1, "the input is multiplied by it first" },
    { "weight", "tensor", nil, "W (M, d) or (h, M, d)" }, { "bias", "tensor", nil, "(M) or (h, 1, M)" }
  },
  example = 'phi = fv.map("t2r", {weight=fv.randn(32, 64, {rng=fv.rng(1):stream "t2r"}) / 8}); phi(q)',
  build = function(opt, name, caps)
    projection.weighted(opt, name, "weight")
    local W, M = opt.weight, opt.weight and opt.weight:size(-2) or opt.dim
    if opt.bias and opt.bias:size(-1) ~= M then
      error(("%s: option 'bias': expected (M=%d), got (%s)"):format(name, M,
            table.concat({ opt.bias:shape() }, ",")), 0)
    end
    return projection.plain(opt, name, caps, {
      width = function() return M end,
      cost = function(n, d)
        local cost = projection.elementwise(n, d, M, 2)
        cost.flops = cost.flops + (W and 2 * n * d * M or 0)
        return cost
      end,
      features = function(x)
        local u = W and x:matmul(W:to(x:dtype()):transpose(-1, -2)) or x
        return (opt.bias and u + opt.bias:to(x:dtype()) or u):relu()
      end
    })
  end
}
