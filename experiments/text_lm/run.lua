--- How much of softmax attention's loss do the linear kernels and delta rules keep on text?

local fv = require "fovea"
local results = require "fovea.results"
local replicate = require "fovea.replicate"

local function variants(opt)
  local list = {}
  --- mixer(seed) is an attention or rule for one block.
  local function add(name, mixer)
    if opt.only ~= "" and name ~= "softmax" and not name:find(opt.only, 1, true) then return end
    list[#list + 1] = { name = name, make = function(seed)
      local mixers = {}
      for i = 1, opt.layers do mixers[i] = type(mixer) == "function" and mixer(seed * 100 + i) or mixer end
      return fv.model { kind = "lm", vocab = 256, layers = opt.layers, width = opt.width, heads = opt.heads,
                        length = opt.length, attention = mixers, seed = seed, std = opt.std }
    end }
  end
  add("softmax", "softmax")
  add("uniform averaging", "uniform")
  add("FAVOR+", function(seed)
    return fv.attention("favor", { features = opt.features, estimator = "positive", seed = seed })
  end)
  add("linear elu+1", "rule:linear")
  add("linear elu+1, normalised", fv.attention("linear", { map = "elu1" }))
  add("DPFP-1", fv.attention("dpfp", { nu = 1 }))
  add("delta", "delta")
  add("gated delta", "gated_delta")
  return list
end

local reading = [[
Test loss in bits per byte; intervals are Student's, over seeds. The column after it is the
difference from softmax at the same seed (same first parameters where shapes agree, same
batches). Nystrom attention is not here: its landmarks are means over segments that hold the
future, so it has no causal form; protein_lm and swap_in have it.]]

return {
  question = "How much of softmax attention's loss do linear kernels and delta rules keep on text?",
  claim = "Delta rules lose less than plain linear attention; a single draw of FAVOR+ lies between.",
  source = "arXiv 2009.14794, 2006.16236, 2102.11174, 2412.06464",
  cost = "about five minutes on two cores",
  smoke = { seeds = 2, steps = 2, width = 8, heads = 2, length = 16, batch = 2, features = 8, tests = 1 },
  options = {
    { name = "seeds", type = "integer", default = 5, doc = "seeds, from --seed on" },
    { name = "steps", type = "integer", default = 800, doc = "steps of each run" },
    { name = "layers", type = "integer", default = 2, doc = "blocks" },
    { name = "width", type = "integer", default = 64, doc = "size of a token" },
    { name = "heads", type = "integer", default = 4, doc = "heads" },
    { name = "features", type = "integer", default = 64, doc = "random features of FAVOR+" },
    { name = "batch", type = "integer", default = 4, doc = "windows of a batch" },
    { name = "length", type = "integer", default = 128, doc = "bytes of a window" },
    { name = "lr", type = "number", default = 1e-2, doc = "highest rate, the same for all" },
    { name = "std", type = "number", default = 0.1, doc = "of the first weights" },
    { name = "tests", type = "integer", default = 64, doc = "test batches" },
    { name = "text", type = "string", default = "", doc = "UTF-8 text to use; default: Genesis, embedded" },
    { name = "only", type = "string", default = "", doc = "softmax and the models whose name contains this" },
  },
  run = function(opt)
    results.folder(opt.out)
    local batch = { batch = opt.batch, length = opt.length }
    local function data(seed) return fv.data("text", { path = opt.text, seed = seed }) end
    local rows = replicate.run { label = "text_lm", variants = variants(opt), seeds = opt.seeds,
      first = opt.seed, data = data, test = { opt.tests, batch },
      train = { steps = opt.steps, batch = batch, lr = opt.lr, schedule = "cosine", eval_every = 0,
                warmup = math.min(opt.steps, opt.steps // 10 + 1) } }
    local baselines = replicate.baselines(data(opt.seed), { opt.tests, batch }, true)
    local g = replicate.table(rows, baselines, "softmax", 1 / math.log(2))
    replicate.present(g, rows, reading, opt.out)
  end,
}
