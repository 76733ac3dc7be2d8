--- m <- b1 m + (1-b1) g,  v <- b2 v + (1-b2) g^2,  p <- p - lr mh / (sqrt vh + eps)

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
      uses = { "m", "v" },
      update = function(self, x, g, s, _, t)
        s.m = s.m or g * 0
        s.v = s.v or g * 0
        s.m:mul_(opt.beta1):add_(g * (1 - opt.beta1))
        s.v:mul_(opt.beta2):add_(g:square():mul_(1 - opt.beta2))
        local d = (s.v / (1 - opt.beta2 ^ t)):sqrt_():add_(opt.eps)
        x:sub_((s.m * (self.lr / (1 - opt.beta1 ^ t))):div_(d))
      end
    }
  end
}
