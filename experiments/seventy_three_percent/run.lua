--- What is the 73 % error that a user of performer-pytorch reported?
---
--- The report's setting (d = 128, 24 tokens, 1024 features, N(0, 1) inputs) with the package's
--- formula at several epsilons, beside plain averaging of the values and the estimator as the
--- paper has it. Also at a quarter of the scale.

local fv = require "fovea"
local stats = require "fovea.stats"
local study = require "fovea.study"

--- Softmax features as the package ships them: the maximum of W x is subtracted (over features
--- for queries, over features and tokens for keys), |x|^2/2 too, and eps is added after exp.
local function shipped(x, W, eps, key)
  local u = (x * x:size(-1) ^ -0.25):matmul(W:t())
  local half = ((x ^ 2):sum(-1) * (x:size(-1) ^ -0.5 / 2)):unsqueeze(-1)
  local top = u:max(-1):unsqueeze(-1)
  if key then top = top:max(-2):unsqueeze(-2) end
  return ((u - half - top):exp() + eps) * W:size(1) ^ -0.5
end

local function package(eps)
  return function(q, k, v, W) return fv.linear_attention(shipped(q, W, eps, false), shipped(k, W, eps,
    true), v) end
end

local function favor(estimator)
  return function(q, k, v, W)
    local m = estimator == "positive" and W:size(1) or W:size(1) // 2
    return (fv.attention("favor", { estimator = estimator, projection = W:slice(1, 1, m) })(q, k, v))
  end
end

local function floor_share(q, W, eps)
  return eps and shipped(q, W, eps, false):le(10 * eps * W:size(1) ^ -0.5):to("f64"):mean():item() or nil
end

local methods = {
  { "averaging the values", function(_, _, v) return v:mean(1):unsqueeze(1):expand(v:shape()) end },
  { "package, eps = 1e-4 (as shipped)", package(1e-4), 1e-4 }, { "package, eps = 1e-6", package(1e-6), 1e-6 },
  { "package, eps = 0", package(0) }, { "positive, log domain", favor "positive" },
  { "hyperbolic, log domain", favor "hyperbolic" }, { "trig", favor "trig" },
}

return {
  question = "What is the 73 % error that a user of performer-pytorch reported?",
  claim = "mean |error| / mean |output| is 73.3 +- 2.0 % (issues/69), read as the error of the approximation",
  source = "github.com/lucidrains/performer-pytorch/issues/69; arXiv 2009.14794",
  cost = "5 s on two cores",
  options = {
    { name = "draws", type = "integer", default = 20, lo = 2, doc = "inputs, each with a draw of its own" },
    { name = "features", type = "integer", default = 1024, lo = 2, doc = "features" },
  },
  smoke = { draws = 2, features = 64 },
  run = function(opt)
    local t, d, n = fv.clock(), 128, 24
    local out = study.new { title = ("mean |error| / mean |output|, d = %d, %d tokens, %d features, %d "
      .. "draws"):format(
      d, n, opt.features, opt.draws), columns = {
      { "scale" }, { "method" }, { "error", "%.1f", "error %" }, { "low", "%.1f", "95 %" }, { "high",
        "%.1f", "" },
      { "sd", "%.1f", "sd" }, { "from_mean", "%.1f", "from averaging %" }, { "floor", "%.0f",
        "near eps %" } } }
    for _, scale in ipairs { 1, 0.25 } do
      local err, from, low = {}, {}, {}
      for i = 1, opt.draws do
        local s = fv.rng(opt.seed):stream(("input %d"):format(i))
        local q, k, v = s:normal(n, d) * scale, s:normal(n, d) * scale, s:normal(n, d)
        local W = fv.sample("orthogonal", { rows = opt.features, dim = d, seed = opt.seed * 1000 + i })
        local exact, mean = fv.softmax_attention(q, k, v), v:mean(1)
        for j, m in ipairs(methods) do
          local o = m[2](q, k, v, W)
          err[j], from[j], low[j] = err[j] or {}, from[j] or {}, low[j] or {}
          err[j][i] = 100 * ((o - exact):abs():mean() / exact:abs():mean()):item()
          from[j][i] = 100 * ((o - mean):abs():mean() / mean:abs():mean()):item()
          low[j][i] = floor_share(q, W, m[3])
        end
      end
      for j, m in ipairs(methods) do
        local lo, hi = stats.t_interval(err[j])
        out:add { scale = scale, method = m[1], error = stats.mean(err[j]), low = lo, high = hi,
                  sd = math.sqrt(stats.variance(err[j])), from_mean = stats.mean(from[j]),
                  floor = #low[j] > 0 and 100 * stats.mean(low[j]) or nil }
      end
    end
    out.notes = { "95 %: Student's, of the mean over draws; sd: of one draw; from averaging: mean "
      .. "|output - mean of v| / mean",
                  "|mean of v|; near eps: share of query features within ten times the epsilon that was "
                    .. "added." }
    out:publish(opt, t)
  end,
}
