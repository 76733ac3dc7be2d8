/* scores.h -- tiles of softmax scores: who sees whom, biases, exponentials.
 *
 * For files built per dtype and level.  Scores are kept in units of log 2, so
 * that probabilities are powers of two:
 *
 *   x_ij = f q_i.k_j            f = scale log2(e), or scale/cap under a softcap
 *   s_ij = x_ij                 or cap log2(e) tanh(x_ij)
 *        - log2(e) slope |i + off - j|  +  log2(e) bias_ij
 *
 * and query i sees keys lo(i) <= j < hi(i); both bounds grow with i. */
#ifndef FOV_SCORES_H
#define FOV_SCORES_H

#include "tensor/simd_math.h"
#include "tensor/tile.h"

#define LOG2E ((real)1.44269504088896340736)
#define LN2 ((real)0.693147180559945309417)

typedef struct Scores {
  ptrdiff_t n, m;              /* queries; keys that exist */
  ptrdiff_t off, left, right;  /* i sees i+off-left .. i+off+right */
  real factor, cap, slope;     /* cap, slope: 0 is off */
  const real *bias;            /* row-major, or NULL */
  ptrdiff_t ldbias;
  bool plain;                  /* s = x */
} Scores;

static inline ptrdiff_t sees_from (const Scores *s, ptrdiff_t i) {
  return most(0, i + s->off - s->left);
}
static inline ptrdiff_t sees_to (const Scores *s, ptrdiff_t i) {
  return least(s->m, i + s->off + s->right + 1);
}

/* ---- 2^t --------------------------------------------------------------- */

/* 2^t = 2^k p(t - k), k = round(t): adding 1.5 * 2^(mantissa) + exponent bias
 * leaves k + bias in the low bits, which shifted up are 2^k.  p is minimax on
 * |r| <= 1/2 with p(0) = 1, relative error 9.2e-8 (f32), 1.8e-17 (f64). */
#if FOV_REAL == 32
#define EXP2_MAGIC ((real)(12582912 + 127))
#define EXP2_LOW ((real)-127)
#define EXP2_SHIFT 23
#define EXP2_EXACT ((real)(1 << 21))
#else
#define EXP2_MAGIC ((real)(6755399441055744 + 1023))
#define EXP2_LOW ((real)-1023)
#define EXP2_SHIFT 52
#define EXP2_EXACT ((real)((int64_t)1 << 50))
#endif

/* 2^(t-M) for t <= M, where magic = EXP2_MAGIC - M and M is an integer with
 * |M| <= EXP2_EXACT; 0 from low = M + EXP2_LOW down; NaN stays NaN. */
static inline vec exp2_from (vec t, vec magic, vec low) {
  t = vmax(low, t);
  vec k = t + magic;
  vec r = t - (k - magic);
#if FOV_REAL == 32
  vec p = vset(0.00132647263681506843f);
  p = p * r + 0.00967151269766104415f;
  p = p * r + 0.0555073374601161105f;
  p = p * r + 0.240222420841106019f;
  p = p * r + 0.693146977597238392f;
#else
  vec p = vset(4.078071929588336665e-10);
  p = p * r + 7.0725704128144235096e-9;
  p = p * r + 1.0180647659234138888e-7;
  p = p * r + 1.3215442675629822143e-6;
  p = p * r + 0.000015252727385193868197;
  p = p * r + 0.0001540353044157213033;
  p = p * r + 0.0013333558153439964747;
  p = p * r + 0.0096181291076070023796;
  p = p * r + 0.055504108664790394552;
  p = p * r + 0.24022650695910098007;
  p = p * r + 0.69314718055994569675;
#endif
  p = p * r + (real)1;
  return p * (vec)((ivec)k << EXP2_SHIFT);
}

static inline vec exp2_below (vec t) {
  return exp2_from(t, vset(EXP2_MAGIC), vset(EXP2_LOW));
}

/* 2^k for an integer k <= 0; 0 below the normal range. */
static inline real pow2_below (real k) {
  real y;
  rint_t bits = k > EXP2_LOW ? (rint_t)(k - EXP2_LOW) << EXP2_SHIFT : 0;
  memcpy(&y, &bits, sizeof y);
  return k == k ? y : k;
}

/* ---- tiles ------------------------------------------------------------- */

static inline vec lanes (ptrdiff_t from) {
  static const real iota[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
  return vload(iota) + (real)from;
}
/* X(rows, c0..c1) = A(rows,d) B', B in panels; c0 and c1 are multiples of VL.
 * A panel stays in L1 for all rows. */
static inline void score_tile (ptrdiff_t rows, ptrdiff_t c0, ptrdiff_t c1, ptrdiff_t d,
                               const real *a, ptrdiff_t lda, const real *panels,
                               real *x, ptrdiff_t ldx) {
  for (ptrdiff_t c = c0, w; c < c1; c += w) {
    ptrdiff_t in = c % TILE_COLS;
    w = least(c1 - c, TILE_COLS - in);
    product(false, rows, w, d, a, lda, panels + (c - in) * d + in, TILE_COLS, x + c, ldx);
  }
}

/* One vector of x (columns from key j on, row i) to s; *slope1 is 1 - tanh^2
 * under a softcap and *far = |i + off - j| under a slope. */
static inline vec score (const Scores *s, ptrdiff_t i, ptrdiff_t j, vec x, vec *slope1,
                         vec *far) {
  if (s->cap != 0) {
    vec t = vtanh(x);
    *slope1 = 1 - t * t;
    x = s->cap * LOG2E * t;
  }
  if (s->slope != 0) {
    vec u = lanes(j - i - s->off);
    *far = vmax(u, -u);
    x -= s->slope * LOG2E * *far;
  }
  if (s->bias) {
    const real *b = s->bias + i * s->ldbias + j;
    x += LOG2E * (j + VL <= s->m ? vload(b) : vload_n(b, most(0, s->m - j), 0));
  }
  return x;
}

/* out(w) = f * x(w) */
static inline void put_row (real *out, real f, const real *x, ptrdiff_t w) {
  ptrdiff_t c = 0;
  for (; c + VL <= w; c += VL) vstore(out + c, f * vload(x + c));
  for (; c < w; c++) out[c] = f * x[c];
}

/* x[c] := a for c0 <= c < c1 outside [lo,hi); c0 and c1 are multiples of VL. */
static inline void hide (real *x, ptrdiff_t c0, ptrdiff_t c1, ptrdiff_t lo, ptrdiff_t hi,
                         real a) {
  for (ptrdiff_t c = c0; c < lo && c < c1; c += VL)
    vstore(x + c, vselect((ivec)(lanes(c) < (real)lo), vset(a), vload(x + c)));
  for (ptrdiff_t c = hi / VL * VL; c < c1; c += VL)
    vstore(x + c, vselect((ivec)(lanes(c) < (real)hi), vload(x + c), vset(a)));
}

/* True if bias is -inf in all of rows [i0,i1), keys [j0,j1). */
static inline bool bias_hides (const Scores *s, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                               ptrdiff_t j1) {
  for (ptrdiff_t i = i0; i < i1; i++) {
    const real *b = s->bias + i * s->ldbias;
    for (ptrdiff_t j = j0; j < j1; j++)
      if (!(b[j] == -(real)INFINITY)) return false;
  }
  return true;
}

#endif
