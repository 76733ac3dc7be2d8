-- Gradients where functions have edges: ties, zeros, infinities, NaN, empty tensors, equal
-- singular values, singular matrices. Values are one-sided limits or conventions: at a kink
-- 0 or shares of the slope, at NaN the slope goes where the NaN came from.

local fv = require "fovea"
local tap = require "tap"

local inf, nan = math.huge, 0 / 0
local f64 = { dtype = "f64" }
local function T(x) return fv.tensor(x, f64) end

--- The gradients of the sum of f's results are 'want', a list of lists; nan is NaN.
local function edge(name, f, xs, want)
  local function total(...) return (f(...)):sum() end
  local grads = fv.vjp(total, xs)
  local good, got = true, {}
  for i, w in ipairs(want) do
    local g = grads[i]:reshape(-1):totable()
    got[i] = table.concat(g, " ")
    for k, v in ipairs(w) do good = good and (g[k] == v or v ~= v and g[k] ~= g[k] or math.abs(g[k] - v) < 1e-14) end
    good = good and #g == #w
  end
  tap.ok(good, name, "got %s", table.concat(got, " | "))
end

-- ---- elements ----

edge("abs: 0 at 0", fv.abs, { T { 0, 2, -2 } }, { { 0, 1, -1 } })
edge("relu: 0 at 0, and NaN is let through", fv.relu, { T { 0, 1, -1, nan } }, { { 0, 1, 0, 1 } })
edge("sqrt: infinite at 0", fv.sqrt, { T { 0, 4, -1 } }, { { inf, 0.25, nan } })
edge("log: infinite at 0", fv.log, { T { 0, 4 } }, { { inf, 0.25 } })
edge("maximum: halves at ties, NaN takes it", fv.maximum, { T { 1, 2, 0, nan, 1 }, T { 1, 0, 2, 1, nan } },
     { { 0.5, 1, 0, 1, 1 }, { 0.5, 0, 1, 1, 1 } })
edge("minimum: halves at ties, NaN takes it", fv.minimum, { T { 1, 2, 0, nan, 1 }, T { 1, 0, 2, 1, nan } },
     { { 0.5, 0, 1, 1, 1 }, { 0.5, 1, 0, 1, 1 } })
edge("clamp: 1 at its ends", function(x) return x:clamp(0, 1) end, { T { 0, 1, 2, -1, inf } },
     { { 1, 1, 0, 0, 0 } })
edge("clamp: hi wins where lo is above it", fv.clamp, { T { 0, 5 }, T { 2, 2 }, T { 1, 1 } },
     { { 0, 0 }, { 0, 0 }, { 1, 1 } })
edge("atan2: 0 at the origin", fv.atan2, { T { 0, 0, 1 }, T { 0, 1, 0 } }, { { 0, 1, 0 }, { 0, 0, -1 } })
edge("pow: x^0 is flat, 0^p is flat for p >= 0", fv.pow, { T { 0, 0, 0, 2 }, T { 0, 1, 2, 0 } },
     { { 0, 1, 0, 0 }, { 0, 0, 0, math.log(2) } })
edge("pow: and falls from infinity for p < 0", fv.pow, { T { 0 }, T { -1 } }, { { -inf }, { -inf } })
edge("pow: the same for a number", function(p) return fv.pow(0, p) end, { T { 0, 2, -1 } }, { { 0, 0, -inf } })
for p, want in pairs { [0] = 0, [1] = 1, [2] = 0, [0.5] = inf, [-1] = -inf } do
  edge("pow: x^" .. p .. " at 0", function(x) return x ^ p end, { T { 0 } }, { { want } })
end
edge("where: NaN of the side not taken stays out", function(x) return fv.where(x:lt(0), x, x:log()) end,
     { T { -1, 2 } }, { { 1, 0.5 } })
edge("sigmoid and tanh are flat far out", function(x) return x:sigmoid() + x:tanh() end, { T { 1e3, -inf } },
     { { 0, 0 } })
edge("softplus", fv.softplus, { T { 1e3, -1e3, inf, -inf } }, { { 1, 0, 1, 0 } })
edge("elu: 1 at 0", fv.elu, { T { 0, 1, -inf } }, { { 1, 1, 0 } })

-- ---- reductions ----

