-- Linear equations, inverses, determinants.

local core = require "fovea.core"

return function(rules, tape)
local record, raw, node, sum_to =
  tape.record, tape.raw, tape.node, tape.sum_to

local function T(x) return x:transpose(-2, -1) end

--- A X = B:  dB = A'^-1 dX,  dA = -dB X'.
local function equation(solve_transposed, of_matrix)
  return function(f, A, B, opt)
    local X = raw(f, A, B, opt)
    local sA, sB, tA, tB = { A:shape() }, { B:shape() }, A:dtype(), B:dtype()
    local kept, wanted = node(A) and X, node(B)
    return record(f, X, function(dX)
      local dB = solve_transposed(A, #sB == 1 and dX:unsqueeze(-1) or dX, opt)
      local x = kept and (#sB == 1 and kept:unsqueeze(-1) or kept)
      return x and sum_to(of_matrix(-dB:matmul(T(x)), opt), sA, tA),
             wanted and sum_to(#sB == 1 and dB:squeeze(-1) or dB, sB, tB)
    end, A, B)
  end
end

rules.solve = equation(function(A, dX) return core.solve(T(A), dX) end, function(dA) return dA end)

rules.triangular_solve = equation(function(A, dX, opt)
  opt = opt or {}
  return core.triangular_solve(A, dX, { upper = opt.upper, unit = opt.unit, transpose = not opt.transpose })
end, function(dA, opt)
  opt = opt or {}
  if opt.transpose then dA = T(dA) end
  local off = opt.unit and 1 or 0
  return opt.upper and dA:triu(off) or dA:tril(-off)
end)

rules.inv = function(f, A)
  local X = raw(f, A)
  return record(f, X, function(dX) return -T(X):matmul(dX):matmul(T(X)) end, A)
end

local function scalar(x) return x:unsqueeze(-1):unsqueeze(-1) end

--- The slope of det A where A = U diag(s) V' is singular: det(U) det(V') U diag(p) V' with p_i
--- the product of all s but s_i.
local function cofactors(A)
  local U, s, Vt = core.svd(A)
  local n = s:size(-1)
  local p = core.where(core.eye(n, { dtype = "u8" }), 1, s:unsqueeze(-2)):prod(-1)
  return (U * p:unsqueeze(-2)):matmul(Vt) * scalar(core.det(U) * core.det(Vt))
end

rules.det = function(f, A)
  local d = raw(f, A)
  return record(f, d, function(dd)
    if d:eq(0):any():item() == 0 then return T(core.inv(A)) * scalar(dd * d) end
    local C = tape.with(false, cofactors, A)
    if tape.recording() then
      C = record(f, C, function() error("det: its gradient at a singular matrix has none of its own", 0) end, A)
    end
    return C * scalar(dd)
  end, A)
end
rules.logdet = function(f, A)
  local sign, logabs = raw(f, A)
  local singular = sign:eq(0):any():item() == 1
  return sign, record(f, logabs, function(dl)
    if singular then error("logdet: a singular matrix has no gradient", 0) end
    return T(core.inv(A)) * scalar(dl)
  end, A)
end

--- Z = A+:  dA = -Z' dZ Z' + (1 - A Z) dZ' Z Z' + Z' Z dZ' (1 - Z A)
rules.pinv = function(f, A, opt)
  local Z = raw(f, A, opt)
  return record(f, Z, function(dZ)
    local Zt, dZt = T(Z), T(dZ)
    local left, right = dZt:matmul(Z):matmul(Zt), Zt:matmul(Z):matmul(dZt)
    return left - A:matmul(Z:matmul(left)) + right - right:matmul(Z):matmul(A) - Zt:matmul(dZ):matmul(Zt)
  end, A)
end

rules.lstsq = function() error("lstsq: not differentiable; fv.pinv(A):matmul(B) is", 3) end
end
