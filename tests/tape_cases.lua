-- Calls of everything that has a gradient, in f64: a list of { name, function of tensors,
-- inputs }, beside the draws they are made of.

local fv = require "fovea"

local rng = fv.rng(7):stream "tape"
local function r(...) return rng:uniform(..., { lo = -1, hi = 1, dtype = "f64" }) end
local function pos(...) return rng:uniform(..., { lo = 0.5, hi = 2, dtype = "f64" }) end
local function ids(list) return fv.tensor(list, { dtype = "i64" }) end
local function spd(n)
  local a = r { 2, n, n }
  return a:matmul(a:t()) + fv.eye(n, { dtype = "f64" }) * 2
end

local calls = {}
local function case(name, f, ...) calls[#calls + 1] = { name, f, { ... } } end

for _, name in ipairs { "neg", "abs", "square", "exp", "exp2", "expm1", "sin", "cos", "tan", "tanh",
  "sinh", "cosh",
                        "asin", "acos", "atan", "erf", "erfc", "sigmoid", "logsigmoid", "relu", "gelu",
                        "softplus", "silu", "elu", "sign", "floor", "ceil", "round" } do
  case(name, function(x) return x[name](x) end, r { 3, 4 } * 0.9)
end
for _, name in ipairs { "sqrt", "rsqrt", "reciprocal", "log", "log2", "log1p" } do
  case(name, function(x) return fv[name](x) end, pos { 3, 4 })
end
case("neg", function(x) return -x end, r { 3 })
for _, name in ipairs { "add", "sub", "mul", "div", "maximum", "minimum", "atan2" } do
  case(name, function(x, y) return x[name](x, y) end, pos { 2, 3 }, pos { 2, 3 })
  case(name, function(x, y) return fv[name](x, y) end, pos { 4, 1, 3 }, pos { 2, 1 })
  case(name, function(x) return x[name](x, 1.2) end, pos { 5 })
  case(name, function(x) return fv[name](1.2, x) end, pos { 5 })
end
case("add", function(x, y) return x + y + 1 + x end, r { 2, 3 }, r { 3 })
case("sub", function(x, y) return 1 - (x - y) end, r { 2, 3 }, r {})
case("mul", function(x, y) return 2 * (x * y) * x end, r { 2, 3 }, r { 2, 1 })
case("div", function(x, y) return 1 / (x / y) end, pos { 2, 3 }, pos { 3 })
case("pow", function(x, y) return x ^ y end, pos { 2, 3 }, r { 3 })
case("pow", function(x) return x ^ 3 + x ^ 2 + x ^ 0 + x ^ -1.5 end, pos { 4 })
case("pow", function(x) return fv.pow(2, x) end, r { 4 })
case("mod", function(x, y) return x % y end, pos { 5 } * 3, fv.full({ 5 }, 0.7, { dtype = "f64" }))
case("floordiv", function(x, y) return x // y + x end, pos { 5 } * 3, pos { 5 })
case("clamp", function(x) return x:clamp(-0.5, 0.5) end, r { 3, 4 })
case("clamp", function(x, lo, hi) return fv.clamp(x, lo, hi) end, r { 3, 4 }, r { 4 } - 1, r { 3, 1 })
case("where", function(a, b) return fv.where(a:gt(b), a * a, b) end, r { 2, 3 }, r { 3 })
case("where", function(a) return fv.where(a:gt(0), a, -2) end, r { 2, 3 })
case("masked_fill", function(x) return x:masked_fill(x:gt(0.2), 3) * x end, r { 3, 3 })

for _, name in ipairs { "sum", "mean", "prod", "var", "std", "norm", "logsumexp", "max", "min" } do
  case(name, function(x) return x[name](x) end, r { 2, 3 })
  case(name, function(x) return fv[name](x, -1) end, r { 2, 3, 4 })
  case(name, function(x) return x[name](x, 1, 3, { keepdim = true }) * x end, r { 2, 3, 4 })
end
case("var", function(x) return x:var(2, { correction = 0 }) end, r { 2, 3 })
case("norm", function(x) return x:norm(1, { p = 1 }) + x:norm(1, { p = math.huge }) end, r { 3, 4 })
case("prod", function(x) return x:prod(1) end, fv.tensor({ { 0, 0, 2 }, { 3, 0, 4 }, { 5, 6, 7 } },
  { dtype = "f64" }))
for _, name in ipairs { "softmax", "log_softmax" } do
  case(name, function(x) return x[name](x) end, r { 3, 4 })
  case(name, function(x) return fv[name](x, 1) end, r { 3, 4, 2 })
end
case("cumsum", function(x) return x:cumsum(-2) end, r { 3, 4 })
case("cumsum", function(x) return x:cumsum() end, r { 5 })

case("matmul", function(x, y) return x:matmul(y) end, r { 2, 3 }, r { 3, 4 })
case("matmul", function(x, y) return x:matmul(y) end, r { 5, 2, 3 }, r { 3, 4 })
case("matmul", function(x, y) return fv.matmul(x, y) end, r { 2, 1, 2, 3 }, r { 3, 3, 4 })
case("matmul", function(x, y) return fv.matmul(x, y) end, r { 2, 3 }, r { 3, 3, 2 })
case("matmul", function(x, y) return x:matmul(y) end, r { 3 }, r { 2, 3, 4 })
case("matmul", function(x, y) return x:matmul(y) end, r { 2, 4, 3 }, r { 3 })
case("matmul", function(x, y) return x:matmul(y) end, r { 3 }, r { 3 })
case("dot", function(x, y) return x:dot(y) + fv.dot(y, y) end, r { 3 }, r { 3 })
case("outer", function(x, y) return x:outer(y) end, r { 2, 3 }, r { 4 })
case("trace", function(x) return x:trace() end, r { 2, 3, 3 })
for _, e in ipairs { { "ij,jk->ik", { 2, 3 }, { 3, 4 } },
                     { "bhnd,bhmd->bhnm", { 2, 1, 3, 2 }, { 2, 1, 4, 2 } },
                     { "ii->i", { 3, 3 } }, { "iij->j", { 3, 3, 2 } }, { "ij", { 2, 3 } }, { "ji", { 2, 3 } },
                     { "ij->", { 2, 3 } }, { "ij,j", { 2, 3 }, { 3 } },
                     { "...ij,...jk->...ik", { 2, 3, 2 }, { 2, 4 } },
                     { "...i,...i->...", { 4, 1, 3 }, { 2, 3 } }, { "ij,kl->il", { 2, 3 }, { 2, 2 } },
                     { "ij,jk,kl->li", { 2, 3 }, { 3, 2 }, { 2, 4 } } } do
  local xs = { r(e[2]) }
  for i = 3, #e do xs[i - 1] = r(e[i]) end
  case("einsum", function(...) return fv.einsum(e[1], ...) end, table.unpack(xs))
end

case("transpose", function(x) return x:transpose() * x:transpose(-1, 1) end, r { 3, 3 })
case("t", function(x) return x:t() end, r { 2, 3, 4 })
case("permute", function(x) return x:permute(3, 1, -2) end, r { 2, 3, 4 })
case("reshape", function(x) return x:t():reshape(3, -1) end, r { 4, 3, 2 })
case("expand", function(x) return x:expand(2, 3, 4) end, r { 3, 1 })
case("squeeze", function(x) return x:squeeze() * x:squeeze(2) end, r { 3, 1 })
case("unsqueeze", function(x) return x:unsqueeze(1) * x:unsqueeze(-1) end, r { 3 })
case("slice", function(x) return x:slice(2, 2, 3) * x:slice(-1, 1, 4, 2) end, r { 2, 4 })
case("index", function(x) return x[2] * x[1] * x[2][3] end, r { 2, 3 })
case("flip", function(x) return x:flip(1, 2) * x end, r { 2, 3 })
case("diagonal", function(x) return x:diagonal() * x:diagonal(1):sum() end, r { 2, 3, 3 })
case("contiguous", function(x) return x:t():contiguous() * x:contiguous():t() end, r { 2, 3 })
case("clone", function(x) return x:clone() end, r { 2 })
case("tensor", function(x) return fv.tensor(x) end, r { 2 })
case("to", function(x) return x:to "f64" * x end, r { 2 })

local at = ids { { 1, 3, 3 }, { 2, 1, 2 } }
case("gather", function(x) return x:gather(2, at) end, r { 2, 3 })
case("gather", function(x) return x:gather(-1, at) end, r { 1, 3 })
case("gather", function(x) return x:gather(1, ids { { 2 }, { 1 }, { 2 } }) end, r { 2, 3 })
case("scatter_add", function(x, y) return x:scatter_add(2, at, y) end, r { 2, 4 }, r { 2, 3 })
case("scatter_add", function(x, y) return x:scatter_add(1, ids { { 2 } }, y) end, r { 2, 3 }, r { 4, 3 })
case("index_select", function(x) return x:index_select(2, at) end, r { 2, 3 })
case("index_select", function(x) return x:index_select(1, { 2, 2, 1 }) end, r { 2, 3 })
case("index_add", function(x, y) return x:index_add(1, { 2, 2, 1 }, y) end, r { 2, 3 }, r { 3, 3 })
case("index_add", function(x, y) return x:index_add(2, ids { 4, 1 }, y) end, r { 2, 4 }, r { 2, 2 })
case("sort", function(x) return (x:sort(1, { descending = true })) end, r { 4, 3 })
case("sort", function(x) return (x:sort()) end, r { 4, 3 })
case("topk", function(x) return (x:topk(2)) end, r { 3, 5 })
case("topk", function(x) return (x:topk(2, 1, { largest = false })) end, r { 3, 5 })
case("cat", function(x, y) return fv.cat({ x, y, x }, -1) end, r { 2, 3 }, r { 2, 1 })
case("stack", function(x, y) return fv.stack({ x, y }, -1) end, r { 2, 3 }, r { 2, 3 })
case("roll", function(x) return x:roll(2, 1) end, r { 5, 2 })
case("pad", function(x) return x:pad({ 1, 0, 0, 2 }, 5) end, r { 2, 3 })
case("pad", function(x) return x:pad { { 1, 0 }, { 0, 2 } } end, r { 2, 3 })
case("tile", function(x) return x:tile(2, 3, 1) end, r { 2, 3 })
case("tril", function(x) return x:tril(-1) + fv.tril(x) end, r { 2, 3, 4 })
case("triu", function(x) return x:triu(1) + fv.triu(x) end, r { 3, 3 })

-- factors have signs of their own: what is compared does not depend on them
case("qr", function(x) return fv.qr(x) end, r { 2, 4, 3 })
case("qr", function(x) return fv.qr(x) end, r { 3, 3 })
case("qr", function(x) return fv.qr(x) end, r { 2, 4 } + fv.eye(2, 4, { dtype = "f64" }))
local gap = fv.tensor({ 4, 2, 1 }, { dtype = "f64" })
local function gapped(m, n)                       -- singular values 4, 2, 1
  return (fv.qr(r { m, 3 }) * gap):matmul(fv.qr(r { n, 3 }):t())
end
case("svd", function(x)
  local U, s, Vt = fv.svd(x)
  return s, (U * (s + 1)):matmul(Vt), U * U, Vt * Vt
end, gapped(5, 3))
case("svd", function(x)
  local U, s, Vt = fv.svd(x)
  return (U * s:exp()):matmul(Vt)
end, gapped(3, 4))
case("eigh", function(x)
  local w, V = fv.eigh(x)
  return w, V * V, (V * w:exp()):matmul(V:t())
end, (function() local Q = fv.qr(r { 3, 3 }) return (Q * gap):matmul(Q:t()) end)())
case("cholesky", function(x) return fv.cholesky(x) end, spd(3))
case("solve", function(A, b) return fv.solve(A, b) end, spd(3), r { 3, 2 })
case("solve", function(A, b) return fv.solve(A, b) end, spd(3), r { 3 })
for _, o in ipairs { {}, { upper = true }, { transpose = true }, { unit = true, upper = true,
  transpose = true } } do
  case("triangular_solve", function(A, b) return fv.triangular_solve(A, b, o) end, spd(3), r { 3, 2 })
end
case("inv", function(x) return fv.inv(x) end, spd(3))
case("det", function(x) return fv.det(x) end, spd(3))
case("logdet", function(x) return select(2, fv.logdet(x)) end, spd(3))
case("pinv", function(x) return fv.pinv(x) end, r { 2, 4, 3 } * 0.3 + fv.eye(4, 3, { dtype = "f64" }))
case("pinv", function(x) return fv.pinv(x) end, r { 2, 3 } + fv.eye(2, 3, { dtype = "f64" }))

return { calls = calls, r = r }
