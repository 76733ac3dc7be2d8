--- What does a constant subtracted from all keys do for random features?
---
--- Softmax attention does not change when the same vector is added to every key, but every
--- estimator does: positive features err with |x + y|, trigonometric ones with |x - y|. The
--- shift that makes the mean of x + y vanish, and the one that makes that of x - y.

local fv = require "fovea"
local stats = require "fovea.stats"
local study = require "fovea.study"

local columns = {
  { "map" }, { "shift" }, { "z2", "%.2f", "|x+y|^2" }, { "d2", "%.2f", "|x-y|^2" }, { "mean", "%.2e", "MSE" },
  { "low", "%.1e", "95 %" }, { "high", "%.1e", "" }, { "median", "%.2e" }, { "skill", "%+.3f" },
  { "ess", "%.0f", "median ESS" }, { "exact", "%.0e", "change of exact" }
}

return {
  question = "What does a constant subtracted from all keys do for random features?",
  claim = "It changes no softmax attention, and lowers the error of positive features where q and k "
    .. "have means",
  source = "the shift is our own; variances: arXiv 2009.14794, lemma 2",
  cost = "5 s on two cores",
  options = {
    { name = "n", type = "integer", default = 1024, lo = 2, doc = "tokens" },
    { name = "draws", type = "integer", default = 20, lo = 2, doc = "inputs, each with a draw of its own" },
    { name = "mean", type = "number", default = 3, doc = "norm of the means of q and of k" },
  },
  smoke = { n = 32, draws = 3 },
  run = function(opt)
    local t, d, M = fv.clock(), 16, 256
    local shifts = {
      { "none", function() return 0 end },
      { "mean of k", function(_, mk) return mk end },
      { "mean of q + k", function(mq, mk) return mq + mk end },
      { "mean of k - q", function(mq, mk) return mk - mq end },
    }
    local rows, uniform = {}, {}
    for i = 1, opt.draws do
      local s = fv.rng(opt.seed):stream(("input %d"):format(i))
      local function tokens()
        local mean = s:normal(d)
        return s:normal(opt.n, d) * 0.5 + mean * (opt.mean / mean:norm():item())
      end
      local q, k, v = tokens(), tokens(), s:normal(opt.n, d)
      local exact = fv.softmax_attention(q, k, v)
      uniform[i] = ((v:mean(1) - exact) ^ 2):mean():item()
      for _, estimator in ipairs { "positive", "hyperbolic", "trig" } do
        for _, shift in ipairs(shifts) do
          local moved = k - shift[2](q:mean(1), k:mean(1))
          local o, info = fv.attention("favor", { estimator = estimator, features = M,
            seed = opt.seed * 1000 + i })(
            q, moved, v, { errors = true })
          local key = estimator .. shift[1]
          local r = rows[key]
          if not r then
            r = { map = estimator, shift = shift[1], mse = {}, z2 = {}, d2 = {}, ess = {}, exact = 0 }
            rows[key], rows[#rows + 1] = r, r
          end
          local x, y = q * d ^ -0.25, moved * d ^ -0.25
          local square, product = ((x ^ 2):sum(2) + (y ^ 2):sum(2)):mean():item(),
            x:mean(1):dot(y:mean(1)):item()
          r.mse[i], r.z2[i], r.d2[i] = ((o - exact) ^ 2):mean():item(), square + 2 * product,
            square - 2 * product
          r.ess[i] = stats.median(info.ess:totable())
          r.exact = math.max(r.exact, (fv.softmax_attention(q, moved, v) - exact):abs():max():item())
        end
      end
    end
    local out = study.new { columns = columns,
      title = ("outputs, n = %d, d = %d, M = %d orthogonal; q, k = mean of "
      .. "norm %g + N(0, 0.25); %d inputs"):format(opt.n, d, M, opt.mean, opt.draws) }
    local base = stats.mean(uniform)
    for _, r in ipairs(rows) do
      local low, high = stats.t_interval(r.mse)
      out:add { map = r.map, shift = r.shift, z2 = stats.mean(r.z2), d2 = stats.mean(r.d2),
        mean = stats.mean(r.mse),
                low = low, high = high, median = stats.median(r.mse),
                skill = 1 - stats.median(r.mse) / stats.median(uniform),
                ess = stats.median(r.ess), exact = r.exact }
    end
    out.notes = {
      ("uniform averaging: mean %.2e, median %.2e; skill: 1 - median / uniform's median"):format(base,
        stats.median(uniform)),
      "|x+y|^2, |x-y|^2: means over all pairs of scaled rows; 95 %: Student's, of the mean over inputs;",
      "change of exact: largest difference that the shift makes in exact attention, in f32."
    }
    out:publish(opt, t)
  end,
}