edge("max: ties share", function(x) return x:max() end, { T { 2, 1, 2 } }, { { 0.5, 0, 0.5 } })
edge("max: NaN takes it", function(x) return x:max(1) end, { T { { nan, 2 }, { 1, 3 } } }, { { 1, 0, 0, 1 } })
edge("min: NaN takes it", function(x) return x:min(2) end, { T { { nan, 2, nan } } }, { { 0.5, 0, 0.5 } })
for _, p in ipairs { 1, 2, inf } do
  edge("norm: 0 at 0, p = " .. p, function(x) return x:norm { p = p } end, { T { 0, 0 } }, { { 0, 0 } })
end
edge("norm: NaN shows", function(x) return x:norm() end, { T { nan, 1 } }, { { nan, nan } })
edge("norm: p = inf, ties share with their signs", function(x) return x:norm { p = inf } end,
     { T { 2, -2, 1 } }, { { 0.5, -0.5, 0 } })
edge("std: 0 where nothing varies", function(x) return x:std(2) end, { T { { 1, 1 }, { 0, 2 } } },
     { { 0, 0, -0.5 ^ 0.5, 0.5 ^ 0.5 } })
edge("std: one element has none", function(x) return x:std() end, { T { 1 } }, { { nan } })
edge("logsumexp: all -inf is flat", function(x) return x:logsumexp(2) end, { T { { -inf, -inf }, { 0, -inf } } },
     { { 0, 0, 1, 0 } })
edge("logsumexp: NaN shows", function(x) return x:logsumexp() end, { T { nan, 1 } }, { { nan, nan } })
edge("softmax: a row of -inf is flat", function(x) return x:softmax() * T { 1, 3 } end,
     { T { { -inf, -inf }, { 0, -inf } } }, { { 0, 0, 0, 0 } })
edge("prod: one zero", function(x) return x:prod() end, { T { 0, 2, 3 } }, { { 6, 0, 0 } })
edge("prod: two zeros", function(x) return x:prod() end, { T { 0, 2, 0 } }, { { 0, 0, 0 } })
edge("sort: equal elements keep their order", function(x) return (x:sort()) * T { 1, 2, 3 } end, { T { 5, 4, 5 } },
     { { 2, 1, 3 } })
edge("topk: of equal elements the first", function(x) return (x:topk(1)) end, { T { 1, 4, 4 } }, { { 0, 1, 0 } })

--- Hessians: second derivatives of products do not vanish with a factor, and at a kink are 0.
local function hessian(f, x)
  local rows = {}
  for i = 1, x:numel() do
    rows[i] = fv.grad(function(a) return (fv.grad(f)(a)):reshape(-1)[i] end)(x):reshape(-1)
  end
  return fv.stack(rows)
end
tap.near(hessian(function(x) return x:prod() end, T { 0, 2, 3 }), T { { 0, 3, 2 }, { 3, 0, 0 }, { 2, 0, 0 } }, 0,
         "prod: second derivatives at a zero")
tap.near(hessian(function(x) return x:prod() end, T { 0, 0, 3 }), T { { 0, 3, 0 }, { 3, 0, 0 }, { 0, 0, 0 } }, 0,
         "prod: at two")
tap.near(hessian(function(x) return x:prod(1, 3):sum() end, T { { { 0, 2 } }, { { 3, 5 } } }),
         T { { 0, 15, 10, 6 }, { 15, 0, 0, 0 }, { 10, 0, 0, 0 }, { 6, 0, 0, 0 } }, 0, "prod: over several dimensions")
tap.near(hessian(function(x) return x:prod(2):sum() end, T { { 0, 2 }, { 3, 5 } }),
         T { { 0, 1, 0, 0 }, { 1, 0, 0, 0 }, { 0, 0, 0, 1 }, { 0, 0, 1, 0 } }, 0, "prod: over the last")
for name, f in pairs { norm = function(x) return x:norm() end, std = function(x) return x:std() end } do
  tap.near(hessian(f, T { 0, 0 }), fv.zeros(2, 2, f64), 0, name .. ": second derivatives are 0 at 0, as of |x|")
end

-- ---- empty tensors ----

