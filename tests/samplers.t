-- Laws of the random projections.  Seeds are fixed; "within 4 s.e." is one
-- miss in 16,000.  Closed forms: for w ~ N(0,I), E exp(w.z) = exp(|z|^2/2);
-- for two rows of an orthogonal block with chi norms, |w1 + w2|^2 is chi^2
-- with 2d degrees of freedom and its direction is uniform, so
--   E exp(w1.z) exp(w2.z) = 1F1(d; d/2; |z|^2/2) < exp(|z|^2);
-- for a row of norm sqrt(d), E exp(w.z) = 0F1(; d/2; d |z|^2/4).

local fv = require "fovea"
local tap = require "tap"

local iid, orthogonal = fv.ops.iid, fv.ops.orthogonal

local function draw(op, m, d, more)
  local opt = { rows = m, dim = d, dtype = "f64", rng = fv.rng(5):stream("samplers") }
  for k, v in pairs(more or {}) do opt[k] = v end
  return op(opt)
end

--- Sum of t_0 = 1, t_{j+1} = t_j ratio(j), to double precision.
local function series(ratio)
  local t, sum, j = 1, 1, 0
  repeat
    t = t * ratio(j)
    sum, j = sum + t, j + 1
  until t < 1e-17 * sum
  return sum
end
local function F11(a, b, u) return series(function(j) return u * (a + j) / ((b + j) * (j + 1)) end) end
local function F01(b, u) return series(function(j) return u / ((b + j) * (j + 1)) end) end

--- The mean of independent draws 'x' (any shape) is 'want' within 4 s.e.
local function unbiased(x, want, name)
  local n, mean = x:numel(), x:mean():item()
  local se = math.sqrt(x:var():item() / n)
  return tap.ok(math.abs(mean - want) <= 4 * se, name, "mean %.6g, want %.6g, s.e. %.2g", mean, want, se)
end

--- Row norms and unit rows.
local function polar(w)
  local norm = (w * w):sum(2):sqrt()
  return norm, w / norm:reshape(-1, 1)
end

-- blocks ----------------------------------------------------------------------

for _, d in ipairs { 1, 2, 3, 31, 32, 33, 64, 65, 130 } do
  local m = 2 * d + d // 2
  local _, q = polar(draw(orthogonal, m, d))
  local worst = 0
  for from = 1, m, d do
    local b = q:slice(1, from, math.min(from + d - 1, m))
    local gram = b:matmul(b:t()) - fv.eye(b:size(1), { dtype = "f64" })
    worst = math.max(worst, gram:abs():max():item())
  end
  tap.ok(worst < 1e-12, ("d = %d: rows of a block are orthogonal (%.1e)"):format(d, worst))
end

do
  local w, few = draw(orthogonal, 100, 9), draw(orthogonal, 25, 9)
  tap.near(few, w:slice(1, 1, 25), 0, "rows do not change when their number grows")
  tap.near(draw(iid, 25, 9), draw(iid, 100, 9):slice(1, 1, 25), 0, "nor do those of iid")
  local norm = polar(draw(orthogonal, 100, 9, { norms = "sqrt_d" }))
  tap.near(norm, fv.full({ 100 }, 3, { dtype = "f64" }), 1e-14, "norms = sqrt_d: all rows have it")
end

for _, name in ipairs { "iid", "orthogonal" } do
  local op = fv.ops[name]
  for _, size in ipairs { { 300, 65 }, { 130, 130 } } do
    local m, d = table.unpack(size)
    local w = draw(op, m, d)
    tap.near(draw(op, m, d, { dtype = "f32" }), w:to("f32"), 0, name .. ": f32 is the rounding of f64")
    for threads = 1, 3 do
      local was = fv.threads(threads)
      tap.near(draw(op, m, d), w, 0, ("%s (%d,%d): same bits with %d threads"):format(name, m, d, threads))
      fv.threads(was)
    end
  end
  local s = fv.rng(1):stream("x")
  local a, b = draw(op, 4, 4, { rng = s }), draw(op, 4, 4, { rng = s })
  tap.ok((a - b):abs():min():item() > 0, name .. ": a second draw from a stream is another")
  tap.raises("rng", name .. ": without a stream it raises", op, { rows = 2, dim = 2 })
end

-- laws ------------------------------------------------------------------------

