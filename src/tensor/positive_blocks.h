/* positive_blocks.h -- what the passes of tensor/positive.h share: blocks of
 * features with their stabilisers, and the products they enter. */
#ifndef FOV_POSITIVE_BLOCKS_H
#define FOV_POSITIVE_BLOCKS_H

#include "base/pool.h"
#include "tensor/features.h"
#include "tensor/positive.h"
#include "tensor/product.h"
#include "tensor/recur.h"
#include "tensor/stretch.h"
#include "tensor/tile.h"

enum { BLOCK = FOV_WINDOW };

/* Stands for the c of a feature no key has had: finite, so that differences
 * stay numbers.  Shown to others as -inf. */
#define NEVER (-(sizeof(real) == 4 ? (real)3e38 : (real)1e308))

typedef struct Work {
  const fov_Positive *p;
  fov_Features F;
  fov_Stretch at;
  ptrdiff_t f, e, ld, width;      /* width: of a row of q and k */
  real *K, *Q;                    /* a block of features each */
  real *c;                        /* (ld) running */
} Work;

/* The stabilisers along a block: rows [start[i], start[i+1]) use c + i ld. */
typedef struct Segments {
  int count;
  bool rose;                      /* the first differs from what came in */
  ptrdiff_t start[BLOCK + 1];
  const real *c;
} Segments;

static inline real *reals (ptrdiff_t count) { return fov_scratch((size_t)count, sizeof(real)); }

static inline void copy (real *to, const real *from, ptrdiff_t count) {
  if (from) memcpy(to, from, (size_t)count * sizeof *to);
  else memset(to, 0, (size_t)count * sizeof *to);
}

static inline void load_c (const Work *w, const real *c) {
  for (ptrdiff_t i = 0; i < w->ld; i++)
    w->c[i] = i >= w->f ? 0 : c && c[i] > NEVER ? c[i] : NEVER;
}

static inline void store_c (const Work *w, real *c) {
  for (ptrdiff_t i = 0; i < w->f; i++) c[i] = w->c[i] > NEVER ? w->c[i] : -(real)INFINITY;
}

static inline fov_Status begin (Work *w, const fov_Positive *p) {
  const ptrdiff_t r = p->hyperbolic ? p->f / 2 : p->f;
  *w = (Work){ .p = p, .f = p->f, .e = p->e, .ld = roundup(p->f, VL), .width = p->w ? p->d : p->f };
  w->at = fov_stretch(p->n, p->m, p->length, p->causal, p->s != NULL);
  w->F = (fov_Features){ .f = p->f, .ld = w->ld, .r = r, .d = p->d, .hyperbolic = p->hyperbolic,
                         .spread = p->spread, .scale = p->scale };
  if (p->w && !(w->F.panels = FOV_BUILD(fov_features).pack(&w->F, p->w))) return FOV_NOMEM;
  w->K = reals(BLOCK * w->ld);
  w->Q = reals(BLOCK * w->ld);
  w->c = reals(w->ld);
  return w->K && w->Q && w->c ? FOV_OK : FOV_NOMEM;
}

/* K := features of n keys from key t; w->c moves on to the end of the block. */
static inline fov_Status segments (Work *w, ptrdiff_t t, ptrdiff_t n, Segments *g) {
  const fov_Features *F = &w->F;
  const real *x = w->p->k + t * w->width;
  ptrdiff_t good, j;
  g->count = 1;
  g->rose = false;
  g->start[0] = 0;
  g->start[1] = n;
  g->c = w->c;
  fov_Status s = FOV_BUILD(fov_features).keys(F, n, x, w->c, w->K, &good);
  if (s != FOV_OK || good == n) return s;
  real *c = reals((n + 1) * w->ld), *l = w->K + good * w->ld;
  if (!c) return FOV_NOMEM;
  s = FOV_BUILD(fov_features).logs(F, true, n - good, x + good * w->width, l);
  g->c = c;
  g->count = 0;
  for (ptrdiff_t i = good; s == FOV_OK && i < n; i = j, l = w->K + i * w->ld) {
    const bool rise = FOV_BUILD(fov_features).exceeds(F, l, w->c);
    if (g->count == 0 && (i > 0 || !rise)) {   /* what came in still holds */
      copy(c, w->c, w->ld);
      g->count = 1;
    }
    if (rise) {
      FOV_BUILD(fov_features).raise(F, l, w->c);
      copy(c + g->count * w->ld, w->c, w->ld);
      g->rose = g->rose || i == 0;
      g->start[g->count++] = i;
    }
    for (j = i + 1; j < n && !FOV_BUILD(fov_features).exceeds(F, w->K + j * w->ld, w->c); j++);
    FOV_BUILD(fov_features).exps(F, j - i, w->c, l);
  }
  g->start[g->count] = n;
  return s;
}

/* rho(ld) = exp(from - to), and rows of S(f,e), z scaled by it. */
static inline void scales (const Work *w, const real *from, const real *to, real *rho) {
  for (ptrdiff_t i = 0; i < w->ld; i += VL) vstore(rho + i, vexp_neg(vload(from + i) - vload(to + i)));
}
static inline void rescale_rows (const Work *w, const real *rho, real *s, real *z) {
  for (ptrdiff_t i = 0; i < w->f; i++) {
    for (ptrdiff_t j = 0; j < w->e; j++) s[i * w->e + j] *= rho[i];
    z[i] *= rho[i];
  }
}
static inline void rescale_columns (const Work *w, const real *rho, real *t) {
  for (ptrdiff_t j = 0; j < w->e; j++)
    for (ptrdiff_t i = 0; i < w->f; i++) t[j * w->f + i] *= rho[i];
}

/* S(f,e) += X'Y over n rows */
static inline fov_Status absorb (const Work *w, ptrdiff_t n, const real *x, const real *y, real *s) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = w->f, .n = w->e, .k = n, .a = x, .lda = w->ld, .ta = true, .b = y, .ldb = w->e,
    .c = s, .ldc = w->e, .add = true }, w->p->spread);
}

/* y(n,e) = X S */
static inline fov_Status recall (const Work *w, ptrdiff_t n, const real *x, const real *s, real *y) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = n, .n = w->e, .k = w->f, .a = x, .lda = w->ld, .b = s, .ldb = w->e, .c = y, .ldc = w->e },
    w->p->spread);
}

/* X(n,f) = Y T, T = S'(e,f) */
static inline fov_Status adjoint (const Work *w, ptrdiff_t n, const real *y, const real *t, real *x) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = n, .n = w->f, .k = w->e, .a = y, .lda = w->e, .b = t, .ldb = w->f, .c = x, .ldc = w->ld },
    w->p->spread);
}

#endif
