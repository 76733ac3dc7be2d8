--- S_t = S_{t-1} + k_t v_t',  z_t = z_{t-1} + k_t,  o_t = S_t'q_t / (z_t.q_t + eps)

local fv = require "fovea"

return {
  name = "linear",
  doc = "Linear attention on features of q and k: a sum of outer products that forgets nothing.\n"
     .. "S_t = S_{t-1} + k_t v_t',  z_t = z_{t-1} + k_t,  o_t = S_t'q_t, or with normalize\n"
     .. "o_t = S_t'q_t / (z_t.q_t + eps). With eps = 0 a divisor of 0\n"
     .. "gives inf or NaN.",
  ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e) z(d)",
  kernel = "linear_attention",
  options = {
    { "normalize", "boolean", false, "divide by the sum of the weights" },
    { "eps", "number", 0, "added to that sum; 1e-6 for maps whose features can all be 0", lo = 0 }
  },
  example = 'o, state = fv.rule("linear", {normalize=true})(phi(q), phi(k), v)',
  build = function(opt)
    return {
      run = function(x, s, recur)
        s = s or {}
        local o, S, z = recur(x.q, x.k, x.v, { causal = true, normalize = opt.normalize,
                                               eps = opt.normalize and opt.eps or nil, s = s.S, z = s.z })
        return o, { S = S, z = z }
      end,
      cost = function(_, s) return fv.ops.linear_attention:cost { n = s.n, m = s.n, f = s.d, e = s.e } end
    }
  end
}
