--- o_t = S_{t-1}'r_t + (r_t.(u o k_t)) v_t,  S_t = Diag(e^{-e^{w_t}}) S_{t-1} + k_t v_t'

return {
  name = "rwkv6",
  doc = "RWKV-6 (Finch): reads before it writes, with a bonus u for the present token.\n"
     .. "o_t = S_{t-1}'r_t + (r_t.(u o k_t)) v_t,  S_t = Diag(e^{-exp(w_t)}) S_{t-1} + k_t v_t'.\n"
     .. "u (..., d) is one vector a head, 'o' the elementwise product.",
  ref = "Peng et al. 2024, arXiv:2404.05892",
  caps = "causal streaming linear_in_v",
  sig = "r(n,d) k(n,d) v(n,e) w(n,d) u?(d) -> o(n,e) S(d,e)",
  project = { w = "offset" },
  kernel = "additive_rule",
  example = 'o, S = fv.rule("rwkv6")(r, k, v, w, u)',
  build = function()
    return {
      run = function(x, S, recur)
        return recur(x.r, x.k, x.v, { g = -x.w:exp(), u = x.u, exclusive = true, s = S })
      end
    }
  end
}
