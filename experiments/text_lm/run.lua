--- How much of softmax attention's loss do the linear kernels and delta rules keep on text?

local fv = require "fovea"

return require "fovea.replicate".experiment {
  question = "How much of softmax attention's loss do linear kernels and delta rules keep on text?",
  claim = "Delta rules lose less than plain linear attention; a single draw of FAVOR+ lies between.",
  source = "arXiv 2009.14794, 2006.16236, 2102.11174, 2412.06464",
  cost = "about ten minutes of one core",
  options = {
    { name = "text", type = "string", default = "", doc = "UTF-8 text to use; default: Genesis, embedded" },
  },
  vocab = 256, unit = 1 / math.log(2), objectives = { "causal" },
  data = function(opt, _, seed) return fv.data("text", { path = opt.text, seed = seed }) end,
  models = function(add)
    add("linear elu+1", "rule:linear")
    add("linear elu+1, normalised", fv.attention("linear", { map = "elu1" }))
    add("DPFP-1", fv.attention("dpfp", { nu = 1 }))
    add("delta", "delta")
    add("gated delta", "gated_delta")
  end,
  reading = [[
Test loss in bits per byte; intervals are Student's, over seeds. The column after it is the
difference from softmax at the same seed (same first parameters where shapes agree, same
batches). Nystrom attention is not here: its landmarks are means over segments that hold the
future, so it has no causal form; protein_lm and swap_in have it.]],
}
