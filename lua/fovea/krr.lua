--- fv.krr{kernel=, lambda=} -> regression: kernel ridge regression
--- model = fv.krr{...}:fit(x (n, d), y (n) or (n, e)) minimises |y - f|^2 + lambda |f|_H^2:
---   f(x) = k(x, X) alpha,  alpha = (K + lambda I)^-1 y
--- model(x (m, d)) -> (m) or (m, e). kernel is a name, {"matern", nu=0.5} or what fv.kernel gave.
--- lambda is a number from 0, by Cholesky, or a list of them: one eigendecomposition gives the
--- leave-one-out error of each, and the least is taken. Fields of a model: lambda, alpha, points,
---   loo          mean squared leave-one-out error, sum (alpha_i / G_ii)^2 / n e, G = (K + lambda I)^-1
---   residuals    y_i - f(x_i) with point i left out, of y's shape
---   grid         a list of {lambda=, loo=} in the order given
---   dimension    effective dimension, the trace of K G
--- In f64, results in x's dtype. Raises for lambda < 0, NaN, and where K + lambda I is not positive
--- definite. Cost: n^3 flops with the errors; a list 9 n^3; a prediction 2 m n (d + e).
--- Example: model = fv.krr{kernel={"gaussian", scale=2}, lambda={1e-3, 1e-2, 1e-1}}:fit(x, y); model(x)
--- Source: Saunders, Gammerman & Vovk 1998, Ridge Regression Learning Algorithm in Dual Variables.

local fv = require "fovea"
local named = require "fovea.named"
local options = require "fovea.options"

local declared = options.declare({
  { "kernel", "string|table", "gaussian", "a name, {name, options} or a kernel" },
  { "lambda", "number|table", 1, "the ridge, or a list to choose from", lo = 0, hi = 1e300 }
}, "krr", 1)

local function shape(t) return "(" .. table.concat({ t:shape() }, ",") .. ")" end

local function lambdas(value)
  if type(value) == "number" then return { value } end
  if #value == 0 then error("krr: option 'lambda': expected numbers, got an empty list", 3) end
  for i, c in ipairs(value) do
    if type(c) ~= "number" or not (c >= 0 and c < math.huge) then
      error(("krr: option 'lambda': expected numbers from 0, got %s at place %d"):format(
            type(c) == "number" and c or options.type(c), i), 3)
    end
  end
  return value
end

local function real(what, t, dims, want)
  if options.type(t) ~= "tensor" then
    error(("krr: %s: expected a tensor %s, got %s"):format(what, want, t == nil and "no value"
          or options.type(t)), 3)
  elseif t:dtype() ~= "f32" and t:dtype() ~= "f64" or not dims[t:ndim()] then
    error(("krr: %s: expected %s of f32 or f64, got %s %s"):format(what, want, t:dtype(), shape(t)), 3)
  elseif t:isfinite():all():item() == 0 then
    error(("krr: %s: expected finite numbers, got NaN or infinity"):format(what), 3)
  end
end

--- The inverse of a lower triangle by halves, so that nearly all of it is products:
---   [A 0; B C]^-1 = [A^-1 0; -C^-1 B A^-1 C^-1]
local function inverse(L)
  local n = L:size(1)
  if n <= 128 then return fv.triangular_solve(L, fv.eye(n, { dtype = "f64" })) end
  local h = (n // 2 + 15) // 16 * 16
  local A, C = inverse(L:slice(1, 1, h):slice(2, 1, h)), inverse(L:slice(1, h + 1, n):slice(2, h + 1, n))
  local B = -C:matmul(L:slice(1, h + 1, n):slice(2, 1, h)):matmul(A)
  return fv.cat({ fv.cat({ A, fv.zeros(h, n - h, { dtype = "f64" }) }, 2), fv.cat({ B, C }, 2) }, 1)
end

--- alpha (n, e) and the diagonal of G for one ridge, by Cholesky.
local function direct(K, Y, c)
  local R = inverse(fv.cholesky(K + c * fv.eye(K:size(1), { dtype = "f64" })))
  return R:t():matmul(R:matmul(Y)), (R * R):sum(-2)
end

--- The same for any ridge, from K = V diag(w) V'.
local function spectral(K, Y)
  local w, V = fv.eigh(K)
  local projected, squares = V:t():matmul(Y), V * V
  return function(c)
    if w:min():item() + c <= 0 then
      error(("krr: K + lambda I is not positive definite at lambda = %g; raise lambda"):format(c), 4)
    end
    local f = 1 / (w + c)
    return V:matmul(projected * f:unsqueeze(-1)), squares:matmul(f)
  end
end

local function text(model)
  local out = { ("kernel ridge regression, %s, n = %d"):format(model.kernel.formula, model.points:size(1)),
                ("  lambda %g, leave-one-out error %.6g, effective dimension %.4g"):format(model.lambda,
                model.loo, model.dimension) }
  for _, g in ipairs(#model.grid > 1 and model.grid or {}) do
    out[#out + 1] = ("  lambda %-10g leave-one-out error %.6g"):format(g.lambda, g.loo)
  end
  return table.concat(out, "\n")
end

local function predict(model, x)
  local d = model.points:size(2)
  local want = ("(m, d=%d)"):format(d)
  real("x", x, { [2] = true }, want)
  if x:size(2) ~= d then error(("krr: x: expected %s, got %s"):format(want, shape(x)), 2) end
  local f = model.kernel(x, model.points:to(x:dtype())):matmul(model.weights:to(x:dtype()))
  return model.vector and f:squeeze(-1) or f
end

local function fit(self, x, y)
  real("x", x, { [2] = true }, "(n, d)")
  real("y", y, { true, true }, "(n) or (n, e)")
  local n = x:size(1)
  if n == 0 or y:size(1) ~= n then
    error(("krr: y: expected %d rows, at least 1, like x, got %s"):format(n, shape(y)), 2)
  end
  return fv.no_grad(function()
    local list = lambdas(self.lambda)
    local X, Y = x:to "f64", y:to "f64"
    if y:ndim() == 1 then Y = Y:unsqueeze(-1) end
    local K = self.kernel(X)
    local solve = #list > 1 and spectral(K, Y) or function(c) return direct(K, Y, c) end
    local best, grid = nil, {}
    for i, c in ipairs(list) do
      local alpha, diagonal = solve(c)
      local left = alpha / diagonal:unsqueeze(-1)
      grid[i] = { lambda = c, loo = (left * left):mean():item() }
      if not best or grid[i].loo < best.loo then
        best = { lambda = c, loo = grid[i].loo, weights = alpha, left = left, diagonal = diagonal }
      end
    end
    local function like(t) return (y:ndim() == 1 and t:squeeze(-1) or t):to(x:dtype()) end
    return setmetatable({
      kernel = self.kernel, points = x, vector = y:ndim() == 1, weights = best.weights, grid = grid,
      lambda = best.lambda, loo = best.loo, alpha = like(best.weights), residuals = like(best.left),
      dimension = n - best.lambda * best.diagonal:sum():item()
    }, { __name = "fovea.krr", __call = predict, __tostring = text })
  end)
end

return function(given)
  local opt = options.read(declared, given, "krr", 3)
  lambdas(opt.lambda)
  local kernel = named(fv.kernel, opt.kernel, {}, "krr", "kernel")
  return setmetatable({ kernel = kernel, lambda = opt.lambda, fit = fit }, {
    __name = "fovea.krr", __tostring = function() return "kernel ridge regression, " .. kernel.formula end
  })
end
