--- Intervals and summaries for comparisons.

local stats = {}

function stats.mean(x)
  local sum = 0
  for i = 1, #x do sum = sum + x[i] end
  return sum / #x
end

--- The q-quantile of a list, by linear interpolation between order statistics.
function stats.quantile(x, q)
  local s = table.move(x, 1, #x, 1, {})
  table.sort(s)
  local at = 1 + (#s - 1) * q
  local i = math.floor(at)
  return s[i] + (at - i) * ((s[i + 1] or s[i]) - s[i])
end

function stats.median(x) return stats.quantile(x, 0.5) end

--- Percentile-bootstrap interval of the mean of a crossed table cells[i][j]:
--- rows (passages, say) and columns (draws) are resampled independently, so
--- that both kinds of chance are in the interval (Owen 2007, "The pigeonhole
--- bootstrap").  Rows must have equal lengths.  stream: where randomness comes
--- from.  Returns low, high; nil where there is one cell only.
function stats.crossed_interval(cells, stream, level, resamples)
  level, resamples = level or 0.95, resamples or 1000
  local rows, cols = #cells, #cells[1]
  if rows * cols < 2 then return nil end
  local pick_rows = stream:integers(1, rows, resamples, rows):totable()
  local pick_cols = stream:integers(1, cols, resamples, cols):totable()
  local means = {}
  for b = 1, resamples do
    local sum = 0
    for _, i in ipairs(pick_rows[b]) do
      local row = cells[i]
      for _, j in ipairs(pick_cols[b]) do sum = sum + row[j] end
    end
    means[b] = sum / (rows * cols)
  end
  return stats.quantile(means, (1 - level) / 2), stats.quantile(means, (1 + level) / 2)
end

return stats
