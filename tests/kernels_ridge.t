-- Kernel ridge regression and spectra of Gram matrices: direct solves, left-out points, by hand.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }
local function draw(name, ...) return fv.rng(5):stream(name):normal(...) end
local function matrix(rows) return fv.tensor(rows, f64) end

local n = 25
local x, z = draw("x", n, 2, f64), draw("z", 7, 2, f64)
local y = (x:slice(-1, 1, 1) * 2):sin():squeeze(-1) + 0.1 * draw("noise", n, f64)
local k = fv.kernel("matern", { nu = 1.5 })
local I = fv.eye(n, f64)

-- ---- regression ----

for _, c in ipairs { 0.05, 1 } do
  local model = fv.krr { kernel = k, lambda = c }:fit(x, y)
  local G = k(x) + c * I
  tap.near(model.alpha, fv.solve(G, y), 1e-12, ("lambda %g: alpha solves (K + lambda I) alpha = y"):format(c))
  tap.near(model(z), k(z, x):matmul(fv.solve(G, y)), 1e-12, ("lambda %g: predictions"):format(c))
  tap.close(model.dimension, fv.einsum("ij,ji->", k(x), fv.inv(G)):item(), 1e-10,
            ("lambda %g: the effective dimension is tr K (K + lambda I)^-1"):format(c))
  local worst, sum = 0, 0
  for i = 1, n do
    local keep = {}
    for j = 1, n do if j ~= i then keep[#keep + 1] = j end end
    local rest = fv.krr { kernel = k, lambda = c }:fit(x:index_select(1, keep), y:index_select(1, keep))
    local e = y:get(i) - rest(x:slice(1, i, i)):item()
    worst, sum = math.max(worst, math.abs(model.residuals:get(i) - e)), sum + e * e / n
  end
  tap.ok(worst < 1e-11, ("lambda %g: residuals are those of fits without the point"):format(c), "%.2g", worst)
  tap.close(model.loo, sum, 1e-12, ("lambda %g: and loo their mean square"):format(c))
end

do
  local grid = { 10, 0.3, 0.01, 1e-4 }
  local model, best = fv.krr { kernel = k, lambda = grid }:fit(x, y), nil
  for i, c in ipairs(grid) do
    local one = fv.krr { kernel = k, lambda = c }:fit(x, y)
    tap.close(model.grid[i].loo, one.loo, 1e-11, ("a list gives the error of lambda %g alone"):format(c))
    best = best and best.loo <= one.loo and best or one
  end
  tap.is(model.lambda, best.lambda, "and takes the ridge with the least")
  tap.near(model(z), best(z), 1e-9, "whose predictions it makes")
  tap.ok(tostring(model):find "matern" and tostring(model):find "leave%-one%-out",
           "printing says kernel and error")
end
do
  local Y = fv.stack({ y, 2 * y + 1 }, -1)
  local model = fv.krr { kernel = k, lambda = 0.1 }:fit(x, Y)
  local one = fv.krr { kernel = k, lambda = 0.1 }:fit(x, y)
  tap.near(model(z):slice(-1, 1, 1):squeeze(-1), one(z), 1e-13, "several targets are solved side by side")
  tap.close(model.loo, (model.residuals ^ 2):mean():item(), 1e-14, "and averaged in loo")
  local small = fv.krr { kernel = k, lambda = 0.1 }:fit(x:to "f32", y:to "f32")
  tap.ok(small(z:to "f32"):dtype() == "f32", "f32 in, f32 out")
  tap.near(small(z:to "f32"), one(z), 1e-5, "with the accuracy of f32")
  local exact = fv.krr { kernel = k, lambda = 0 }:fit(x, y)
  tap.near(exact(x), y, 1e-9, "lambda = 0 interpolates")
  fv.gradcheck(function(a) return one(a) end, { z })
end

-- large enough to be cut in halves, at a size they do not divide
do
  local X, Y = draw("many", 301, 3, f64), draw("targets", 301, f64)
  local model = fv.krr { kernel = k, lambda = 0.2 }:fit(X, Y)
  local G = k(X) + 0.2 * fv.eye(301, f64)
  tap.near(model.alpha, fv.solve(G, Y), 1e-11, "301 points: alpha")
  tap.near(model.residuals, fv.solve(G, Y) / fv.inv(G):diagonal(), 1e-11, "301 points: left-out residuals")
end

-- ---- spectra ----

-- eigenvalues 4, 1, 0.25 by hand: sum w / (w + 1) = 0.8 + 0.5 + 0.2
do
  local s = fv.spectrum(matrix { { 1, 0, 0 }, { 0, 4, 0 }, { 0, 0, 0.25 } })
  tap.near(s.eigenvalues, fv.tensor({ 4, 1, 0.25 }, f64), 1e-15, "eigenvalues of a diagonal matrix, falling")
  tap.close(s:effective_dimension(1), 1.5, 1e-15, "its effective dimension at 1 is 1.5")
  tap.is(s:effective_dimension(0), 3, "and at 0 its rank")
  tap.close(s:share(1), 4 / 5.25, 1e-15, "share of the largest")
  tap.close(s.participation, 5.25 ^ 2 / (16 + 1 + 1 / 16), 1e-15, "participation ratio")
  tap.ok(s.psd and s.rank == 3 and s.negative == 0 and s.condition == 16,
           "semidefinite, full rank, condition 16")
  tap.ok(tostring(s):find "yes, up to rounding", "and printing says so")
end
do
  local s = fv.spectrum(matrix { { 0, 2 }, { 2, 3 } })             -- eigenvalues 4 and -1
  tap.ok(not s.psd and s.negative == 1 and s.rank == 1, "one negative eigenvalue")
  tap.close(s.negativity, 0.2, 1e-15, "a fifth of the sum of |w|")
  tap.is(s.condition, math.huge, "no condition number")
  tap.ok(tostring(s):find "no: 1 negative, 0.2", "and printing says so")
  tap.close(s:effective_dimension(1), 0.8, 1e-15, "the effective dimension is that of the positive part")
end
do
  local s = fv.spectrum(fv.kernel("polynomial", { degree = 2, offset = 0 }), x)
  tap.is(s.rank, 3, "x^2, xy, y^2: a homogeneous quadratic kernel in the plane has rank 3")
  tap.close(s.trace, ((x * x):sum(-1) ^ 2):sum():item(), 1e-12, "trace of its diagonal")
  local own = fv.kernel("user", { f = function(a, b) return -((a - b) ^ 2):sum(-1) end })
  tap.ok(not fv.spectrum(own, x).psd, "a kernel of one's own that is none is found out")
end

-- ---- misuse ----

tap.raises("krr: option 'lambda': expected numbers, got an empty list", "an empty list", fv.krr,
         { lambda = {} })
tap.raises("expected numbers from 0, got %-1 at place 2", "in a list", fv.krr, { lambda = { 1, -1 } })
tap.raises("option 'lambda': expected a number or a table", "or alone", fv.krr, { lambda = -1 })
tap.raises("krr: y: expected 25 rows, at least 1, like x, got %(7%)", "rows must agree", function()
  fv.krr {}:fit(x, draw("short", 7, f64))
end)
tap.raises("krr: x: expected %(m, d=2%)", "widths too", fv.krr {}:fit(x, y), draw("wide", 3, 4, f64))
do
  local bad = y + 0
  bad:set(4, 0 / 0)
  tap.raises("krr: y: expected finite numbers", "NaN", function() fv.krr {}:fit(x, bad) end)
  tap.raises("not positive definite at lambda = 0", "no ridge on equal points", function()
    fv.krr { lambda = { 1, 0 } }:fit(fv.ones(4, 2, f64), fv.ones(4, f64))
  end)
  tap.raises("cholesky", "nor by Cholesky", function()
    fv.krr { lambda = 0 }:fit(fv.ones(4, 2, f64), fv.ones(4, f64))
  end)
end
tap.raises("krr: unknown option 'lamda' %(did you mean 'lambda'", "a misspelt option", fv.krr, { lamda = 1 })
tap.raises("expected a symmetric matrix", "spectra of symmetric matrices only", fv.spectrum, matrix { { 1,
         2 }, { 0, 1 } })
tap.raises("expected a kernel and points, or a matrix", "of something", fv.spectrum, 3)
tap.raises("spectrum: expected finite entries", "without NaN", fv.spectrum, matrix { { 0 / 0 } })
tap.raises("spectrum: expected f32 or f64, got i64", "of real numbers", fv.spectrum, fv.eye(2, { dtype = "i64" }))
tap.raises("effective_dimension: lambda: expected a number from 0, got %-1", "lambda from 0", function()
  return fv.spectrum(k, x):effective_dimension(-1)
end)

tap.done()
