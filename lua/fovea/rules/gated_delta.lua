--- S_t = e^{g_t} S_{t-1} + beta_t k_t (v_t - e^{g_t} S_{t-1}'k_t)'

local contraction = require "fovea.contraction"

return {
  name = "gated_delta",
  doc = "The gated delta rule: forget a little, then replace what the key held.\n"
     .. "S_t = e^{g_t} S_{t-1} + beta_t k_t (v_t - e^{g_t} S_{t-1}'k_t)',  o_t = S_t'q_t, one gate\n"
     .. "a token; g = 0 is the delta rule. beta |k|^2 > 2 is warned of once.",
  ref = "Yang, Kautz & Hatamizadeh 2024, arXiv:2412.06464",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) g(n) -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("gated_delta")(q, k, v, beta, g)',
  build = function()
    return {
      run = function(x, S, recur)
        contraction(x.k, x.k, x.beta)
        return recur(x.q, x.k, x.v, { beta = x.beta, g = x.g, s = S })
      end
    }
  end
}
