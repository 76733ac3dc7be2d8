--- phi(q) = softmax over features; phi(k) = exp(k), or softmax over the sequence

local projection = require "fovea.projection"

return {
  name = "efficient",
  doc = "Efficient attention: queries by a softmax over their features, keys by exp(k), or with\n"
     .. "keys = softmax by a softmax over the sequence (the dimension before the last), which looks\n"
     .. "ahead and sees padding. Positive, M = d; stands for no kernel of q.k. Pass the side. O(nd).",
  ref = "Shen et al. 2021, \"Efficient attention\", arXiv:1812.01243",
  caps = "nonneg asymmetric",
  options = projection.plain_options {
    { "keys", "string", "exp", "what makes keys", choices = { "exp", "softmax" } }
  },
  example = 'phi = fv.map("efficient"); phi(k, "k")',
  build = function(opt, name, caps)
    if opt.keys == "softmax" then caps = projection.with(caps, "global") end
    return projection.plain(opt, name, caps, {
      width = 1, cost = function(n, d) return projection.elementwise(n, d, d, 3, 1) end,
      features = function(x, side)
        if side == "q" then return x:softmax(-1) end
        return opt.keys == "exp" and x:exp() or x:softmax(-2)
      end
    })
  end
}
