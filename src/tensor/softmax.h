/* softmax.h -- one problem of exact softmax attention, and its two passes.
 *
 * For files built per dtype and level.  The passes run in parallel inside;
 * their work is cut by the sizes alone. */
#ifndef FOV_SOFTMAX_H
#define FOV_SOFTMAX_H

#include "base/pool.h"
#include "tensor/scores.h"

typedef struct Softmax {
  Scores s;
  ptrdiff_t d, e, dp, ep;        /* widths; the same in whole vectors */
  real scale;                    /* of q.k, for the gradient */
  real sink;                     /* logit in units of log 2; -inf: there is none */
  const real *q, *k, *v;         /* (n,d) (m,d) (m,e); keys from s.m on are not read */
  real *o, *lse;                 /* (n,e) (n); backward reads them */

  const real *go, *glse;         /* dL/do, dL/dlse; NULL: zero */
  ptrdiff_t keys;                /* rows of dk and dv, at least s.m */
  real *dq, *dk, *dv, *dbias;    /* NULL: not wanted; dbias has rows of s.ldbias */
  real *dslope, *dsink;
} Softmax;

typedef struct fov_SoftmaxPass {
  fov_Status (*run) (const Softmax *h);
} fov_SoftmaxPass;

extern const fov_SoftmaxPass FOV_BUILD(fov_softmax_forward);
extern const fov_SoftmaxPass FOV_BUILD(fov_softmax_backward);

#endif
