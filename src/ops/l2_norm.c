/* l2_norm.c -- rows of unit length, with or without silu before.
 *
 *   u = x, or silu(x) = x s(x);   r = (|u|^2 + eps)^(-1/2),  y = r u
 *   du = r (dy - y (dy.y)) - dr r^2 y,   dx = du, or du o s (1 + x (1 - s))
 *
 * Keys and queries of delta rules: Yang et al. 2024 (arXiv:2406.06484).  Time
 * O(nd); no scratch. */
#include "ops/op.h"
#include "tensor/byrow.h"

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d;
  bool silu;
  const real *x, *dy, *dr;
  real eps, *y, *r, *dx;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd');
  return (Job){ .cut = fov_cut(n, d), .d = d, .silu = c->opt[1] != 0, .x = c->in[0].x,
                .eps = (real)c->opt[0], .y = c->out[0].x, .r = c->out[1].x };
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d;
    real *y = a->y + i * d;
    vec q = vzero();
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec u = vload_at(x, j, d);
      if (a->silu) u *= vsigmoid(u);
      vstore_at(y, u, j, d);
      q += u * u;
    }
    const real r = 1 / (real)sqrt((double)(vsum(q) + a->eps));
    a->r[i] = r;
    for (ptrdiff_t j = 0; j < d; j += VL) vstore_at(y, vload_at(y, j, d) * r, j, d);
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
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * d, *y = a->y + i * d, *dy = a->dy ? a->dy + i * d : NULL, r = a->r[i];
    vec t = vzero();
    for (ptrdiff_t j = 0; dy && j < d; j += VL) t += vload_at(dy, j, d) * vload_at(y, j, d);
    real slope = vsum(t) * r;
    if (a->dr) slope += a->dr[i] * r * r;
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec g = vload_at(y, j, d) * -slope;
      if (dy) g += vload_at(dy, j, d) * r;
      if (a->silu) {
        vec z = vload_at(x, j, d), s = vsigmoid(z);
        g *= s * (1 + z * (1 - s));
      }
      vstore_at(a->dx + i * d, g, j, d);
    }
  }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c);
  a.dy = c->dout[0].x, a.dr = c->dout[1].x, a.dx = c->din[0].x;
  return a.dx ? fov_parallel(a.cut.tasks, backward, &a) : FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 4 * size;
  r->exps = c->opt[1] != 0 ? size : 0;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(l2_norm) = {
  .name = "l2_norm",
  .sig = "x(n,d) -> y(n,d) | scale(n)",
  .doc = "Rows divided by their length; with silu the rows are those of x sigmoid(x).\n"
         "scale = (|u|^2 + eps)^(-1/2): with eps above 0 a row of zeros stays, with 0 it is NaN.",
  .ref = "Yang et al. 2024, arXiv:2406.06484",
  .opt = { { "eps", 'n', 1e-6, 0, 1e30, "added to the square of the length", NULL },
           { "silu", 'b', 0, 0, 0, "apply silu first", NULL } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
