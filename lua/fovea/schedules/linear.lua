--- lr (1 - (1 - last) s) when a part s of the run has passed

return {
  name = "linear",
  doc = "A line from lr down to last * lr.",
  options = {
    { "steps", "integer", nil, "of the run", required = true, lo = 1 },
    { "last", "number", 0, "the last rate as a part of lr", lo = 0, hi = 1 }
  },
  example = 'fv.schedule("linear", {lr=1e-3, steps=1000})(1)',
  build = function(opt) return { shape = function(s) return 1 - (1 - opt.last) * s end } end
}
