-- What the language-model experiments rest on: what counts know, which labels count, which rate
-- is taken, and what Ctrl-C leaves.

local tap = require "tap"
local fv = require "fovea"
local counts = require "fovea.counts"
local progress = require "fovea.progress"
local replicate = require "fovea.replicate"
local windows = require "fovea.windows"

local exe = (os.getenv "BUILD" or "build") .. "/fovea"
local function ids(list) return fv.tensor({ list }, { dtype = "i64" }) end

-- ---- counts of 1 2 1 1 3: c = (3, 1, 1), n = 5, V = 3; after 1 come 2, 1, 3 ----

local function once(x, y)
  local given = false
  return function()
    if given then return nil end
    given = true
    return ids(x), ids(y)
  end
end
local text = { vocab = 3, runs = { train = { windows.list { 1, 2, 1, 1, 3 } } } }
local known = counts(text, once({ 1, 2, 1 }, { 2, 1, -100 }), true)
tap.close(known.uniform, math.log(3), 1e-15, "uniform: log V")
tap.close(known.unigram, -(math.log(2 / 8) + math.log(4 / 8)) / 2, 1e-15, "unigram: (c + 1) / (n + V)")
tap.close(known.bigram, -(math.log((1 + 2 / 8) / 4) + math.log((1 + 4 / 8) / 2)) / 2, 1e-15,
          "bigram: (c_ab + unigram_b) / (c_a + 1), and no label no loss")
tap.is(counts(text, once({ 1 }, { 2 }), false).bigram, nil, "no bigram where labels are not the next tokens")

-- ---- runs of a model that has one logit for each of 3 ids ----

local stream = { train = { ids { 3, 1 }, ids { 2, 2 } }, validation = { ids { 3, 1 }, ids { 2, 2 } },
                 test = { ids { 3, 1 }, ids { 1, 3 } } }
local data = { vocab = 3, batch = function(_, split) return { ids = stream[split][1], labels = stream[split][2] } end }
function progress.new() return { step = function() end, finish = function() end } end   -- silent
local seeds = {}
local function model(seed, last)
  seeds[#seeds + 1] = seed
  local w = fv.tensor({ math.log(1), math.log(2), last or math.log(5) }):requires_grad()
  return setmetatable({ parameters = function() return { { name = "w", tensor = w } } end,
                        count = function() return 3 end },
                      { __call = function(_, x) return w:expand(1, x:size(2), 3) end })
end
local function run(change)
  local s = { label = "test", variants = { { name = "a", make = model } }, seeds = 2, first = 7,
              rates = { 1e-12 }, data = function() return data end, tests = 1, unit = 2,
              train = { steps = 3, batch = {} } }
  for key, v in pairs(change) do s[key] = v end
  return replicate.run(s)
end

-- at a rate of 0 the labels 1 and 3 have probabilities 1/8 and 5/8
tap.close(run({})[1].losses[1], math.log(8) + math.log(8 / 5), 1e-6, "the mean over labels, times the unit")
tap.close(run({ masked = true })[1].losses[1], 2 * math.log(8), 1e-6, "of masked tokens those under the mask")

seeds = {}
local row = run({ rates = { 1e-12, 0.5 } })[1]
tap.is(table.concat(seeds, " "), "6 6 7 8", "rates are tried at the seed before the first")
tap.is(row.rate, 0.5, "the rate is the one that is best on validation")
tap.ok(row.losses[1] > math.log(8) + math.log(8 / 5) + 0.1, "though here it is the worse on the test split")
tap.is(run({ rates = { 0.5, 1e-12 } })[1].rate, 0.5, "wherever it stands in the list")

local made = 0
local function third(what)
  made = 0
  return { { name = "a", make = model }, { name = "b", make = function(seed)
    made = made + 1
    if made == 2 then error(what, 0) end
    return model(seed)
  end } }
end
local rows, stopped = run { variants = third "interrupted!" }
tap.ok(stopped and #rows[1].losses == 2 and #rows[2].losses == 1, "Ctrl-C leaves the runs that were done")
tap.raises("^no memory$", "any other error goes on", run, { variants = third "no memory" })

local g = replicate.table(rows, known, "a")
local b = g[#g]
tap.is(b.seeds, 1, "the table counts them")
tap.close(b.difference, 0, 0, "and pairs what has a partner")

local nan = run { seeds = 1, variants = { { name = "a", make = function(seed) return model(seed, 0 / 0) end } } }
local lost = replicate.table(nan, known, "a")
tap.ok(lost[#lost].diverged == 1 and lost[#lost].loss ~= lost[#lost].loss, "a run that diverges keeps its row")
tap.ok(nan[1].why:find "^at rate 1e%-12, seed 7: step 1: ", "which says where", "%s", nan[1].why)

-- ---- the command ----

local out = os.tmpname()
os.remove(out)
local small = " --steps=40 --width=8 --heads=2 --length=16 --batch=1 --tests=1 --rates=1e-2 --out=" .. out
local function sh(command)
  local p = io.popen(command)
  local said = p:read "a"
  p:close()
  return said
end
local said = sh(exe .. " run experiments/protein_lm --only=zzz" .. small .. " 2>&1")
tap.ok(said:find "^fovea: %-%-only: expected part of a model's name, got 'zzz'[^\n]*'Nystrom'\n$",
       "a model that is not known", "%s", said)
said = sh(exe .. " run experiments/protein_lm --only=nys --seeds=1" .. small .. " 2>/dev/null; ls " .. out)
tap.ok(said:find "masked_results.csv" and not said:find "causal_", "only what has the model is trained", "%s",
       said)
said = sh(exe .. " run experiments/text_lm --rates=1e-2,x" .. " 2>&1")
tap.is(said, "fovea: --rates: expected positive numbers with commas between, got '1e-2,x'\n", "a rate that is none")

os.execute("rm -rf " .. out)
tap.done()
