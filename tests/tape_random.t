-- Random programs through the tape: views, broadcasts, places, reductions, matrices and
-- factors composed at random. Their gradient against differences, their second derivative
-- against differences of the gradient, jvp against vjp, both in f64.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }
local function ids(...) return fv.tensor({ ... }, { dtype = "i64" }) end

--- y if it broadcasts with x to no more than 100 elements, else its mean.
local function meet(x, y)
  local n = 1
  for d = 1, math.max(x:ndim(), y:ndim()) do
    local a = d <= x:ndim() and x:size(-d) or 1
    local b = d <= y:ndim() and y:size(-d) or 1
    if a ~= b and a ~= 1 and b ~= 1 then return y:mean() end
    n = n * math.max(a, b)
  end
  return n <= 100 and y or y:mean()
end

--- The last two dimensions as a matrix of at most 3 rows.
local function matrix(x)
  local m = x:reshape(-1, x:size(-1))
  return m:slice(1, 1, math.min(3, m:size(1)))
end

--- Positive definite, with eigenvalues apart.
local function definite(x)
  local m = matrix(x)
  local n = m:size(1)
  return m:matmul(m:t()) * 0.3 + fv.eye(n, f64) * fv.linspace(1, n, n, f64)
end

-- Each takes x (one dimension or more), another tensor y, a dimension d of x and a number k.
local steps = {
  function(x, y) return x + meet(x, y) end,
  function(x, y) return meet(x, y) - x end,
  function(x, y) return x * meet(x, y) end,
  function(x, y) local z = meet(x, y) return x / (z * z + 1) end,
  function(x, y) return (x * x + 0.5) ^ meet(x, y) end,
  function(x, y) return x:maximum(meet(x, y) * 0.7) end,
  function(x, y) return x:minimum(meet(x, y) * 0.7) end,
  function(x, y) return x:atan2(meet(x, y):exp()) end,
  function(x, y) local z = meet(x, y) return fv.where(x:gt(z), x * x, z) end,
  function(x, y) return x:clamp(-1.1, 0.9 + meet(x, y):square()) end,
  function(x) return x:masked_fill(x:gt(0.3), 0.3) * x end,
  function(x, _, _, k)
    local name = ({ "tanh", "sigmoid", "sin", "cos", "square", "softplus", "neg", "gelu", "silu", "erf", "abs",
                    "relu", "elu", "atan", "logsigmoid", "expm1" })[k % 16 + 1]
    return x[name](x)
  end,
  function(x) return (x * x + 0.4):log() end,
  function(x) return (x:abs() + 0.4):sqrt() end,
  function(x) return x:ndim() > 1 and x:t() or x:unsqueeze(1) end,
  function(x, _, d) return x:transpose(d, -1):contiguous() end,
  function(x) return x:reshape(-1) end,
  function(x, _, d) return x:slice(d, 1, x:size(d), 2) end,
  function(x, _, _, k) return x:ndim() > 1 and x[k % x:size(1) + 1] or x:expand(2, x:size(1)) end,
  function(x, _, d) return x:flip(d) * x end,
  function(x) return x:ndim() > 1 and x:diagonal() or x:outer(x):diagonal(-1):sum() * x end,
  function(x, _, d, k) return x:roll(k, d) + x * 0.1 end,
  function(x, _, d) return x:cumsum(-d) end,
  function(x, _, d) return x:softmax(d) end,
  function(x, _, d) return x:log_softmax(d) end,
  function(x, _, d) return x:index_select(d, ids(1, x:size(d), 1)) end,
  function(x, _, d) return x:index_add(d, ids(1, 1), x:index_select(d, ids(x:size(d), 1))) end,
  function(x) return x:gather(-1, (x * 0 + 1):to "i64") * x end,
  function(x, _, d) local v, at = x:sort(d) return (x * x):scatter_add(d, at, v) end,
  function(x, _, d) return (x:topk(math.min(2, x:size(d)), d, { largest = false })) end,
  function(x, _, d) return fv.cat({ x:slice(d, 1, 1), x }, d) end,
  function(x, _, d) return fv.stack({ x, x:exp() }, d):sum(d) end,
  function(x) return x:tile(2):slice(-1, 2, x:size(-1) + 1) end,
  function(x) local w = {} for i = 1, 2 * x:ndim() do w[i] = i == 1 and 1 or 0 end return x:pad(w, 0.5) end,
  function(x) return x:ndim() > 1 and x:tril() + x:triu(1) * 0.5 or x:square() end,
  function(x, _, d, k)
    local name = ({ "sum", "mean", "logsumexp", "norm", "prod", "max", "min" })[k % 7 + 1]
    return x[name](x, d, { keepdim = k % 2 == 0 }) * 0.5 + x:mean()
  end,
  function(x, _, d) return x / (x:var(d, { keepdim = true, correction = 0 }) + 0.5) end,
  function(x) return (matrix(x) + 0.1):std(2, { correction = 0 }) + (x * x):sum() end,
  function(x, y) return x:matmul(meet(x, y):sum() * fv.eye(x:size(-1), f64) + 0.2) end,
  function(x) return x:matmul(x:reshape(-1, x:size(-1)):t()) end,
  function(x) return fv.einsum("...i,...j->...j", x, x * 0.5) end,
  function(x) local m = matrix(x) return fv.einsum("ij,kj,kl->il", m, m, m) end,
  function(x) return fv.cholesky(definite(x)) end,
  function(x) return fv.solve(definite(x), matrix(x)) end,
  function(x) return fv.inv(definite(x)) * fv.det(definite(x)) * 0.1 end,
  function(x) return (select(2, fv.logdet(definite(x)))) * x end,
  function(x) local w, V = fv.eigh(definite(x)) return (V * w:sqrt()):matmul(V:t()) end,
  function(x) local Q, R = fv.qr(definite(x)) return Q + R end,
  function(x) local U, s, Vt = fv.svd(definite(x)) return (U * s:log()):matmul(Vt) end,
  function(x) return fv.checkpoint(function(z) return z:tanh() * z end, x) end
}

