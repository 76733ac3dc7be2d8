--- Softmax attention by FAVOR+: random features of the softmax kernel.

local fv = require "fovea"
local features = require "fovea.features"
local heads = require "fovea.heads"

--- Attention on the logarithms of positive features. Keys are scaled by the largest of
--- each feature, c_r = max_j lk_jr, queries by s = max_r (lq_r + c_r): both cancel in
--- the quotient, whose denominator is at least 1.
local function log_attention(lq, lk, v)
  local c = lk:max(-2):unsqueeze(-2)
  local a = lq + heads.match(c, lq)
  return (fv.linear_attention((a - a:max(-1):unsqueeze(-1)):exp(), (lk - c):exp(), v))
end

return {
  name = "favor",
  doc = "FAVOR+ attention: softmax attention estimated with random features, linear in n.\n"
     .. "Takes the options of the map favor; dim is taken from q. Positive and hyperbolic\n"
     .. "features are used through their logarithms, so no input overflows or divides by zero,\n"
     .. "unless the call is causal or has key_length; info.log_domain tells. Trig features\n"
     .. "are signed, and their normaliser can vanish.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "causal grouped linear_in_v order_equivariant",
  extend = function() return fv.map.entry("favor").options end,
  call = features.random_call,
  example = 'o = fv.attention("favor", {features=256, estimator="hyperbolic", seed=1})(q, k, v)',
  build = function(opt)
    local pick = features.maker("favor", opt)
    return {
      map = pick,
      attend = function(q, k, v, c)
        local phi = pick(q:size(-1))
        local o
        local logs = opt.estimator ~= "trig" and not c.causal and c.key_length == nil and k:size(-2) > 0
        if logs then o = log_attention(phi:log(q), phi:log(k), v)
        else o = fv.linear_attention(phi(q), phi(k), v, c) end
        local info = { path = "approximate", features = phi.features, log_domain = logs }
        return o, info, features.cost(phi, phi.features, features.sizes(q, k, v))
      end,
      state = function(_, s) return features.state(pick(s.d).features, s.e) end,
      cost = function(_, s)
        local phi = pick(s.d)
        return features.cost(phi, phi.features, s)
      end
    }
  end
}
