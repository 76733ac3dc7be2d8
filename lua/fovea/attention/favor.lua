--- Softmax attention by FAVOR+: random features of the softmax kernel.

local fv = require "fovea"
local features = require "fovea.features"
local heads = require "fovea.heads"

return {
  name = "favor",
  doc = "FAVOR+ attention: softmax attention estimated with random features, linear in n.\n"
     .. "Takes the options of the map favor; dim is taken from q. Positive and hyperbolic\n"
     .. "features are used through their logarithms (fv.positive_attention), so no input overflows\n"
     .. "or divides by zero; info.log_domain tells. Trig features are signed, and their\n"
     .. "normaliser can vanish.",
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
        local logs = phi.caps.log_features == true
        local o
        if logs then
          o = fv.positive_attention(phi:log(q, "q"), heads.match(phi:log(k, "k"), q), heads.match(v, q), c)
        else o = fv.linear_attention(phi(q, "q"), phi(k, "k"), v, c) end
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
