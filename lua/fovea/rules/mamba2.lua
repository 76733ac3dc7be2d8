--- S_t = e^{-D_t e^{A_log}} S_{t-1} + D_t B_t x_t',  D_t = softplus(dt_t + dt_bias)

return {
  name = "mamba2",
  doc = "Mamba-2, the scalar state-space dual (SSD).\n"
     .. "S_t = e^{-D_t exp(A_log)} S_{t-1} + D_t B_t x_t',  o_t = S_t'C_t (+ D x_t),\n"
     .. "D_t = softplus(dt_t + dt_bias). A_log, dt_bias and the skip D are one number a head,\n"
     .. "shape (..., heads). Convolution, gate and norm are the layer's.",
  ref = "Dao & Gu 2024, arXiv:2405.21060",
  caps = "causal streaming linear_in_v",
  sig = "C(n,d) B(n,d) x(n,e) dt(n) A_log() dt_bias?() D?() -> o(n,e) S(d,e)",
  kernel = "additive_rule",
  example = 'o, S = fv.rule("mamba2")(C, B, x, dt, A_log)',
  build = function()
    return {
      run = function(x, S, recur)
        local dt = x.dt_bias and x.dt + x.dt_bias:unsqueeze(-1) or x.dt
        local step = dt:softplus()
        local g = -(step * x.A_log:exp():unsqueeze(-1))
        local o, last = recur(x.C, x.B, x.x * step:unsqueeze(-1), { g = g, s = S })
        if x.D then o = o + x.x * x.D:unsqueeze(-1):unsqueeze(-1) end
        return o, last
      end
    }
  end
}
