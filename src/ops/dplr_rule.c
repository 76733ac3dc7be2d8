/* dplr_rule.c -- fast weights whose transition is diagonal plus rank one.
 *
 *   y_t = S_{t-1}' a_t,   S_t = Diag(e^{g_t}) S_{t-1} + b_t y_t' + k_t v_t',   o_t = S_t' q_t
 *
 * The general transition of RWKV-7 (Peng et al. 2025, arXiv:2503.14456), where
 * a = -kappa, b = kappa * rate and k is the replacement key; b = -k and
 * a = e^g p give erase_write_rule at 3/4 of the work.
 *
 * Backward, with D_t = Diag(e^{g_t}):
 *   dS_t += q_t dO_t' before,   dY_t = dS_t' b_t,   dv_t = dS_t' k_t
 *   dS_{t-1} = D_t dS_t + a_t dY_t'
 *   dq_t = S_t dO_t,  da_t = S_{t-1} dY_t,  dk_t = dS_t v_t,  db_t = dS_t y_t
 * and dg by sweep_back.h.  y is kept, u(n,e), up to the length that sweep_call.h
 * says; beyond it is computed again in one pass.
 *
 * Time 8 n d e flops forward, 24 n d e backward or 30 with that pass; scratch d e + O(d) forward,
 * 2 n e + n d + 2 n d e / 256 at most backward. */
#include "ops/op.h"

#define NS 2                                 /* write streams */
#include "tensor/sweep_call.h"

enum { Q, K, V, A, B, G, S };
static const int at[INPUTS] = { Q, K, V, A, B, -1, G, S };

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
  w->flops = 8 * n * d * e;
  w->bytes = (n * (4 * d + 2 * e) + d * e) * (double)sizeof(real);
  w->exps = 0;
  w->chunk = rule_block(c->opt[RULE_FORM], c->opt[RULE_CHUNK], fov_dim(c, 'n'));
  w->form = w->chunk > 1 ? "chunk" : "token";
  if (c->in[G].x) w->exps = c->in[G].ndim == 1 ? n : n * d;
}

const fov_Op FOV_OP(dplr_rule) = {
  .name = "dplr_rule",
  .sig = "q(n,d) k(n,d) v(n,e) a(n,d) b(n,d) g?(n[d]) s?(d,e) -> o(n,e) s_n(d,e) | u(w,e)",
  .doc = "Fast-weight memory with a diagonal-plus-rank-one transition (RWKV-7 and others).\n"
         "S_t = (e^g + b a') S_{t-1} + k v';  o_t = S_t' q_t: a reads the state its own gate has\n"
         "not touched, q the state after the write.  The first state s is 0 when not given.\n"
         "g are log gates, one a token or one a row of S, each <= 0 and taken as at least -60\n"
         "(-inf is fine; no gradient flows below -60).  o, then the last state, from which\n"
         "another call can go on.  b = -r a with 0 <= r |a|^2 <= 2 is stable; unrelated a and\n"
         "b may diverge.  Time 8 n d e flops, linear in n; memory one state.",
  .ref = "Peng et al. 2025, arXiv:2503.14456",
  .caps = "causal streaming linear_in_v exact",
  .opt = {
    { "chunk", 'i', 0, 0, 1e9, "tokens resolved together, at most: 4 in registers, below that 1; "
      "0: chosen", NULL },
    { "form", 'e', 0, 0, 0, "token: one at a time; chunk: several, by a triangular system",
      "auto|chunk|token" }
  },
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
