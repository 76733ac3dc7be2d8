--- Dense-exponential features of the softmax kernel, which several maps choose their
--- parameters for.
---
---   f(w, x) = D exp(w'Aw + w'(I - 4A)^(1/2) Q'Tx - |Tx|^2 / 2),   D = det(I - 4A)^(1/4)
---
--- with A = diag(a), a < 1/8, Q orthogonal and T one matrix P for queries, P^-T for keys:
--- E f(w, x) f(w, y) = exp(x.y) for w ~ N(0,I).  Logarithms are one product with two columns
--- more than W: [z, -|Tx|^2/2, 1] . [W, 1, sum_l a_l w_l^2 + ..], z = (I - 4A)^(1/2) Q'Tx.

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

local dense = {}

--- Options of such maps, then 'more'.
function dense.options(more)
  return projection.options { projection.kernel, table.unpack(more) }
end

--- The a that minimises the log second moment of a term, from phi = the mean of z_l^2 along
--- one coordinate of z = x + y (a number or a tensor).
function dense.best(phi)
  return (1 - 2 * phi - ((2 * phi + 1) ^ 2 + 8 * phi) ^ 0.5) / 16
end

--- First and second moments of rows: mean, E x x'.
function dense.moments(x) return x:mean(1), x:t():matmul(x) / x:size(1) end

--- Mean of |x + y|^2 over all pairs.
function dense.spread(x, y)
  return ((x * x):sum() / x:size(1) + (y * y):sum() / y:size(1) + 2 * x:mean(1):dot(y:mean(1))):item()
end

--- a and Q for rows x and y: eigenvectors of E z z'.
function dense.principal(x, y)
  local mx, Mx = dense.moments(x)
  local my, My = dense.moments(y)
  local cross = mx:outer(my)
  local values, Q = fv.eigh(Mx + My + cross + cross:t())
  return dense.best(values:maximum(0)), Q
end

--- P with P Mx P' = P^-T My P^-1 = S diagonal, and trace S: least mean |Px|^2 + |P^-T y|^2.
function dense.balanced(name, x, y)
  local function half(M, side)
    local values, Q = fv.eigh(M)
    if not (values:min():item() > 1e-12 * values:max():item()) then   -- luacheck: ignore 581
      error(("%s: fit: %s: expected rows that span all dimensions, their second moment is singular")
        :format(name, side), 0)
    end
    return values:sqrt(), Q
  end
  local _, Mx = dense.moments(x)
  local _, My = dense.moments(y)
  local lx, Qx = half(Mx, "q")
  local ly, Qy = half(My, "k")
  local U, S = fv.svd((lx:unsqueeze(2) * Qx:t():matmul(Qy)) * ly:unsqueeze(1))
  return S:sqrt():unsqueeze(2) * U:t():matmul(Qx:t() / lx:unsqueeze(2)), S:sum():item()
end

local function below(name, a)
  if not (type(a) == "number" and a < 1 / 8) and not (type(a) ~= "number" and a:max():item() < 1 / 8) then
    error(name .. ": option 'a': expected numbers below 1/8", 0)
  end
end

--- The build of a map: from its options a (number or tensor (d)), Q, P or psi (P = diag(psi))
--- and 'estimator'.  needs is the option that must be set, by hand or by fit; statistics(x, y,
--- opt) gives it from rows of scaled queries and keys, at least least(d) of each.
function dense.map(opt, name, caps, needs, statistics, least)
  local pairs = opt.estimator == "hyperbolic" and 2 or 1
  local gaussian = opt.kernel == "gaussian"
  local object = projection.map(opt, name, caps, {
    pairs = pairs, log = true, kernels = { normal = closed[opt.kernel] }, op = fv.ops.positive_features,
    least = least and least(opt.dim) or 1,
    statistics = function(x, y) return statistics(x, y, opt) end,
    features = function(x, W, log, side, project, structured)
      if opt[needs] == nil then
        error(("%s: option '%s' is not set: phi:fit(q, k) finds it"):format(name, needs), 0)
      end
      local dtype, a, t = x:dtype(), opt.a, x
      local P, Q, psi = opt.P and opt.P:to(dtype), opt.Q and opt.Q:to(dtype), opt.psi and opt.psi:to(dtype)
      if P then t = x:matmul(side == "k" and fv.inv(P) or P:t()) end
      if psi then t = side == "k" and x / psi or x * psi end
      if Q then t = t:matmul(Q) end
      a = type(a) == "number" and a or a:to(dtype)
      local z = t * (1 - 4 * a) ^ 0.5
      local constant = type(a) == "number" and opt.dim / 4 * math.log(1 - 4 * a)
                       or (1 - 4 * a):log():sum() / 4
      local row = (t * t):sum(-1):unsqueeze(-1) * -0.5
      if gaussian then row = row - (x * x):sum(-1):unsqueeze(-1) * 0.5 end
      local col = (W * W * a):sum(2) + (constant - math.log(W:size(1) * pairs) / 2)
      local u
      if structured or pairs == 2 then
        u = project(z)
        u = (pairs == 2 and fv.cat({ u + col, col - u }, u:ndim()) or u + col) + row
      else
        local one = row * 0 + 1
        local wide = fv.cat({ W, fv.ones({ W:size(1), 1 }, { dtype = dtype }), col:unsqueeze(2) }, 2)
        u = fv.cat({ z, row, one }, z:ndim()):matmul(wide:t())
      end
      return log and u or u:exp()
    end
  })
  local d = opt.dim
  if opt.a then below(name, opt.a) end
  if type(opt.a) ~= "number" then projection.shaped(name, "a", opt.a, d) end
  projection.shaped(name, "P", opt.P, d, d)
  projection.shaped(name, "Q", opt.Q, d, d)
  projection.shaped(name, "psi", opt.psi, d)
  return object
end

return dense
