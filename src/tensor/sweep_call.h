/* sweep_call.h -- a rule of sweep_rule.h from the arguments of an operator.
 *
 * Both rules return o and the last state, and keep what the backward pass
 * would otherwise compute again: 'value' (sweep_state.h), for sequences short
 * enough that its memory does not matter. */
#ifndef FOV_SWEEP_CALL_H
#define FOV_SWEEP_CALL_H

#include "tensor/gates.h"
#include "tensor/sweep_back.h"

/* The parts of a rule, in the order in which an operator lists where they are
 * among its inputs (-1: it has none). */
enum { IN_Q, IN_K, IN_V, IN_P, IN_B, IN_BETA, IN_G, IN_S, INPUTS };
enum { OUT_O, OUT_S, OUT_VALUE };
enum { RULE_CHUNK, RULE_FORM };              /* options */
enum { KEPT = 8192 };                        /* tokens of the longest sequence that keeps */

static ptrdiff_t rule_kept (ptrdiff_t n) { return n <= KEPT ? n : 0; }

static void *part (const fov_Tensor *list, const int *at, int i) {
  return at[i] < 0 ? NULL : list[at[i]].x;
}

static fov_Rule rule_open (const int *at, const fov_Tensor *in, const double *opt, ptrdiff_t heads) {
  const fov_Tensor *v = &in[at[IN_V]];
  fov_Rule r = {
    .n = v->shape[0], .d = in[at[IN_K]].shape[1], .e = v->shape[1], .heads = heads,
    .q = part(in, at, IN_Q), .k = part(in, at, IN_K), .v = v->x, .p = part(in, at, IN_P),
    .b = part(in, at, IN_B), .beta = part(in, at, IN_BETA), .g = part(in, at, IN_G),
    .s = part(in, at, IN_S)
  };
  r.gate = rule_gate(&in[at[IN_G]]);
  r.T = rule_block(opt[RULE_FORM], opt[RULE_CHUNK], r.n);
  r.p_is_k = !r.p;
  if (!r.p) r.p = r.k;
  return r;
}

/* 'value' where there is room for all tokens, else NULL. */
static real *rule_value (const fov_Rule *r, const fov_Tensor *t) {
  return t->x && t->shape[0] == r->n ? t->x : NULL;
}

static fov_Status rule_forward (fov_Rule *r, const fov_Tensor *out) {
  r->o = out[OUT_O].x, r->sn = out[OUT_S].x, r->value = rule_value(r, &out[OUT_VALUE]);
  return forward(r);
}

static fov_Status rule_backward (fov_Rule *r, const int *at, const fov_Tensor *out,
                                 const fov_Tensor *dout, const fov_Tensor *din) {
  r->dO = dout[OUT_O].x, r->dsn = dout[OUT_S].x;
  r->kept = rule_value(r, &out[OUT_VALUE]), r->dvalue = rule_value(r, &dout[OUT_VALUE]);
  r->dq = part(din, at, IN_Q), r->dk = part(din, at, IN_K), r->dv = part(din, at, IN_V);
  r->dp = part(din, at, IN_P), r->db = part(din, at, IN_B), r->dbeta = part(din, at, IN_BETA);
  r->dg = part(din, at, IN_G), r->ds = part(din, at, IN_S);
  return backward(r);
}

#endif
