/* positive.h -- attention with positive features, from their logarithms.
 *
 *   w_tj = sum_i exp(lq_ti + lk_ji),   o_t = sum_j w_tj v_j / sum_j w_tj
 *
 * in time linear in n and m, for any size of the logarithms.  The state holds
 * S_i = sum_j exp(lk_ji - c_i) v_j and z_i likewise, with c_i within RISE of
 * the largest lk_ji so far: it rises, to the key's own value, only at a key
 * that exceeds it by more than RISE, and depends on no later key.  A query
 * uses exp(lq_ti + c_i - s_t), s_t = max_i(lq_ti + c_i): factors <= 1, and
 * since every z_i >= 1 a denominator >= 1.  c and s cancel, so the gradients
 * are those of w; lse_t = log sum_j w_tj.
 *
 *   Q_ti = exp(lq_ti + c_i - lse_t),  K_ji = exp(lk_ji - c_i),  D_t = dlse_t - do_t'o_t
 *   dlq_t = Q_t o (S do_t + D_t z),   R_j = dS_n + sum_t Q_t do_t',  h_j = dz_n + sum_t D_t Q_t
 *   dlk_j = K_j o (R_j v_j + h_j),    dv_j = R_j'K_j
 *
 * over the queries t that see key j.  Causal sums go in blocks of FOV_WINDOW
 * tokens; the state before each is kept for the backward pass, which walks the
 * blocks in reverse, rescaling R by exp(c_before - c_after) where c rose.
 *
 * The logarithms come as they are (lq, lk), or as projections of q and k:
 *   lq = w q sqrt(scale),  lk = w k sqrt(scale) - scale |k|^2/2,  hyperbolic: (l, -l)
 * (the query's norm cancels and is left out). */
#ifndef FOV_POSITIVE_H
#define FOV_POSITIVE_H

#include "tensor/recur.h"

typedef struct fov_Positive {
  ptrdiff_t n, m, f, e, length;   /* length: keys that count */
  bool causal, spread;
  const real *q, *k, *v;          /* lq(n,f) and lk(m,f), or with w q(n,d), k(m,d) */
  const real *w;                  /* (r,d), f = r or 2r; NULL: no projection */
  ptrdiff_t d;
  bool hyperbolic;
  real scale;
  const real *s, *z, *c;          /* first state, all or none (NULL) */
  real *o, *lse, *sn, *zn, *cn;   /* results; c is -inf where no key was seen */
  real *hs, *hz, *hc;             /* causal: states before the blocks of pairs */
  const real *dO, *dlse, *dsn, *dzn, *dcn, *dhs, *dhz, *dhc;   /* NULL: zero */
  real *dq, *dk, *dv, *dw, *ds, *dz, *dc;                      /* NULL: not wanted */
} fov_Positive;

typedef struct fov_PositivePass { fov_Status (*run) (const fov_Positive *p); } fov_PositivePass;

extern const fov_PositivePass FOV_BUILD(fov_positive_forward), FOV_BUILD(fov_positive_backward);

#endif
