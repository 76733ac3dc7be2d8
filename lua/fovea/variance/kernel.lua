--- Errors of phi(x).phi(y) against the kernel, for pairs of given norm and angle.

local fv = require "fovea"
local draws = require "fovea.variance.draws"
local study = require "fovea.study"

local f64 = { dtype = "f64" }

local kernel = {}

--- Pairs in a random plane, since not every sampler is blind to the axes: x and y (P, d)
--- in scaled coordinates, and what each is.
local function designed(o)
  local norms, angles = draws.numbers("norm", o.norm, 0, 1e3), draws.numbers("angle", o.angle, 0, math.pi)
  if o.d < 2 then error("variance: option 'd': expected at least 2 to have an angle, got 1", 0) end
  local plane = fv.rng(o.seed):stream("variance:plane"):normal(2, o.d, f64)
  local u = plane[1] / plane[1]:norm()
  local v = plane[2] - u * plane[2]:dot(u)
  v = v / v:norm()
  local x, y, what = {}, {}, {}
  for _, r in ipairs(norms) do
    for _, a in ipairs(angles) do
      local i = #what + 1
      x[i], y[i] = u * r, (u * math.cos(a) + v * math.sin(a)) * r
      what[i] = { norm_x = r, norm_y = r, angle = a, xx = r * r, yy = r * r, xy = r * r * math.cos(a) }
    end
  end
  return fv.stack(x, 1), fv.stack(y, 1), what
end

--- Pairs (q_i, k_i) of the user's rows.
local function given(o)
  local q, k = o.q:to "f64", o.k:to "f64"
  if q:ndim() ~= 2 or table.concat({ q:shape() }, ",") ~= table.concat({ k:shape() }, ",") then
    error(("variance: q and k: expected both (n, d) for pairs (q_i, k_i), got (%s) and (%s)")
      :format(table.concat({ q:shape() }, ","), table.concat({ k:shape() }, ",")), 0)
  end
  o.d = q:size(2)
  local s = o.d ^ -0.25
  local x, y, what = q * s, k * s, {}
  local xx, yy, xy = (x ^ 2):sum(2):totable(), (y ^ 2):sum(2):totable(), (x * y):sum(2):totable()
  for i = 1, x:size(1) do
    local nx, ny = math.sqrt(xx[i]), math.sqrt(yy[i])
    local c = nx * ny > 0 and math.max(-1, math.min(1, xy[i] / (nx * ny))) or 0
    what[i] = { norm_x = nx, norm_y = ny, angle = math.acos(c), xx = xx[i], yy = yy[i], xy = xy[i] }
  end
  return x, y, what
end

--- The kernel a map stands for: its own closed form, or that of the softmax or Gaussian
--- kernel where it has none (biased projections).
local function target(phi, what, x, y)
  local own = phi.kernel and phi:kernel(x, y)
  local gaussian = phi.spec.by.kernel and phi.options.kernel == "gaussian"
  local list = {}
  for i, w in ipairs(what) do
    list[i] = own and own:get(i, i) or math.exp(gaussian and w.xy - (w.xx + w.yy) / 2 or w.xy)
  end
  return list
end

local columns = {
  { "map" }, { "sampler" }, { "features", nil, "M" }, { "norm_x", "%.3g", "|x|" }, { "norm_y", "%.3g",
    "|y|", more = true },
  { "angle", "%.2f" }, { "kernel", "%.4g" }, { "bias", "%+.2g", "bias/K" }, { "bias_se", "%.1g", "s.e." },
  { "sd", "%.4g", "sd/K" }, { "sd_se", "%.1g", "s.e." }, { "theory", "%.4g", "theory" }, { "z", "%+.1f" },
  { "mse", "%.3g", "MSE/K2" }, { "mse_se", "%.1g", "s.e." }, { "uniform", "%.3g" }, { "skill", "%+.3f" },
  { "tail", "%.3f" }, { "tail_se", "%.3f", "s.e.", more = true }, { "top", "%.2f" },
  { "draws", more = true }, { "mean", more = true }, { "variance", more = true }, { "variance_se",
    more = true }
}

--- Moments of the estimates (N) of one pair whose kernel is K.
local function moments(est, K, tail)
  local n = est:numel()
  local mean = est:mean():item()
  local c2 = (est - mean) ^ 2
  local v, m4 = c2:sum():item() / math.max(n - 1, 1), (c2 ^ 2):mean():item()
  local e2 = (est - K) ^ 2
  local mse = e2:mean():item()
  local size = math.abs(K)
  local far = (est - K):abs():gt(tail * size):to("f64"):mean():item()
  local vse = math.sqrt(math.max(m4 - v * v, 0) / n)
  local sd = math.sqrt(v)
  return { mean = mean, variance = v, variance_se = vse,
           bias = (mean - K) / size, bias_se = sd / math.sqrt(n) / size,
           sd = sd / size, sd_se = v > 0 and vse / (2 * sd * size) or 0, mse = mse / K ^ 2,
           mse_se = math.sqrt((e2 - mse):square():mean():item() / n) / K ^ 2, tail = far,
           tail_se = math.sqrt(far * (1 - far) / n), top = v > 0 and c2:max():item() / c2:sum():item() or 0,
           draws = n }
