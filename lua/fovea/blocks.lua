--- What samplers written in Lua share: where they draw from, blocks of d rows, row norms,
--- and the normal quantile.

local fv = require "fovea"

local blocks = {}

--- Declaration of the option 'norms'.
function blocks.norms_option(default)
  return { "norms", "string", default or "chi",
    "row norms: chi_d draws, as normal rows have, or all sqrt(d) (the regularised kernel)",
    choices = { "chi", "sqrt_d" } }
end

--- Streams for the parts of one draw: source(part) is a stream; opt.rng advances, so that
--- its next draw is another.
function blocks.source(opt)
  local at = opt.rng:position()
  opt.rng:position(at + 1)
  return function(part) return opt.rng:stream(part .. ":" .. at) end
end

--- How many blocks of d rows hold opt.rows.
function blocks.count(opt, d) return (opt.rows + (d or opt.dim) - 1) // (d or opt.dim) end

--- Norms (count, 1) of rows: chi_d draws or sqrt(d).
function blocks.norms(opt, source, count, d)
  d = d or opt.dim
  if opt.norms == "sqrt_d" then return fv.full({ count, 1 }, d ^ 0.5, { dtype = "f64" }) end
  return source "norms":normal(count, d, { dtype = "f64" }):norm(2, { keepdim = true })
end

--- Haar matrices (count, d, d).
function blocks.haar(source, count, d)
  return fv.ops.orthogonal { rows = count * d, dim = d, norms = "sqrt_d", dtype = "f64", rng = source "haar" }
         :reshape(count, d, d) / d ^ 0.5
end

--- W: the first opt.rows of unit rows (..., d) times their norms.
function blocks.scaled(opt, source, unit)
  local rows = unit:reshape(-1, opt.dim)
  return (rows * blocks.norms(opt, source, rows:size(1))):slice(1, 1, opt.rows):to(opt.dtype)
end

--- One that 'dim' must reach.
function blocks.least(opt, name, least, why)
  if opt.dim < least then
    error(("%s: option 'dim': expected at least %d, got %d: %s"):format(name, least, opt.dim, why), 0)
  end
end

--- The inverse of the standard normal distribution function, elementwise on f64 u in (0,1):
--- a rational start (Abramowitz & Stegun 1964, 26.2.23: 4.5e-4), then Halley steps on
--- Q(x) = erfc(x / sqrt 2) / 2, each of which cubes the error.
function blocks.quantile(u)
  local p = u:minimum(1 - u)
  local t = (p:log() * -2):sqrt()
  local x = t - (2.515517 + t * (0.802853 + t * 0.010328))
                / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
  for _ = 1, 2 do
    local step = ((x / 2 ^ 0.5):erfc() / 2 - p) * (x * x / 2):exp() * (2 * math.pi) ^ 0.5
    x = x + 2 * step / (2 - step * x)
  end
  return fv.where(u:lt(0.5), -x, x)
end

return blocks
