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
local function matrix(rows) return fv.tensor(rows, f64) end

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
  erf = { 0, 2 / pi * math.asin(a * a / (a * a + 0.5)), -2 / pi * math.asin(a * a / (a * a + 0.5)) },
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
         label .. ": the Gram matrix is symmetric and positive semidefinite", "eigenvalues from %g to %g",
         least, largest)
  tap.near(k(X, Y), k(Y, X):t(), 1e-15, label .. ": k(x, y) is k(y, x) transposed")
  local gap, place = fv.gradcheck(function(x, y) return k(x, y) end, { X:slice(1, 1, 4), Y },
                                  { tol = math.huge })
  tap.ok(gap < 1e-7, label .. ": gradient by differences", "%.2g, %s", gap, place)
end

-- ---- definitions, over several blocks, panels and depths ----

local function sums(f) return function(x, y) return f(x:unsqueeze(-2), y:unsqueeze(-3)) end end
local function gap2(x, y) return ((x - y) ^ 2):sum(-1) end
local function angles(x, y)
  local ab = ((x * x):sum(-1) * (y * y):sum(-1)):sqrt()
  return ab, ((x * y):sum(-1) / ab):acos()
end
local definitions = {
  { "gaussian", { scale = 0.2 }, sums(function(x, y) return (gap2(x, y) * -0.02):exp() end) },
  { "softmax", { scale = 0.2 }, sums(function(x, y) return ((x * y):sum(-1) * 0.04):exp() end) },
  { "laplacian", { scale = 0.1 }, sums(function(x, y) return ((x - y):abs():sum(-1) * -0.1):exp() end) },
  { "matern", { nu = 0.5, scale = 0.2 }, sums(function(x, y) return (gap2(x, y):sqrt() * -0.2):exp() end) },
  { "matern", { nu = 1.5, scale = 0.2 }, sums(function(x, y)
    local s = gap2(x, y):sqrt() * (0.2 * sqrt(3))
    return (1 + s) * (-s):exp()
  end) },
  { "matern", { nu = 2.5, scale = 0.2 }, sums(function(x, y)
    local s = gap2(x, y):sqrt() * (0.2 * sqrt(5))
    return (1 + s + s * s / 3) * (-s):exp()
  end) },
  { "polynomial", { degree = 5, offset = 2, scale = 0.3 }, sums(function(x, y)
    return ((x * y):sum(-1) * 0.09 + 2) ^ 5
  end) },
  { "arccos", { order = 0 }, sums(function(x, y)
    local _, t = angles(x, y)
    return (pi - t) / pi
  end) },
  { "arccos", { order = 1, scale = 2 }, sums(function(x, y)
    local ab, t = angles(x, y)
    return 4 * ab * (t:sin() + (pi - t) * t:cos()) / pi
  end) },
  { "arccos", { order = 2 }, sums(function(x, y)
    local ab, t = angles(x, y)
    return ab ^ 2 * (3 * t:sin() * t:cos() + (pi - t) * (1 + 2 * t:cos() ^ 2)) / pi
  end) }
}
do
  local x, y = points("wide x", 203, 5), points("wide y", 270, 5)
  local x2, y2 = points("deep x", 7, 300), points("deep y", 70, 300)
  for _, case in ipairs(definitions) do
    local k, f = fv.kernel(case[1], case[2]), case[3]
    local label = tostring(k):match "[^\n]*"
    tap.near(k(x, y), f(x, y), 1e-12, label .. " is its definition")
    tap.near(k(x2, y2), f(x2, y2), 1e-12, label .. " in 300 dimensions")
    local G = k(y)
    local off = 1 - fv.eye(270, f64)
    tap.near(G * off, k(y, y + 0) * off, 0, label .. ": one argument gives the bits of two off the diagonal")
    tap.ok((G - G:t()):abs():max():item() == 0, label .. ": and is symmetric to the bit")
    tap.near(k:diag(y), fv.einsum("ii->i", G), 1e-14, label .. ": its diagonal alone")
    tap.near(k(x:to "f32", y:to "f32"), f(x, y), 1e-4, label .. " in f32")
  end
end

-- sizes at which results go past the caches, and widths at which they cannot
for _, n in ipairs { 1024, 1027 } do
  local x = points("streamed", n, 4):to "f32"
  local k = fv.kernel "gaussian"
  local G = k(x)
  tap.near(G:slice(-2, 900, 910), k(x:slice(-2, 900, 910), x), 1e-6,
           "gaussian " .. n .. ": rows of a large result")
  tap.ok((G - G:t()):abs():max():item() == 0, "gaussian " .. n .. ": symmetric")
end

-- near points far from the origin: |x|^2 + |y|^2 - 2 x.y would have lost everything
do
  local x = fv.tensor({ { 1000, 0 }, { 1000.5, 0 }, { -1000, 0 } })
  local near = exp(-1 / 8)
  tap.near(fv.kernel "gaussian"(x, x + 0), matrix { { 1, near, 0 }, { near, 1, 0 }, { 0, 0, 1 } }, 1e-6,
           "distances of near points survive large norms in f32")
end

