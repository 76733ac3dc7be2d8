/* sweep.h -- one pass over a matrix state that resolves TB tokens at once.
 *
 * Shared by the recurrences whose writes depend on what they read.  S(rows,
 * lanes) is read and written through row coefficients:
 *
 *   acc_r = sum_i z_r[i] S[i,:]       S[i,:] := gamma_i S[i,:] + sum_w x_w[i] y_w
 *
 * A block of TB tokens reads the state it starts from, solves the small
 * triangular system of its tokens' products with each other, and leaves its
 * writes pending for the next block's pass: each row is loaded and stored once
 * a block, all accumulators stay in registers.
 *
 * Decays are running products of e^g <= 1, never differences of sums of g:
 * nothing overflows, and a gate of exactly 0 multiplies by exactly 1. */
#ifndef FOV_SWEEP_H
#define FOV_SWEEP_H

#include "tensor/simd.h"

#define INLINE static inline __attribute__((always_inline))
#define LANES (FOV_VBYTES * 8 / FOV_REAL)

enum {
  TB = 4,                                     /* tokens a block */
  NVEC = FOV_NREG / 16,                       /* vectors across a strip */
  SEGMENT = 64,                               /* tokens prepared together */
  ANCHOR = 256                                /* tokens a gate's gradient sums over */
};
enum { NO_GATE, SCALAR_GATE, VECTOR_GATE };

/* Products of TB tokens with each other, and what each has left of the decay
 * of its block.  q, p read; k, b write (b: rules of two write streams). */
typedef struct fov_Block {
  int rows;                                   /* tokens there are, the rest is 0 */
  ptrdiff_t at;                               /* first token */
  const real *q, *p, *k, *b;                  /* TB rows each */
  const real *gamma;                          /* decay of the state across it */
  real qs[TB], ps[TB], ks[TB], beta[TB];
  real with_k[16], with_b[16];               /* products of the reads, see QX, PX */
} fov_Block;

/* Where the products of two tokens are: q_i.x_j for j <= i, p_i.x_j for j < i. */
#define QX(i, j) ((i) * ((i) + 1) / 2 + (j))
#define PX(i, j) (10 + (i) * ((i) - 1) / 2 + (j))

/* The lower, upper halves of a and b interleaved: a0 b0 a1 b1 .. */
#if LANES == 16
#define LOW_ 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_ 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW_ 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_ 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 4
#define LOW_ 0, 4, 1, 5
#define HIGH_ 2, 6, 3, 7
#else
#define LOW_ 0, 2
#define HIGH_ 1, 3
#endif

/* out[i] = sum over lanes of a[i], i < 16: a transposition that adds. */
INLINE void sums16 (const vec *a, real *out) {
  FOV_UNROLL
  for (int g = 0; g < 16; g += LANES) {
    vec t[LANES];
    FOV_UNROLL
    for (int i = 0; i < LANES; i++) t[i] = a[g + i];
    FOV_UNROLL
    for (int n = LANES / 2; n > 0; n /= 2)
      FOV_UNROLL
      for (int i = 0; i < n; i++)
        t[i] = __builtin_shufflevector(t[i], t[i + n], LOW_) +
               __builtin_shufflevector(t[i], t[i + n], HIGH_);
    vstore(out + g, t[0]);
  }
}

INLINE vec load (const bool full, const real *p, ptrdiff_t n) {
  return full ? vload(p) : vload_n(p, n, 0);
}
INLINE void store (const bool full, real *p, vec v, ptrdiff_t n) {
  if (full) vstore(p, v);
  else vstore_n(p, v, n);
}

/* The writes XS * T tokens left pending reach each row of S, ZS * T reads take
 * it.  x0, x1 and z0, z1: row coefficients of the write and the read streams,
 * T rows of m each; acc: ZS * T rows of NV.  gate: NO_GATE, SCALAR_GATE
 * (gamma[0]), VECTOR_GATE (gamma[i], one a row), or LANE_GATE (one a lane, row
 * 2 TB of 'pend'). */
enum { LANE_GATE = VECTOR_GATE + 1 };

typedef struct fov_Pass {
  ptrdiff_t m, ld, ldp;
  real *S;
  const real *gamma, *pend, *x0, *x1, *z0, *z1;
  vec *acc;
  const real *ask0, *ask1;                   /* memory wanted soon, TB reals a row */
} fov_Pass;

