-- Facts about every sampler of fv.sample, from its name and caps, and the laws of each
-- one written in Lua.  Seeds are fixed; "within 4 s.e." is one miss in 16,000.

local fv = require "fovea"
local tap = require "tap"
local special = require "fovea.special"

local F64 = { dtype = "f64" }
local function f64(t) return fv.tensor(t, F64) end

local function draw(name, rows, dim, more)
  local opt = { rows = rows, dim = dim, dtype = "f64" }
  for key, value in pairs(more or {}) do opt[key] = value end
  if not opt.rng then opt.seed = opt.seed or 5 end
  return fv.sample(name, opt)
end

local function apart(a, b) return (a - b):abs():max():item() end

--- The mean of independent draws (a list of numbers) is 'want' within 4 s.e.
local function unbiased(list, want, name)
  local x = f64(list)
  local mean, se = x:mean():item(), math.sqrt(x:var():item() / #list) + 1e-14 * math.abs(want)
  return tap.ok(math.abs(mean - want) <= 4 * se, name, "mean %.6g, want %.6g, s.e. %.2g", mean, want, se)
end

-- every sampler ------------------------------------------------------------------

for _, name in ipairs(fv.sample.names()) do
  local caps = fv.sample.entry(name).caps
  local w = draw(name, 37, 5)
  tap.is(table.concat({ w:shape() }, ","), "37,5", name .. ": W is (rows, dim)")
  tap.near(draw(name, 37, 5, { dtype = "f32" }), w:to "f32", 0, name .. ": f32 is the rounding of f64")
  local was, same = fv.threads(1), true
  for threads = 2, 3 do
    local one = draw(name, 37, 5)
    fv.threads(threads)
    same = same and apart(draw(name, 37, 5), one) == 0
  end
  fv.threads(was)
  tap.ok(same, name .. ": same bits with 1 to 3 threads")
  tap.ok(apart(draw(name, 37, 5, { draw = 1 }), w) > 1e-3, name .. ": draw 1 is another")
  tap.near(draw(name, 37, 5, { rng = fv.rng(5):stream "projection:1" }), draw(name, 37, 5, { draw = 1 }), 0,
           name .. ": and the one of its stream")
  local s = fv.rng(5):stream "x"
  tap.ok(apart(draw(name, 37, 5, { rng = s }), draw(name, 37, 5, { rng = s })) > 1e-3,
         name .. ": a second draw from a stream is another")
  if name ~= "moment_matching" then
    tap.near(draw(name, 11, 5), w:slice(1, 1, 11), 0, name .. ": rows do not change when their number grows")
  end
  tap.ok(caps.unbiased or caps.biased, name .. ": says whether it is unbiased")
  if caps.orthogonal then
    local d, worst = 8, 0
    local u = draw(name, 20, d)
    u = u / u:norm(2, { keepdim = true })
    for from = 1, 20, d do
      local b = u:slice(1, from, math.min(from + d - 1, 20))
      worst = math.max(worst, apart(b:matmul(b:t()), fv.eye(b:size(1), F64)))
    end
    tap.ok(worst < 1e-12, name .. ": rows of a block are orthogonal", "%.2g", worst)
  end
  if caps.unbiased then
    -- a matrix is one draw: its rows depend on each other; the last block is cut
    local d, m, S = 5, 12, 500
    local z = f64 { 0.6, -0.3, 0.5, 0.2, -0.4 }
    local want = math.exp((z * z):sum():item() / 2)
    local mean, first, entry, square = {}, {}, {}, {}
    for seed = 1, S do
      local W = draw(name, m, d, { seed = seed })
      local e = W:matmul(z):exp()
      mean[seed], first[seed] = e:mean():item(), e:get(1)
      entry[seed], square[seed] = W:get(1, 1), (W * W):mean():item()
    end
    unbiased(mean, want, name .. ": E exp(w.z) = exp(|z|^2/2)")
    unbiased(first, want, name .. ": in the first row")
    unbiased(entry, 0, name .. ": its first entry has mean 0")
    unbiased(square, 1, name .. ": entries have second moment 1")
  end
end

-- Hadamard -----------------------------------------------------------------------

local function sylvester(p)
  local H = f64 { { 1 } }
  while H:size(1) < p do H = fv.cat({ fv.cat({ H, H }, 2), fv.cat({ H, -H }, 2) }, 1) end
  return H
end

tap.near(fv.hadamard(f64 { { 1, 2, 3 } }, { normalize = false }), f64 { { 6, 2, 0, -4 } }, 0,
         "hadamard of (1,2,3): padded with a zero, by hand")
for _, p in ipairs { 1, 2, 4, 8, 32, 256 } do
  local x = fv.rng(p):stream("x"):normal(37, p, F64)
  tap.near(fv.hadamard(x, { normalize = false }), x:matmul(sylvester(p)), 1e-12, ("H_%d of 37 rows"):format(p))
end
do
  local x = fv.rng(1):stream("x"):normal(2, 3, 5, F64)
  tap.near(fv.hadamard(fv.hadamard(x)):slice(-1, 1, 5), x, 1e-14, "hadamard is its own inverse")
  local s = fv.rng(2):stream("s"):normal(2, 3, 8, F64)
  local H, W = sylvester(8) / 8 ^ 0.5, {}
  for b = 1, 2 do
    local M = fv.eye(8, F64) * 8 ^ 0.5
    for t = 1, 3 do M = M:matmul(H * s[b]:slice(1, t, t)) end
    W[b] = M
  end
  W = fv.cat(W, 1):slice(2, 1, 5):slice(1, 1, 11)
  tap.near(fv.sorf_project(x, s, { rows = 11 }), x:matmul(W:t()), 1e-13, "sorf_project is the product it stands for")
  tap.raises("p a power of two from d = 5, got p = 4", "p must hold the row", fv.sorf_project, x, s:slice(-1, 1, 4))
  tap.raises("rows: expected at most b p = 16, got 17", "rows has its bound", fv.sorf_project, x, s, { rows = 17 })
end
for _, name in ipairs(fv.sample.names()) do
  local entry = fv.sample.entry(name)
  if entry.structured then
    local x = fv.rng(1):stream("x"):normal(4, 5, F64)
    for _, norms in ipairs { "chi", "sqrt_d" } do
      local opt = { rows = 19, dim = 5, dtype = "f64", norms = norms, diagonals = 3 }
      opt.rng = fv.rng(5):stream "projection"
      tap.near(entry.structured(opt)(x), x:matmul(draw(name, 19, 5, { norms = norms }):t()), 1e-13,
               name .. ": applied without W, norms = " .. norms)
    end
  end
end

-- Givens -------------------------------------------------------------------------

do
  local x = f64 { { 1, 2, 3 } }
  local y = fv.rotate(x, f64 { math.pi / 2, math.pi }, fv.tensor({ 1, 2 }, { dtype = "i64" }),
                      fv.tensor({ 3, 1 }, { dtype = "i64" }))
  tap.near(y, f64 { { 3, -2, 1 } }, 1e-15, "rotate: a quarter turn of (1,3), then half a turn of (2,1)")
  tap.raises("two different columns of 1 to 3, got 2 and 2", "rotate: of one column", fv.rotate, x, f64 { 1 },
             fv.tensor({ 2 }, { dtype = "i64" }), fv.tensor({ 2 }, { dtype = "i64" }))
  tap.raises("'dim': expected at least 2, got 1", "givens needs two", draw, "givens", 3, 1)
  tap.near(draw("givens", 4, 4, { rotations = 0, norms = "sqrt_d" }), 2 * fv.eye(4, F64), 0,
           "givens: without rotations the axes")
  local fourth = {}
  for seed = 1, 300 do
    local q = draw("givens", 8, 8, { seed = seed, norms = "sqrt_d" }) / 8 ^ 0.5
    fourth[seed] = (q ^ 4):mean():item()
  end
  unbiased(fourth, 3 / (8 * 10), "givens: fourth moment of the sphere")
end

-- LAPACK's signs: column 1 of Q has -|x_1|/|x| first, so E W_11 = -E|N(0,1)|
do
  local first = {}
  for seed = 1, 2000 do first[seed] = draw("orthogonal", 1, 16, { seed = seed, signs = "lapack" }):get(1, 1) end
  unbiased(first, -math.sqrt(2 / math.pi), "orthogonal: signs = lapack is what a QR gives")
end

-- SORF ---------------------------------------------------------------------------

do
  local w = draw("sorf", 300, 16)
  tap.near(w:norm(2), fv.full({ 300 }, 4, F64), 1e-13, "sorf: rows of norm sqrt(d)")
  for _, z in ipairs { 0.5, 1, 2 } do
    local sum, S = 0, 300
    local u = fv.rng(3):stream("u"):normal(16, F64)
    u = u * (z / u:norm():item())
    for seed = 1, S do sum = sum + draw("sorf", 16, 16, { seed = seed }):matmul(u):exp():mean():item() / S end
    local want = math.exp(special.log_0F1(8, 16 * z * z / 4))
    tap.ok(math.abs(sum / want - 1) < 0.01, ("sorf: E exp(w.z) is 0F1 within 1 %% at |z| = %g"):format(z),
           "%.5f for %.5f", sum, want)
  end
end

-- simplex ------------------------------------------------------------------------

for _, d in ipairs { 2, 3, 16 } do
  local w = draw("simplex", 2 * d, d)
  local u = w / w:norm(2, { keepdim = true })
  local want = fv.eye(d, F64) * (1 + 1 / (d - 1)) - 1 / (d - 1)
  tap.near(u:slice(1, 1, d):matmul(u:slice(1, 1, d):t()), want, 1e-12, ("simplex, d = %d: products -1/(d-1)"):format(d))
  w = draw("simplex_plus", d, d)
  local rest = w:slice(1, 1, d - 1):sum(1)
  local cosine = w[d]:dot(rest):item() / (w[d]:norm():item() * rest:norm():item())
  tap.close(cosine, -1, 1e-12, ("simplex_plus, d = %d: the row last turned is opposite to the others' sum"):format(d))
  local first = draw("simplex_plus", d, d, { sweeps = 0 })
  tap.near(first:norm(2), w:norm(2), 1e-12, "and sweeps keep norms")
end
tap.raises("'dim': expected at least 2, got 1", "no simplex in one dimension", draw, "simplex", 3, 1)

-- quasi-Monte Carlo ----------------------------------------------------------------

local function uniforms(w) return (w / -2 ^ 0.5):erfc() / 2 end

do
  local blocks = require "fovea.blocks"
  local u = f64 { 1e-12, 1e-6, 0.02, 0.3, 0.5, 0.7, 1 - 1e-6 }
  tap.ok(((uniforms(blocks.quantile(u)) - u) / u):abs():max():item() < 1e-12, "the quantile inverts the distribution")
end

--- How many of the points lie in each box: counts[1 + floor(u_1 a) + a floor(u_2 b)].
local function evenly(u, a, b)
  local counts = {}
  for _, p in ipairs(u:totable()) do
    local at = math.floor(p[1] * a) + a * math.floor((p[2] or 0) * b)
    counts[at] = (counts[at] or 0) + 1
  end
  for at = 0, a * b - 1 do if counts[at] ~= u:size(1) // (a * b) then return false end end
  return true
end

do
  local u = uniforms(draw("sobol", 64, 256))
  local lines, planes = true, 0
  for j = 1, 256 do lines = lines and evenly(u:slice(2, j, j), 64, 1) end
  tap.ok(lines, "sobol: 64 points, one in each 64th of each of 256 coordinates")
  for r = 0, 6 do if evenly(u:slice(2, 1, 2), 1 << r, 64 >> r) then planes = planes + 1 end end
  tap.is(planes, 7, "sobol: in the first plane one in each box of area 1/64, of every shape")
  local even = 0
  for j = 2, 33 do if evenly(u:slice(2, j, j + 1), 4, 4) then even = even + 1 end end
  tap.ok(even >= 28, "sobol: neighbouring planes hold 4 points in each of 16 squares", "%d of 32", even)
  tap.raises("'dim': expected at most 256, got 257", "sobol: its dimensions end", draw, "sobol", 4, 257)
  u = uniforms(draw("halton", 81, 3))
  tap.ok(evenly(u:slice(2, 2, 2), 81, 1) and evenly(u:slice(1, 1, 64):slice(2, 1, 1), 64, 1)
         and evenly(u:slice(1, 1, 25):slice(2, 3, 3), 25, 1), "halton: b^k points, one in each b^-k of base b")
  tap.ok(evenly(u:slice(1, 1, 72):slice(2, 1, 2), 8, 9), "halton: and 72 in the boxes of an 8 x 9 grid")
end

-- others ---------------------------------------------------------------------------

do
  local w = draw("moment_matching", 40, 7)
  tap.near(w:mean(1), fv.zeros({ 7 }, F64), 1e-14, "moment_matching: mean 0")
  tap.near(w:t():matmul(w) / 40, fv.eye(7, F64), 1e-13, "moment_matching: second moment I")
  tap.raises("'rows': expected more than dim = 7, got 7", "moment_matching: too few rows", draw, "moment_matching", 7, 7)
  w = draw("antithetic", 7, 3, { of = "orthogonal" })
  tap.near(w:slice(1, 1, 3), fv.stack({ w[1], -w[1], w[3] }, 1), 0, "antithetic: pairs w, -w")
  local x = draw("fastfood", 8, 8)
  local u = x / x:norm(2, { keepdim = true })
  tap.ok(apart(u:matmul(u:t()), fv.eye(8, F64)) < 1, "fastfood: no two rows are parallel")
end

tap.done()