for name, f in pairs {
  sum = function(x) return x:sum(1) end, matmul = function(x) return x:matmul(x:t()) end,
  ["matmul of nothing"] = function(x) return x:t():matmul(x) end, cat = function(x) return fv.cat({ x, x }, 1) end,
  einsum = function(x) return fv.einsum("ij,ik->jk", x, x) end, softmax = function(x) return x:softmax() end,
  sort = function(x) return (x:sort()) end, slice = function(x) return x:slice(2, 2, 3) end,
  cumsum = function(x) return x:cumsum(1) end, prod = function(x) return x:prod(1) end,
  expand = function(x) return x:expand(2, 0, 3) end
} do
  edge("empty: " .. name, f, { fv.zeros(0, 3, f64) }, { {} })
end
edge("empty: broadcast with what is not", function(x, y) return x * y end, { fv.zeros(0, 3, f64), T { 1, 2, 3 } },
     { {}, { 0, 0, 0 } })
edge("empty: tile none", function(x) return x:tile(0) end, { T { { 5 } } }, { { 0 } })
edge("empty: index_select none", function(x) return x:index_select(1, {}) end, { T { 5, 6 } }, { { 0, 0 } })

-- ---- matrices ----

local I = fv.eye(3, f64)
edge("svd: singular values that are equal have slopes", function(x) return (select(2, fv.svd(x))) end, { I },
     { { 1, 0, 0, 0, 1, 0, 0, 0, 1 } })
edge("svd: their vectors have none", function(x) return (fv.svd(x)) end, { I }, { { nan, nan, nan, nan, nan, nan, nan,
     nan, nan } })
edge("svd: square, singular", function(x)
  local U, s, Vt = fv.svd(x)
  return (U * s):matmul(Vt) * T { { 1, 2 }, { 3, 4 } }
end, { T { { 5, 0 }, { 0, 0 } } }, { { 1, 2, 3, 4 } })
edge("eigh: so have equal eigenvalues", function(x) return (fv.eigh(x)) * T { 1, 2, 3 } end, { I },
     { { 1, 0, 0, 0, 2, 0, 0, 0, 3 } })
edge("det: a singular matrix has cofactors", fv.det, { T { { 1, 2 }, { 2, 4 } } }, { { 4, -2, -2, 1 } })
do
  local A = T { { { 1, 2, 3 }, { 2, 4, 6 }, { 0, 1, 1 } }, { { 2, 0, 0 }, { 0, 3, 0 }, { 0, 0, 4 } } }
  local g = fv.grad(function(x) return fv.det(x):sum() end)(A)
  tap.near(g, T { { { -2, -2, 2 }, { 1, 1, -1 }, { 0, 0, 0 } }, { { 12, 0, 0 }, { 0, 8, 0 }, { 0, 0, 6 } } }, 1e-13,
           "det: also beside others in a batch")
  tap.near(fv.jvp(fv.det, { A }, { fv.ones(2, 3, 3, f64) }), T { -1 + 0, 26 }, 1e-13, "det: jvp agrees")
  tap.raises("det: its gradient at a singular matrix has none", "det: which have no slope here", hessian,
             function(x) return fv.det(x) end, T { { 1, 2 }, { 2, 4 } })
  tap.raises("logdet: a singular matrix has no gradient", "logdet has no gradient there",
             fv.grad(function(x) return select(2, fv.logdet(x)) end), T { { 1, 2 }, { 2, 4 } })
end

--- The gradient of a product of several takes them in an order that keeps to small matrices:
--- with the wrong one these have 7 dimensions, or 4e8 elements.
do
  local s = fv.rng(1):stream "einsum"
  local gap = fv.gradcheck(function(x, y, z) return fv.einsum("abcde,ef,fg->abcdg", x, y, z) end,
                           { s:normal(2, 1, 2, 1, 2, f64), s:normal(2, 3, f64), s:normal(3, 2, f64) })
  tap.ok(gap < 1e-6, "einsum: three tensors, five dimensions")
  local x, y, z = s:normal(150, 140), s:normal(140, 150), s:normal(150, 140)
  local gx, gy, gz = fv.grad(function(a, b, c) return fv.einsum("ij,jk,kl->il", a, b, c):sum() end)(x, y, z)
  local ones = fv.ones(150, 140)
  tap.near(gx, ones:matmul(z:t()):matmul(y:t()), 1e-2, "einsum: a chain, its first factor")
  tap.near(gy, x:t():matmul(ones):matmul(z:t()), 1e-2, "its second")
  tap.near(gz, y:t():matmul(x:t():matmul(ones)), 1e-2, "its third")
end

tap.done()
