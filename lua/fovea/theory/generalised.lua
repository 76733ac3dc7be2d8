--- One term: f(w.x) f(w.y), w ~ N(0, I)

--- Kernels E f(w.x) f(w.y) by a = |x|, b = |y|, c = x.y, t the angle.  The second moment of
--- a term is the kernel of f^2.
local K = {}

function K.relu(a, b, _, t) return a * b / (2 * math.pi) * (math.sin(t) + (math.pi - t) * math.cos(t)) end
function K.relu2(a, b, _, t)
  return (a * b) ^ 2 / (2 * math.pi)
         * (3 * math.sin(t) * math.cos(t) + (math.pi - t) * (1 + 2 * math.cos(t) ^ 2))
end
function K.step(_, _, _, t) return (math.pi - t) / (2 * math.pi) end
function K.sgn(_, _, _, t) return 1 - 2 * t / math.pi end
function K.abs(a, b, _, t)
  local r = math.cos(t)
  return 2 / math.pi * a * b * (math.sqrt(1 - r * r) + r * math.asin(r))
end
function K.identity(_, _, c) return c end
function K.square(a, b, c) return (a * b) ^ 2 + 2 * c * c end
function K.fourth(a, b, c)                       -- E u^4 v^4 (Isserlis)
  local s, r = (a * b) ^ 2, c * c
  return 9 * s * s + 72 * s * r + 24 * r * r
end
function K.exp(a, b, c) return math.exp((a * a + b * b) / 2 + c) end
function K.exp2(a, b, c) return K.exp(2 * a, 2 * b, 4 * c) end
function K.cos(a, b, c) return math.exp(-(a * a + b * b) / 2) * (math.exp(c) + math.exp(-c)) / 2 end
function K.sin(a, b, c) return math.exp(-(a * a + b * b) / 2) * (math.exp(c) - math.exp(-c)) / 2 end
function K.one() return 1 end

--- E cos^2 cos^2 and E sin^2 sin^2, from cos^2 = (1 + cos 2u)/2, sin^2 = (1 - cos 2u)/2.
local function doubled(sign)
  return function(a, b, c)
    return (1 + sign * (math.exp(-2 * a * a) + math.exp(-2 * b * b)) + K.cos(2 * a, 2 * b, 4 * c)) / 4
  end
end
K.cos2, K.sin2 = doubled(1), doubled(-1)

local squared = { relu = "relu2", step = "step", sgn = "one", abs = "square", identity = "square",
                  square = "fourth", exp = "exp2", cos = "cos2", sin = "sin2" }

local function at(name, g)
  local a, b = math.sqrt(g.xx), math.sqrt(g.yy)
  local cosine = a * b > 0 and math.max(-1, math.min(1, g.xy / (a * b))) or 0
  return K[name](a, b, g.xy, math.acos(cosine))
end

return {
  name = "generalised",
  doc = "Generalised random features f(w.x)/sqrt(m), rows N(0, I), against the kernel they estimate.\n"
     .. "The second moment is the kernel of f^2, so closed forms exist for the functions below.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794; Cho & Saul 2009",
  own_law = "a closed form exists for independent Gaussian rows only",
  options = { { "f", "string", "relu", "the function",
                choices = { "abs", "cos", "exp", "identity", "relu", "sgn", "sin", "square", "step" } } },
  example = 'fv.theory("generalised", {f="relu", d=8, m=64, xx=1, yy=1, xy=0.5})',
  build = function() return {} end,
  target = function(g, opt) return at(opt.f, g) end,
  moments = function(_, g, opt)
    local mean = at(opt.f, g)
    return mean, at(squared[opt.f], g) - mean ^ 2
  end
}
