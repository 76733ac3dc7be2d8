--- Do random features and ReLU attention learn proteins as softmax attention does?

local fv = require "fovea"
local results = require "fovea.results"
local replicate = require "fovea.replicate"

local function variants(opt, objective)
  local list = {}
  local function add(name, mixer)
    list[#list + 1] = { name = name, make = function(seed)
      local mixers = {}
      for i = 1, opt.layers do mixers[i] = type(mixer) == "function" and mixer(seed * 100 + i) or mixer end
      return fv.model { kind = "lm", vocab = 23, layers = opt.layers, width = opt.width, heads = opt.heads,
                        length = opt.length, attention = mixers, causal = objective == "causal", seed = seed,
                        std = opt.std }
    end }
  end
  add("softmax", "softmax")
  add("uniform averaging", "uniform")
  add("FAVOR+ softmax", function(seed)
    return fv.attention("favor", { features = opt.features, estimator = "positive", seed = seed })
  end)
  add("generalised ReLU", function(seed)
    return fv.attention("linear", { map = "relu", features = opt.features, seed = seed })
  end)
  if objective == "masked" then
    add("Nystrom", fv.attention("nystrom", { landmarks = math.max(2, opt.length // 8) }))
  end
  return list
end

local reading = [[
Test loss in nats a residue (exp of it is the perplexity); intervals are Student's, over seeds;
the column after it is the difference from softmax at the same seed. Baselines count the
training split. Splits keep equal sequences together but not related ones. Nystrom has no
causal form: its landmarks see the future.]]

return {
  question = "Do random features and ReLU attention learn proteins as softmax attention does?",
  claim = "A Performer with ReLU features reaches a Transformer's loss on proteins.",
  source = "Choromanski et al. 2021, arXiv:2009.14794",
  cost = "about five minutes on two cores",
  smoke = { seeds = 2, steps = 2, width = 8, heads = 2, length = 16, batch = 2, features = 8, tests = 1 },
  options = {
    { name = "seeds", type = "integer", default = 5, doc = "seeds, from --seed on" },
    { name = "steps", type = "integer", default = 800, doc = "steps of each run" },
    { name = "layers", type = "integer", default = 2, doc = "blocks" },
    { name = "width", type = "integer", default = 64, doc = "size of a token" },
    { name = "heads", type = "integer", default = 4, doc = "heads" },
    { name = "features", type = "integer", default = 64, doc = "random features" },
    { name = "batch", type = "integer", default = 4, doc = "windows of a batch" },
    { name = "length", type = "integer", default = 128, doc = "residues of a window" },
    { name = "lr", type = "number", default = 1e-2, doc = "highest rate, the same for all" },
    { name = "std", type = "number", default = 0.1, doc = "of the first weights" },
    { name = "tests", type = "integer", default = 64, doc = "test batches" },
    { name = "set", type = "string", default = "sample",
      doc = "sample: 200 proteins, embedded; mmseqs2: 20,000, Debian's package mmseqs2-examples" },
    { name = "path", type = "string", default = "", doc = "FASTA file to use instead" },
  },
  run = function(opt)
    results.folder(opt.out)
    local batch = { batch = opt.batch, length = opt.length }
    for _, objective in ipairs { "causal", "masked" } do
      local kept = {}
      local function data(seed)
        kept[seed] = kept[seed]
          or fv.data("fasta", { path = opt.path, set = opt.set, objective = objective, seed = seed })
        return kept[seed]
      end
      local rows = replicate.run { label = "protein_lm " .. objective, variants = variants(opt, objective),
        seeds = opt.seeds, first = opt.seed, data = data, test = { opt.tests, batch },
        train = { steps = opt.steps, batch = batch, lr = opt.lr, schedule = "cosine", eval_every = 0,
                  warmup = math.min(opt.steps, opt.steps // 10 + 1) } }
      local baselines = replicate.baselines(data(opt.seed), { opt.tests, batch }, objective == "causal")
      print(objective == "causal" and "Next residue" or "\nMasked residues")
      replicate.present(replicate.table(rows, baselines, "softmax", 1), rows,
                        objective == "masked" and reading, opt.out, objective .. "_")
    end
  end,
}
