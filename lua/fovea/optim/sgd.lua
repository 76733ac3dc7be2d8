--- b <- momentum b + g,  p <- p - lr (b, or g + momentum b where nesterov)

return {
  name = "sgd",
  doc = "Stochastic gradient descent, with momentum: b <- momentum b + g, p <- p - lr b, or with\n"
     .. "nesterov p <- p - lr (g + momentum b). p is first multiplied by 1 - lr weight_decay.",
  ref = "Sutskever et al. 2013",
  options = {
    { "momentum", "number", 0, "of the running gradient", lo = 0, hi = 1 },
    { "nesterov", "boolean", false, "look ahead" },
    { "weight_decay", "number", 0, "decoupled weight decay", lo = 0 },
    { "decay_all", "boolean", false, "of vectors too" }
  },
  example = 'opt = fv.optim("sgd", model:parameters(), {lr=0.1, momentum=0.9})',
  build = function(opt)
    return {
      uses = { { "momentum" } },
      update = function(self, x, g, s)
        if opt.weight_decay > 0 and (opt.decay_all or x:ndim() > 1) then
          x:mul_(1 - self.lr * opt.weight_decay)
        end
        if opt.momentum > 0 then
          if s.momentum then s.momentum:mul_(opt.momentum):add_(g) else s.momentum = g:clone() end
          g = opt.nesterov and g + s.momentum * opt.momentum or s.momentum
        end
        x:sub_(g * self.lr)
      end
    }
  end
}
