--- fv.spectrum(k, x) -> spectrum: the eigenvalues of a Gram matrix and what they say
--- fv.spectrum(K) takes the symmetric matrix K (n, n) itself; k is a kernel, x (n, d). Fields:
---   eigenvalues (n), f64, falling           n, trace, largest, least
---   rank        eigenvalues above n eps largest, eps that of the matrix's dtype
---   condition   largest / least, infinite if least is not above that
---   negative    how many lie below -n eps largest, and negativity, the share of sum |w| that is
---   psd         whether none does           participation   (sum w)^2 / sum w^2
--- s:effective_dimension(lambda) is sum w / (w + lambda) over w > 0, lambda what is added to the
--- diagonal; s:share(r) the share of the trace in the r largest. Printing shows all of it.
--- Raises for a matrix that is not symmetric, and for NaN. Cost: the Gram matrix and 9 n^3 flops.
--- Example: s = fv.spectrum(fv.kernel("gaussian"), x); print(s); s:effective_dimension(0.1)

local fv = require "fovea"
local options = require "fovea.options"

local eps = { f32 = 2.0 ^ -23, f64 = 2.0 ^ -52 }

local methods = {}

function methods.effective_dimension(s, lambda)
  if type(lambda) ~= "number" or lambda < 0 or lambda ~= lambda then
    error(("spectrum: effective_dimension: lambda: expected a number from 0, got %s"):format(
          type(lambda) == "number" and lambda or options.type(lambda)), 2)
  end
  if lambda == 0 then return s.positive end
  local w = s.eigenvalues:maximum(0)
  return (w / (w + lambda)):sum():item()
end

function methods.share(s, r)
  if math.type(r) ~= "integer" or r < 0 or r > s.n then
    error(("spectrum: share: expected a whole number in [0, %d], got %s"):format(s.n, tostring(r)), 2)
  end
  return r == 0 and 0.0 or s.eigenvalues:slice(1, 1, r):sum():item() / s.trace
end

local function text(s)
  local out = { ("spectrum of %s, n = %d"):format(s.of, s.n) }
  local function line(what, fmt, ...) out[#out + 1] = ("  %-22s" .. fmt):format(what, ...) end
  line("eigenvalues", "%.4g to %.4g, trace %.4g", s.largest, s.least, s.trace)
  line("rank", "%d, condition %.3g, participation %.4g", s.rank, s.condition, s.participation)
  line("positive semidefinite", "%s", s.psd and "yes, up to rounding"
       or ("no: %d negative, %.3g of the sum of |w|"):format(s.negative, s.negativity))
  for _, r in ipairs { 1, 10, 100 } do
    if r < s.n then line(("share of the first %d"):format(r), "%.4f", s:share(r)) end
  end
  for _, c in ipairs { 1e-1, 1e-3, 1e-5 } do
    line("effective dimension", "%.2f at lambda = %g", s:effective_dimension(c * s.largest), c * s.largest)
  end
  return table.concat(out, "\n")
end

local meta = { __name = "fovea.spectrum", __tostring = text, __index = function(s, key)
  if methods[key] then return methods[key] end
  local names = {}
  for name in pairs(s) do names[#names + 1] = name end
  for name in pairs(methods) do names[#names + 1] = name end
  error(("spectrum has no field '%s'%s"):format(tostring(key), options.hint(key, names)), 2)
end }

local function matrix(k, x)
  if options.type(k) == "tensor" and x == nil then return k, "a matrix" end
  if type(k) ~= "table" or rawget(k, "kind") ~= "kernel" then
    error(("spectrum: expected a kernel and points, or a matrix, got %s"):format(k == nil and "no value"
          or options.type(k)), 3)
  end
  return k(x), k.formula
end

return function(k, x)
  local K, of = matrix(k, x)
  if K:ndim() ~= 2 or K:size(1) ~= K:size(2) or K:size(1) == 0 then
    error(("spectrum: expected a matrix (n, n), got (%s)"):format(table.concat({ K:shape() }, ",")), 2)
  elseif not eps[K:dtype()] then
    error(("spectrum: expected f32 or f64, got %s; convert with :to"):format(K:dtype()), 2)
  elseif K:isfinite():all():item() == 0 then
    error("spectrum: expected finite entries, got NaN or infinity", 2)
  end
  local n, size = K:size(1), K:abs():max():item()
  local skew = (K - K:t()):abs():max():item()
  if skew > 8 * eps[K:dtype()] * size then
    error(("spectrum: expected a symmetric matrix, got |K - K'| up to %.3g"):format(skew), 2)
  end
  local w = fv.no_grad(function() return (fv.eigh(K:to "f64")):flip(1) end)
  local largest, least, noise = w:get(1), w:get(n), n * eps[K:dtype()] * w:abs():max():item()
  local total = w:sum():item()
  local s = {
    of = of, n = n, eigenvalues = w, trace = total, largest = largest, least = least,
    rank = w:gt(noise):to "i64":sum():item(), positive = w:gt(0):to "i64":sum():item(),
    condition = least > noise and largest / least or math.huge,
    negative = w:lt(-noise):to "i64":sum():item(),
    negativity = size > 0 and (w:minimum(0):sum() / w:abs():sum()):abs():item() or 0,
    participation = size > 0 and total ^ 2 / (w * w):sum():item() or 0
  }
  s.psd = s.negative == 0
  return setmetatable(s, meta)
end
