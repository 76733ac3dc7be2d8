--- m_t = max(log f_t + m_{t-1}, log i_t)
--- S_t = e^{log f_t + m_{t-1} - m_t} S_{t-1} + e^{log i_t - m_t} (k_t/sqrt d) v_t',  n_t likewise with 1
--- o_t = S_t'q_t / max(|n_t.q_t|, e^{-m_t})

local fv = require "fovea"

local NONE = -1e30                          -- m before anything: finite, so that differences are

--- Running maxima along the last dimension, by doubling.
local function cummax(x)
  local n, s = x:size(-1), 1
  while s < n do
    local ahead = x:slice(-1, s + 1, n):maximum(x:slice(-1, 1, n - s))
    x, s = fv.cat({ x:slice(-1, 1, s), ahead }, -1), 2 * s
  end
  return x
end

return {
  name = "mlstm",
  doc = "The mLSTM of xLSTM: exponential input gates, a normaliser, and the max stabiliser.\n"
     .. "m_t = max(log f_t + m_{t-1}, log i_t),  f' = e^{log f_t + m_{t-1} - m_t},  i' = e^{log i_t - m_t},\n"
     .. "S_t = f' S_{t-1} + i' (k_t/sqrt d) v_t',  n_t = f' n_{t-1} + i' k_t/sqrt d,\n"
     .. "o_t = S_t'q_t / max(|n_t.q_t|, e^{-m_t}). Inputs are the logarithms: i = log i_t (any sign),\n"
     .. "f = log f_t (logsigmoid of the gate, or the gate itself where f is exponential; log f > 0\n"
     .. "is allowed, below -1e4 counts as -1e4); i = -inf writes nothing. m cancels in o; its scan runs\n"
     .. "in f64.",
  ref = "Beck et al. 2024, arXiv:2405.04517",
  caps = "causal streaming",
  sig = "q(n,d) k(n,d) v(n,e) i(n) f(n) -> o(n,e) S(d,e) n(d) m()",
  kernel = "additive_rule",
  example = 'o, state = fv.rule("mlstm")(q, k, v, i, f:logsigmoid())',
  build = function()
    return {
      run = function(x, s, recur)
        local type, e, d, n = x.q:dtype(), x.v:size(-1), x.q:size(-1), x.q:size(-2)
        local logi, logf = x.i:to "f64", x.f:to "f64":maximum(-1e4)
        -- m_t = F_t + max(m_0, max_{j<=t} (log i_j - F_j)),  F_t = log f_1 + .. + log f_t
        local F = logf:cumsum(-1)
        local first = s and s.m:to "f64":unsqueeze(-1) or fv.full({ 1 }, NONE, { dtype = "f64" })
        local m = F + cummax(logi - F):maximum(first)
        local lead = { m:shape() }
        lead[#lead] = 1
        local before = fv.cat({ first:expand(lead), m:slice(-1, 1, n - 1) }, -1):slice(-1, 1, n)
        local g = (logf + before - m):minimum(0):to(type)
        local k = x.k * ((logi - m):exp() / d ^ 0.5):to(type):unsqueeze(-1)
        local shape = { x.v:shape() }
        shape[#shape] = 1
        local v = fv.cat({ x.v, fv.ones(shape, { dtype = type }) }, -1)
        local S0 = s and fv.cat({ s.S, s.n:unsqueeze(-1) }, -1)
        local h, S = recur(x.q, k, v, { g = g, s = S0 })
        local floor = (-m):exp():to(type):unsqueeze(-1)
        local o = h:slice(-1, 1, e) / h:slice(-1, e + 1, e + 1):abs():maximum(floor)
        local last = n > 0 and m:slice(-1, n, n) or first:expand(lead)
        return o, { S = S:slice(-1, 1, e), n = S:slice(-1, e + 1, e + 1):squeeze(-1),
                    m = last:squeeze(-1):to(type) }
      end
    }
  end
}
