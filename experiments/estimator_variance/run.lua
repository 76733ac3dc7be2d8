--- Is the variance of each softmax-kernel estimator what theory says?
---
--- Every map with every sampler, at pairs of given norm and angle; the closed forms of
--- fv.theory, exact for any number of rows, beside what many draws give.

local fv = require "fovea"
local stats = require "fovea.stats"

return {
  question = "Is the variance of each softmax-kernel estimator what theory says?",
  claim = "Lemma 2 gives it for independent rows; blocks of orthogonal or simplex rows have it in "
    .. "closed form too",
  source = "arXiv 2009.14794, lemma 2 and theorem 2; 2301.13856 for simplex rows",
  cost = "15 s on two cores",
  options = {
    { name = "draws", type = "integer", default = 20000, lo = 10, doc = "draws of each estimator" },
    { name = "dim", type = "integer", default = 16, lo = 2, doc = "width d, even" },
  },
  smoke = { draws = 50, dim = 4 },
  run = function(opt)
    if opt.dim % 2 == 1 then error(("--dim: expected an even number, got %d"):format(opt.dim), 0) end
    local t, d = fv.clock(), opt.dim
    local r = fv.variance {
      map = { "positive", "hyperbolic", "trig" }, sampler = { "iid", "orthogonal", "simplex" },
        features = { d, 4 * d },
      d = d, norm = { 0.3, 0.6 }, angle = { math.pi / 6, math.pi / 2, 5 * math.pi / 6 }, draws = opt.draws,
      seed = opt.seed
    }
    local z, beyond, saved = {}, 0, {}
    for _, row in ipairs(r) do
      z[#z + 1] = row.z and row.z ^ 2       -- none where few draws have no s.e.
      if row.z and math.abs(row.z) > 2 then beyond = beyond + 1 end
      local key = row.map .. row.features .. row.norm_x .. row.angle
      if row.sampler == "iid" then saved[key] = row
      else row.ratio, row.ratio_theory = row.variance / saved[key].variance,
        (row.theory / saved[key].theory) ^ 2 end
    end
    local extra = { { "ratio", "%.3f", "var/iid" }, { "ratio_theory", "%.3f", "theory" } }
    r.columns = table.move(extra, 1, 2, #r.columns + 1, table.move(r.columns, 1, #r.columns, 1, {}))
    r.notes[#r.notes + 1] = ("var/iid: variance over that of independent rows. Rows not shown are in "
      .. "the results.\n"
      .. "all rows: mean z^2 %.2f (1 if the closed forms hold and draws are many), |z| > 2 in %d of %d; "
      .. "largest |z| %.1f"):format(stats.mean(z), beyond, #z, math.sqrt(stats.quantile(z, 1)))
    r:publish(opt, t, function(row) return row.features == 4 * d and row.norm_x == 0.6 end)
  end,
}
