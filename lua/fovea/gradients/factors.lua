-- Decompositions. The formulas come from the differentials of A = QR, USV', VWV' and LL'
-- with the constraints on the factors put in (Giles 2008); they hold where singular or
-- eigenvalues differ and ranks are full.

local core = require "fovea.core"

return function(rules, tape)
local record, record_list, raw, method =
  tape.record, tape.record_list, tape.raw, tape.method

local function T(x) return x:transpose(-2, -1) end
local function like(x) return { dtype = x:dtype() } end

--- Functions that read the lower triangle alone: G is the gradient for symmetric changes.
local function lower(G)
  local H = G + T(G)
  return (H:tril() + H:tril(-1)) * 0.5
end

rules.cholesky = function(f, A)
  local L = raw(f, A)
  return record(f, L, function(dL)
    local P = T(L):matmul(dL)
    P = (P:tril() + P:tril(-1)) * 0.5
    local S = core.triangular_solve(L, T(core.triangular_solve(L, T(P), { transpose = true })),
                                    { transpose = true })
    return lower((S + T(S)) * 0.5)
  end, A)
end

--- 1 / (b_j - b_i) off the diagonal, 0 on it.
local function gaps(b)
  local E = b:unsqueeze(-2) - b:unsqueeze(-1)
  local I = core.eye(b:size(-1), like(b))
  return (1 - I) / (E + I)
end

rules.eigh = function(f, A)
  local w, V = raw(f, A)
  return record_list(f, { w, V }, function(d)
    local inner = 0
    if d[2] then inner = gaps(w) * T(V):matmul(d[2]) end
    if d[1] then inner = inner + d[1]:unsqueeze(-2) * core.eye(w:size(-1), like(w)) end
    return lower(V:matmul(inner):matmul(T(V)))
  end, { A })
end

--- With F = 1/(s_j^2 - s_i^2):  dA = U (sym(F U'dU) S + S sym(F V'dV) + diag(ds)) V'
---   + (1 - U U') dU S^-1 V' + U S^-1 dV' (1 - V V'),  sym(X) = X + X'.
--- Where U or V is square its last term is 0.
rules.svd = function(f, A)
  local U, s, Vt = raw(f, A)
  return record_list(f, { U, s, Vt }, function(d)
    local row, col = s:unsqueeze(-2), s:unsqueeze(-1)
    local m, n = U:size(-2), Vt:size(-1)
    local F, inner, dA = gaps(s * s), 0, nil
    if d[2] then inner = d[2]:unsqueeze(-2) * core.eye(s:size(-1), like(s)) end
    if d[1] then
      local J = F * T(U):matmul(d[1])
      inner = (J + T(J)) * row + inner
      if m > n then dA = ((d[1] - U:matmul(T(U):matmul(d[1]))) / row):matmul(Vt) end
    end
    if d[3] then
      local K = F * Vt:matmul(T(d[3]))
      inner = col * (K + T(K)) + inner
      if n > m then dA = U:matmul((d[3] - d[3]:matmul(T(Vt)):matmul(Vt)) / col) end
    end
    inner = U:matmul(inner):matmul(Vt)
    return dA and dA + inner or inner
  end, { A })
end

--- m >= n:  M = R dR' - dQ' Q,  dA = (dQ + Q (tril(M) + tril(M,-1)')) R'^-1.
local function qr_tall(Q, R, dQ, dR)
  local M = R:matmul(T(dR)) - T(dQ):matmul(Q)
  local B = dQ + Q:matmul(M:tril() + T(M:tril(-1)))
  return T(core.triangular_solve(R, T(B), { upper = true }))
end

--- Wide A = [X Y] = Q [U W]: dY = Q dW, and X = Q U with dQ + Y dW'.
rules.qr = function(f, A)
  local Q, R = raw(f, A)
  local inputs, m, n = { A }, method.size(A, -2), method.size(A, -1)
  if m >= n then A = nil end
  return record_list(f, { Q, R }, function(d)
    local dQ, dR = d[1] or Q * 0, d[2] or R * 0
    if m >= n then return qr_tall(Q, R, dQ, dR) end
    local dW = dR:slice(-1, m + 1, n)
    dQ = dQ + A:slice(-1, m + 1, n):matmul(T(dW))
    return core.cat({ qr_tall(Q, R:slice(-1, 1, m), dQ, dR:slice(-1, 1, m)), Q:matmul(dW) }, -1)
  end, inputs)
end
end
