-- linalg.t: products against plain loops, decompositions by their residuals.
local fv = require "fovea"
local tap = require "tap"

-- A matrix product, element by element, of 2-d tensors.
local function naive(a, b)
  local m, k = a:shape()
  local _, n = b:shape()
  local c = fv.zeros(m, n, { dtype = "f64" })
  for i = 1, m do
    for j = 1, n do
      local s = 0
      for p = 1, k do s = s + a:get(i, p) * b:get(p, j) end
      c:set(i, j, s)
    end
  end
  return c
end

-- Deterministic numbers: small integers (sums exact in f32), or reals in (-1, 1)
-- from a linear congruence.
local function integers(dtype, ...)
  local n = 1
  for _, s in ipairs { ... } do n = n * s end
  local t = {}
  for i = 1, n do t[i] = (i * 7 + n) % 11 - 5 end
  if n == 0 then return fv.zeros(..., { dtype = dtype }) end
  return fv.tensor(t, { dtype = dtype }):reshape(...)
end

local state = 1
local function reals(dtype, ...)
  local n = 1
  for _, s in ipairs { ... } do n = n * s end
  local t = {}
  for i = 1, n do
    state = (state * 1103515245 + 12345) % 2147483648
    t[i] = state / 1073741824 - 1
  end
  return fv.tensor(t, { dtype = dtype }):reshape(...)
end

local function eye(n, dtype) return fv.eye(n, { dtype = dtype or "f64" }) end

-- The part of a square f64 matrix on and below (sign 1) or above (-1) the diagonal.
local function triangle(a, sign)
  local n = a:size(-1)
  local out = a:clone()
  for i = 1, n do
    for j = 1, n do
      if (j - i) * sign > 0 then out:set(i, j, 0) end
    end
  end
  return out
end

-- ---- products ----

