--- S_t = e^{g_t} S_{t-1} + k_t v_t'

return {
  name = "simple_gla",
  doc = "Linear attention with one data-dependent decay per token (simple GLA, gated RetNet).\n"
     .. "S_t = e^{g_t} S_{t-1} + k_t v_t',  o_t = S_t'q_t. With complement the key is scaled by\n"
     .. "1 - e^{g_t}: gated random feature attention.",
  ref = "Yang et al. 2024, arXiv:2312.06635; Peng et al. 2021, arXiv:2103.02143",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) g(n) -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  options = { { "complement", "boolean", false, "write (1 - e^g) k instead of k" } },
  example = 'o, S = fv.rule("simple_gla")(q, k, v, gate:logsigmoid())',
  build = function(opt)
    return {
      run = function(x, S, recur)
        local k = opt.complement and x.k * -x.g:expm1():unsqueeze(-1) or x.k
        return recur(x.q, k, x.v, { g = x.g, s = S })
      end
    }
  end
}