for _, name in ipairs { "iid", "orthogonal" } do
  local op = fv.ops[name]
  local w = draw(op, 16 * 4000, 16)
  unbiased(w, 0, name .. ": entries have mean 0")
  unbiased(w ^ 2, 1, name .. ": variance 1")
  unbiased(w ^ 4, 3, name .. ": fourth moment 3")
  -- the mean over a block is one draw: rows of a block are dependent
  for _, z in ipairs { { 1, "z = e1" }, { 16, "z = (1,..,1)/4" } } do
    local k = z[1]
    local e = (w:slice(2, 1, k):sum(2) / math.sqrt(k)):exp()
    unbiased(e:reshape(4000, 16):mean(2), math.exp(0.5), name .. ": E exp(w.z), " .. z[2])
    unbiased(e:reshape(4000, 16):slice(2, 1, 1), math.exp(0.5), name .. ": in the first row, " .. z[2])
  end
end

for _, d in ipairs { 1, 2, 7, 16 } do
  local blocks = 40000 // d
  local square = (draw(orthogonal, d * blocks, d) ^ 2):sum(2)
  unbiased(square, d, ("d = %d: squared norms have mean d"):format(d))
  unbiased((square - d) ^ 2, 2 * d, ("d = %d: and variance 2d"):format(d))
  unbiased((square - d) ^ 3, 8 * d, ("d = %d: and third moment 8d"):format(d))
  if d > 1 then
    local pair = square:reshape(blocks, d) - d
    unbiased(pair:slice(2, 1, 1) * pair:slice(2, 2, 2), 0, ("d = %d: and do not correlate"):format(d))
  end
end

-- Haar on O(d): first moments 0, E q_ij^4 = 3/(d(d+2)), and for i,k and j,l apart
-- E q_ij q_kl q_il q_kj = -1/((d-1) d (d+2)); both determinants are as likely.
for _, d in ipairs { 2, 3, 8 } do
  local blocks = 20000
  local _, q = polar(draw(orthogonal, d * blocks, d))
  q = q:reshape(blocks, d, d)
  local function entry(i, j) return q:slice(2, i, i):slice(3, j, j) end
  for i = 1, math.min(d, 3) do
    unbiased(entry(i, i), 0, ("d = %d: Q[%d][%d] has mean 0"):format(d, i, i))
  end
  unbiased(entry(d, 1) ^ 4, 3 / (d * (d + 2)), ("d = %d: fourth moment of the sphere"):format(d))
  unbiased(entry(1, 1) * entry(d, d) * entry(1, d) * entry(d, 1), -1 / ((d - 1) * d * (d + 2)),
           ("d = %d: mixed moment of Haar measure"):format(d))
  if d == 2 then
    unbiased(entry(1, 1) * entry(2, 2) - entry(1, 2) * entry(2, 1), 0, "d = 2: both determinants")
  end
end

-- pairs -----------------------------------------------------------------------

for _, case in ipairs { { 8, 1 }, { 7, 1.5 }, { 2, 0.7 } } do
  local d, z = table.unpack(case)
  local blocks = 80000 // d
  local e = (draw(orthogonal, d * blocks, d):slice(2, 1, 1) * z):exp():reshape(blocks, d)
  local pair = (e:sum(2) ^ 2 - (e ^ 2):sum(2)) / (d * (d - 1))
  local want, free = F11(d, d / 2, z ^ 2 / 2), math.exp(z ^ 2)
  unbiased(pair, want, ("d = %d, |z| = %g: E exp(w1.z + w2.z) = 1F1"):format(d, z))
  local se = math.sqrt(pair:var():item() / blocks)
  tap.ok(free - want > 4 * se, "which this many draws tell from independence",
         "%.4g apart, s.e. %.2g", free - want, se)
  e = (draw(orthogonal, d * blocks, d, { norms = "sqrt_d" }):slice(2, 1, 1) * z):exp()
  unbiased(e:reshape(blocks, d):mean(2), F01(d / 2, d * z ^ 2 / 4), "norms = sqrt_d: E exp(w.z) = 0F1")
end

do
  -- one small matrix for each of many seeds, as users draw them
  local first, n = {}, 3000
  for seed = 1, n do
    local _, q = polar(orthogonal { rows = 3, dim = 4, dtype = "f64", rng = fv.rng(seed):stream("projection") })
    first[seed] = q:get(1, 1)
  end
  unbiased(fv.tensor(first, { dtype = "f64" }), 0, "over seeds the first entry has mean 0")
end

tap.done()
