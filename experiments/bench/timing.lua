--- Samples of the time of a call, alone or in alternation with others.

local fv = require "fovea"
local stats = require "fovea.stats"

local timing = {}

--- sample() returns seconds per call of f, over as many calls as last 'least' seconds.
function timing.sampler(f, least)
  f()
  local calls = 1
  local function sample()
    local start = fv.clock()
    for _ = 1, calls do f() end
    return (fv.clock() - start) / calls
  end
  while true do
    local each = sample()
    if each * calls >= least then break end
    calls = math.max(2 * calls, math.ceil(calls * least / math.max(each * calls, least / 1000)))
  end
  return sample
end

--- Calls every sampler once a round, in order, for 'seconds' in all, at least 'min' and at
--- most 'max' rounds: { { samples of the first }, { samples of the second }, ... }.
function timing.alternate(samplers, seconds, min, max)
  local taken = {}
  for i = 1, #samplers do taken[i] = {} end
  local start, round = fv.clock(), 0
  repeat
    round = round + 1
    for i, sample in ipairs(samplers) do taken[i][round] = sample() end
  until round >= max or (round >= min and fv.clock() - start >= seconds)
  return taken
end

function timing.summary(samples)
  return { median = stats.median(samples), p10 = stats.quantile(samples, 0.1),
           p90 = stats.quantile(samples, 0.9), samples = #samples }
end

--- Seconds as people read them.
function timing.text(s)
  for _, unit in ipairs { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } } do
    if s >= unit[1] or unit[2] == "ns" then
      local x = s / unit[1]
      return ("%." .. (x < 9.995 and 2 or x < 99.95 and 1 or 0) .. "f %s"):format(x, unit[2])
    end
  end
end

return timing