for _, dtype in ipairs { "f32", "f64" } do
  local a, b = integers(dtype, 5, 7), integers(dtype, 7, 3)
  local c = naive(a, b)
  tap.near(a:matmul(b), c, 0, dtype .. " product of integers is exact")
  tap.is(a:matmul(b):dtype(), dtype, dtype .. " stays " .. dtype)
  tap.near(b:t():matmul(a:t()), c:t(), 0, dtype .. " transposed views")
  tap.near(a:t():contiguous():t():matmul(b), c, 0, dtype .. " left operand stored by columns")
  tap.near(a:matmul(b:t():contiguous():t()), c, 0, dtype .. " right operand stored by columns")
  local wide = integers(dtype, 10, 14)
  tap.near(wide:slice(1, 1, 9, 2):slice(2, 2, 14, 2):matmul(b),
           naive(wide:slice(1, 1, 9, 2):slice(2, 2, 14, 2), b), 0, dtype .. " no unit stride")
  tap.near(wide:slice(1, 2, 6):slice(2, 3, 9):matmul(b),
           naive(wide:slice(1, 2, 6):slice(2, 3, 9), b), 0, dtype .. " a block of a matrix")

  local x = integers(dtype, 7)
  tap.near(a:matmul(x), naive(a, x:reshape(7, 1)):reshape(5), 0, dtype .. " (n,d) (d)")
  tap.near(x:matmul(b), naive(x:reshape(1, 7), b):reshape(3), 0, dtype .. " (d) (d,n)")
  tap.near(a:t():contiguous():t():matmul(x), naive(a, x:reshape(7, 1)):reshape(5), 0,
           dtype .. " (n,d) by columns, (d)")
  tap.is(x:dot(x):item(), naive(x:reshape(1, 7), x:reshape(7, 1)):item(), dtype .. " dot")
  tap.is(x:matmul(x):ndim(), 0, dtype .. " vector times vector has no dimensions")
  tap.near(x:outer(integers(dtype, 4)), naive(x:reshape(7, 1), integers(dtype, 1, 4)), 0,
           dtype .. " outer")
  local strided = integers(dtype, 7, 2):slice(2, 2, 2):reshape(7)
  tap.near(a:matmul(strided), naive(a, strided:reshape(7, 1)):reshape(5), 0,
           dtype .. " a strided vector")

  -- batches: every combination of shared and own, and views of them
  local p, q = integers(dtype, 2, 3, 4, 5), integers(dtype, 3, 5, 6)
  local r = p:matmul(q)
  local good = true
  for i = 1, 2 do
    for j = 1, 3 do good = good and (r[i][j] - naive(p[i][j], q[j])):abs():max():item() == 0 end
  end
  tap.ok(good, dtype .. " (2,3,4,5) (3,5,6) broadcasts the batch")
  tap.near(p:matmul(q[1])[2][3], naive(p[2][3], q[1]), 0, dtype .. " one right operand for all")
  tap.near(p[1][1]:matmul(q)[3], naive(p[1][1], q[3]), 0, dtype .. " one left operand for all")
  tap.near(p:transpose(1, 2):matmul(q[2])[3][1], naive(p[1][3], q[2]), 0,
           dtype .. " a permuted batch")
  local heads = p:permute(1, 3, 2, 4)        -- (2,4,3,5): rows are heads apart
  tap.near(heads:matmul(q[1])[2][4], naive(heads[2][4], q[1]), 0, dtype .. " permuted heads")
  local gaps = integers(dtype, 8, 10):slice(1, 1, 8, 2):slice(2, 1, 10, 2)    -- (4,5)
  tap.near(gaps:matmul(q)[3], naive(gaps, q[3]), 0, dtype .. " one strided left operand for all")
  tap.near(p[1]:matmul(gaps:t())[2], naive(p[1][2], gaps:t()), 0,
           dtype .. " one strided right operand for all")
  tap.near(p[1]:unsqueeze(2):expand(3, 7, 4, 5):matmul(q[3])[2][6], naive(p[1][2], q[3]), 0,
           dtype .. " an expanded batch")

  for _, s in ipairs { { 0, 3, 2 }, { 2, 0, 3 }, { 2, 3, 0 }, { 1, 1, 1 }, { 0, 0, 0 } } do
    local m, k, n = table.unpack(s)
    local got = fv.zeros(m, k, { dtype = dtype }):matmul(fv.zeros(k, n, { dtype = dtype }))
    local gm, gn = got:shape()
    tap.ok(gm == m and gn == n and (got:numel() == 0 or got:abs():max():item() == 0),
           ("%s (%d,%d) (%d,%d)"):format(dtype, m, k, k, n))
  end
end

tap.is(integers("f32", 2, 2):matmul(integers("f64", 2, 2)):dtype(), "f64", "f32 times f64 is f64")
tap.near(integers("f32", 3, 2):matmul(integers("f64", 2, 2)),
         naive(integers("f32", 3, 2), integers("f64", 2, 2)), 0, "and its value")

