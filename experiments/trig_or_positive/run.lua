--- When are positive features better than trigonometric ones?
---
--- At equal numbers of features, sine and cosine against exp(w.x) and exp(-w.x): by the closed
--- forms their relative variances are mirror images, 2 sinh^2(|x -+ y|^2 / 2) / m, so trig
--- should win exactly where x.y > 0. Measured over angles and norms.

local fv = require "fovea"
local curves = require "fovea.curves"

return {
  question = "When are positive features better than trigonometric ones?",
  claim = "Of two features per projection, trig errs less exactly where x.y > 0, hyperbolic where x.y < 0",
  source = "arXiv 2009.14794, lemma 2 (the figure of its section 3 compares the same pair over angles)",
  cost = "10 s on two cores",
  options = {
    { name = "draws", type = "integer", default = 20000, lo = 2, doc = "draws of each estimator" },
    { name = "features", type = "integer", default = 64, lo = 2, doc = "features M, even" },
  },
  smoke = { draws = 50, features = 8 },
  run = function(opt)
    if opt.features % 2 == 1 then error(("--features: expected an even number, got %d"):format(opt.features), 0) end
    local t, angles = fv.clock(), {}
    for i = 0, 8 do angles[i + 1] = math.pi * i / 8 end
    local r = fv.variance { map = { "trig", "hyperbolic", "positive" }, sampler = "iid",
      features = opt.features, d = 16,
                            norm = { 0.5, 0.8 }, angle = angles, draws = opt.draws, seed = opt.seed }
    local at, right, decided = {}, 0, 0
    for _, row in ipairs(r) do
      local key = row.norm_x .. " " .. row.angle
      at[key] = at[key] or {}
      at[key][row.map] = row
    end
    for _, row in ipairs(r) do
      local a = at[row.norm_x .. " " .. row.angle]
      local gap = a.hyperbolic.mse - a.trig.mse
      local se = math.sqrt(a.hyperbolic.mse_se ^ 2 + a.trig.mse_se ^ 2)
      row.winner = math.abs(gap) < 3 * se and "unresolved" or gap > 0 and "trig" or "hyperbolic"
      row.by_rule = math.abs(math.cos(row.angle)) < 1e-12 and "equal" or math.cos(row.angle) > 0 and "trig"
        or "hyperbolic"
      if row.map == "trig" and row.winner ~= "unresolved" then
        decided = decided + 1
        if row.winner == row.by_rule then right = right + 1 end
      end
    end
    r.columns = { { "norm_x", "%.2f", "|x|" }, { "angle", "%.2f" }, { "map" }, { "mse", "%.3e", "MSE/K2" },
                  { "mse_se", "%.0e", "s.e." }, { "theory", "%.4f" }, { "sd", "%.4f", "sd/K" }, { "uniform",
                    "%.3g" },
                  { "skill", "%+.3f" }, { "winner" }, { "by_rule", nil, "rule" } }
    table.sort(r, function(a, b)
      if a.norm_x ~= b.norm_x then return a.norm_x < b.norm_x end
      if a.angle ~= b.angle then return a.angle < b.angle end
      return a.map < b.map
    end)
    r.figure = function(rows)
      local lines = curves(rows, function(row)
        return ("%s |x| = %g"):format(row.map, row.norm_x), row.angle, math.max(row.mse, 1e-9),
               math.max(row.mse - 2 * row.mse_se, 1e-9), math.max(row.mse + 2 * row.mse_se, 1e-9)
      end)
      for _, l in ipairs(lines) do l.dash = l.name:find "0.5$" and 2 or 1 end
      return { title = rows.title, panels = { { xlabel = "angle of x and y, radians", logy = true,
        lines = lines,
               ylabel = "relative mean squared error", yrange = "1e-6:10" } } }
    end
    r.notes = { ("M = %d features; the rule names the winner in %d of the %d angles and norms where draws "
      .. "tell them apart (3 s.e.)"):format(opt.features, right, decided) }
    r:publish(opt, t)
  end,
}
