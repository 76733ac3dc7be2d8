--- Do random features and ReLU attention learn proteins as softmax attention does?

local fv = require "fovea"

return require "fovea.replicate".experiment {
  question = "Do random features and ReLU attention learn proteins as softmax attention does?",
  claim = "A Performer with ReLU features reaches a Transformer's loss on proteins.",
  source = "Choromanski et al. 2021, arXiv:2009.14794",
  cost = "about ten minutes of one core",
  options = {
    { name = "set", type = "string", default = "sample", choices = { "sample", "mmseqs2" },
      doc = "sample: 200 proteins, embedded; mmseqs2: 20,000, Debian's package mmseqs2-examples" },
    { name = "path", type = "string", default = "", doc = "FASTA file to use instead" },
  },
  vocab = 23, unit = 1, objectives = { "causal", "masked" },
  data = function(opt, objective, seed)
    return fv.data("fasta", { path = opt.path, set = opt.set, objective = objective, seed = seed })
  end,
  models = function(add, opt, masked)
    add("generalised ReLU", function(seed)
      return fv.attention("linear", { map = "relu", features = opt.features, seed = seed })
    end)
    if masked then add("Nystrom", fv.attention("nystrom", { landmarks = math.max(2, opt.length // 8) })) end
  end,
  reading = [[
Test loss in nats a residue (exp of it is the perplexity); of masked residues those count that the
model does not see. Intervals are Student's, over seeds; the column after it is the difference from
softmax at the same seed. Baselines count the training split. Splits keep equal sequences together
but not related ones. Nystrom has no causal form: its landmarks see the future.]],
}
