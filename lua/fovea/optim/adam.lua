--- m <- b1 m + (1-b1) g,  v <- b2 v + (1-b2) g^2,  p <- p - lr mh / (sqrt vh + eps)

local fv = require "fovea"

return {
  name = "adam",
  doc = "Adam: m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2, and with mh = m / (1-b1^t),\n"
     .. "vh = v / (1-b2^t), p <- p - lr mh / (sqrt(vh) + eps).",
  ref = "Kingma & Ba 2015, arXiv:1412.6980",
  options = {
    { "beta1", "number", 0.9, "of m", lo = 0, hi = 0.9999999 },
    { "beta2", "number", 0.999, "of v", lo = 0, hi = 0.9999999 },
    { "eps", "number", 1e-8, "added to the divisor", lo = 0 }
  },
  example = 'opt = fv.optim("adam", model:parameters(), {lr=1e-3})',
  build = function(opt)
    return {
      uses = { { "m", "v" } },
      update = function(self, x, g, s, _, t)
        local shape, m, v = { x:shape() }, s.m or g * 0, s.v or g * 0
        local decay = opt.weight_decay and (opt.decay_all or #shape > 1) and opt.weight_decay or 0
        local p
        p, m, v = fv.adam_step(x:reshape(-1), g:reshape(-1), m:reshape(-1), v:reshape(-1),
                               { lr = self.lr, beta1 = opt.beta1, beta2 = opt.beta2, eps = opt.eps,
                                 weight_decay = decay, step = t })
        x:copy_(p:reshape(shape))
        s.m, s.v = m:reshape(shape), v:reshape(shape)
      end
    }
  end
}
