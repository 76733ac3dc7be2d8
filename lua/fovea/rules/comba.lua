--- p = sigmoid(decay) k,  S <- e^{g_t} S_{t-1},  S_t = S + beta_t k_t (v_t - S'p_t)'
--- o_t = S_t'(q_t - D p_t)

local contraction = require "fovea.contraction"

return {
  name = "comba",
  doc = "Comba: the delta rule erasing with a damped key, and correcting the query by it.\n"
     .. "p_t = sigmoid(decay) k_t,  S <- e^{g_t} S_{t-1},  S_t = S + beta_t k_t (v_t - S'p_t)',\n"
     .. "o_t = S_t'(q_t - D p_t). decay and D are one number a head, shape (..., heads).\n"
     .. "beta k.p > 2 is warned of once.",
  ref = "Hu et al. 2025, arXiv:2506.02475",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) g(n) decay() D?() -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("comba")(q, k, v, beta, g, decay, D)',
  build = function()
    return {
      run = function(x, S, recur)
        local p = x.k * x.decay:sigmoid():unsqueeze(-1):unsqueeze(-1)
        local q = x.D and x.q - p * x.D:unsqueeze(-1):unsqueeze(-1) or x.q
        contraction(x.k, p, x.beta)
        return recur(q, x.k, x.v, { p = p, beta = x.beta, g = x.g, s = S })
      end
    }
  end
}
