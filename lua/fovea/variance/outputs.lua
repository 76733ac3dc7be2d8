--- Errors of attention matrices and attention outputs against exact softmax attention.

local fv = require "fovea"
local curves = require "fovea.curves"
local study = require "fovea.study"
local stats = require "fovea.stats"

local outputs = {}

local columns = {
  { "map" }, { "sampler" }, { "features", nil, "M" }, { "mse", "%.3e", "MSE" }, { "mse_se", "%.0e", "s.e." },
  { "median", "%.3e" }, { "bias2", "%.2e", "bias^2" }, { "variance", "%.3e" }, { "uniform", "%.3e" },
  { "skill", "%+.3f" }, { "skill_se", "%.3f", "s.e." }, { "tail", "%.2f" }, { "negative", "%.3f", "den<=0" },
  { "draws" }, { "q10", more = true }, { "q90", more = true }
}

local function inputs(o)
  local q, k, v = o.q, o.k, o.v
  if not q then
    local s = fv.rng(o.seed):stream "variance:inputs"
    q, k = s:normal(o.n, o.d, { dtype = o.dtype }) * o.sigma, s:normal(o.n, o.d,
      { dtype = o.dtype }) * o.sigma
    v = s:normal(o.n, o.d, { dtype = o.dtype })
  end
  if o.target == "output" and not v then error("variance: option 'v' is required with target = \"output\"",
    0) end
  o.d = q:size(-1)
  return q, k, v
end

--- Attention with the features of a batch of draws: o (B, ..., n, e), share of normalisers <= 0.
local function attend(phi, q, k, v)
  if rawget(phi, "log") then return (fv.positive_attention(phi:log(q, "q"), phi:log(k, "k"), v)), 0 end
  local fq, fk = phi(q, "q"), phi(k, "k")
  local den = fq:matmul(fk:sum(-2):unsqueeze(-1))
  return (fv.linear_attention(fq, fk, v)), den:le(0):to("f64"):mean():item()
end

--- Error of each draw: mean over all entries of (o - exact)^2.
local function errors(o, exact, B)
  local e = (o - exact):to "f64"
  return (e ^ 2):reshape(B, -1):mean(-1), e:reshape(B, -1)
end

local function figure(rows)
  local lines = curves(rows, function(r)
    return r.map .. " " .. r.sampler, r.features, r.median, r.q10, r.q90
  end)
  return { title = rows.title, panels = { { xlabel = "features M",
    ylabel = "mean squared error, median over draws",
           logx = 2, logy = true, lines = lines, levels = { { name = "uniform", y = rows[1].uniform } } } } }
end

function outputs.run(o, instances, each)
  local q, k, v = inputs(o)
  if o.target == "attention" then v = fv.eye(k:size(-2), { dtype = q:dtype() }) end
  local exact = fv.softmax_attention(q, k, v)
  local uniform = ((fv.attention("uniform")(q, k, v) - exact):to "f64" ^ 2):mean():item()
  local list = instances(q * q:size(-1) ^ -0.25, k * q:size(-1) ^ -0.25)
  local n = q:numel() // q:size(-1)
  for _, it in ipairs(list) do it.negative, it.count = 0, 0 end
  each(list, n + k:numel() // q:size(-1), q:ndim() - 2, q:dtype(), function(it, phi, B)
    local out, negative = attend(phi, q, k, v)
    local e2, e = errors(out, exact, B)
    it.est[#it.est + 1], it.count = e2, it.count + B
    it.negative = it.negative + negative * B
    local sum = e:sum(1)
    it.sum = it.sum and it.sum + sum or sum
  end)
  local what = o.target == "output" and "attention outputs" or "attention matrices"
  local out = study.new {
    title = ("%s: q (%s), up to %d draws, seed %d"):format(what, table.concat({ q:shape() }, ","), o.draws,
      o.seed),
    columns = columns, figure = figure,
    notes = {
      "MSE: mean over entries of the squared error against exact softmax attention, and over draws; bias^2",
      "and variance are its parts (bias^2 freed of the variance of the mean, so it can be below 0).",
      "uniform: the same error of averaging all values; skill: 1 - MSE / uniform, below 0 worse than that;",
      "tail: share of draws worse than averaging; den<=0: share of normalisers that are not positive."
    }
  }
  for _, it in ipairs(list) do
    local e2, N = fv.cat(it.est, 1), it.count
    local mse = e2:mean():item()
    local se = N > 1 and math.sqrt(e2:var():item() / N) or 0
    local square = ((it.sum / N) ^ 2):mean():item()          -- bias^2 + variance / N
    local variance = N > 1 and (mse - square) * N / (N - 1) or nil
    local all = e2:totable()
    out:add {
      map = it.name, sampler = it.sampler, features = it.phi.features, mse = mse, mse_se = se,
      median = stats.median(all), q10 = stats.quantile(all, 0.1), q90 = stats.quantile(all, 0.9),
      variance = variance, bias2 = variance and mse - variance or mse, uniform = uniform,
      skill = uniform > 0 and 1 - mse / uniform or nil, skill_se = uniform > 0 and se / uniform or nil,
      tail = e2:gt(uniform):to("f64"):mean():item(), negative = it.negative / N, draws = N
    }
  end
  return out
end

return outputs