end

--- The closed form beside what was measured.
local function compare(row, phi, w, x, y, i)
  local t, why = fv.theory.match(phi, { xx = w.xx, yy = w.yy, xy = w.xy, x = x[i], y = y[i] })
  if not t then
    row.no_theory = why
    return
  end
  row.theory = math.sqrt(t.variance) / math.abs(row.kernel)
  if row.variance_se > 0 then row.z = (row.variance - t.variance) / row.variance_se end
end

local function figure(rows)
  local lines, at = {}, {}
  local x, label = "features", "features M"
  local seen = {}
  for _, r in ipairs(rows) do seen[r.features] = true end
  if next(seen, next(seen)) == nil then x, label = "norm_x", "|x| of the scaled input" end
  for _, r in ipairs(rows) do
    local name = ("%s %s"):format(r.map, r.sampler) .. (x == "features" and (", |x| %.2g, angle %.2f"):format(
      r.norm_x, r.angle) or (", angle %.2f"):format(r.angle))
    local l = at[name]
    if not l then
      l = { name = name, x = {}, y = {}, lo = {}, hi = {} }
      local t = { name = name .. ", theory", x = {}, y = {}, dash = 2, point = 0 }
      at[name], lines[#lines + 1] = l, l
      if r.theory then l.theory, lines[#lines + 1] = t, t end
    end
    local j = #l.x + 1
    l.x[j], l.y[j] = r[x], r.mse
    l.lo[j], l.hi[j] = math.max(r.mse - 2 * r.mse_se, r.mse / 100), r.mse + 2 * r.mse_se
    if l.theory then
      l.theory.x[j], l.theory.y[j] = r[x], (r.theory or 0 / 0) ^ 2 + r.bias ^ 2
    end
  end
  return { title = rows.title, panels = { { xlabel = label, ylabel = "relative mean squared error",
    lines = lines,
           logx = x == "features" and 2 or nil, logy = true } } }
end

function kernel.run(o, instances, each)
  local x, y, what
  if o.q then x, y, what = given(o) else x, y, what = designed(o) end
  local list = instances(x, y)
  each(list, 2 * #what, 0, "f64", function(it, phi)
    local s = it.phi.spec.by.scale and 1 / phi.options.scale or 1
    local est = (phi(x * s, "q") * phi(y * s, "k")):sum(-1)
    it.est[#it.est + 1] = est:reshape(-1, #what)
  end)
  local out = study.new {
    title = ("kernel entries: d = %d, %d draws, seed %d"):format(o.d, o.draws, o.seed), columns = columns,
      figure = figure,
    notes = {
      "bias, sd and MSE are relative to the kernel K; theory: the closed form of sd, z: how many standard",
      ("errors the variance is off. tail: share of draws off by more than %g K. top: share of the largest")
        :format(o.tail),
      "draw in the variance; far above 1/draws the sample variance, and its s.e., miss what rare draws hold.",
      "uniform: MSE/K2 of one constant for all pairs, their mean (uniform averaging); skill: 1 - MSE/uniform."
    }
  }
  local reasons = {}
  for _, it in ipairs(list) do
    local K, est = target(it.phi, what, x * it.raw, y * it.raw), fv.cat(it.est, 1)
    local constant = 0
    for i = 1, #K do constant = constant + K[i] / #K end
    for i, w in ipairs(what) do
      local row = moments(est:slice(2, i, i):reshape(-1), K[i], o.tail)
      row.map, row.sampler, row.features = it.name, it.sampler, it.phi.features
      row.norm_x, row.norm_y, row.angle, row.kernel = w.norm_x, w.norm_y, w.angle, K[i]
      if #K > 1 then
        row.uniform = (constant / K[i] - 1) ^ 2
        row.skill = row.uniform > 0 and 1 - row.mse / row.uniform or nil
      end
      compare(row, it.phi, w, x, y, i)
      if row.no_theory then reasons[it.name .. ": " .. row.no_theory] = true end
      out:add(row)
    end
  end
  local why = {}
  for reason in pairs(reasons) do why[#why + 1] = "no theory for " .. reason end
  table.sort(why)
  table.move(why, 1, #why, #out.notes + 1, out.notes)
  return out
end

return kernel
