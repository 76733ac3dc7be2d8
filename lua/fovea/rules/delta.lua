--- S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}'k_t)'

local contraction = require "fovea.contraction"

return {
  name = "delta",
  doc = "The delta rule: what the key held is replaced, not added to.\n"
     .. "S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}'k_t)',  o_t = S_t'q_t. Keys are used as they\n"
     .. "are; normalise them (sum or L2). beta in (0, 1), or (0, 2) for negative eigenvalues;\n"
     .. "beta |k|^2 > 2 amplifies the state and is warned of once.",
  ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174; Yang et al. 2024, arXiv:2406.06484",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("delta")(q, k, v, beta)',
  build = function()
    return {
      run = function(x, S, recur)
        contraction(x.k, x.k, x.beta)
        return recur(x.q, x.k, x.v, { beta = x.beta, s = S })
      end
    }
  end
}