INLINE void pass_rows (const int T, const int XS, const int ZS, const int NV, const int gate,
                       const fov_Pass *p) {
  const ptrdiff_t m = p->m, ld = p->ld, ldp = p->ldp;
  const real *x0 = p->x0, *x1 = p->x1, *z0 = p->z0, *z1 = p->z1, *gamma = p->gamma;
  const real *ask0 = p->ask0, *ask1 = p->ask1;
  real *S = p->S;
  vec y[2 * TB * NVEC], a[2 * TB * NVEC], g[NVEC];
  FOV_UNROLL
  for (int w = 0; w < XS * T; w++)
    FOV_UNROLL
    for (int j = 0; j < NV; j++) y[w * NV + j] = vload(p->pend + w * ldp + j * VL);
  FOV_UNROLL
  for (int j = 0; j < NV; j++) {
    g[j] = vzero();
    if (gate == SCALAR_GATE) g[j] = vset(gamma[0]);
    if (gate == LANE_GATE) g[j] = vload(p->pend + 2 * TB * ldp + j * VL);
  }
  FOV_UNROLL
  for (int r = 0; r < ZS * T * NV; r++) a[r] = vzero();
  for (ptrdiff_t i = 0; i < m; i++, S += ld, x0++, x1++, z0++, z1++) {
    vec s[NVEC];
    if (ZS && i % 4 == 0) {
      __builtin_prefetch(ask0, 0, 2), ask0 += 4 * TB;
      __builtin_prefetch(ask1, 0, 2), ask1 += 4 * TB;
    }
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      s[j] = vload(S + j * VL);
      if (gate == VECTOR_GATE) s[j] *= vset(gamma[i]);
      else if (gate != NO_GATE) s[j] *= g[j];
    }
    FOV_UNROLL
    for (int w = 0; w < XS * T; w++) {
      const vec c = vset((w < T ? x0 : x1)[w % T * m]);
      FOV_UNROLL
      for (int j = 0; j < NV; j++) s[j] = vfma(c, y[w * NV + j], s[j]);
    }
    FOV_UNROLL
    for (int j = 0; j < NV; j++) vstore(S + j * VL, s[j]);
    FOV_UNROLL
    for (int r = 0; r < ZS * T; r++) {
      const vec c = vset((r < T ? z0 : z1)[r % T * m]);
      FOV_UNROLL
      for (int j = 0; j < NV; j++) a[r * NV + j] = vfma(c, s[j], a[r * NV + j]);
    }
  }
  FOV_UNROLL
  for (int r = 0; r < ZS * T * NV; r++) p->acc[r] = a[r];
}

INLINE void pass_gates (const int T, const int XS, const int ZS, const int NV, int gate,
                        const fov_Pass *p) {
  if (gate == NO_GATE) pass_rows(T, XS, ZS, NV, NO_GATE, p);
  else if (gate == SCALAR_GATE) pass_rows(T, XS, ZS, NV, SCALAR_GATE, p);
  else if (gate == VECTOR_GATE) pass_rows(T, XS, ZS, NV, VECTOR_GATE, p);
  else pass_rows(T, XS, ZS, NV, LANE_GATE, p);
}

/* A function of its own for each count of streams: its loop then has the
 * registers for itself. */
#define FOV_PASS(name, T, XS, ZS)                                              \
  static __attribute__((noinline)) void                                        \
  name (int NV, int gate, const fov_Pass *p) {                                 \
    if (NV == 1) pass_gates(T, XS, ZS, 1, gate, p);                            \
    else pass_gates(T, XS, ZS, NVEC, gate, p);                                 \
  }

/* One vector of rows of the products q_i.k_j (j <= i) and p_i.k_j (j < i).
 * VECTOR_GATE: k_j decays on its way to token i, where p reads before the
 * decay of its own token or after; what is left at the block's end is kd. */
INLINE void couple_vec (const int T, const int gate, const bool before, const bool full,
                        ptrdiff_t n, ptrdiff_t d, const real *q, const real *p, const real *k,
                        const real *alpha, real *kd, vec *a) {
  vec K[TB];
  FOV_UNROLL
  for (int i = 0; i < T; i++) {
    const vec Q = load(full, q + i * d, n), P = load(full, p + i * d, n);
    FOV_UNROLL
    for (int j = 0; j < i; j++) {
      if (gate == VECTOR_GATE && !before) K[j] *= load(full, alpha + i * d, n);
      a[PX(i, j)] = vfma(P, K[j], a[PX(i, j)]);
      if (gate == VECTOR_GATE && before) K[j] *= load(full, alpha + i * d, n);
    }
    K[i] = load(full, k + i * d, n);
    FOV_UNROLL
    for (int j = 0; j <= i; j++) a[QX(i, j)] = vfma(Q, K[j], a[QX(i, j)]);
  }
  if (gate == VECTOR_GATE)
    FOV_UNROLL
    for (int i = 0; i < T; i++) store(full, kd + i * d, K[i], n);
}

/* The products of the block's reads with k; before: p reads what the decay of
 * its own token has not touched. */
INLINE void couple (const int T, const int gate, const bool before, ptrdiff_t d,
                    const real *q, const real *p, const real *k, const real *alpha,
                    real *kd, real *products) {
  vec a[16];
  FOV_UNROLL
  for (int i = 0; i < 16; i++) a[i] = vzero();
  const bool g = gate == VECTOR_GATE;
  ptrdiff_t c = 0;
  for (; c + VL <= d; c += VL)
    couple_vec(T, gate, before, true, VL, d, q + c, p + c, k + c, g ? alpha + c : NULL,
               g ? kd + c : NULL, a);
  if (c < d)
    couple_vec(T, gate, before, false, d - c, d, q + c, p + c, k + c, g ? alpha + c : NULL,
               g ? kd + c : NULL, a);
  if (T == 1) products[QX(0, 0)] = vsum(a[QX(0, 0)]);
  else sums16(a, products);
}

#endif