-- a zero vector has no angle: its row is that of a right angle, and the matrix stays semidefinite
do
  local x = fv.tensor({ { 1, 0 }, { -1, 0 }, { 0, 0 } }, f64)
  local K = matrix { { 1, 0, 0.5 }, { 0, 1, 0.5 }, { 0.5, 0.5, 0.5 } }
  tap.near(fv.kernel("arccos", { order = 0 })(x), K, 1e-15, "arccos: a zero vector is at right angles to all")
  tap.near(fv.kernel("dual", { f = "step" })(x), K / 2, 1e-8, "dual step too")
end
for order, f in pairs { [0] = "step", "relu", "relu2" } do
  tap.near(fv.kernel("arccos", { order = order })(X, Y), 2 * fv.kernel("dual", { f = f })(X, Y), 1e-12,
           ("arccos of order %d is twice the dual of %s"):format(order, f))
end

-- ---- arithmetic ----

do
  local g, p = fv.kernel("gaussian", { scale = 0.7 }), fv.kernel("polynomial", { degree = 2 })
  local G, P = g(X, Y), p(X, Y)
  tap.near((g + p)(X, Y), G + P, 0, "k1 + k2")
  tap.near((g * p)(X, Y), G * P, 0, "k1 * k2")
  tap.near((3 * g)(X, Y), 3 * G, 0, "3 k")
  tap.near((g + 1)(X, Y), G + 1, 0, "k + 1")
  tap.near((g ^ 3)(X, Y), G * G * G, 0, "k^3")
  local k = 2 * (g + p) * g + 0.5
  tap.near(k(X, Y), 2 * (G + P) * G + 0.5, 1e-14, "of all of them")
  tap.near(k:diag(X), fv.einsum("ii->i", k(X)), 1e-13, "its diagonal")
  tap.ok(g.caps.nonneg and (g + g).caps.nonneg and not (g + p).caps.nonneg, "nonneg if its parts are")
  tap.ok(tostring(k):find "gaussian" and tostring(k):find "polynomial", "printing says the parts")
  local sizes = { n = 3, m = 4, d = 5 }
  tap.ok(k:cost(sizes).flops > 2 * g:cost(sizes).flops + p:cost(sizes).flops, "its cost includes theirs")
  fv.gradcheck(function(x, y) return k(x, y) end, { X:slice(1, 1, 3), Y })
  tap.near(g(X:unsqueeze(1):expand { 2, 12, 3 }, Y), fv.stack({ G, G }, 1), 0, "leading dimensions are batch")
  tap.raises("expected a number from 0, got %-2", "a negative multiple is no kernel",
           function() return -2 * g end)
  tap.raises("expected kernels or numbers, got a string", "nor is a string", function() return g + "a" end)
  tap.raises("to the power of 1, 2, ..., got 0.5", "nor a root", function() return g ^ 0.5 end)
end
do
  local function f(x, y) return 1 / (1 + gap2(x, y)) end
  local k = fv.kernel("user", { f = f })
  tap.near(k(X, Y), f(X:unsqueeze(-2), Y:unsqueeze(-3)), 0, "a kernel of one's own, of pairs")
  tap.near(k:diag(X), fv.ones(12, f64), 0, "with its diagonal")
  local linear = fv.kernel("user", { gram = function(x, y) return x:matmul(y:t()) end })
  tap.near(linear(X, Y), X:matmul(Y:t()), 0, "and of matrices")
  fv.gradcheck(function(x, y) return k(x, y) end, { X, Y })
  tap.raises("one of the options 'f' and 'gram', got none", "a function is needed", fv.kernel, "user")
  tap.raises("user: f: expected a result %(..., n=12, m=5%), got number", "that gives a matrix",
             fv.kernel("user", { f = function() return 1.5 end }), X, Y)
  fv.kernel.register { name = "mine", doc = "Mine.", build = function()
    return { gram = function(x, y) return x:matmul(y:t()) * 2 end }
  end }
  tap.near((fv.kernel "mine" + fv.kernel "mine")(X, Y), 4 * X:matmul(Y:t()), 1e-15, "a registered kernel")
end

-- ---- misuse ----

local g = fv.kernel "gaussian"
tap.raises("#2 to 'gaussian' %(y: expected %(...,m,d=3%), got %(5,2%)", "widths must agree", g, X,
           Y:slice(-1, 1, 2))
tap.raises("#1 to 'gaussian' %(x: expected %(..., n, d%), got %(3%)", "x is a matrix", g, X[1])
tap.raises("y: expected f64 like x, got f32; convert with :to", "dtypes must agree", g, X, Y:to "f32")
tap.raises("x: expected f32 or f64, got i64", "and be real", g, X:to "i64")
tap.raises("option 'nu': expected 0.5, 1.5 or 2.5, got 1", "matern knows three",
           fv.kernel("matern", { nu = 1 }), X)
tap.raises("did you mean 'matern'", "a misspelt name", fv.kernel, "mattern")
tap.raises("option 'scale': expected a number in", "scale is positive", fv.kernel, "gaussian", { scale = -1 })
do
  local bad = X:contiguous() + 0
  bad:set(2, 1, 0 / 0)
  local G = g(bad)
  tap.ok(G:get(2, 5) ~= G:get(2, 5) and G:get(2, 2) ~= G:get(2, 2) and G:get(1, 5) == g(X):get(1, 5),
         "NaN makes its row and column NaN, nothing else")
end

tap.done()
