--- fv.delta_rule(q, k, v, beta, {state=, scale=, form=, chunk=}) -> o, state, info: the delta rule.
--- S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}'k_t)',  o_t = S_t'q_t
--- q, k (..., n, d), v (..., n, e), beta (..., n) or a number; state (..., d, e) continues a
--- sequence. Keys are used as they are: with |k| = 1 and beta in (0, 2) the memory is stable,
--- beyond beta |k|^2 = 2 it grows (warned once in a process). Time 6nde flops.
--- fv.rule("delta") is the same by name. Source: arXiv:2102.11174, arXiv:2406.06484.
--- fv.gated_delta_rule(q, k, v, beta, g, {state=, scale=, form=}) -> o, state, info: the gated delta rule.
--- S_t = e^{g_t} S_{t-1} + beta_t k_t (v_t - e^{g_t} S_{t-1}'k_t)',  o_t = S_t'q_t
--- As fv.delta_rule, with log gates g (..., n), each at most 0 (an error says which is not).
--- g = 0 is the delta rule. fv.rule("gated_delta") is the same by name; fv.rule("kda") takes
--- a gate for each key entry. Source: arXiv:2412.06464.

local fv = require "fovea"

local function named(rule, name)
  rule.name = name                          -- what its errors say
  return function(...) return rule(...) end
end

return {
  delta_rule = named(fv.rule "delta", "delta_rule"),
  gated_delta_rule = named(fv.rule "gated_delta", "gated_delta_rule")
}
