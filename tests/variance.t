-- fv.variance: measured moments against closed forms and algebra; the same draws for all;
-- what studies save.  "Within 4 s.e." at fixed seeds.

local fv = require "fovea"
local files = require "files"
local tap = require "tap"

local function by(study, f)
  for _, row in ipairs(study) do if f(row) then return row end end
end

-- every map that has a closed form meets it, blocks and incomplete blocks too
do
  local r = fv.variance { map = { "positive", "hyperbolic", "trig", { "relu", eps = 0, sampler = "iid" } },
    sampler = { "iid", "orthogonal", { "orthogonal", norms = "sqrt_d" } }, features = { 6, 12 }, d = 5,
    norm = 0.6, angle = { 0.4, 1.9 }, draws = 4000, seed = 3 }
  tap.is(#r, (3 * 3 + 1) * 2 * 2, "a row for each map, sampler, size and pair")
  local worst, off, lacking, bias = 0, "", 0, 0
  for _, row in ipairs(r) do
    if not row.theory then lacking = lacking + 1
    elseif math.abs(row.z) > worst then worst, off = math.abs(row.z), row.map .. " " .. row.sampler end
    if not row.sampler:find "sqrt" then bias = math.max(bias, math.abs(row.bias) / row.bias_se) end
  end
  tap.is(lacking, 0, "all of these have a closed form")
  tap.ok(worst < 4, "variances are those of the closed forms", "%s is %.1f s.e. off", off, worst)
  tap.ok(bias < 4, "chi norms are unbiased", "%.1f s.e.", bias)
  local fixed = by(r, function(x) return x.map == "positive" and x.sampler:find "sqrt" and x.angle < 1 end)
  local t = fv.theory("positive", { d = 5, m = 6, xx = .36, yy = .36, xy = .36 * math.cos(.4),
    norms = "sqrt_d",
                                    sampler = "orthogonal" })
  tap.ok(math.abs(fixed.bias - t.relative_bias) < 4 * fixed.bias_se,
    "norms sqrt(d) have the bias of the closed form")
  tap.close(fixed.kernel, math.exp(.36 * math.cos(.4)), 1e-12, "and are measured against the softmax kernel")
end

-- algebra: the uniform row, the split of the error, tails
do
  local r = fv.variance { map = "trig", features = 8, norm = 0.5, angle = { 0, math.pi }, d = 4, draws = 500 }
  local K1, K2 = math.exp(0.25), math.exp(-0.25)
  tap.close(r[1].uniform, ((K1 + K2) / 2 / K1 - 1) ^ 2, 1e-12, "uniform: one constant for both pairs")
  tap.ok(r[1].mse < 1e-28 and r[1].variance < 1e-28, "trig is exact at x = y")
  tap.close(r[1].skill, 1, 1e-12, "so its skill is 1")
  tap.close(r[2].mse, r[2].bias ^ 2 + r[2].variance / r[2].kernel ^ 2 * 499 / 500, 1e-12,
    "MSE = bias^2 + variance")
  local none = fv.variance { map = "trig", features = 8, norm = 0.5, angle = math.pi, d = 4, draws = 500,
    tail = 1e9 }
  tap.is(none[1].tail, 0, "no draw is 1e9 kernels off")
  tap.is(none[1].skill, nil, "with one pair a constant is exact, and no skill is claimed")
end

-- the same draws
do
  local opt = { map = { "positive", { "favor", estimator = "positive" } }, features = 16, draws = 300, d = 8 }
  local r = fv.variance(opt)
  tap.is(r[1].variance, r[2].variance, "maps of one sampler meet the same draws")
  local was = fv.threads(1)
  local one = fv.variance(opt)
  fv.threads(was)
  tap.is(one[1].variance, r[1].variance, "same bits at any number of threads, and again")
  opt.seed = 2
  tap.ok(fv.variance(opt)[1].variance ~= r[1].variance, "another seed, other draws")
end

-- attention
fv.map.register { name = "variance_constant", doc = "One feature of 1.", caps = "nonneg",
  build = function() return { call = function(_, x) return x:slice(-1, 1, 1) * 0 + 1 end } end }
fv.map.register { name = "variance_noise", doc = "1 + noise of the seed.",
  options = { { "seed", "integer", 1, "seed" }, { "draw", "integer", 0, "draw" }, { "scale", "number", 1,
    "unused" } },
  build = function(opt)
    local e = fv.rng(opt.seed):stream("noise:" .. opt.draw):number()
    return { W = fv.zeros(1, 1), call = function(_, x) return x:slice(-1, 1, 1) * 0 + (1 + e) end }
  end }
do
  local s = fv.rng(5):stream "inputs"
  local q, k, v = s:normal(2, 24, 4) / 2, s:normal(2, 24, 4) / 2, s:normal(2, 24, 3)
  for _, target in ipairs { "attention", "output" } do
    local r = fv.variance { map = { "variance_constant", "positive" }, features = 32, target = target,
                            q = q, k = k, v = target == "output" and v or nil, draws = 50 }
    tap.close(r[1].mse / r[1].uniform, 1, 1e-5, target .. ": a constant feature is uniform averaging")
    tap.close(r[1].skill, 0, 1e-5, target .. ": with no skill")
    tap.is(r[1].draws, 1, target .. ": what is not random is seen once")
    tap.close(r[2].bias2 + r[2].variance, r[2].mse, 1e-9, target .. ": MSE = bias^2 + variance")
    tap.ok(r[2].bias2 < 0.2 * r[2].variance and r[2].skill > 0,
      target .. ": positive features err by variance")
  end
  -- the mean over draws as one by one, with draws that are the map's own
  local r = fv.variance { map = "positive", sampler = "iid", features = 32, target = "output", q = q, k = k,
    v = v,
                          draws = 40 }
  local sum = 0
  for i = 1, 40 do
    local o = fv.attention("favor", { features = 32, sampler = "iid", seed = 1000 + i })(q, k, v)
    sum = sum + ((o - fv.softmax_attention(q, k, v)) ^ 2):mean():item() / 40
  end
  tap.ok(math.abs(sum - r[1].mse) < 5 * r[1].mse_se, "favor attention errs as much, draw by draw",
         "%g and %g +- %g", sum, r[1].mse, r[1].mse_se)
end
do
  local r = fv.variance { map = "variance_noise", norm = 0, angle = 0, draws = 3000, d = 2 }
  -- (1 + e)^2 with e uniform on [0, 1): mean 7/3, second moment 31/5
  local v = 31 / 5 - (7 / 3) ^ 2
  local se = math.sqrt(v / 3000)
  tap.ok(math.abs(r[1].variance - v) < 4 * r[1].variance_se and math.abs(r[1].mean - 7 / 3) < 4 * se,
         "a map with draws of its own is drawn one by one", "mean %g, variance %g", r[1].mean, r[1].variance)
  tap.ok(table.concat(r.notes, "\n"):find "no theory for variance_noise", "what has no closed form is said")
end

-- prints, saves, plots
do
  local dir = files.dir
  local r = fv.variance { map = { "trig", "positive" }, features = { 8, 16 }, draws = 50, d = 4 }
  tap.ok(tostring(r):find "s%.e%." and tostring(r):find "theory",
    "a study prints its standard errors and theory")
  r:save(dir .. "/r.csv")
  local lines = {}
  for line in io.lines(dir .. "/r.csv") do lines[#lines + 1] = line end
  tap.is(#lines, 5, "CSV: a header and a line for each row")
  tap.ok(lines[2]:find("%.17g", 1, true) == nil and lines[2]:find(("%.17g"):format(r[1].variance), 1, true),
         "with every digit")
  r:save(dir .. "/r.npz")
  tap.is(fv.load(dir .. "/r.npz").mse:get(4), r[4].mse, "NPZ holds the columns")
  r:save(dir .. "/r.json")
  tap.ok(io.open(dir .. "/r.json"):read "a":find(('"mse": %.17g'):format(r[1].mse), 1, true),
    "JSON holds the rows")
  tap.raises("ends in .csv, .json or .npz, got x.txt", "another ending is refused", r.save, r, "x.txt")
  local spec = r.figure(r)
  tap.is(#spec.panels[1].lines, 4, "a curve for each map and one for its theory")
  r:plot(dir .. "/r.svg")
  tap.ok(io.open(dir .. "/r.svg"):read "a":find "<svg", "and a figure")
  for _, f in ipairs(fv.listdir(dir)) do os.remove(dir .. "/" .. f) end
  os.remove(dir)
end

-- misuse
local V = fv.variance
tap.raises("map: nothing is named 'positve'", "a wrong map", function() V { map = "positve" } end)
tap.raises("unknown option 'drawz' %(did you mean 'draws'", "a wrong option", function() V { drawz = 3 } end)
tap.raises("'angle': expected numbers in %[0, 3.14159%], got 4", "degrees are refused",
  function() V { angle = 4 } end)
tap.raises("'features': expected whole numbers", "half a feature", function() V { features = { 1.5 } } end)
tap.raises("expected an even number, got 3", "an odd number for pairs", function() V { map = "trig",
  features = 3 } end)
tap.raises("'sigma': not read with target = \"kernel\"", "options of another target",
  function() V { sigma = 1 } end)
tap.raises("expected both or neither", "q without k", function() V { q = fv.ones(2, 2) } end)
tap.raises("'v' is required", "outputs need values",
           function() V { target = "output", q = fv.ones(2, 2), k = fv.ones(2, 2) } end)
tap.raises("draws are made here, got a map", "a made map", function() V { map = fv.map("elu1") } end)
tap.raises("expected one table", "no table", function() V("positive") end)

tap.done()
