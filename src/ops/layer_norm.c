/* layer_norm.c -- rows moved to mean 0 and scaled to variance 1.
 *
 *   m = mean x,  r = (mean (x - m)^2 + eps)^(-1/2),  h = r (x - m),  y = h o weight + bias
 *
 * Backward, with g = dy o weight and means over the row:
 *   dx = r (g - mean g - h mean(g o h)) + dm/d - dr r^2 h / d
 *   dweight = sum dy o h,   dbias = sum dy
 *
 * Ba, Kiros & Hinton 2016 (arXiv:1607.06450).  Time O(nd); scratch 2d a task
 * of rows in the backward pass. */
#include "ops/op.h"
#include "tensor/byrow.h"

enum { X, WEIGHT, BIAS };

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d;
  const real *x, *w, *b, *dy, *dmean, *drstd;
  real eps, *y, *mean, *rstd, *dx, *part;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd');
  return (Job){ .cut = fov_cut(n, d), .d = d, .x = c->in[X].x, .w = c->in[WEIGHT].x, .b = c->in[BIAS].x,
                .eps = (real)c->opt[0], .y = c->out[0].x, .mean = c->out[1].x, .rstd = c->out[2].x };
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d;
    vec s = vzero(), q = vzero();
    for (ptrdiff_t j = 0; j < d; j += VL) s += vload_at(x, j, d);
    const real mean = vsum(s) / (real)d;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec z = d - j < VL ? vload_n(x + j, d - j, mean) : vload(x + j);
      z -= mean;
      q += z * z;
    }
    const real rstd = 1 / (real)sqrt((double)(vsum(q) / (real)d + a->eps));
    a->mean[i] = mean, a->rstd[i] = rstd;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec y = (vload_at(x, j, d) - mean) * rstd;
      if (a->w) y *= vload_at(a->w, j, d);
      if (a->b) y += vload_at(a->b, j, d);
      vstore_at(a->y + i * d, y, j, d);
    }
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Job a = job(c);
  return fov_parallel(a.cut.tasks, forward, &a);
}

static fov_Status backward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d;
  real *dw = a->part + task * 2 * d, *db = dw + d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d, *dy = a->dy ? a->dy + i * d : NULL;
    const real mean = a->mean[i], rstd = a->rstd[i];
    vec s = vzero(), t = vzero();
    for (ptrdiff_t j = 0; dy && j < d; j += VL) {
      vec e = vload_at(dy, j, d), h = (vload_at(x, j, d) - mean) * rstd;   /* e = 0 past the row */
      vstore_at(dw, vload_at(dw, j, d) + e * h, j, d);
      vstore_at(db, vload_at(db, j, d) + e, j, d);
      if (a->w) e *= vload_at(a->w, j, d);
      s += e;
      t += e * h;
    }
    if (!a->dx) continue;
    real shift = vsum(s) / (real)d * rstd, slope = vsum(t) / (real)d * rstd;
    if (a->dmean) shift -= a->dmean[i] / (real)d;
    if (a->drstd) slope += a->drstd[i] * rstd * rstd / (real)d;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec h = (vload_at(x, j, d) - mean) * rstd, g = -shift - h * slope;
      if (dy) {
        vec e = vload_at(dy, j, d) * rstd;
        g += a->w ? e * vload_at(a->w, j, d) : e;
      }
      vstore_at(a->dx + i * d, g, j, d);
    }
  }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c);
  a.dy = c->dout[0].x, a.dmean = c->dout[1].x, a.drstd = c->dout[2].x;
  a.dx = c->din[X].x;
  a.part = fov_partial(a.cut.tasks, 2 * a.d);
  if (!a.part) return FOV_NOMEM;
  fov_Status s = fov_parallel(a.cut.tasks, backward, &a);
  for (int k = WEIGHT; k <= BIAS; k++)
    if (c->din[k].x) fov_total(a.part, a.cut.tasks, 2 * a.d, (k - WEIGHT) * a.d, a.d, c->din[k].x);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 8 * size;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(layer_norm) = {
  .name = "layer_norm",
  .sig = "x(n,d) weight?(d) bias?(d) -> y(n,d) | mean(n) rstd(n)",
  .doc = "Rows moved to mean 0 and scaled to variance 1, then scaled by weight and moved by bias.\n"
         "rstd = (var + eps)^(-1/2), var the mean of (x - mean)^2; rstd is inf where var + eps is 0.",
  .ref = "Ba, Kiros & Hinton 2016, arXiv:1607.06450",
  .opt = { { "eps", 'n', 1e-5, 0, 1e30, "added to the variance", NULL } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
