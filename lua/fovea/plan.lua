--- fv.plan{q=, k=, target=, budget=, ...} -> plan: which random features, how many, before any are drawn.
---
--- From the norms and products of sampled pairs of rows of q and k (..., n, d) predicts, by the
--- closed forms of fv.theory, the relative standard deviation of a weight exp(q.k / sqrt(d)) for
--- every map and sampler, and finds the fewest features M <= budget for which 'quantile' of the
--- pairs stay below 'target'. The choice is the one with the fewest; where none gets there, the
--- plan says so and what the best would reach.
---   plan             prints a row for each map and sampler, and the sign rule: of two features
---                    per projection, trig errs less exactly where q.k > 0, hyperbolic where q.k < 0
---   plan.choice      its row, or nil;  plan.share: of pairs where trig wins;  plan.mean_z2
---   plan:map(), plan:attention()     what was chosen; they raise where nothing was
---   plan.shift       (d): subtracted from all keys it changes no softmax attention, and it makes
---                    the mean of q + k vanish; shift=true plans for that, and attention() does it
---   plan:save(path), plan:plot(path)
--- It predicts weights; outputs average them and err less. Cost O(nd) and a second at most.
--- Example: p = fv.plan{q=q, k=k, target=0.2}; print(p); o = p:attention()(q, k, v)
--- Source: arXiv:2009.14794, lemma 2

local fv = require "fovea"
local draws = require "fovea.variance.draws"
local heads = require "fovea.heads"
local laws = require "fovea.laws"
local options = require "fovea.options"
local stats = require "fovea.stats"
local study = require "fovea.study"

local spec = options.declare({
  { "q", "tensor", nil, "raw queries (..., n, d)", required = true },
  { "k", "tensor", nil, "raw keys (..., m, d)", required = true },
  { "target", "number", 0.1, "relative standard deviation of a weight", lo = 1e-6, hi = 1e6 },
  { "budget", "integer", 4096, "most features", lo = 1, hi = 2 ^ 40 },
  { "quantile", "number", 0.9, "share of the pairs that are to meet the target", lo = 0, hi = 1 },
  { "pairs", "integer", 256, "number of pairs that are looked at", lo = 1, hi = 10 ^ 6 },
  { "shift", "boolean", false, "subtract plan.shift from the keys" },
  { "nonneg", "boolean", false, "only maps whose features are never negative" },
  { "seed", "integer", 1, "of the pairs, and of the map that is made" }
}, "plan", 2)

--- Maps of the softmax kernel whose variance depends on norms and angle alone.
local candidates = { { "positive" }, { "hyperbolic" }, { "trig" }, { "oprf" } }

local function check(o)
  for _, name in ipairs { "q", "k" } do
    local x = o[name]
    if x:ndim() < 2 or x:numel() == 0 or (x:dtype() ~= "f32" and x:dtype() ~= "f64") then
      error(("plan: option '%s': expected (..., n, d) of f32 or f64 that is not empty, got %s (%s)")
        :format(name, x:dtype(), table.concat({ x:shape() }, ",")), 0)
    end
  end
  if o.q:size(-1) ~= o.k:size(-1) then
    error(("plan: q and k: expected one width d, got %d and %d"):format(o.q:size(-1), o.k:size(-1)), 0)
  end
end

--- Scaled rows as (heads, n, d), in f64.
local function rows(x)
  local n, d = x:size(-2), x:size(-1)
  return x:to "f64":reshape(-1, n, d) * d ^ -0.25
end

