--- S_t = (1 - beta_t) S_{t-1} + beta_t k_t v_t'

return {
  name = "peng",
  doc = "The gated rule of random feature attention: a moving average of writes.\n"
     .. "S_t = (1 - beta_t) S_{t-1} + beta_t k_t v_t',  o_t = S_t'q_t. Every write fades all keys,\n"
     .. "unrelated ones too; compare delta. beta in [0, 1]; 1 keeps the present token alone.",
  ref = "Peng et al. 2021, arXiv:2103.02143",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) beta(n) -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  example = 'o, S = fv.rule("peng")(q, k, v, beta)',
  build = function(_, name)
    return {
      run = function(x, S, recur)
        local beta = x.beta
        if beta:numel() > 0 and (beta:max():item() > 1 or beta:min():item() < 0) then
          error(("bad argument #4 to '%s' (beta: expected values in [0, 1])"):format(name), 0)
        end
        return recur(x.q, x.k * beta:unsqueeze(-1), x.v, { g = (-beta):log1p(), s = S })
      end
    }
  end
}