--- Keeps values near 1, so that differences are good to 1e-8, and sizes small.
local function tame(z)
  if z:ndim() == 0 then z = z:reshape(1) end
  while z:ndim() > 3 do z = z:sum(1) end
  for d = 1, z:ndim() do if z:size(d) > 4 then z = z:slice(d, 2, 5) end end
  return z / ((z * z):mean() + 0.5):sqrt()
end

--- A program is a list of numbers; it runs the same for all inputs of the same shapes.
local function program(seed)
  local s, list = fv.rng(seed):stream "program", {}
  for i = 1, 9 do
    list[i] = { s:integers(1, #steps), s:integers(1, 1000), s:integers(1, 1000), s:integers(0, 1000) }
  end
  return function(...)
    local pool = { ... }
    for _, p in ipairs(list) do
      local x, y = pool[#pool - p[2] % math.min(3, #pool)], pool[p[3] % #pool + 1]
      pool[#pool + 1] = tame(steps[p[1]](x, y, p[4] % x:ndim() + 1, p[4] // 7))
    end
    local total = pool[#pool]:sum()
    for i = #pool - 2, #pool - 1 do total = total + (pool[i] * pool[i]):sum() * 0.3 end
    return total, list
  end
end

--- (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h = f'(0) + O(h^4): at h = 1e-4 what is left is
--- rounding, 1e-16 / h of the values met.
local function slope(f)
  local h = 1e-4
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
end
local TOL = 1e-8

local function dot(a, b)
  local sum
  for i, x in ipairs(a) do
    local part = (x * b[i]):sum()
    sum = sum and sum + part or part
  end
  return sum
end

local shapes = { { { 3, 4 }, { 4 }, { 1, 4 } }, { { 2, 3 }, { 2, 1 }, {} }, { { 2, 2, 3 }, { 3 }, { 2, 1, 1 } },
                 { { 1 }, { 3 }, { 4, 1 } }, { { 4 }, { 2, 1, 4 }, { 4, 4 } } }
local used, programs = {}, 150
local first, second, transposed = {}, {}, {}
for seed = 1, programs do
  local f, s = program(seed), fv.rng(seed):stream "inputs"
  local xs, vs = {}, {}
  for i, shape in ipairs(shapes[seed % #shapes + 1]) do
    if #shape == 0 then shape = { 1 } end
    xs[i] = s:uniform(shape, { lo = -1, hi = 1, dtype = "f64" })
    vs[i] = s:uniform(shape, { lo = -1, hi = 1, dtype = "f64" })
  end
  local function moved(t)
    local out = {}
    for i, x in ipairs(xs) do out[i] = x + vs[i] * t end
    return out
  end
  local function gradient(...) return (fv.vjp(function(...) return (f(...)) end, { ... })) end
  local function along(...) return dot(gradient(...), vs) end
  local function report(list, got, want)
    local gap = math.abs(got - want) / math.max(1, math.abs(want))
    if not (gap <= TOL) then list[#list + 1] = ("%d (%.2g: %.9g, %.9g)"):format(seed, gap, got, want) end
  end
  local _, list = f(table.unpack(xs))
  for _, p in ipairs(list) do used[p[1]] = true end
  report(first, along(table.unpack(xs)):item(),
         slope(function(t) return (f(table.unpack(moved(t)))):item() end))
  local hv = fv.vjp(along, xs)
  report(second, dot(hv, vs):item(), slope(function(t) return along(table.unpack(moved(t))):item() end))
  report(transposed, fv.jvp(function(...) return (f(...)) end, xs, vs):item(), along(table.unpack(xs)):item())
end
tap.ok(#first == 0, programs .. " random programs: gradients are differences", "%s", table.concat(first, "\n#   "))
tap.ok(#second == 0, "second derivatives are differences of gradients", "%s", table.concat(second, "\n#   "))
tap.ok(#transposed == 0, "jvp is the transpose of vjp", "%s", table.concat(transposed, "\n#   "))
tap.is(#used, #steps, "every step occurs in a program")

tap.done()
