--- From what length on is FAVOR+ faster than exact attention?

local fv = require "fovea"
local curves = require "fovea.curves"
local stats = require "fovea.stats"
local study = require "fovea.study"

--- Median time of f over 'count' calls, in ms, after one to warm up.
local function time(f, count)
  f()
  local list = {}
  for i = 1, count do
    local t = fv.clock()
    f()
    list[i] = (fv.clock() - t) * 1e3
  end
  return stats.median(list), stats.quantile(list, 0.1), stats.quantile(list, 0.9)
end

--- Where the ratio exact / favor passes 1, linear between lengths in logarithms; nil where
--- it does not, and which side it is on.
local function crossing(rows)
  for i = 2, #rows do
    local a, b = math.log(rows[i - 1].ratio), math.log(rows[i].ratio)
    if a < 0 and b >= 0 then
      local x, y = math.log(rows[i - 1].n), math.log(rows[i].n)
      return math.exp(x + (y - x) * -a / (b - a))
    end
  end
  return nil, rows[1].ratio >= 1 and "below " .. rows[1].n or "above " .. rows[#rows].n
end

return {
  question = "From what length on is FAVOR+ faster than exact attention?",
  claim = "Counting multiplications, from n = 2M both ways, for M features and values as wide as keys",
  source = "arXiv 2009.14794, figure 3 (time against length); user reports of 'slower below 2048'",
  cost = "20 s on two cores",
  options = {
    { name = "longest", type = "integer", default = 8192, lo = 128, doc = "longest sequence, a power of two" },
    { name = "heads", type = "integer", default = 2, lo = 1, doc = "heads" },
    { name = "repeats", type = "integer", default = 5, lo = 1, doc = "timed calls of each" },
  },
  smoke = { longest = 256, heads = 1, repeats = 2 },
  run = function(opt)
    local t, d = fv.clock(), 64
    local out = study.new { title = ("time of one call in ms, f32, %d heads, d = %d, %d threads; median "
      .. "[10-90 %%] of %d"):format(
      opt.heads, d, fv.info().threads, opt.repeats), columns = {
      { "form" }, { "features", nil, "M" }, { "n" }, { "exact", "%.2f" }, { "exact_lo", "%.2f", "10 %" },
      { "exact_hi", "%.2f", "90 %" }, { "favor", "%.2f" }, { "favor_lo", "%.2f", "10 %" }, { "favor_hi",
        "%.2f", "90 %" },
      { "ratio", "%.2f", "exact/favor" } } }
    local exact = {}
    for _, causal in ipairs { false, true } do
      for _, M in ipairs { 64, 256 } do
        local rows, n = {}, 128
        local attend = fv.attention("favor", { features = M, dim = d, seed = opt.seed })
        while n <= opt.longest do
          local s = fv.rng(opt.seed):stream "inputs"
          local q, k, v = s:normal(opt.heads, n, d) / 2, s:normal(opt.heads, n, d) / 2, s:normal(opt.heads,
            n, d)
          local key = tostring(causal) .. n
          exact[key] = exact[key] or { time(function() fv.softmax_attention(q, k, v,
            { causal = causal }) end, opt.repeats) }
          local e, f = exact[key], { time(function() attend(q, k, v, { causal = causal }) end, opt.repeats) }
          local row = { form = causal and "causal" or "both ways", features = M, n = n, exact = e[1],
            exact_lo = e[2],
                        exact_hi = e[3], favor = f[1], favor_lo = f[2], favor_hi = f[3], ratio = e[1] / f[1] }
          out:add(row)
          rows[#rows + 1], n = row, n * 2
        end
        local at, side = crossing(rows)
        out.notes[#out.notes + 1] = ("%s, M = %d: FAVOR+ is faster from n = %s; multiplications alone "
          .. "say %d"):format(
          causal and "causal" or "both ways", M, at and ("%.0f"):format(at) or side, (causal and 4 or 2) * M)
      end
    end
    out.figure = function(rows)
      local panels = {}
      for i, form in ipairs { "both ways", "causal" } do
        local lines = curves(rows, function(r)
          if r.form == form and r.features == 64 then return "exact", r.n, r.exact, r.exact_lo, r.exact_hi end
        end)
        table.move(curves(rows, function(r)
          if r.form == form then return "FAVOR+ M = " .. r.features, r.n, r.favor, r.favor_lo, r.favor_hi end
        end), 1, 2, 2, lines)
        panels[i] = { title = form, xlabel = "tokens n", ylabel = "ms", logx = 2, logy = true, lines = lines }
      end
      return { title = rows.title, panels = panels }
    end
    out:publish(opt, t)
  end,
}
