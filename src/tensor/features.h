/* features.h -- blocks of positive features from logarithms or projections.
 *
 * A block is rows of 'ld' = f rounded up to whole vectors; the columns added
 * hold log 0.  c(ld) holds the stabilisers of positive.h. */
#ifndef FOV_FEATURES_H
#define FOV_FEATURES_H

#include "tensor/simd.h"

typedef struct fov_Features {
  ptrdiff_t f, ld;
  const real *panels;             /* sqrt(scale) w in panels; NULL: x are logarithms */
  ptrdiff_t r, d;                 /* rows and columns of w */
  bool hyperbolic, spread;
  real scale;
} fov_Features;

/* How far a logarithm may exceed its stabiliser: exp(RISE), the number of keys
 * and the features stay inside f32 together. */
#define FOV_RISE ((real)40)

typedef struct fov_FeatureKernels {
  /* Packs w(r,d) times sqrt(scale) for 'panels'; NULL: no memory. */
  const real *(*pack) (const fov_Features *p, const real *w);

  /* n rows of log-features; 'key': less half the squared norm. */
  fov_Status (*logs) (const fov_Features *p, bool key, ptrdiff_t n, const real *x, real *out);

  /* Rows of exp(l - c).  Rows from *good on, where one exceeds c by more than
   * FOV_RISE, are not to be used. */
  fov_Status (*keys) (const fov_Features *p, ptrdiff_t n, const real *x, const real *c, real *out,
                      ptrdiff_t *good);

  /* Rows of exp(l + c - top_t); with 'find' top_t is the largest l + c of its
   * row and is written, otherwise it is read. */
  fov_Status (*queries) (const fov_Features *p, ptrdiff_t n, const real *x, const real *c, bool find,
                         real *top, real *out);

  /* Whether a row of logarithms exceeds c; c := max(c, row). */
  bool (*exceeds) (const fov_Features *p, const real *row, const real *c);
  void (*raise) (const fov_Features *p, const real *row, real *c);

  /* x := exp(x - c), n rows of logarithms in place. */
  void (*exps) (const fov_Features *p, ptrdiff_t n, const real *c, real *x);
} fov_FeatureKernels;

extern const fov_FeatureKernels FOV_BUILD(fov_features);

#endif
