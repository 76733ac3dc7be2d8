--- What do simplex rows and optimal positive features save, and where?
---
--- Kernel entries over |x + y| at x = y, where the closed forms hold, then outputs of
--- attention. Both for rows that are independent, orthogonal and simplex.

local fv = require "fovea"
local curves = require "fovea.curves"

local wanted = { { "positive" }, { "hyperbolic" }, { "oprf" }, { "oprf", estimator = "hyperbolic" } }
--- Those there are, and a note of the rest.
local function known()
  local there, names, lacking = {}, " " .. table.concat(fv.map.names(), " ") .. " ", {}
  for _, m in ipairs(wanted) do
    if names:find(" " .. m[1] .. " ", 1, true) then there[#there + 1] = m else lacking[m[1]] = true end
  end
  return there, next(lacking) and "not measured, since no such map is registered: " .. next(lacking) or nil
end

local samplers = { "iid", "orthogonal", "simplex" }

return {
  question = "What do simplex rows and optimal positive features save, and where?",
  claim = "Simplex rows help plain positive features most at small |x+y|, pairs +-w as much; a tilt "
    .. "helps at large",
  source = "arXiv 2301.13856 (simplex), 2205.15317 (OPRF); closed forms of fv.theory",
  cost = "20 s on two cores",
  options = {
    { name = "draws", type = "integer", default = 10000, lo = 2, doc = "draws of each estimator of the kernel" },
    { name = "outputs", type = "integer", default = 20, lo = 2, doc = "draws of each estimator of outputs" },
    { name = "n", type = "integer", default = 512, lo = 1, doc = "tokens" },
  },
  smoke = { draws = 20, outputs = 3, n = 32 },
  run = function(opt)
    local t = fv.clock()
    local maps, lacking = known()
    local all
    for _, z in ipairs { 0.5, 1, 2, 3 } do              -- one norm at a time: oprf is fitted to it
      local r = fv.variance { map = maps, sampler = samplers, features = 32, d = 16, norm = z / 2, angle = 0,
                              draws = opt.draws, seed = opt.seed }
      local base
      for _, row in ipairs(r) do
        row.z_norm = z
        base = base or row
        row.ratio, row.ratio_theory = row.mse / base.mse, row.theory and (row.theory / base.theory) ^ 2
        if all then all:add(row) end
      end
      all = all or r
    end
    all.title = ("kernel entries at x = y, d = 16, M = 32, %d draws, seed %d"):format(opt.draws, opt.seed)
    all.columns = { { "z_norm", "%.1f", "|x+y|" }, { "map" }, { "sampler" }, { "sd", "%.4f", "sd/K" },
                    { "sd_se", "%.0e", "s.e." }, { "theory", "%.4f" }, { "ratio", "%.3f",
                      "MSE/positive iid" },
                    { "ratio_theory", "%.3f", "theory" }, { "mse", more = true }, { "mse_se", more = true },
                    { "top", "%.2f" } }
    all.notes = { "MSE/positive iid: at the same number of features. top: share of the largest draw in "
      .. "the variance;",
                  "where it is large, believe the theory. A pair of features is one draw: hyperbolic "
                    .. "has 16 of them.",
                  lacking }
    all.figure = function(rows)
      local lines = curves(rows, function(row)
        return row.map .. " " .. row.sampler, row.z_norm, row.ratio_theory or row.ratio
      end)
      return { title = rows.title, panels = { { xlabel = "|x + y|",
        ylabel = "variance over that of positive iid",
               logy = true, lines = lines } } }
    end
    all:publish(opt, t)
    for _, sigma in ipairs { 0.5, 0.75 } do
      local o = fv.variance { map = maps, sampler = samplers, features = { 32, 128 }, target = "output",
        n = opt.n,
                              d = 16, sigma = sigma, draws = opt.outputs, seed = opt.seed }
      o.title = ("\noutputs, q, k ~ N(0, %g^2): "):format(sigma) .. o.title
      print(o)
      o:save(("%s/outputs_%g.csv"):format(opt.out, sigma))
    end
    print(("\n%.1f s in all"):format(fv.clock() - t))
  end,
}
