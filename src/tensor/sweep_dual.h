/* sweep_dual.h -- the other gradients of a rule, along S' (e rows, d lanes).
 *
 * Given what was written (R: u over beta, or v and y) and the gradients dO of
 * the outputs and X of the solved writes, with S'_t = S'_{t-1} D_t + ...:
 *
 *   forward   dq_t = S'_t-weighted dO_t,  dp_t = S'-weighted X_t
 *   reverse   dk_t (db_t) = the same sums over later tokens, of q and p
 *
 * These are again blocks with two reads and one or two writes, but nothing
 * has to be solved.  A block of this sweep (sweep.h) has q := dO, p := X,
 * k := R or V, b := Y, all of e numbers; gates per row of S are gates per
 * lane here.  Ranges of lanes are independent. */
#ifndef FOV_SWEEP_DUAL_H
#define FOV_SWEEP_DUAL_H

#include "tensor/sweep_state.h"

typedef struct fov_Dual {
  ptrdiff_t e, cols, ld, ldp;
  const real *q, *p, *k, *b, *alpha;         /* n rows of ld; alpha: the segment's */
  ptrdiff_t from;                            /* its first token */
  real *dq, *dp, *dk, *db;                   /* NULL: not wanted */
  real *pend;                                /* 2 TB + 1 rows of ldp */
} fov_Dual;

/* NS = 1: the second read stream is minus beta_i dU_i (scaled: X_i is that,
 * but for the sign), the write beta_j R_j. */
static void weigh (fov_Block *b, bool scaled) {
  for (int i = 0; i < TB; i++) {
    const real x = scaled ? -1 : -b->beta[i];
    for (int j = 0; j <= i; j++) b->with_k[QX(i, j)] *= b->beta[j];
    for (int j = 0; j < i; j++) b->with_k[PX(i, j)] *= x * b->beta[j];
    b->ps[i] *= x;
    b->ks[i] *= b->beta[i];
  }
}

INLINE void lanes_add (const int NV, const vec *y, real c, vec *acc) {
  FOV_UNROLL
  for (int j = 0; j < NV; j++) acc[j] = vfma(vset(c), y[j], acc[j]);
}
INLINE void lanes_mul (const int NV, const vec *y, vec *acc) {
  FOV_UNROLL
  for (int j = 0; j < NV; j++) acc[j] *= y[j];
}
INLINE void lanes_scale (const int NV, real c, vec *acc) {
  FOV_UNROLL
  for (int j = 0; j < NV; j++) acc[j] *= vset(c);
}

/* dp_i, dq_i of one token from its accumulators and the K, B before it. */
INLINE void dual_read (const int NV, const real *ck, const real *cb, int upto,
                       const vec *K, const vec *B, vec *acc) {
  FOV_UNROLL
  for (int j = 0; j < upto; j++) {
    lanes_add(NV, K + j * NV, ck[j], acc);
    if (NS == 2) lanes_add(NV, B + j * NV, cb[j], acc);
  }
}

INLINE void forward_dual (const int NV, int gate, const fov_Dual *w,
                          const fov_Block *prev, const fov_Block *b, ptrdiff_t c,
                          real *S, ptrdiff_t ld, const real *const *ask) {
  const int T = TB;
  const ptrdiff_t n = w->cols - c < NV * VL ? w->cols - c : NV * VL, at = b->at * w->ld + c;
  const bool full = n == NV * VL;
  vec acc[2 * TB * NVEC], K[TB * NVEC], B[TB * NVEC], A[TB * NVEC], cum[NVEC];
  const fov_Pass p = { w->e, ld, w->ldp, S + c, prev->gamma, w->pend + c,
                       prev->k, prev->b, b->q, b->p, acc, ask[0], ask[1] };
  pass_forward(NV, gate, &p);
  lanes_in(T, NV, full, w->k + at, w->ld, b->rows, n, K);
  if (NS == 2) lanes_in(T, NV, full, w->b + at, w->ld, b->rows, n, B);
  const real *alpha = gate == LANE_GATE ? w->alpha + (b->at - w->from) * w->ld + c : w->q;
  lanes_in(T, NV, full, alpha, w->ld, gate == LANE_GATE ? T : 0, n, A);
  FOV_UNROLL
  for (int j = 0; j < NV; j++) cum[j] = vset(1);
  FOV_UNROLL
  for (int i = 0; i < T; i++) {
    vec *dq = acc + i * NV, *dp = acc + (T + i) * NV;
    if (gate == LANE_GATE && NS == 2) {
      lanes_mul(NV, cum, dp);
      dual_read(NV, b->with_k + PX(i, 0), b->with_b + PX(i, 0), i, K, B, dp);
    }
    if (gate == LANE_GATE) {
      lanes_mul(NV, A + i * NV, cum);
      FOV_UNROLL
      for (int j = 0; j < i; j++) {
        lanes_mul(NV, A + i * NV, K + j * NV);
        if (NS == 2) lanes_mul(NV, A + i * NV, B + j * NV);
      }
      lanes_mul(NV, cum, dq);
      if (NS == 1) lanes_mul(NV, cum, dp);
    }
    lanes_scale(NV, b->qs[i], dq);
    dual_read(NV, b->with_k + QX(i, 0), b->with_b + QX(i, 0), i + 1, K, B, dq);
    if (gate != LANE_GATE || NS == 1) {
      lanes_scale(NV, b->ps[i], dp);
      dual_read(NV, b->with_k + PX(i, 0), b->with_b + PX(i, 0), i, K, B, dp);
    }
    if (w->dq && i < b->rows) lanes_out(NV, full, w->dq + at + i * w->ld, dq, n);
    if (w->dp && i < b->rows) lanes_out(NV, full, w->dp + at + i * w->ld, dp, n);
  }
  FOV_UNROLL
  for (int t = 0; t < T; t++)
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      real *to = w->pend + t * w->ldp + c + j * VL;
      vstore(to, K[t * NV + j] * vset(b->ks[t]));
      if (NS == 2) vstore(to + T * w->ldp, B[t * NV + j] * vset(b->ks[t]));
    }
  FOV_UNROLL
  for (int j = 0; j < NV; j++) vstore(w->pend + 2 * TB * w->ldp + c + j * VL, cum[j]);
}