--- Sampled pairs { xx, yy, xy, head }, the means that matter and the shift (raw).
local function geometry(o)
  local x, y = rows(o.q), rows(heads.match(o.k, o.q))
  local H, d = x:size(1), x:size(3)
  if y:size(1) ~= H then
    error(("plan: q and k: expected the same heads, got %d and %d of them"):format(H, y:size(1)), 0)
  end
  local shift = x:mean(1):mean(1) + y:mean(1):mean(1)
  local cross = (x:mean(2) * y:mean(2)):sum(-1):mean():item()
  local before = (x ^ 2):sum(-1):mean():item() + (y ^ 2):sum(-1):mean():item() + 2 * cross
  local after = before - shift:dot(shift):item()
  if o.shift then y = y - shift end
  local s = fv.rng(o.seed):stream "plan"
  local function pick(n) return s:integers(1, n, o.pairs) end
  local h, i, j = pick(H), pick(x:size(2)), pick(y:size(2))
  local a = x:reshape(-1, d):index_select(1, (h - 1) * x:size(2) + i)
  local b = y:reshape(-1, d):index_select(1, (h - 1) * y:size(2) + j)
  local xx, yy, xy = (a ^ 2):sum(2):totable(), (b ^ 2):sum(2):totable(), (a * b):sum(2):totable()
  local list = {}
  for p = 1, o.pairs do
    if xx[p] + yy[p] ~= xx[p] + yy[p] or xx[p] + yy[p] == math.huge then
      error("plan: q and k: expected finite numbers", 0)
    end
    local most = math.sqrt(xx[p] * yy[p])
    list[p] = { xx = xx[p], yy = yy[p], xy = math.max(-most, math.min(most, xy[p])) }
  end
  return list, { d = d, before = before, after = after, z2 = o.shift and after or before,
                 shift = shift * d ^ 0.25 }
end

--- Relative standard deviation of every pair as a function of the number m of projections.
local function predictor(name, sampler, list, g)
  local parts, more = {}, name == "oprf" and { t = g.z2 } or {}
  for i, pair in ipairs(list) do
    more.d, more.sampler = g.d, sampler
    more.xx, more.yy, more.xy = pair.xx, pair.yy, pair.xy
    parts[i] = fv.theory.of(name, more)
  end
  return function(m)
    local P, out = laws.ordered_pairs(parts[1].law, m) / m ^ 2, {}
    for i, p in ipairs(parts) do
      local v = p.spread / m
      if P > 0 and p.covariance ~= 0 then v = v + P * p.covariance end
      out[i] = math.sqrt(math.max(v, 0))
    end
    return out
  end, parts[1].per
end

--- The least m <= most whose quantile is at the target, or nil.
local function least(sd, o, most)
  local function meets(m) return stats.quantile(sd(m), o.quantile) <= o.target end
  if not meets(most) then return nil end
  local lo, hi = 0, most
  while hi - lo > 1 do
    local middle = (lo + hi) // 2
    if meets(middle) then hi = middle else lo = middle end
  end
  return hi
end

local columns = {
  { "map" }, { "sampler" }, { "features", nil, "M" }, { "met", nil, "meets it" }, { "q10", "%.3g", "10 %" },
  { "median", "%.3g" }, { "q90", "%.3g", "90 %" }, { "at", "%.3g", "at quantile" }
}

local own = {}

local function chosen(self, what)
  local c = self.choice
  if not c then
    error(("plan: %s: no map meets the target within %d features; ask for a larger target or budget")
      :format(what, self.options.budget), 3)
  end
  return c
end

local function make(self, c)
  local o = self.options
  local k = o.shift and o.k - self.shift:to(o.k:dtype()) or o.k
  return draws.make({ c.map }, c.sampler, c.features, self.d, o.seed, o.q, k)
end

function own.map(self) return make(self, chosen(self, "map")) end

function own.attention(self)
  local c = chosen(self, "attention")
  local attend
  if c.map == "oprf" then attend = fv.attention("linear", { map = make(self, c) })
  else
    attend = fv.attention("favor", { estimator = c.map, sampler = c.sampler, features = c.features,
                                     seed = self.options.seed })
  end
  if not self.options.shift then return attend end
  return function(q, k, v, more) return attend(q, k - self.shift:to(k:dtype()), v, more) end
end

