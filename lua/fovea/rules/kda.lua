--- S <- Diag(e^{g_t}) S_{t-1},  S_t = S + beta_t k_t (v_t - S'k_t)'

local contraction = require "fovea.contraction"

return {
  name = "kda",
  doc = "Kimi delta attention: the gated delta rule with a gate for each entry of the key.\n"
     .. "S <- Diag(e^{g_t}) S_{t-1},  S_t = S + beta_t k_t (v_t - S'k_t)',  o_t = S_t'q_t. Equal\n"
     .. "gates are gated_delta. beta |k|^2 > 2 is warned of once.",
  ref = "Kimi Team 2025, arXiv:2510.26692",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) g(n,d) -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("kda")(q, k, v, beta, g)',
  build = function()
    return {
      run = function(x, S, recur)
        contraction(x.k, x.k, x.beta)
        return recur(x.q, x.k, x.v, { beta = x.beta, g = x.g, s = S })
      end
    }
  end
}
