--- S_t = (Diag(e^{g_t}) - (kh o a) kh') S_{t-1} + kt v_t',  kh = kappa / |kappa|,  kt = k o (1 + (a-1) o k_a)

return {
  name = "rwkv7",
  doc = "RWKV-7 (Goose): a diagonal plus rank-one transition, erasing one key at its own rates.\n"
     .. "S_t = (Diag(e^{g_t}) - (kh o a_t) kh') S_{t-1} + kt v_t',  o_t = S_t'r_t + (r_t.(kt o r_k)) v_t,\n"
     .. "g_t = -e^{-1/2} sigmoid(w_t),  kh = kappa_t / |kappa_t|,  kt = k_t o (1 + (a_t - 1) o k_a).\n"
     .. "a (..., n, d) are rates in (0, 1), after their sigmoid; k_a and r_k (..., d) are one vector\n"
     .. "a head, 0 where not given. 'o' between vectors is the elementwise product.",
  ref = "Peng et al. 2025, arXiv:2503.14456",
  caps = "causal streaming linear_in_v",
  sig = "r(n,d) k(n,d) v(n,e) w(n,d) kappa(n,d) a(n,d) k_a?(d) r_k?(d) -> o(n,e) S(d,e)",
  kernel = "dplr_rule",
  options = { { "eps", "number", 1e-12, "added to |kappa|^2 under the root", lo = 0 } },
  example = 'o, S = fv.rule("rwkv7")(r, k, v, w, kappa, a:sigmoid())',
  build = function(opt)
    return {
      run = function(x, S, recur)
        local kh = x.kappa * (x.kappa:square():sum(-1) + opt.eps):rsqrt():unsqueeze(-1)
        local k = x.k_a and x.k * ((x.a - 1) * x.k_a:unsqueeze(-2) + 1) or x.k
        local g = x.w:sigmoid() * -math.exp(-0.5)
        local o, last = recur(x.r, k, x.v, -kh, kh * x.a, { g = g, s = S })
        if x.r_k then
          o = o + (x.r * k * x.r_k:unsqueeze(-2)):sum(-1):unsqueeze(-1) * x.v
        end
        return o, last
      end
    }
  end
}
