--- o_i = mean of the values query i may see

local fv = require "fovea"
local features = require "fovea.features"
local heads = require "fovea.heads"

return {
  name = "uniform",
  doc = "Uniform averaging: every visible value gets the same weight. The control that any\n"
     .. "method has to beat. Linear attention with one constant feature.",
  caps = "causal streaming grouped linear_in_v order_equivariant rows_sum_to_one nonneg",
  call = {
    { "causal", "boolean", false, "average over the keys up to the query" },
    { "key_length", "integer|tensor", nil, "number of valid keys" },
    require "fovea.cache".option
  },
  example = 'o = fv.attention("uniform")(q, k, v)',
  build = function()
    return {
      attend = function(q, k, v, c, past)
        local dtype = { dtype = q:dtype() }
        local one_q = fv.ones(heads.shape(q, q:size(-2), 1), dtype)
        local one_k = fv.ones(heads.shape(k, k:size(-2), 1), dtype)
        local by = { causal = c.causal, key_length = c.key_length, s = past and past.s, z = past and past.z }
        local o, s, z = fv.linear_attention(one_q, one_k, v, by)
        return o, { path = "control" }, nil, features.keep(past, q, k, { s = s, z = z })
      end,
      state = function(_, s) return s.e + 1 end,
      cost = function(_, s) return fv.ops.linear_attention:cost { n = s.n, m = s.m, f = 1, e = s.e } end
    }
  end
}