local function figure(self)
  local lines = {}
  for i, r in ipairs(self) do
    local l = { name = r.map .. " " .. r.sampler, x = {}, y = {} }
    local m = 1
    while m * r.per <= self.options.budget do
      l.x[#l.x + 1], l.y[#l.y + 1] = m * r.per, stats.quantile(self.predict[i](m), self.options.quantile)
      m = m * 2
    end
    lines[i] = l
  end
  return { title = self.title, panels = { { xlabel = "features M", ylabel = "relative s.d. of a weight",
    logx = 2, logy = true, lines = lines, levels = { { name = "target", y = self.options.target } } } } }
end

local function run(o)
  check(o)
  local list, g = geometry(o)
  local plan = study.new { columns = columns, figure = figure, own = own, title =
    ("plan: relative s.d. %g of a weight for %g %% of pairs within %d features; d = %d, %d pairs, seed %d")
      :format(o.target, 100 * o.quantile, o.budget, g.d, o.pairs, o.seed) }
  plan.options, plan.d, plan.shift, plan.mean_z2, plan.predict = o, g.d, g.shift, g.z2, {}
  local maps, samplers = table.concat(fv.map.names(), " "), table.concat(fv.sample.names(), " ")
  local best
  for _, c in ipairs(candidates) do
    local there = (" " .. maps .. " "):find(" " .. c[1] .. " ", 1, true)
    if there and not (o.nonneg and c[1] == "trig") then
      for _, sampler in ipairs(laws.names()) do
        local known = (" " .. samplers .. " "):find(" " .. sampler .. " ", 1, true)
        if known and (sampler ~= "simplex" or g.d > 1) then
          local sd, per = predictor(c[1], sampler, list, g)
          local most = math.max(1, o.budget // per)
          local m = least(sd, o, most)
          local all = sd(m or most)
          local row = { map = c[1], sampler = sampler, features = (m or most) * per,
            met = m and "yes" or "no", q10 = stats.quantile(all, 0.1), median = stats.median(all),
            q90 = stats.quantile(all, 0.9), at = stats.quantile(all, o.quantile), per = per }
          plan:add(row)
          plan.predict[#plan] = sd
          if not best or row.at < best.at then best = row end
          local now = plan.choice
          if m and (not now or row.features < now.features
                    or (row.features == now.features and row.at < now.at)) then plan.choice = row end
        end
      end
    end
  end
  local positive, weight, all = 0, 0, 0
  for _, p in ipairs(list) do
    local w = math.exp(math.min(p.xy, 700))
    all = all + w
    if p.xy > 0 then positive, weight = positive + 1 / #list, weight + w end
  end
  plan.share, plan.weighted_share = positive, weight / all
  local function note(...) plan.notes[#plan.notes + 1] = (...):format(select(2, ...)) end
  local c = plan.choice
  if c then
    note("choice: %s, %s, %d features%s", c.map, c.sampler, c.features,
         c.map == "trig" and " (signed: its normaliser can vanish; nonneg=true leaves it out)" or "")
  else
    note("none meets it: the best, %s %s, reaches %.3g with %d features",
         best.map, best.sampler, best.at, best.features)
  end
  note("sign rule: trig errs less on %.0f %% of pairs (q.k > 0), which hold %.0f %% of the weight; "
       .. "hyperbolic on the rest", 100 * plan.share, 100 * plan.weighted_share)
  note("mean |x+y|^2 %.3g%s", g.before, o.shift and (", %.3g with the keys shifted"):format(g.after)
       or (", %.3g if plan.shift were subtracted from the keys (shift=true)"):format(g.after))
  note("quantiles are over pairs, with M features; a weight's s.d. above 1 says little more than averaging")
  return plan
end

return function(given, ...)
  if select("#", ...) > 0 then error("plan: expected one table of options, got more", 2) end
  local o = options.read(spec, given or {}, "plan", 3)
  local good, r = pcall(run, o)
  if not good then error(type(r) == "string" and r:gsub("^[^:]+%.lua:%d+: ", "") or r, 2) end
  return r
end
