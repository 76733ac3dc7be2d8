--- Laws of the rows of random projections, as far as variances of features need them.
---
--- A law answers, with s = |z|^2,
---   single(s)      log E exp(w.z)          cos(s)            E cos(w.z)
---   pair(s, sign)  log E exp((w + sign u).z), w and u two rows of one block
---   pair_cos(s, sign)  E cos((w + sign u).z)
---   chi            whether rows have the norms of Gaussian vectors, so that single(s) = s/2
---   pairs          "independent", or how rows of a block of d depend on each other
--- Blocks are independent.  Norms chi_d: |w + u|^2 of orthogonal rows is chi^2 with 2d degrees
--- of freedom, so E exp((w + u).z) = 1F1(d; d/2; s/2).  Norms sqrt(d): E exp(w.z) =
--- 0F1(; d/2; d s/4).  Simplex rows have pairwise product -1/(d-1) of their directions.

local options = require "fovea.options"
local special = require "fovea.special"

local laws = {}

--- 1F1(d; d/2; u) for u of either sign.
local function F(d, u)
  return u >= 0 and math.exp(special.log_1F1(d, d / 2, u)) or special.kummer(d, d / 2, -u)
end

--- |w + sign u|^2 / (|w|^2 + |u|^2) is 1 + sign * cosine * sin(2a); f of it, averaged.
local function gram(d, cosine, sign, f)
  if cosine == 0 then return f(1) end
  return special.over_beta(d, function(root) return f(1 + 2 * sign * cosine * root) end)
end

local function chi(d, cosine)
  return {
    chi = true,
    single = function(s) return s / 2 end,
    cos = function(s) return math.exp(-s / 2) end,
    pair = function(s, sign)
      if not cosine then return s end
      if cosine == 0 then return special.log_1F1(d, d / 2, s / 2) end
      local top = special.log_1F1(d, d / 2, s / 2)    -- keeps the integrand in range
      return top + math.log(gram(d, cosine, sign, function(g)
        return math.exp(special.log_1F1(d, d / 2, s / 2 * g) - top)
      end))
    end,
    pair_cos = function(s, sign)
      if not cosine then return math.exp(-s) end
      return gram(d, cosine, sign, function(g) return F(d, -s / 2 * g) end)
    end
  }
end

local function sphere(d, cosine)
  local function cos(s)                               -- |w|^2 s = d s
    local r = math.sqrt(d * s)
    return special.on_sphere(d, r, function(t) return math.cos(r * t) end)
  end
  local function single(s) return special.log_0F1(d / 2, d * s / 4) end
  return {
    chi = false, single = single, cos = cos,
    pair = function(s, sign) return cosine and single(2 * s * (1 + sign * cosine)) or 2 * single(s) end,
    pair_cos = function(s, sign) return cosine and cos(2 * s * (1 + sign * cosine)) or cos(s) ^ 2 end
  }
end

--- Samplers with a law: the cosine between rows of a block (false: independent rows).
local known = {
  iid = function() return false end,
  orthogonal = function() return 0 end,
  simplex = function(d) return d > 1 and -1 / (d - 1) or 0 end
}

--- Whether rows come in independent blocks of d (or are independent), so that many draws
--- can be cut from one; a sampler that is not known here is drawn one draw at a time.
function laws.blocked(sampler) return known[sampler] ~= nil end

function laws.names() return { "iid", "orthogonal", "simplex" } end

--- The law of a sampler in d dimensions, norms "chi" or "sqrt_d"; nil and the reason where
--- there is none in closed form.
function laws.find(sampler, d, norms)
  local cosine = known[sampler]
  if not cosine then
    return nil, ("no closed form for sampler '%s'%s; there is one for %s"):format(tostring(sampler),
           options.hint(sampler, laws.names()), table.concat(laws.names(), ", "))
  end
  cosine = cosine(d)
  local law = norms == "sqrt_d" and sphere(d, cosine) or chi(d, cosine)
  law.sampler, law.d, law.norms = sampler, d, norms or "chi"
  law.pairs = not cosine and "independent" or sampler
  return law
end

--- Number of ordered pairs of rows within blocks of d, for m rows.
function laws.ordered_pairs(law, m)
  if law.pairs == "independent" then return 0 end
  local J, I = m // law.d, m % law.d
  return J * law.d * (law.d - 1) + I * (I - 1)
end

return laws
