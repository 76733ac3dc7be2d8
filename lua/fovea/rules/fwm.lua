--- Z_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}'k_t)',  S_t = Z_t / max(1, |Z_t|_F)

return {
  name = "fwm",
  doc = "The fast weight memory: the delta rule with its memory clipped to Frobenius norm 1.\n"
     .. "Z_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}'k_t)',  S_t = Z_t / max(1, |Z_t|),  o_t = S_t'q_t.\n"
     .. "The clip is not affine in S, so it runs token by token.",
  ref = "Schlag et al. 2021, arXiv:2102.11174",
  caps = "causal streaming",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) -> o(n,e) S(d,e)",
  kernel = "fwm_rule",
  example = 'o, S = fv.rule("fwm")(q, k, v, beta)',
  build = function()
    return { run = function(x, S, recur) return recur(x.q, x.k, x.v, { beta = x.beta, s = S }) end }
  end
}
