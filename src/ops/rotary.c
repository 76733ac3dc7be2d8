/* rotary.c -- pairs of each token turned by an angle that grows with its place.
 *
 *   h = d/2,  a_ti = (t + offset) base^{-2i/d},  t, i from 0
 *   y_i = x_i cos a - x_{i+h} sin a,   y_{i+h} = x_i sin a + x_{i+h} cos a
 *
 * The gradient turns back.  Angles are reduced to [-pi, pi] in f64.
 *
 * Su et al. 2021 (arXiv:2104.09864).  Time O(nd) and nd/2 sines and cosines a
 * head; scratch 3d/2 a task of rows. */
#include "ops/op.h"
#include "tensor/byrow.h"
#include "tensor/simd_math.h"

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d;
  double base, offset;
  const real *x;
  real *y, sign;
} Job;

static fov_Status turn (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t h = a->d / 2;
  const double round = 6755399441055744.0, turns = 0.15915494309189535, tau = 6.283185307179586;
  double *rate = fov_scratch((size_t)h + 1, sizeof *rate);
  real *angle = fov_scratch((size_t)h + 1, sizeof *angle);
  if (!rate || !angle) return FOV_NOMEM;
  for (ptrdiff_t i = 0; i < h; i++) rate[i] = pow(a->base, -2 * (double)i / (double)a->d);
  for (ptrdiff_t t = task * a->cut.each; t < fov_cut_end(&a->cut, task); t++) {
    const double at = (double)t + a->offset;
    for (ptrdiff_t i = 0; i < h; i++) {
      double full = at * rate[i];
      angle[i] = (real)(full - ((full * turns + round) - round) * tau) * a->sign;
    }
    const real *x = a->x + t * a->d;
    real *y = a->y + t * a->d;
    for (ptrdiff_t j = 0; j < h; j += VL) {
      vec w = vload_at(angle, j, h), s = vsin(w), c = vcos(w);
      vec p = vload_at(x, j, h), q = vload_at(x + h, j, h);
      vstore_at(y, p * c - q * s, j, h);
      vstore_at(y + h, p * s + q * c, j, h);
    }
  }
  return FOV_OK;
}

static Job job (const fov_Call *c, const void *x, void *y, real sign) {
  return (Job){ .cut = fov_cut(fov_dim(c, 'n'), fov_dim(c, 'd')), .d = fov_dim(c, 'd'), .base = c->opt[0],
                .offset = c->opt[1], .x = x, .y = y, .sign = sign };
}

static fov_Status sizes (fov_Call *c) {
  if (fov_dim(c, 'd') % 2 == 0) return FOV_OK;
  return fov_fail(FOV_VALUE, "x: expected an even width d, got %td", fov_dim(c, 'd'));
}

static fov_Status fwd (fov_Call *c) {
  Job a = job(c, c->in[0].x, c->out[0].x, 1);
  return fov_parallel(a.cut.tasks, turn, &a);
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c, c->dout[0].x, c->din[0].x, -1);
  return a.y ? fov_parallel(a.cut.tasks, turn, &a) : FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 20 * size;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(rotary) = {
  .name = "rotary",
  .sig = "x(n,d) -> y(n,d)",
  .doc = "Rotary positions: the pair (x_i, x_{i+d/2}) of token t turned by (t + offset) base^{-2i/d}.\n"
         "t and i from 0; d is even. Products of two turned tokens depend on their distance alone.",
  .ref = "Su et al. 2021, arXiv:2104.09864",
  .opt = { { "base", 'n', 10000, 1, 1e30, "of the angles", NULL },
           { "offset", 'n', 0, -9e15, 9e15, "place of the first token", NULL } },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
