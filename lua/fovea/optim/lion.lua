--- p <- p - lr sign(b1 m + (1-b1) g),  m <- b2 m + (1-b2) g

return {
  name = "lion",
  doc = "Lion: p <- (1 - lr weight_decay) p - lr sign(b1 m + (1-b1) g), then m <- b2 m + (1-b2) g.\n"
     .. "Rates are 3 to 10 times smaller than Adam's, decay as much larger.",
  ref = "Chen et al. 2023, arXiv:2302.06675",
  options = {
    { "beta1", "number", 0.9, "of the step", lo = 0, hi = 0.9999999 },
    { "beta2", "number", 0.99, "of m", lo = 0, hi = 0.9999999 },
    { "weight_decay", "number", 0, "decoupled weight decay", lo = 0 },
    { "decay_all", "boolean", false, "of vectors too" }
  },
  example = 'opt = fv.optim("lion", model:parameters(), {lr=1e-4})',
  build = function(opt)
    return {
      uses = { { "m" } },
      update = function(self, x, g, s)
        if opt.weight_decay > 0 and (opt.decay_all or x:ndim() > 1) then
          x:mul_(1 - self.lr * opt.weight_decay)
        end
        s.m = s.m or g * 0
        x:sub_((s.m * opt.beta1):add_(g * (1 - opt.beta1)):sign_():mul_(self.lr))
        s.m:mul_(opt.beta2):add_(g * (1 - opt.beta2))
      end
    }
  end
}
