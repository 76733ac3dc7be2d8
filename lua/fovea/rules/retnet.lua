--- S_t = a_h S_{t-1} + k_t v_t',  a_h = 1 - 2^{-5-h}

local decay = require "fovea.decay"

return {
  name = "retnet",
  doc = "RetNet's retention: one constant decay per head.\n"
     .. "S_t = a_h S_{t-1} + k_t v_t',  o_t = S_t'q_t,  a_h = 1 - 2^{-5-h} for head h = 0, 1, ..,\n"
     .. "the heads being the dimension of q before the tokens. Rotary positions, the norm of\n"
     .. "each head and the output gate are the layer's.",
  ref = "Sun et al. 2023, arXiv:2307.08621",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  options = { { "first", "integer", 0, "h of the first head", lo = 0, hi = 40 } },
  example = 'o, S = fv.rule("retnet")(q, k, v)',
  build = function(opt)
    return {
      run = function(x, S, recur)
        local g = decay(x.q, function(h) return math.log(1 - 2.0 ^ (-5 - h - opt.first)) end)
        return recur(x.q, x.k, x.v, { g = g, s = S })
      end
    }
  end
}
