/* short_conv.c -- a causal convolution of each channel by itself.
 *
 *   z_t = sum_{j<k} w_j o x_{t-j} (+ b),  x_t = 0 before the first;  y = z, or silu(z)
 *   dx_t = sum_{j<k} w_j o dz_{t+j},   dw_j = sum_t dz_t o x_{t-j},   db = sum_t dz_t
 *
 * Rows are cut into tasks; the backward pass of one computes dz of the k - 1
 * rows after it anew.  Dauphin et al. 2017 (arXiv:1612.08083) gate such
 * convolutions; recurrent mixers put them before silu, as Dao & Gu 2024
 * (arXiv:2405.21060).  Time O(nkd); scratch (rows + 2k) d a task backward. */
#include "ops/op.h"
#include "tensor/byrow.h"

enum { X, W, B };

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d, k;
  bool silu;
  const real *x, *w, *b, *dy;
  real *y, *dx, *part;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd');
  return (Job){ .cut = fov_cut(n, d), .d = d, .k = fov_dim(c, 'k'), .silu = c->opt[0] != 0,
                .x = c->in[X].x, .w = c->in[W].x, .b = c->in[B].x, .y = c->out[0].x };
}

static inline vec row (const Job *a, ptrdiff_t t, ptrdiff_t j) {
  vec z = a->b ? vload_at(a->b, j, a->d) : vzero();
  for (ptrdiff_t i = 0; i < a->k && i <= t; i++)
    z += vload_at(a->w + i * a->d, j, a->d) * vload_at(a->x + (t - i) * a->d, j, a->d);
  return z;
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  for (ptrdiff_t t = task * a->cut.each; t < fov_cut_end(&a->cut, task); t++)
    for (ptrdiff_t j = 0; j < a->d; j += VL) {
      vec z = row(a, t, j);
      vstore_at(a->y + t * a->d, a->silu ? z * vsigmoid(z) : z, j, a->d);
    }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Job a = job(c);
  return fov_parallel(a.cut.tasks, forward, &a);
}

static fov_Status backward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d, from = task * a->cut.each, to = fov_cut_end(&a->cut, task);
  const ptrdiff_t past = to + a->k - 1 < a->cut.n ? to + a->k - 1 : a->cut.n;
  real *dz = fov_scratch((size_t)((past - from) * d) + 1, sizeof *dz);
  real *dw = a->part + task * (a->k + 1) * d, *db = dw + a->k * d;
  if (!dz) return FOV_NOMEM;
  for (ptrdiff_t t = from; t < past; t++)
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec g = vload_at(a->dy + t * d, j, d);
      if (a->silu) {
        vec z = row(a, t, j), s = vsigmoid(z);
        g *= s * (1 + z * (1 - s));
      }
      vstore_at(dz + (t - from) * d, g, j, d);
      if (t >= to) continue;
      vstore_at(db, vload_at(db, j, d) + g, j, d);
      for (ptrdiff_t i = 0; i < a->k && i <= t; i++)
        vstore_at(dw + i * d, vload_at(dw + i * d, j, d) + g * vload_at(a->x + (t - i) * d, j, d), j, d);
    }
  for (ptrdiff_t t = from; a->dx && t < to; t++)
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec g = vzero();
      for (ptrdiff_t i = 0; i < a->k && t + i < past; i++)
        g += vload_at(a->w + i * d, j, d) * vload_at(dz + (t + i - from) * d, j, d);
      vstore_at(a->dx + t * d, g, j, d);
    }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c);
  a.dy = c->dout[0].x, a.dx = c->din[X].x;
  const ptrdiff_t size = (a.k + 1) * a.d;
  a.part = fov_partial(a.cut.tasks, size);
  if (!a.part) return FOV_NOMEM;
  fov_Status s = fov_parallel(a.cut.tasks, backward, &a);
  if (c->din[W].x) fov_total(a.part, a.cut.tasks, size, 0, a.k * a.d, c->din[W].x);
  if (c->din[B].x) fov_total(a.part, a.cut.tasks, size, a.k * a.d, a.d, c->din[B].x);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 2 * (double)fov_dim(c, 'k') * size;
  r->exps = c->opt[0] != 0 ? size : 0;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(short_conv) = {
  .name = "short_conv",
  .sig = "x(n,d) w(k,d) bias?(d) -> y(n,d)",
  .doc = "A causal convolution of k taps along the tokens, each channel by itself; with silu, its silu.\n"
         "y_t = sum_j w_j o x_{t-j} (+ bias), w_0 (the first row of w) meeting the present token.",
  .ref = "Dao & Gu 2024, arXiv:2405.21060",
  .caps = "causal",
  .opt = { { "silu", 'b', 0, 0, 0, "apply silu to the result", NULL } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
