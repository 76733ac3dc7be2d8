--- lr (last + (1 - last) (1 + cos(pi s)) / 2) when a part s of the run has passed

return {
  name = "cosine",
  doc = "Half a cosine from lr down to last * lr.",
  ref = "Loshchilov & Hutter 2017, arXiv:1608.03983",
  options = {
    { "steps", "integer", nil, "of the run", required = true, lo = 1 },
    { "last", "number", 0, "the last rate as a part of lr", lo = 0, hi = 1 }
  },
  example = 'fv.schedule("cosine", {lr=1e-3, steps=1000, warmup=100})(1)',
  build = function(opt)
    return { shape = function(s) return opt.last + (1 - opt.last) * (1 + math.cos(math.pi * s)) / 2 end }
  end
}
