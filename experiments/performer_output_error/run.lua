--- How far are Performer's outputs from exact attention, as features grow?
---
--- The setting of the paper's figure on approximation error (n = 4096, d = 16, 15 inputs) at
--- two scales of q and k, since its own is not given, with uniform averaging as a row and
--- the number of features, not of projections, equal for all.

local fv = require "fovea"
local curves = require "fovea.curves"
local stats = require "fovea.stats"
local study = require "fovea.study"

local columns = {
  { "sigma" }, { "map" }, { "sampler" }, { "features", nil, "M" }, { "median", "%.3e", "median MSE" },
  { "low", "%.1e", "95 %" }, { "high", "%.1e", "" }, { "skill", "%+.2f" }, { "negative", "%.2f", "den<=0 %" },
  { "mean", more = true }, { "inputs", more = true }
}

--- The interval of a median by order statistics: at least 95 %, whatever the distribution.
local function median(x)
  local s = table.move(x, 1, #x, 1, {})
  table.sort(s)
  local below, cut, chance = 0, 0, 0.5 ^ #s          -- P(fewer than 'cut' are below the median)
  while below + chance <= 0.025 and cut < #s // 2 do
    below, cut = below + chance, cut + 1
    chance = chance * (#s - cut + 1) / cut
  end
  return stats.median(s), s[math.max(cut, 1)], s[#s + 1 - math.max(cut, 1)]
end

local function figure(rows)
  local panels = {}
  for i, sigma in ipairs { 0.5, 1 } do
    local p = { title = ("q, k ~ N(0, %g^2)"):format(sigma), xlabel = "features M",
                ylabel = "median squared error", logx = 2, logy = true }
    p.lines = curves(rows, function(r)
      if r.sigma ~= sigma then return nil end
      if r.map == "uniform" then p.levels = { { name = "uniform", y = r.median } } return nil end
      return r.map .. " " .. r.sampler, r.features, r.median, r.low, r.high
    end)
    panels[i] = p
  end
  return { title = rows.title, panels = panels }
end

local function methods(opt)
  local list = { { map = "uniform", sampler = "", make = function() return fv.attention "uniform" end } }
  for _, map in ipairs { "trig", "positive", "hyperbolic" } do
    for _, sampler in ipairs { "iid", "orthogonal", "simplex" } do
      local M = 16
      while M <= opt.features do
        local options = { estimator = map, sampler = sampler, features = M }
        list[#list + 1] = { map = map, sampler = sampler, features = M, make = function(seed)
          options.seed = seed
          return fv.attention("favor", options)
        end }
        M = M * 2
      end
    end
  end
  return list
end

return {
  question = "How far are Performer's outputs from exact attention, as features grow?",
  claim = "Orthogonal below independent rows, and positive below trigonometric features, at any number "
    .. "of features",
  source = "arXiv 2009.14794, figure 4",
  cost = "20 s on two cores",
  options = {
    { name = "n", type = "integer", default = 4096, lo = 2, doc = "tokens" },
    { name = "inputs", type = "integer", default = 15, lo = 2, doc = "inputs, each with draws of its own" },
    { name = "features", type = "integer", default = 256, lo = 16, doc = "most features" },
  },
  smoke = { n = 64, inputs = 3, features = 32 },
  run = function(opt)
    local t, d = fv.clock(), 16
    local out = study.new { title = ("mean squared error of outputs, n = %d, d = %d"):format(opt.n, d),
                            columns = columns, figure = figure }
    for _, sigma in ipairs { 0.5, 1 } do
      local list, uniform = methods(opt), nil
      for _, m in ipairs(list) do m.mse, m.negative = {}, 0 end
      for i = 1, opt.inputs do
        local s = fv.rng(opt.seed):stream(("input %d"):format(i))
        local q, k, v = s:normal(opt.n, d) * sigma, s:normal(opt.n, d) * sigma, s:normal(opt.n, d)
        local exact = fv.softmax_attention(q, k, v)
        for _, m in ipairs(list) do
          local o, info = m.make(opt.seed * 1000 + i)(q, k, v)
          m.mse[i] = ((o - exact) ^ 2):mean():item()
          if m.map == "trig" then
            local phi = fv.map("trig", { dim = d, sampler = m.sampler, features = m.features,
              seed = opt.seed * 1000 + i })
            m.negative = m.negative + phi(q, "q"):matmul(phi(k,
              "k"):sum(1)):le(0):to("f64"):mean():item() / opt.inputs
          end
          m.path = info.path
        end
      end
      for _, m in ipairs(list) do
        local mid, low, high = median(m.mse)
        uniform = uniform or mid
        out:add { sigma = sigma, map = m.map, sampler = m.sampler, features = m.features, median = mid,
          low = low,
                  high = high, skill = 1 - mid / uniform,
                    negative = m.map == "trig" and 100 * m.negative or nil,
                  mean = stats.mean(m.mse), inputs = opt.inputs }
      end
      out.notes[#out.notes + 1] = ("sigma = %g: uniform averaging %.2e; (exp(sigma^4) - 1)/n = %.2e"):format(
        sigma, uniform, fv.theory.uniform_mse { sigma = sigma, n = opt.n })
    end
    out.notes[#out.notes + 1] = ("median over %d inputs, interval by order statistics; skill: 1 - "
      .. "median / uniform's, "
      .. "below 0 worse than averaging"):format(opt.inputs)
    out:publish(opt, t)
  end,
}