-- sizes that are cut into tiles, in every direction; checked at a few places
-- against an f64 sum.  k terms below 1: error at most about k/2 roundings, twice
-- that between two orders of summation.
for _, s in ipairs { { "f32", 700, 64, 700 }, { "f32", 1, 3000, 900 }, { "f32", 900, 3000, 1 },
                     { "f32", 40, 9000, 40 }, { "f32", 513, 300, 260 }, { "f32", 100, 4000, 70 },
                     { "f64", 210, 400, 205 }, { "f64", 100, 4000, 70 } } do
  local dtype, m, k, n = table.unpack(s)
  local tol = k * (dtype == "f32" and 3e-8 or 1.2e-16)
  local a, b = reals(dtype, m, k), reals(dtype, k, n)
  local c = a:matmul(b)
  local worst = 0
  for i = 1, m, math.max(1, m // 5) do
    for j = 1, n, math.max(1, n // 5) do
      local x = a[i]:to("f64") * b:slice(2, j, j):reshape(k):to("f64")
      local want = x:matmul(fv.ones(k, { dtype = "f64" })):item()
      worst = math.max(worst, math.abs(c:get(i, j) - want))
    end
  end
  tap.ok(worst < tol, ("%s (%d,%d) (%d,%d): error %.1e"):format(dtype, m, k, k, n, worst))
  local ac, bc = a:t():contiguous():t(), b:t():contiguous():t()   -- stored by columns
  for _, other in ipairs { ac:matmul(b), a:matmul(bc), ac:matmul(bc), bc:t():matmul(ac:t()):t() } do
    worst = math.max(worst, (other - c):abs():max():item())
  end
  tap.ok(worst < 2 * tol, ("  stored by columns: error %.1e"):format(worst))
  local every = fv.zeros(2 * m, 3 * k, { dtype = dtype }):slice(1, 1, 2 * m, 2)
  every = every:slice(2, 1, 3 * k, 3)
  every:copy_(a)
  worst = (every:matmul(b) - c):abs():max():item()
  tap.ok(worst < 2 * tol, ("  without a unit stride: error %.1e"):format(worst))
end
do
  local a, b = reals("f32", 3, 100, 300), reals("f32", 3, 300, 330)
  tap.near(a:matmul(b)[3], a[3]:matmul(b[3]), 2 * 300 * 3e-8, "a batch of large matrices")
  tap.near(a:matmul(b[2])[3], a[3]:matmul(b[2]), 2 * 300 * 3e-8, "with one right operand")
  tap.near(a[2]:matmul(b)[3], a[2]:matmul(b[3]), 2 * 300 * 3e-8, "with one left operand")
end

tap.raises("bad argument #2 to '[%w.]*matmul' %(.*4 columns meet 5 rows", "sizes that do not fit",
           fv.matmul, fv.zeros(3, 4), fv.zeros(5, 6))
tap.raises("batch dimensions do not broadcast", "batches that do not fit", fv.matmul,
           fv.zeros(2, 3, 4), fv.zeros(3, 4, 6))
tap.raises("expected f32 or f64, got i64", "integers are refused", fv.matmul,
           fv.zeros(2, 2, { dtype = "i64" }), fv.zeros(2, 2))
tap.raises("bad argument #1", "a number is no matrix", fv.matmul, 3, fv.zeros(2, 2))
tap.raises("too large", "a result beyond memory", function()
  local tall = fv.zeros(1, 1):expand(2 ^ 40 // 1, 1)
  return tall:matmul(tall:t())
end)
tap.raises("expected %(3%), got %(4%)", "dot of two lengths", fv.dot, fv.zeros(3), fv.zeros(4))
local odd = fv.tensor { { 1, 0 / 0 }, { 2, 3 } }
tap.ok(odd:matmul(odd):get(1, 1) ~= odd:matmul(odd):get(1, 1), "NaN spreads through a product")

-- ---- decompositions ----
-- Residuals relative to the matrix: f64 a few eps times size, f32 that of one
-- rounding of each factor, eps times sqrt(size).

local function residual(got, want, tol, name)
  tap.near(got:to("f64"), want:to("f64"), tol, name)
end

for _, dtype in ipairs { "f32", "f64" } do
  local tol = dtype == "f32" and 1e-6 or 2e-14
  for _, s in ipairs { { 5, 5 }, { 64, 64 }, { 40, 9 }, { 9, 40 }, { 1, 1 }, { 3, 1 },
                     { 1, 3 } } do
    local m, n = table.unpack(s)
    local A = reals(dtype, m, n)
    local at = ("%s (%d,%d): "):format(dtype, m, n)
    local Q, R = fv.qr(A)
    local r = math.min(m, n)
    Q, R = Q:to("f64"), R:to("f64")
    residual(Q:matmul(R), A, tol, at .. "Q R = A")
    residual(Q:t():matmul(Q), eye(r), tol, at .. "Q'Q = 1")
    local upper, diagonal = true, true
    for i = 1, r do
      diagonal = diagonal and R:get(i, i) >= 0
      for j = 1, i - 1 do upper = upper and R:get(i, j) == 0 end
    end
    tap.ok(upper and diagonal, at .. "R is upper triangular, its diagonal not negative")
    local U, S, Vt = fv.svd(A)
    U, S, Vt = U:to("f64"), S:to("f64"), Vt:to("f64")
    residual((U * S):matmul(Vt), A, tol, at .. "U diag(s) Vt = A")
    residual(U:t():matmul(U), eye(r), tol, at .. "U'U = 1")
    residual(Vt:matmul(Vt:t()), eye(r), tol, at .. "Vt Vt' = 1")
    local falls = S:get(r) >= 0
    for i = 2, r do falls = falls and S:get(i) <= S:get(i - 1) end
    tap.ok(falls, at .. "s falls and is not negative")
    local X = fv.pinv(A):to("f64")
    local A64 = A:to("f64")
    residual(A64:matmul(X):matmul(A64), A64, 50 * tol, at .. "A A+ A = A")
    residual(A64:matmul(X):t(), A64:matmul(X), 50 * tol, at .. "A A+ is symmetric")
  end

  local n = 12
  local B = reals("f64", n, n)
  local A = B:matmul(B:t()) + eye(n)               -- condition below 100
  local given = A:to(dtype)
  local L = fv.cholesky(given):to("f64")
  residual(L:matmul(L:t()), A, tol, dtype .. " L L' = A")
  tap.near(L, triangle(L, 1), 0, dtype .. " L is lower triangular")
  residual(fv.cholesky(triangle(given, 1)), L, 0, dtype .. " only the lower triangle is read")
  local w, V = fv.eigh(given)
  w, V = w:to("f64"), V:to("f64")
  residual(A:matmul(V), V * w, 10 * tol, dtype .. " A V = V diag(w)")
  residual(V:t():matmul(V), eye(n), tol, dtype .. " V'V = 1")
  local rises = true
  for i = 2, n do rises = rises and w:get(i) >= w:get(i - 1) end
  tap.ok(rises, dtype .. " w rises")

  local M, Y = reals(dtype, n, n) + 3 * eye(n, dtype), reals(dtype, n, 4)
  residual(M:to("f64"):matmul(fv.solve(M, Y):to("f64")), Y, 20 * tol, dtype .. " A X = B")
  local y = Y:slice(2, 1, 1):reshape(n)
  residual(M:to("f64"):matmul(fv.solve(M, y):to("f64")), y, 20 * tol, dtype .. " A x = b")
  residual(M:to("f64"):matmul(fv.inv(M):to("f64")), eye(n), 20 * tol, dtype .. " A A^-1 = 1")
  for f = 0, 7 do
    local upper, transpose, unit = f & 1 > 0, f & 2 > 0, f & 4 > 0
    local T = triangle(M:to("f64"), upper and -1 or 1)
    if unit then
      T = T * 0.1
      for i = 1, n do T:set(i, i, 1) end
    end
    local full = unit and M * 0.1 or M
    local Z = fv.triangular_solve(full, Y, { upper = upper, transpose = transpose, unit = unit })
    residual((transpose and T:t() or T):matmul(Z:to("f64")), Y, 20 * tol,
             ("%s op(T) X = B, upper %s, transpose %s, unit %s"):format(dtype, upper, transpose,
                                                                       unit))
  end

  -- least squares: the residual is orthogonal to A's columns
  local tall, rhs = reals(dtype, 20, 5), reals(dtype, 20, 2)
  local X, rank, sv = fv.lstsq(tall, rhs)
  local T = tall:to("f64")
  residual(T:t():matmul(T:matmul(X:to("f64")) - rhs:to("f64")), fv.zeros(5, 2), 20 * tol,
           dtype .. " A'(A X - B) = 0")
  tap.is(rank:item(), 5, dtype .. " full rank")
  residual(sv, select(2, fv.svd(tall)), 20 * tol, dtype .. " lstsq gives A's singular values")
  local wide = reals(dtype, 3, 8)
  local x = fv.lstsq(wide, reals(dtype, 3)):to("f64")
  residual(fv.pinv(wide):to("f64"):matmul(wide:to("f64")):matmul(x), x, 20 * tol,
           dtype .. " the least norm lies in A's row space")
end

-- exact and known values
local function f64(t) return fv.tensor(t, { dtype = "f64" }) end
tap.close(fv.det(f64 { { 1, 2 }, { 3, 4 } }):item(), -2, 1e-15, "det of [1 2; 3 4]")
tap.close(fv.det(f64 { { 0, 1 }, { 1, 0 } }):item(), -1, 0, "det of a swap")
tap.is(fv.det(f64 { { 1, 2 }, { 2, 4 } }):item(), 0, "det of a singular matrix")
local sign, logabs = fv.logdet(f64 { { 0, 2 }, { 3, 0 } })
tap.close(sign:item() * math.exp(logabs:item()), -6, 1e-15, "logdet")
sign, logabs = fv.logdet(f64 { { 1, 2 }, { 2, 4 } })
tap.ok(sign:item() == 0 and logabs:item() == -math.huge, "logdet of a singular matrix")
tap.is(fv.trace(f64 { { 1, 2 }, { 3, 4 } }):item(), 5, "trace")
tap.is(fv.det(fv.zeros(0, 0)):item(), 1, "det of an empty matrix is 1")
local poor, rank = fv.lstsq(f64 { { 1, 2 }, { 2, 4 }, { 3, 6 } }, f64 { 1, 2, 3 })
tap.near(poor, f64 { 0.2, 0.4 }, 1e-15, "lstsq of rank 1: the least of x + 2 y = 1")
tap.is(rank:item(), 1, "and its rank")
tap.near(fv.pinv(f64 { { 2, 0 }, { 0, 0 } }), f64 { { 0.5, 0 }, { 0, 0 } }, 0, "pinv of rank 1")
tap.near(fv.pinv(f64 { { 2, 0 }, { 0, 1e-3 } }, { rcond = 1e-2 }), f64 { { 0.5, 0 }, { 0, 0 } },
         0, "rcond cuts small singular values")

for _, s in ipairs { { 0, 0 }, { 0, 3 }, { 3, 0 } } do
  local m, n = table.unpack(s)
  local E = fv.zeros(m, n)
  local Q, R = fv.qr(E)
  local U, S, Vt = fv.svd(E)
  tap.ok(Q:size(1) == m and Q:size(2) == 0 and R:size(2) == n and U:size(1) == m and
         S:numel() == 0 and Vt:size(2) == n and fv.pinv(E):size(1) == n,
         ("empty (%d,%d)"):format(m, n))
  tap.near(fv.lstsq(E, fv.zeros(m, 2)), fv.zeros(n, 2), 0, ("lstsq of empty (%d,%d)"):format(m, n))
end
local none = fv.zeros(0, 0)
tap.ok(fv.cholesky(none):numel() + fv.inv(none):numel() + fv.solve(none, fv.zeros(0, 2)):numel() +
       fv.eigh(none):numel() == 0, "empty square matrices")
tap.is(fv.qr(fv.zeros(0, 3, 3)):numel(), 0, "an empty batch")

-- batches and views
local batch = reals("f64", 2, 3, 6, 4)
local Q, R = fv.qr(batch)
local q23, r23 = fv.qr(batch[2][3])
tap.ok((Q[2][3] - q23):abs():max():item() == 0 and (R[2][3] - r23):abs():max():item() == 0,
       "a batch gives the bits of its matrices")
local qt = fv.qr(batch:transpose(3, 4))
tap.near(qt[1][2], (fv.qr(batch[1][2]:t():contiguous())), 0, "a transposed batch")
local sq, one = reals("f64", 3, 4, 4) + 3 * eye(4), reals("f64", 4, 2)
tap.near(sq:matmul(fv.solve(sq, one)), one:expand(3, 4, 2), 1e-13, "one right side for a batch")
local many = reals("f64", 5, 4, 2)
tap.near(sq[2]:matmul(fv.solve(sq[2], many)), many, 1e-13, "one matrix for a batch of right sides")

-- what has no answer
tap.raises("cholesky: leading minor 3 is not positive", "cholesky names the minor", fv.cholesky,
           f64 { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, -1 } })
tap.raises("leading minor 2 is not positive in matrix 2 of the batch", "and the matrix of a batch",
           fv.cholesky,
           f64 { { { 1, 0 }, { 0, 1 } }, { { 1, 0 }, { 0, -1 } }, { { -1, 0 }, { 0, 1 } } })
tap.raises("solve: the matrix is singular: pivot 2 is zero", "solve of a singular matrix",
           fv.solve, f64 { { 1, 2 }, { 2, 4 } }, f64 { 1, 1 })
tap.raises("inv: the matrix is singular", "inverse of a singular matrix", fv.inv, fv.zeros(2, 2))
tap.raises("diagonal element 2 is zero", "a singular triangle", fv.triangular_solve,
           f64 { { 1, 0 }, { 5, 0 } }, f64 { 1, 1 })
tap.raises("A: expected %(...,n,n%), got %(2,3%)", "not square", fv.inv, fv.zeros(2, 3))
tap.raises("A: expected at least 2 dimensions, got %(3%)", "a vector is no matrix", fv.qr,
           fv.zeros(3))
tap.raises("bad argument #2 to '[%w.]*solve' %(B: expected %(3%) or %(...,3,r%), got %(4,1%)",
           "right side of another size", fv.solve, eye(3), fv.zeros(4, 1))
tap.raises("did you mean 'upper'", "a misspelt option", fv.triangular_solve, eye(2), eye(2),
           { uper = true })
tap.raises("outside %[0, 1%)", "rcond out of range", fv.pinv, eye(2), { rcond = 2 })
tap.raises("expected f32 or f64, got i64", "integers have no svd", fv.svd,
           fv.zeros(2, 2, { dtype = "i64" }))

local bad = f64 { { { 1, 2 }, { 3, 0 / 0 } }, { { 1, 0 }, { 0, 1 } },
                  { { 1, 2 }, { math.huge, 1 } } }
for _, name in ipairs { "qr", "svd", "eigh", "cholesky", "inv", "pinv", "det", "logdet" } do
  local first = fv[name](bad)
  local flat = first:reshape(3, -1)
  local x, y, z = flat:get(1, 1), flat:get(2, 1), flat:get(3, 1)
  tap.ok(x ~= x and y == y and z ~= z, name .. ": NaN or infinity gives NaN, the rest is done")
end
tap.ok(fv.solve(bad, fv.ones(2, 1)):get(1, 1, 1) ~= fv.solve(bad, fv.ones(2, 1)):get(1, 1, 1) and
       fv.lstsq(bad, fv.ones(2, 1)):get(3, 1, 1) ~= fv.lstsq(bad, fv.ones(2, 1)):get(3, 1, 1),
       "solve and lstsq too")

-- ---- the same bits at any thread count ----

local big = { reals("f32", 700, 300), reals("f32", 300, 640) }   -- panels
local deep = { reals("f32", 48, 9000), reals("f32", 9000, 40) }
local heads = { reals("f32", 6, 100, 64), reals("f32", 6, 64, 90) }
local squares = reals("f64", 7, 20, 20)
local function everything()
  local _, s, vt = fv.svd(squares)
  local w = fv.eigh(squares)
  return { big[1]:matmul(big[2]), deep[1]:matmul(deep[2]), heads[1]:matmul(heads[2]),
           fv.einsum("bnd,bdm->bmn", heads[1], heads[2]), (fv.qr(squares)), s, vt, w,
           fv.solve(squares, squares:transpose(2, 3)), fv.inv(squares), fv.det(squares) }
end
local before = fv.threads()
fv.threads(1)
local alone = everything()
for _, n in ipairs { 2, 3 } do
  fv.threads(n)
  local same = true
  for i, x in ipairs(everything()) do
    same = same and (x - alone[i]):abs():max():item() == 0
  end
  tap.ok(same, ("the bits of one thread with %d"):format(n))
end
fv.threads(before)
tap.done()
