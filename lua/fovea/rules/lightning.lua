--- S_t = a_h S_{t-1} + k_t v_t',  a_h = exp(-(8/H) h (1 - l/L))

local decay = require "fovea.decay"

return {
  name = "lightning",
  doc = "Lightning attention (TransNormer): constant decays graded over heads and layers.\n"
     .. "S_t = a_h S_{t-1} + k_t v_t',  o_t = S_t'q_t,  a_h = exp(-(8/H) h (1 - l/L)) for head\n"
     .. "h = 0 .. H-1 in layer l of L; head 0 forgets nothing. The heads are the dimension of q\n"
     .. "before the tokens.",
  ref = "Qin et al. 2024, arXiv:2401.04658",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  options = {
    { "layer", "integer", 0, "l, from 0", lo = 0 },
    { "layers", "integer", 1, "L", lo = 1 },
    { "first", "integer", 0, "h of the first head", lo = 0 },
    { "heads", "integer", nil, "H; those given unless set", lo = 1 }
  },
  example = 'o, S = fv.rule("lightning", {layer=2, layers=12})(q, k, v)',
  build = function(opt, name)
    if opt.layer > opt.layers then
      error(("%s: option 'layer': expected at most layers=%d, got %d"):format(name, opt.layers, opt.layer), 4)
    end
    return {
      run = function(x, S, recur)
        local g = decay(x.q, function(h, H)
          return -(8 / (opt.heads or H)) * (h + opt.first) * (1 - opt.layer / opt.layers)
        end)
        return recur(x.q, x.k, x.v, { g = g, s = S })
      end
    }
  end
}
