--- S <- Diag(e^{g_t}) S_{t-1},  S_t = S + k_t (w_t o v_t - S'(e_t o k_t))'

local contraction = require "fovea.contraction"

return {
  name = "gated_delta2",
  doc = "Gated DeltaNet-2: separate gates for erasing (key entries) and writing (value entries).\n"
     .. "S <- Diag(e^{g_t}) S_{t-1},  S_t = S + k_t (w_t o v_t - S'(erase_t o k_t))',  o_t = S_t'q_t;\n"
     .. "'o' between vectors is the elementwise product. k.(erase o k) > 2 is warned of once.",
  ref = "Hatamizadeh, Choi & Kautz 2026, arXiv:2605.22791",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) erase(n,d) w(n,e) g(n,d) -> o(n,e) S(d,e)",
  project = { w = "sigmoid" },
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("gated_delta2")(q, k, v, erase:sigmoid(), w:sigmoid(), g)',
  build = function()
    return {
      run = function(x, S, recur)
        local p = x.erase * x.k
        contraction(x.k, p)
        return recur(x.q, x.k, x.w * x.v, { p = p, g = x.g, s = S })
      end
    }
  end
}
