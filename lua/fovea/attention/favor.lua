--- Softmax attention by FAVOR+: random features of the softmax kernel.

local fv = require "fovea"
local features = require "fovea.features"
local heads = require "fovea.heads"

--- Keys from key_length on as zeros: nothing reads them, but the map's gradient would
--- multiply what they hold by 0.
local function valid(k, key_length)
  local m, shape = k:size(-2), { k:shape() }
  local length = fv.tensor(heads.lengths(key_length, k, "favor"), { dtype = "i64" })
  for i = 1, #shape do shape[i] = 1 end
  if #shape > 2 then shape[1] = k:size(1) end
  shape[#shape - 1] = m
  local seen = fv.arange(1, m, { dtype = "i64" }):unsqueeze(1):le(length:unsqueeze(-1)):reshape(shape)
  return fv.where(seen, k, fv.zeros(1, { dtype = k:dtype() }))
end

--- Attention on the logarithms of phi's features; where they are those of the softmax
--- kernel one operator forms them and their sums together, but for a piece of a sequence.
local function log_attention(phi, q, k, v, c, past)
  local opt, by = phi.options, { causal = c.causal, key_length = c.key_length }
  if past then
    by.s, by.z, by.c = past.s, past.z, past.c
    local o, s, z, m = fv.positive_attention(phi:log(q, "q"), phi:log(k, "k"), v, by)
    return o, { s = s, z = z, c = m }
  end
  if opt.kernel == "softmax" and opt.scale >= 0 then
    by.scale, by.hyperbolic = opt.scale ^ 2, opt.estimator == "hyperbolic"
    return (fv.favor_attention(q, k, v, phi.W:to(q:dtype()), by))
  end
  if c.key_length then k = valid(k, c.key_length) end
  return (fv.positive_attention(phi:log(q, "q"), phi:log(k, "k"), v, by))
end

return {
  name = "favor",
  doc = "FAVOR+ attention: softmax attention estimated with random features, linear in n.\n"
     .. "Takes the options of the map favor; dim is taken from q. Positive and hyperbolic\n"
     .. "features are used through their logarithms (fv.positive_attention), so no input overflows\n"
     .. "or divides by zero; info.log_domain tells. Trig features are signed, and their\n"
     .. "normaliser can vanish.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "causal streaming grouped linear_in_v order_equivariant",
  extend = function() return fv.map.entry("favor").options end,
  call = features.random_call,
  example = 'o = fv.attention("favor", {features=256, estimator="hyperbolic", seed=1})(q, k, v)',
  build = function(opt)
    local pick = features.maker("favor", opt)
    return {
      map = pick,
      attend = function(q, k, v, c, past)
        local phi = pick(q:size(-1))
        local logs = phi.caps.log_features == true
        local o, sums
        if logs then
          o, sums = log_attention(phi, q, k, v, c, past)
        else
          sums = {}
          local by = { causal = c.causal, key_length = c.key_length, s = past and past.s, z = past and past.z }
          o, sums.s, sums.z = fv.linear_attention(phi(q, "q"), phi(k, "k"), v, by)
        end
        local sizes = features.sizes(q, k, v)
        sizes.f, sizes.d = phi.features, nil
        local info = features.form(logs and "positive_attention" or "linear_attention", q, c.causal, sizes)
        info.path, info.features, info.log_domain = "approximate", phi.features, logs
        return o, info, features.cost(phi, phi.features, features.sizes(q, k, v)),
               features.keep(past, q, k, sums)
      end,
      state = function(_, s)             -- logarithms keep a maximum for each feature beside the sums
        local phi = pick(s.d)
        return features.state(phi.features, s.e) + (phi.caps.log_features and phi.features or 0)
      end,
      cost = function(_, s)
        local phi = pick(s.d)
        return features.cost(phi, phi.features, s)
      end
    }
  end
}
