--- Softmax attention by FAVOR+: random features of the softmax kernel.

local fv = require "fovea"
local features = require "fovea.features"

--- The operator on log-features.
local log_attention = rawget(fv.ops, "positive_attention") or rawget(fv.ops, "favor_attention")

return {
  name = "favor",
  doc = "FAVOR+ attention: softmax attention estimated with random features, linear in n.\n"
     .. "Takes the options of the map favor; dim is taken from q. Positive and hyperbolic\n"
     .. "features are used through their logarithms, so no input overflows or divides by zero;\n"
     .. "trig features are signed, and their normaliser can vanish.",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "causal grouped linear_in_v order_equivariant",
  extend = function() return fv.map.entry("favor").options end,
  call = features.call,
  example = 'o = fv.attention("favor", {features=256, estimator="hyperbolic", seed=1})(q, k, v)',
  build = function(opt)
    local pick = features.maker("favor", opt)
    local logs = log_attention and opt.estimator ~= "trig" or false
    return {
      attend = function(q, k, v, c)
        local phi, o = pick(q:size(-1)), nil
        if logs then o = log_attention(phi:log(q), phi:log(k), v, c)
        else o = fv.linear_attention(phi(q), phi(k), v, c) end
        local info = { path = "approximate", features = phi.features, log_domain = logs }
        return o, info, features.cost(phi, phi.features, features.sizes(q, k, v))
      end,
      cost = function(_, s)
        local phi = pick(s.d)
        return features.cost(phi, phi.features, s)
      end
    }
  end
}
