--- The rows as a table for people.

local grid = require "fovea.grid"
local measure = require "measure"
local timing = require "timing"

return function(rows)
  local g = grid.new {
    { "name", nil, "row" }, { "isa" }, { "threads", nil, "thr" }, { "median", nil, nil, right = true },
    { "spread", nil, "p10-p90", right = true }, { "gf", "%.1f", "GF/s" }, { "percent", "%.0f", "% limit" },
    { "mib", "%.0f", "MiB" }, { "peer", nil, "best peer" }, { "time", nil, "its median", right = true },
    { "ratio", "%.2f", "x ours" }, { "stock", "%.2f", "stock x" }, { "change", nil, "vs base", right = true } }
  for _, r in ipairs(rows) do
    local best, stock = measure.best(r), measure.best(r, "stock")
    g:add {
      name = r.name, isa = r.isa, threads = r.threads, median = timing.text(r.median),
      spread = timing.text(r.p10) .. " - " .. timing.text(r.p90), gf = r.rate and r.rate / 1e9,
      percent = r.fraction and 100 * r.fraction, mib = r.peak_mib,
      peer = best and ("%s (%s)"):format(best.name, best.environment), time = best and timing.text(best.median),
      ratio = best and best.ratio, stock = stock and stock.ratio,
      change = r.change and ("%.2f%s"):format(r.change, r.verdict and " " .. r.verdict or "") }
  end
  return g:text()
end
