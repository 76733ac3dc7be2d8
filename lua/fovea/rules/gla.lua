--- S_t = Diag(e^{g_t}) S_{t-1} + k_t v_t'

return {
  name = "gla",
  doc = "Gated linear attention: a decay for each entry of the key.\n"
     .. "S_t = Diag(e^{g_t}) S_{t-1} + k_t v_t',  o_t = S_t'q_t. The paper's g is the logsigmoid\n"
     .. "of a low-rank projection, divided by 16.",
  ref = "Yang et al. 2024, arXiv:2312.06635",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) g(n,d) -> o(n,e) S(d,e)",
  project = { g = "logsigmoid16" },
  kernel = "additive_rule",
  example = 'o, S = fv.rule("gla")(q, k, v, gate:logsigmoid() / 16)',
  build = function()
    return { run = function(x, S, recur) return recur(x.q, x.k, x.v, { g = x.g, s = S }) end }
  end
}
