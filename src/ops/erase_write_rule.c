/* erase_write_rule.c -- fast weights that erase what a key held, then write.
 *
 *   S <- Diag(e^{g_t}) S_{t-1}
 *   u_t = beta_t (v_t - S' p_t),   S_t = S + k_t u_t',   o_t = S_t' q_t
 *
 * p = k, g = 0 is the delta rule (Schlag, Irie & Schmidhuber 2021,
 * arXiv:2102.11174; chunkwise form Yang et al. 2024, arXiv:2406.06484), a
 * scalar gate the gated delta rule (arXiv:2412.06464).
 *
 * Backward, with D_t = Diag(e^{g_t}):
 *   dU_t = dS_t' k_t,                dS_t += q_t dO_t' before, dv_t = beta_t dU_t
 *   dS_{t-1} = D_t (dS_t - p_t dv_t')
 *   dq_t = S_t dO_t,  dp_t = -(D_t S_{t-1}) dv_t,  dk_t = dS_t u_t
 *   dbeta_t = dU_t . (v_t - S' p_t)
 * and dg by sweep_back.h.  v - S'p is kept, u(n,e), up to the length that
 * sweep_call.h says; beyond it is computed again in one pass.
 *
 * Time 6 n d e flops forward, 18 n d e backward or 22 with that pass; scratch d e + O(d) forward,
 * 2 n e + n d + 2 n d e / 256 at most backward. */
#include "ops/op.h"

#define NS 1                                 /* write streams */
#include "tensor/sweep_call.h"

enum { Q, K, V, P, BETA, G, S };
static const int at[INPUTS] = { Q, K, V, P, -1, BETA, G, S };

static fov_Rule rule (const fov_Call *c) { return rule_open(at, c->in, c->opt, c->heads); }

static fov_Status sizes (fov_Call *c) {
  c->dim['w' - 'a'] = rule_kept(fov_dim(c, 'n'));
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) { return gates_check(&c->in[G]); }

static fov_Status fwd (fov_Call *c) {
  fov_Rule r = rule(c);
  return rule_forward(&r, c->out);
}

static fov_Status bwd (fov_Call *c) {
  fov_Rule r = rule(c);
  return rule_backward(&r, at, c->out, c->dout, c->din);
}

static void cost (const fov_Call *c, fov_Cost *w) {
  const double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'),
               e = (double)fov_dim(c, 'e');
  w->flops = 6 * n * d * e;
  w->bytes = (n * (2 * d + 2 * e) + d * e) * (double)sizeof(real);
  w->exps = 0;
  w->chunk = rule_block(c->opt[RULE_FORM], c->opt[RULE_CHUNK], fov_dim(c, 'n'));
  w->form = w->chunk > 1 ? "chunk" : "token";
  if (c->in[G].x) w->exps = c->in[G].ndim == 1 ? n : n * d;
}

const fov_Op FOV_OP(erase_write_rule) = {
  .name = "erase_write_rule",
  .sig = "q(n,d) k(n,d) v(n,e) p?(n,d) beta?(n) g?(n[d]) s?(d,e) -> o(n,e) s_n(d,e) | u(w,e)",
  .doc = "Fast-weight memory that erases what a key reads before it writes (delta rules).\n"
         "S <- e^g S;  S_t = S + k (beta (v - S'p))';  o_t = S_t' q_t.  p is k when not given,\n"
         "beta 1, the first state s 0.  g are log gates, one a token or one a row of S, each\n"
         "<= 0 and taken as at least -60 (-inf is fine; no gradient flows below -60).\n"
         "o, then the last state, from which another call can go on.  It diverges where\n"
         "beta |k||p| > 2 for long.  Time 6 n d e flops, linear in n; memory one state.",
  .ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174; Yang et al. 2024, arXiv:2406.06484",
  .caps = "causal streaming linear_in_v exact",
  .opt = {
    { "chunk", 'i', 0, 0, 1e9, "tokens resolved together, at most: 4 in registers, below that 1; "
      "0: chosen", NULL },
    { "form", 'e', 0, 0, 0, "token: one at a time; chunk: several, by a triangular system",
      "auto|chunk|token" }
  },
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
