-- Summaries and intervals: values from algebra and from tables of Student's t.
local tap = require "tap"
local fv = require "fovea"
local stats = require "fovea.stats"

tap.close(stats.mean { 1, 2, 6 }, 3, 0, "mean")
tap.close(stats.variance { 1, 2, 6 }, 7, 1e-15, "sample variance divides by n - 1")
tap.close(stats.median { 5, 1, 3 }, 3, 0, "median of three")
tap.close(stats.quantile({ 0, 10 }, 0.25), 2.5, 1e-15, "quantiles interpolate")

for _, row in ipairs { { 0.975, 1, 12.7062 }, { 0.975, 2, 4.3027 }, { 0.95, 5, 2.0150 },
                       { 0.975, 10, 2.2281 }, { 0.995, 30, 2.7500 } } do
  tap.close(stats.student_quantile(row[1], row[2]), row[3], 5e-5,
            ("table of Student's t: p = %g, %d degrees of freedom"):format(row[1], row[2]))
end

local lo, hi = stats.t_interval { 1, 2, 6 }
local half = 4.302653 * math.sqrt(7 / 3)
tap.close(lo, 3 - half, 1e-5, "interval of the mean of three: below")
tap.close(hi, 3 + half, 1e-5, "and above")
tap.ok(stats.t_interval { 4 } == nil, "one value has no interval")

-- A 90 % interval of means of four normals covers 0 in 90 % of 500 samples, to 4 standard errors.
local x, hits = fv.rng(7):stream "coverage":normal(500, 4, { dtype = "f64" }):totable(), 0
for i = 1, #x do
  local a, b = stats.t_interval(x[i], 0.9)
  if a <= 0 and b >= 0 then hits = hits + 1 end
end
tap.close(hits / #x, 0.9, 4 * math.sqrt(0.9 * 0.1 / #x), "coverage of the interval")
tap.done()
