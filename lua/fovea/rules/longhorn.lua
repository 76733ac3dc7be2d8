--- S_t = S_{t-1} + eps_t k_t (v_t - S_{t-1}'k_t)',  eps_t = beta_t / (1 + beta_t |k_t|^2)

return {
  name = "longhorn",
  doc = "Longhorn, exact: the implicit step of online least squares.\n"
     .. "S_t = argmin_S |S - S_{t-1}|^2 + beta_t |S'k_t - v_t|^2, which is the delta rule with\n"
     .. "eps_t = beta_t / (1 + beta_t |k_t|^2): stable for every beta >= 0 and any key. (The\n"
     .. "released code uses a diagonal approximation instead.)",
  ref = "Liu et al. 2024, arXiv:2407.14207",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("longhorn")(q, k, v, beta)',
  build = function()
    return {
      run = function(x, S, recur)
        local eps = x.beta / (x.k:square():sum(-1) * x.beta + 1)
        return recur(x.q, x.k, x.v, { beta = eps, s = S })
      end
    }
  end
}
