--- Count sketches in the frequency domain.
---
--- A count sketch adds s(l) x_l to the place h(l) of D; its Fourier coefficient j is
--- sum_l s(l) x_l exp(-2 pi i j h(l) / D). Products of two real vectors are sums over
--- j = 0 .. D/2 of Re + Im parts, those between the ends twice; the coefficients of a convolution
--- are products.  Real and imaginary parts, so weighted, are D real features.

local fv = require "fovea"

local sketch = {}

--- W (degree D, d): for each factor the D/2 + 1 real parts, then the D/2 - 1 imaginary ones.
function sketch.matrix(name, stream, D, d, degree)
  if D % 2 ~= 0 then
    error(("%s: option 'features': expected an even number, got %d"):format(name, D), 0)
  end
  local rows = {}
  local j = fv.arange(0, D // 2, { dtype = "f64" }):unsqueeze(2)
  for p = 1, degree do
    local h = stream:integers(0, D - 1, 1, d):to "f64"
    local s = (stream:integers(0, 1, 1, d) * 2 - 1):to "f64"
    local angle = (j * h % D) * (-2 * math.pi / D)
    rows[p] = fv.cat({ angle:cos() * s, (angle:sin() * s):slice(1, 2, D // 2) }, 1)
  end
  return fv.cat(rows, 1)
end

function sketch.apply(x, W, D, degree)
  local u, half = x:matmul(W:to(x:dtype()):t()), D // 2
  local last, re, im = x:ndim(), nil, nil
  for p = 1, degree do
    local at = (p - 1) * D
    local a = u:slice(-1, at + 1, at + half + 1)
    -- the coefficients 0 and D/2 are real
    local zero = a:slice(-1, 1, 1) * 0
    local b = half > 1 and fv.cat({ zero, u:slice(-1, at + half + 2, at + D), zero }, last)
              or fv.cat({ zero, zero }, last)
    if p == 1 then re, im = a, b else re, im = re * a - im * b, re * b + im * a end
  end
  local weight = {}
  for i = 1, half + 1 do weight[i] = ((i == 1 or i == half + 1) and 1 or 2 ^ 0.5) / D ^ 0.5 end
  weight = fv.tensor(weight, { dtype = x:dtype() })
  if half == 1 then return re * weight end
  return fv.cat({ re * weight, (im * weight):slice(-1, 2, half) }, last)
end

function sketch.cost(D, degree)
  return function(n, d)
    return { flops = n * D * (2 * d * degree + 3 * degree), exps = 0,
             bytes = 4 * (n * d + D * d * degree + n * D) }
  end
end

return sketch
