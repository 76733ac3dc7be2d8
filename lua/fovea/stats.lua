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

--- Sample variance, with n - 1 below.
function stats.variance(x)
  local mean, sum = stats.mean(x), 0
  for i = 1, #x do sum = sum + (x[i] - mean) ^ 2 end
  return sum / (#x - 1)
end

--- The integral of cos^(n-1) from 0 to a, by Simpson's rule.
local function area(a, n)
  local steps, sum = 128, 0
  for i = 0, steps do
    local w = (i == 0 or i == steps) and 1 or i % 2 == 1 and 4 or 2
    sum = sum + w * math.cos(a * i / steps) ^ (n - 1)
  end
  return sum * a / (3 * steps)
end

--- The q-quantile (q >= 1/2) of Student's t with n degrees of freedom, by bisection: with
--- t = sqrt(n) tan(a), the density of a is a multiple of cos(a)^(n-1).
function stats.student_quantile(q, n)
  local lo, hi, want = 0, math.pi / 2, 2 * (q - 0.5) * area(math.pi / 2, n)
  for _ = 1, 50 do
    local a = (lo + hi) / 2
    if area(a, n) < want then lo = a else hi = a end
  end
  return math.sqrt(n) * math.tan((lo + hi) / 2)
end

--- Student's interval of the mean of independent values: low, high; nil for fewer than two.
function stats.t_interval(x, level)
  if #x < 2 then return nil end
  local half = stats.student_quantile((1 + (level or 0.95)) / 2, #x - 1) * math.sqrt(stats.variance(x) / #x)
  local mean = stats.mean(x)
  return mean - half, mean + half
end

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