INLINE void reverse_dual (const int NV, int gate, const fov_Dual *w,
                          const fov_Block *prev, const fov_Block *b, ptrdiff_t c,
                          real *S, ptrdiff_t ld, const real *const *ask) {
  const int T = TB;
  const ptrdiff_t n = w->cols - c < NV * VL ? w->cols - c : NV * VL, at = b->at * w->ld + c;
  const bool full = n == NV * VL;
  vec acc[2 * TB * NVEC], Q[TB * NVEC], P[TB * NVEC], A[TB * NVEC], left[NVEC];
  const fov_Pass p = { w->e, ld, w->ldp, S + c, prev->gamma, w->pend + c,
                       prev->q, prev->p, b->k, b->b, acc, ask[0], ask[1] };
  pass_reverse(NV, gate, &p);
  lanes_in(T, NV, full, w->q + at, w->ld, b->rows, n, Q);
  lanes_in(T, NV, full, w->p + at, w->ld, b->rows, n, P);
  const real *alpha = gate == LANE_GATE ? w->alpha + (b->at - w->from) * w->ld + c : w->q;
  lanes_in(T, NV, full, alpha, w->ld, gate == LANE_GATE ? T : 0, n, A);
  FOV_UNROLL
  for (int j = 0; j < NV; j++) left[j] = vset(1);
  FOV_UNROLL
  for (int j = T - 1; j >= 0; j--) {
    if (gate == LANE_GATE && j < T - 1) {      /* decays of token j + 1 come between */
      const vec *a = A + (j + 1) * NV;
      lanes_mul(NV, a, left);
      FOV_UNROLL
      for (int i = j + 1; i < T; i++) {
        lanes_mul(NV, a, Q + i * NV);
        if (NS == 1 || i > j + 1) lanes_mul(NV, a, P + i * NV);
      }
    }
    FOV_UNROLL
    for (int s = 0; s < NS; s++) {
      const real *x = s ? b->with_b : b->with_k;
      vec *dk = acc + (s * T + j) * NV;
      lanes_scale(NV, b->ks[j], dk);
      if (gate == LANE_GATE) lanes_mul(NV, left, dk);
      FOV_UNROLL
      for (int i = j; i < T; i++) {
        lanes_add(NV, Q + i * NV, x[QX(i, j)], dk);
        if (i > j) lanes_add(NV, P + i * NV, x[PX(i, j)], dk);
      }
      real *out = s ? w->db : w->dk;
      if (out && j < b->rows) lanes_out(NV, full, out + at + j * w->ld, dk, n);
    }
  }
  FOV_UNROLL
  for (int i = 0; i < T; i++) {
    if (gate == LANE_GATE) {
      lanes_mul(NV, A, Q + i * NV);
      if (NS == 1 || i > 0) lanes_mul(NV, A, P + i * NV);
    }
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      real *to = w->pend + i * w->ldp + c + j * VL;
      vstore(to, Q[i * NV + j] * vset(b->qs[i]));
      vstore(to + T * w->ldp, P[i * NV + j] * vset(b->ps[i]));
    }
  }
  if (gate == LANE_GATE) lanes_mul(NV, A, left);
  FOV_UNROLL
  for (int j = 0; j < NV; j++) vstore(w->pend + 2 * TB * w->ldp + c + j * VL, left[j]);
}

#endif
