-- Kernel functions: values by algebra, symmetry, positive semidefinite Gram matrices, gradients.

local fv = require "fovea"
local closed = require "fovea.closed"
local tap = require "tap"

local f64 = { dtype = "f64" }
local pi, exp, sqrt = math.pi, math.exp, math.sqrt
local function draw(name, ...) return fv.rng(7):stream(name):normal(...) end
local function points(name, n, d) return draw(name, n, d, f64) end

--- K of two vectors of lengths a, b at an angle t.
local function at(k, a, b, t)
  return k(fv.tensor({ { a, 0 } }, f64), fv.tensor({ { b * math.cos(t), b * math.sin(t) } }, f64)):item()
end

-- ---- dual kernels ----

--- E f(a z) f(b (z cos t + z' sin t)) by the trapezoid rule on [-9, 9]^2, which for analytic f
--- and the weight exp(-z^2/2) converges faster than any power of the step.
local function integral(f, a, b, t)
  local h, sum, F = 0.125, 0, {}
  local c, s = math.cos(t), math.sin(t)
  for i = -72, 72 do F[i] = f(a * i * h) * exp(-(i * h) ^ 2 / 2) end
  for i = -72, 72 do
    for j = -72, 72 do sum = sum + F[i] * f(b * h * (i * c + j * s)) * exp(-(j * h) ^ 2 / 2) end
  end
  return sum * h * h / (2 * pi)
end

local function erf(u) return fv.tensor({ u }, f64):erf():item() end
local smooth = {
  cos = math.cos, sin = math.sin, exp = function(u) return exp(u / 2) end, erf = erf,
  identity = function(u) return u end, square = function(u) return u * u end,
  gelu = function(u) return u * (1 + erf(u / sqrt(2))) / 2 end
}
for name, f in pairs(smooth) do
  local k, worst = fv.kernel("dual", { f = name, scale = name == "exp" and 0.5 or 1 }), 0
  for _, t in ipairs { 0.4, 2 } do
    local want = integral(f, 0.8, 1.3, t)
    worst = math.max(worst, math.abs(at(k, 0.8, 1.3, t) - want) / math.max(1, math.abs(want)))
  end
  tap.ok(worst < 1e-9, "dual " .. name .. " is the Gaussian integral", "error %.2g", worst)
end

-- orthogonal vectors give E f(a z) E f(b z), equal ones E f(a z)^2, opposite ones E f(a z) f(-a z)
local a, b = 0.7, 1.9
local known = {
  relu = { a * b / (2 * pi), a * a / 2, 0 },
  relu2 = { a * a * b * b / 4, 3 * a ^ 4 / 2, 0 },
  step = { 1 / 4, 1 / 2, 0 },
  sgn = { 0, 1, -1 },
  abs = { 2 / pi * a * b, a * a, a * a },
  identity = { 0, a * a, -a * a },
  square = { a * a * b * b, 3 * a ^ 4, 3 * a ^ 4 },
  exp = { exp((a * a + b * b) / 2), exp(2 * a * a), 1 },
  cos = { exp(-(a * a + b * b) / 2), (1 + exp(-2 * a * a)) / 2, (1 + exp(-2 * a * a)) / 2 },
  sin = { 0, (1 - exp(-2 * a * a)) / 2, -(1 - exp(-2 * a * a)) / 2 },
  erf = { 0, 2 / pi * math.asin(2 * a * a / (1 + 2 * a * a)), -2 / pi * math.asin(2 * a * a / (1 + 2 * a * a)) },
  gelu = { a * a * b * b / (2 * pi * sqrt((1 + a * a) * (1 + b * b))) }
}
for _, name in ipairs(closed.duals) do
  local k, want, worst = fv.kernel("dual", { f = name }), known[name], 0
  for i, angle in ipairs { pi / 2, 0, pi } do
    if want[i] then worst = math.max(worst, math.abs(at(k, a, i == 1 and b or a, angle) - want[i])) end
  end
  -- an angle of rounding's square root, 1.5e-8, is what parallel vectors may show
  tap.ok(worst < 3e-8, "dual " .. name .. " at orthogonal, equal and opposite vectors", "error %.2g", worst)
end

-- ---- every kernel ----

local all = {}
for _, name in ipairs(closed.duals) do all[#all + 1] = { "dual", { f = name, scale = 0.8 } } end
for _, name in ipairs { "softmax", "gaussian", "laplacian" } do all[#all + 1] = { name, { scale = 0.8 } } end
for nu = 0.5, 2.5 do all[#all + 1] = { "matern", { nu = nu, scale = 0.8 } } end
for order = 0, 2 do all[#all + 1] = { "arccos", { order = order, scale = 0.8 } } end
all[#all + 1] = { "polynomial", { degree = 3, offset = 0.5, scale = 0.8 } }
all[#all + 1] = { "polynomial", { degree = 2, offset = 0 } }

local X, Y = points("x", 12, 3), points("y", 5, 3)
for _, case in ipairs(all) do
  local name, opt = case[1], case[2]
  local k = fv.kernel(name, opt)
  local label = tostring(k):match "[^\n]*"
  local G = k(X)
  local w = fv.eigh((G + G:t()) * 0.5)
  local least, largest = w:min():item(), w:max():item()
  tap.ok((G - G:t()):abs():max():item() == 0 and least > -1e-13 * largest,
         label .. ": the Gram matrix is symmetric and positive semidefinite", "eigenvalues from %g to %g", least, largest)
  tap.near(k(X, Y), k(Y, X):t(), 1e-15, label .. ": k(x, y) is k(y, x) transposed")
  local gap, place = fv.gradcheck(function(x, y) return k(x, y) end, { X:slice(1, 1, 4), Y }, { tol = math.huge })
  tap.ok(gap < 1e-7, label .. ": gradient by differences", "%.2g, %s", gap, place)
end

tap.done()
