/* rms_norm.c -- rows divided by their root mean square.
 *
 *   r = (mean x^2 + eps)^(-1/2),  h = r x,  y = h o weight
 *   dx = r (g - h mean(g o h)) - dr r^2 h / d,  g = dy o weight;   dweight = sum dy o h
 *
 * Zhang & Sennrich 2019 (arXiv:1910.07467).  Time O(nd); scratch d a task of
 * rows in the backward pass. */
#include "ops/op.h"
#include "tensor/byrow.h"

enum { X, WEIGHT };

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d;
  const real *x, *w, *dy, *drstd;
  real eps, *y, *rstd, *dx, *part;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd');
  return (Job){ .cut = fov_cut(n, d), .d = d, .x = c->in[X].x, .w = c->in[WEIGHT].x,
                .eps = (real)c->opt[0], .y = c->out[0].x, .rstd = c->out[1].x };
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d;
    vec q = vzero();
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec z = vload_at(x, j, d);
      q += z * z;
    }
    const real rstd = 1 / (real)sqrt((double)(vsum(q) / (real)d + a->eps));
    a->rstd[i] = rstd;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec y = vload_at(x, j, d) * rstd;
      vstore_at(a->y + i * d, a->w ? y * vload_at(a->w, j, d) : y, j, d);
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
  real *dw = a->part + task * d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d, *dy = a->dy ? a->dy + i * d : NULL, rstd = a->rstd[i];
    vec t = vzero();
    for (ptrdiff_t j = 0; dy && j < d; j += VL) {
      vec e = vload_at(dy, j, d) * (vload_at(x, j, d) * rstd);
      vstore_at(dw, vload_at(dw, j, d) + e, j, d);
      t += a->w ? e * vload_at(a->w, j, d) : e;
    }
    if (!a->dx) continue;
    real slope = vsum(t) / (real)d * rstd * rstd;
    if (a->drstd) slope += a->drstd[i] * rstd * rstd * rstd / (real)d;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec g = vload_at(x, j, d) * -slope;
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
  a.dy = c->dout[0].x, a.drstd = c->dout[1].x, a.dx = c->din[X].x;
  a.part = fov_partial(a.cut.tasks, a.d);
  if (!a.part) return FOV_NOMEM;
  fov_Status s = fov_parallel(a.cut.tasks, backward, &a);
  if (c->din[WEIGHT].x) fov_total(a.part, a.cut.tasks, a.d, 0, a.d, c->din[WEIGHT].x);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 4 * size;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(rms_norm) = {
  .name = "rms_norm",
  .sig = "x(n,d) weight?(d) -> y(n,d) | rstd(n)",
  .doc = "Rows divided by their root mean square, then scaled by weight.\n"
         "rstd = (mean x^2 + eps)^(-1/2), inf where that mean and eps are 0.",
  .ref = "Zhang & Sennrich 2019, arXiv:1910.07467",
  .opt = { { "eps", 'n', 1e-6, 0, 1e30, "added to the mean of the squares", NULL } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
