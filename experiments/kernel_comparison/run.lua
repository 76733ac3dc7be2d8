--- Which approximation of softmax attention holds on real text, at what budget?
---
--- Queries, keys and values are word vectors of an English text, and those of a
--- trained model that reads it (inputs.lua); each method replaces exact attention.
--- Errors are against exact softmax attention on the same inputs, beside the
--- controls that any method has to beat: uniform averaging, the best matrix of
--- rank m, the m largest weights of each row.

local fv = require "fovea"
local curves = require "fovea.curves"
local grid = require "fovea.grid"
local inputs = require "inputs"
local plot = require "fovea.plot"
local progress = require "fovea.progress"
local report = require "fovea.report"
local results = require "fovea.results"
local stats = require "fovea.stats"

--- Every method at every budget: { name, budget, random, control, make(seed) }.
local function methods(opt, dim)
  local list = {}
  local function add(name, budget, random, key, options, control)
    list[#list + 1] = { name = name, budget = budget, random = random, control = control,
                        make = function(seed)
      if random then options.seed = seed end
      return fv.attention(key, options)
    end }
  end
  add("uniform", 0, false, "uniform", {})
  for _, m in ipairs { 16, 64, 256 } do add("best rank-m", m, false, "svd", { rank = m }, true) end
  for _, m in ipairs { 16, 64, 256 } do add("top-m", m, false, "topm", { keep = m }, true) end
  add("elu+1", dim, false, "linear", { map = "elu1" })
  for nu = 1, 3 do add("DPFP-" .. nu, 2 * dim * nu, false, "dpfp", { nu = nu }) end
  local budgets = {}
  for m = 4, 9 do budgets[#budgets + 1] = 2 ^ m // 1 | 0 end
  for _, m in ipairs(budgets) do
    add("ReLU", m, true, "linear", { map = "relu", features = m, dim = dim })
  end
  for _, kind in ipairs { "trig", "positive", "hyperbolic" } do
    for _, sampler in ipairs { "iid", "orthogonal" } do
      for _, m in ipairs(budgets) do
        add(kind .. " " .. sampler, m, true, "favor",
            { estimator = kind, sampler = sampler, features = m, dim = dim })
      end
    end
  end
  for _, m in ipairs { 16, 32, 64, 128, 256 } do
    add("Nystrom", m, false, "nystrom", { landmarks = m })
  end
  if opt.only ~= "" then
    local kept = {}
    for _, m in ipairs(list) do
      if m.name == "uniform" or m.name:lower():find(opt.only:lower(), 1, true) then kept[#kept + 1] = m end
    end
    if #kept == 1 and not ("uniform"):find(opt.only:lower(), 1, true) then
      error(("--only: expected part of a method's name, such as nystrom, got '%s'"):format(opt.only), 0)
    end
    list = kept
  end
  return list
end

--- Mean over rows of KL(A_i || B_i), B clipped at 1e-12 and renormalised.
local function row_kl(logA, A, B)
  local P = B:clamp(1e-12, math.huge)
  local logP = (P / P:sum(-1):unsqueeze(-1)):log()
  return (A * (logA - logP)):sum(-1):mean():item()
end

--- Errors and times of one method on one passage.  All methods here are linear in v,
--- so their matrix B is what they make of the identity.  A control is costly and its
--- time compares with nothing: it runs once, and its output is B v.
local function measure(attend, p, control)
  local times, o, B, info = {}, nil, nil, nil
  local function timed(f)
    local t = fv.clock()
    f()
    times[#times + 1] = (fv.clock() - t) * 1e3
  end
  if control then
    timed(function()
      B, info = attend(p.q, p.k, p.eye)
      o = B:matmul(p.v)
    end)
  else
    repeat   -- at least three times, but once is enough for what takes long
      timed(function() o, info = attend(p.q, p.k, p.v) end)
    until #times == 3 or times[1] > 200
    B = attend(p.q, p.k, p.eye)
  end
  return { err = ((o - p.o):norm() / p.o_norm):item(), kl = row_kl(p.logA, p.A, B), times = times,
           neg = 100 * B:lt(0):to "f32":mean():item(), path = info.path }
end

local function prepare(p)
  local n = p.q:size(1)
  p.eye = fv.eye(n)
  p.o = fv.softmax_attention(p.q, p.k, p.v)
  p.o_norm = p.o:norm()
  p.A = fv.softmax_attention(p.q, p.k, p.eye)
  p.logA = p.A:clamp(1e-30, 1):log()
  return p
end

--- All draws on all passages of one group: a row for the table.
local function evaluate(m, group, opt, stream)
  local draws = m.random and opt.draws or 1
  local err, kl, neg, times, path = {}, {}, {}, {}, nil
  for i, p in ipairs(group.passages) do
    err[i], kl[i] = {}, {}
    for j = 1, draws do
      local r = measure(m.make(opt.seed * 1000 + j), p, m.control)
      err[i][j], kl[i][j], path, neg[#neg + 1] = r.err, r.kl, r.path, r.neg
      table.move(r.times, 1, #r.times, #times + 1, times)
    end
  end
  local function mean(cells)
    local all = {}
    for _, row in ipairs(cells) do table.move(row, 1, #row, #all + 1, all) end
    return stats.mean(all)
  end
  local row = { input = group.label, method = m.name, budget = m.budget, draws = draws,
                passages = #group.passages,
                err = mean(err), kl = mean(kl), neg = stats.mean(neg), path = path, ms = stats.median(times),
                ms_lo = stats.quantile(times, 0.1), ms_hi = stats.quantile(times, 0.9) }
  row.err_lo, row.err_hi = stats.crossed_interval(err, stream)
  row.kl_lo, row.kl_hi = stats.crossed_interval(kl, stream)
  return row
end

local function present(rows)
  local g = grid.new {
    { "input" }, { "shown", nil, "method" }, { "budget", nil, "m" }, { "err", "%.3f", "rel. error" },
    { "err95", nil, "95 %", right = true }, { "kl", "%.3f", "row KL" },
    { "kl95", nil, "95 %", right = true }, { "skill", "%+.3g" }, { "neg", "%.1f", "neg. %" },
    { "ms", "%.2f" },
    { "spread", nil, "10-90 %", right = true } }
  local last
  for _, r in ipairs(rows) do
    r.shown = r.path == "exact" and r.method .. " (exact)" or r.method
    r.err95 = grid.interval("%.3f", r.err_lo, r.err_hi)
    r.kl95 = grid.interval("%.3f", r.kl_lo, r.kl_hi)
    r.spread = grid.interval("%.2f", r.ms_lo, r.ms_hi)
    r.rule = last and last.input ~= r.input
    last = r
    g:add(r)
  end
  return g
end

--- Colour by family; broken lines where independent draws have an orthogonal twin.
local looks = {
  ["best rank-m"] = { "#999999", 2 }, ["top-m"] = { "#999999", 3 }, ["elu+1"] = { "#8c564b" },
  ["DPFP-1"] = { "#e69f00" }, ["DPFP-2"] = { "#e69f00" }, ["DPFP-3"] = { "#e69f00" },
  ["ReLU"] = { "#cc79a7" },
  ["trig iid"] = { "#d55e00", 2 }, ["trig orthogonal"] = { "#d55e00" },
  ["positive iid"] = { "#56b4e9", 2 }, ["positive orthogonal"] = { "#56b4e9" },
  ["hyperbolic iid"] = { "#0072b2", 2 }, ["hyperbolic orthogonal"] = { "#0072b2" },
  ["Nystrom"] = { "#009e73" },
}

local function figure(rows, groups, uniform)
  local panels = {}
  for _, group in ipairs(groups) do
    local lines = curves(rows, function(r)
      if r.input ~= group.label or r.budget == 0 then return nil end
      return r.method, r.budget, r.err, r.err_lo or r.err, r.err_hi or r.err
    end)
    for i, l in ipairs(lines) do
      local look = looks[l.name] or {}
      l.colour, l.dash, l.point = look[1], look[2] or 1, 4 + i % 10
    end
    panels[#panels + 1] = { title = ("%s (%d tokens)"):format(group.label, group.n),
      xlabel = "budget m (features, landmarks, rank)", ylabel = "relative output error",
      logx = 2, logy = true, yrange = "0.03:5", lines = lines,
      levels = { { name = "uniform", y = uniform[group.label].err } } }
  end
  return plot { title = "Softmax attention approximated on real text", panels = panels }
end

local reading = [[
Reading. 'rel. error' is |O' - O| / |O| of the attention output against exact softmax attention;
'row KL' the mean over queries of KL(exact weights || approximate weights); 'skill' is 1 - (error /
error of uniform averaging)^2: at 0 a method is no better than averaging all values, below 0 it is
worse; 'neg.' is the share of negative weights (KL then counts them as 1e-12). m counts features,
landmarks, the rank or the kept weights. Intervals are 95 % over passages and draws, resampled
independently. Controls, computed from the exact weights: 'best rank-m' is the matrix of rank m
nearest to them, 'top-m' keeps the m largest weights of each row and scales them to sum 1.]]

return {
  question = "Which approximation of softmax attention holds on real text, at what budget?",
  source = "arXiv 2009.14794, 2102.11174, 2102.03902, 2006.16236; vectors: PPMI + SVD",
  cost = "under a minute on two cores",
  options = {
    { name = "text", type = "string", default = "", doc = "UTF-8 text to use; default: Genesis, embedded" },
    { name = "source", type = "string", default = "both", choices = { "text", "model", "both" },
      doc = "word vectors of the text, a trained model's inputs, or both" },
    { name = "draws", type = "integer", default = 3, lo = 1, doc = "random draws of each random method" },
    { name = "passages", type = "integer", default = 3, lo = 1, doc = "passages of each length" },
    { name = "only", type = "string", default = "", doc = "only methods whose name contains this" },
  },
  run = function(opt)
    local groups, about = inputs.groups(opt)
    results.folder(opt.out)
    local rows, uniform = {}, {}
    local bar = progress.new(#methods(opt, 1) * #groups, "kernel comparison")
    for _, group in ipairs(groups) do
      for _, p in ipairs(group.passages) do prepare(p) end
      for _, m in ipairs(methods(opt, group.dim)) do
        local r = evaluate(m, group, opt, fv.rng(opt.seed):stream "bootstrap")
        if m.name == "uniform" then uniform[group.label] = r end
        r.skill = 1 - (r.err / uniform[group.label].err) ^ 2
        rows[#rows + 1] = r
        bar:step(("%s m=%d %s"):format(m.name, m.budget, group.label))
      end
    end
    local seconds = bar:finish()
    local g = present(rows)
    local setting = ("%s; seed %d, %d draws; %.1f s\n%s"):format(about, opt.seed, opt.draws, seconds,
      tostring(fv.info()))
    report.publish(opt.out, { grid = g, reading = reading, setting = setting,
      figure = figure(rows, groups, uniform),
      caption = "Relative output error against budget; bands: 95 % intervals.",
      columns = { "input", "method", "budget", "passages", "draws", "err", "err_lo", "err_hi", "kl", "kl_lo",
                  "kl_hi", "skill", "neg", "ms", "ms_lo", "ms_hi", "path" } })
  end,
}
