--- lr

return {
  name = "constant",
  doc = "The same rate after the warm-up.",
  options = { { "steps", "integer", nil, "of the run; makes no difference", lo = 1 } },
  example = 'fv.schedule("constant", {lr=1e-3, warmup=100})(1)',
  build = function() return { shape = function() return 1 end } end
}
