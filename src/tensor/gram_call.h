/* gram_call.h -- a kernel of gram.h as an operator x(n,d) y?(m,d) -> k(n,m).
 *
 * For files that have included ops/op.h.  The file defines kernel(c), which
 * gives the fields that are its own; sizes and pointers come from the call. */
#ifndef FOV_GRAM_CALL_H
#define FOV_GRAM_CALL_H

#include "tensor/gram.h"

static gram kernel (const fov_Call *c);

static gram gram_of (const fov_Call *c) {
  gram g = kernel(c);
  g.n = fov_dim(c, 'n');
  g.m = fov_dim(c, 'm');
  g.d = fov_dim(c, 'd');
  g.X = c->in[0].x;
  g.Y = c->in[1].x;
  g.K = c->out[0].x;
  g.dK = c->dout[0].x;
  g.dX = c->din[0].x;
  g.dY = c->din[1].x;
  return g;
}

static fov_Status fwd (fov_Call *c) {
  gram g = gram_of(c);
  return gram_forward(&g);
}

static fov_Status bwd (fov_Call *c) {
  gram g = gram_of(c);
  return gram_backward(&g);
}

static fov_Status sizes (fov_Call *c) {   /* without y, as many columns as rows */
  if (c->dim['m' - 'a'] < 0) c->dim['m' - 'a'] = fov_dim(c, 'n');
  return FOV_OK;
}

#endif
