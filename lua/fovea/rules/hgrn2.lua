--- S_t = Diag(e^{g_t}) S_{t-1} + (1 - e^{g_t}) v_t'

return {
  name = "hgrn2",
  doc = "HGRN-2: the key is what the gate leaves free.\n"
     .. "S_t = Diag(e^{g_t}) S_{t-1} + (1 - e^{g_t}) v_t',  o_t = S_t'q_t. The paper's gate is\n"
     .. "e^{g} = lb + (1 - lb) sigmoid(x) with a lower bound lb that grows with the layer.",
  ref = "Qin et al. 2024, arXiv:2404.07904",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) g(n,d) v(n,e) -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  example = 'o, S = fv.rule("hgrn2")(q, f:log(), v)',
  build = function()
    return { run = function(x, S, recur) return recur(x.q, -x.g:expm1(), x.v, { g = x.g, s = S }) end }
  end
}
