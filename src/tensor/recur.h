/* recur.h -- the additive recurrence on a state S(d,e).
 *
 *   inclusive   S := A_t S + k_t v_t',   o_t = S' q_t
 *   exclusive   o_t = S' q_t,            S := A_t S + k_t v_t'
 *
 * A_t is 1, or the diagonal a_t over the rows or over the columns of S.
 * Strides from token to token may be negative (time runs backwards) or 0, so
 * the gradients of the recurrence are recurrences too:
 *
 *   dq_t = S_t do_t         forwards on S'(e,d) with (do, v, k) for (q, k, v)
 *   dv_t = R_t' k_t         backwards on R(d,e) with (k, q, do)
 *   dk_t = R_t v_t          backwards on R'(e,d) with (v, do, q)
 *
 * where R_t = dL/dS_t.  Time 4nde flops; scratch de + small. */
#ifndef FOV_RECUR_H
#define FOV_RECUR_H

#include "tensor/simd.h"

typedef enum fov_Gate { FOV_FREE, FOV_ROWS, FOV_COLS } fov_Gate;

typedef struct fov_Recur {
  ptrdiff_t n, d, e;
  const real *q, *k, *v, *a;
  ptrdiff_t ldq, ldk, ldv, lda;   /* elements from token to token */
  fov_Gate gate;                  /* where a lies; FOV_FREE: a is not read */
  ptrdiff_t each;                 /* 1: a gate per row or column; 0: one for all */
  bool exclusive, add;            /* add: o += S'q; otherwise o = */
  real *o;
  ptrdiff_t ldo;
  real *s;                        /* (d,e), contiguous: first, then last state */
  real *keep;                     /* NULL, or the states before tokens 0, FOV_WINDOW .. */
  /* Two arrays wanted soon, n rows 'ldask' apart: they are asked for under the
   * arithmetic.  NULL: the rows of q and k that come next. */
  const real *ask[2];
  ptrdiff_t ldask;
} fov_Recur;

/* Backward passes walk windows of this many tokens, from the states kept. */
enum { FOV_WINDOW = 192 };

static inline ptrdiff_t fov_windows (ptrdiff_t n) { return (n + FOV_WINDOW - 1) / FOV_WINDOW; }

/* Tokens [t, t + n) of 'r'; where states are kept t starts a window. */
static inline fov_Recur fov_recur_part (const fov_Recur *r, ptrdiff_t t, ptrdiff_t n) {
  fov_Recur p = *r;
  p.n = n;
  p.q += t * r->ldq;
  p.k += t * r->ldk;
  p.v += t * r->ldv;
  if (r->gate != FOV_FREE) p.a += t * r->lda;
  p.o += t * r->ldo;
  for (int i = 0; i < 2; i++)
    if (r->ask[i]) p.ask[i] += t * r->ldask;
  if (r->keep) p.keep += t / FOV_WINDOW * r->d * r->e;
  return p;
}

typedef struct fov_RecurKernels {
  /* Runs 'count' independent recurrences.  Every element goes through the
   * operations of the plain token loop in its order: the bits do not depend
   * on 'spread', nor on where a sequence is split.  spread: one head has the
   * machine to itself, cut it into more tasks. */
  fov_Status (*run) (const fov_Recur *list, int count, bool spread);

  /* z := z + k_t, den_t = q_t'z on z(f); without k (NULL) z stays, without q
   * there are no den.  Tokens are 'ld' apart. */
  void (*normaliser) (ptrdiff_t n, ptrdiff_t f, ptrdiff_t ld, const real *q, const real *k,
                      real *z, real *den);

  /* out_t = x_t'y_t over rows of x(n,e), y(n,e) */
  void (*dots) (ptrdiff_t n, ptrdiff_t e, const real *x, const real *y, real *out);

  /* y(e,d) = x(d,e)' */
  void (*transpose) (ptrdiff_t d, ptrdiff_t e, const real *x, real *y);
} fov_RecurKernels;

extern const fov_RecurKernels FOV_BUILD(fov_recur);

#endif
