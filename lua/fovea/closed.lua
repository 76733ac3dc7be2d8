--- Kernels in closed form: closed.NAME(aa, bb, c) of aa = |x|^2, bb = |y|^2 and c = x.y, tensors
--- that broadcast; closed.parts(x, y) gives the three for Gram matrices, so that
--- closed.relu(closed.parts(x, y)) is (..., n, m) for x (..., n, d) and y (..., m, d).
---
--- softmax and gaussian are exp(c) and exp(-|x - y|^2 / 2). The others are dual kernels
---   K(x, y) = E f(w.x) f(w.y),  w ~ N(0, I)
--- of the function f that they are named after (closed.duals lists them): those of relu, relu2
--- and step by Cho & Saul 2009, of erf by Williams 1998, the rest by the same integrals.
--- All are made of differentiable tensor functions; where x and y are parallel, the angle's
--- derivative, which is infinite there, is multiplied by 0 in the limit and left out.

local fv = require "fovea"

local closed = {}

--- |x|^2 as a column, |y|^2 as a row, x.y.
function closed.parts(x, y)
  return (x * x):sum(-1):unsqueeze(-1), (y * y):sum(-1):unsqueeze(-2), x:matmul(y:t())
end

function closed.softmax(_, _, c) return c:exp() end
function closed.gaussian(aa, bb, c) return (c - (aa + bb) * 0.5):exp() end

--- sum_j u^j / (j! (b)_j) of a tensor, to double precision.
local function F01(b, u)
  local t, sum, j = u * 0 + 1, u * 0 + 1, 0
  repeat
    t = t * (u / ((b + j) * (j + 1)))
    sum, j = sum + t, j + 1
  until j > 2 and not (t:abs():max():item() > 1e-17 * sum:abs():max():item())   -- luacheck: ignore 581
  return sum
end

--- What exp features estimate whose rows have norm sqrt(d): exp(-(aa + bb)/2) 0F1(; d/2; d |x+y|^2/4),
--- or that times exp(-(aa + bb)/2).
function closed.regularised(aa, bb, c, d, gaussian)
  return ((aa + bb) * (gaussian and -1 or -0.5)):exp() * F01(d / 2, (aa + bb + 2 * c) * (d / 4))
end

--- The same of sines and cosines: 0F1(; d/2; -d |x-y|^2/4), times exp((aa + bb)/2) unless gaussian.
function closed.bessel(aa, bb, c, d, gaussian)
  local k = F01(d / 2, (aa + bb - 2 * c) * (-d / 4))
  return gaussian and k or k * ((aa + bb) * 0.5):exp()
end

local pi = math.pi

--- sqrt(x), its derivative at x <= 0 taken as 0.
local function root(x)
  local inside = x:gt(0)
  return fv.where(inside, fv.where(inside, x, 1):sqrt(), 0)
end

--- s = |x||y| sin t and the angle t of x and y, in [0, pi]; c = |x||y| cos t.  A zero vector
--- is at right angles to all.
local function angle(aa, bb, c)
  local P = aa * bb
  local s, zero = root(P - c * c), P:eq(0)
  return s, fv.where(zero, pi / 2, s:atan2(fv.where(zero, 1, c)))
end

function closed.step(aa, bb, c)
  local _, t = angle(aa, bb, c)
  return (pi - t) / (2 * pi)
end

function closed.relu(aa, bb, c)
  local s, t = angle(aa, bb, c)
  return (s + (pi - t) * c) / (2 * pi)
end

function closed.relu2(aa, bb, c)
  local s, t = angle(aa, bb, c)
  return (3 * s * c + (pi - t) * (aa * bb + 2 * c * c)) / (2 * pi)
end

function closed.sgn(aa, bb, c)
  local _, t = angle(aa, bb, c)
  return 1 - t * (2 / pi)
end

function closed.abs(aa, bb, c)
  local s, t = angle(aa, bb, c)
  return (s + c * (pi / 2 - t)) * (2 / pi)
end

function closed.identity(_, _, c) return c end
function closed.square(aa, bb, c) return aa * bb + 2 * c * c end
function closed.exp(aa, bb, c) return ((aa + bb) * 0.5 + c):exp() end

--- E cos cos = exp(-(aa+bb)/2) cosh c, in two terms that cannot overflow; E sin sin has sinh.
local function halves(aa, bb, c)
  local h = (aa + bb) * 0.5
  return (c - h):exp() * 0.5, (-c - h):exp() * 0.5
end

function closed.cos(aa, bb, c)
  local near, far = halves(aa, bb, c)
  return near + far
end

function closed.sin(aa, bb, c)
  local near, far = halves(aa, bb, c)
  return near - far
end

function closed.erf(aa, bb, c)
  local p = (1 + 2 * aa) * (1 + 2 * bb)
  return (2 * c):atan2(root(p - 4 * c * c)) * (2 / pi)
end

--- f(u) = u (1 + erf(u / sqrt 2)) / 2.
function closed.gelu(aa, bb, c)
  local p, cc = (1 + aa) * (1 + bb), c * c
  local D = (p - cc):sqrt()
  return c * 0.25 + (c * c:atan2(D) + (aa * bb - cc + (cc / (1 + aa) + cc / (1 + bb))) / D) / (2 * pi)
end

closed.duals = { "abs", "cos", "erf", "exp", "gelu", "identity", "relu", "relu2", "sgn", "sin", "square",
                 "step" }

return closed
