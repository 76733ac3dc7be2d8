/* bias_gelu.c -- the GELU of a row plus a bias, in one pass each way.
 *
 *   z = x + b,  y = z Phi(z);   dx = dy (Phi(z) + z phi(z)),  db = sum dx
 *
 * Phi(-a) = e^{-a^2/2} t Q(t), t = 1/(1 + 0.35 a), a >= 0; Q by Remez exchange
 * on a <= 14, relative error 3e-8; in f32 the rounding of a^2 adds up to
 * a^2 2^-24 of a value that is then small.  f64 uses SLEEF's erfc.
 *
 * Hendrycks & Gimpel 2016 (arXiv:1606.08415), the exact form.  Time O(nd);
 * scratch d a task of rows in the backward pass. */
#include "ops/op.h"
#include "tensor/byrow.h"
#include "tensor/simd_math.h"

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t d;
  const real *x, *b, *dy;
  real *y, *dx, *part;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd');
  return (Job){ .cut = fov_cut(n, d), .d = d, .x = c->in[0].x, .b = c->in[1].x, .y = c->out[0].x };
}

/* Phi(z), and e^{-z^2/2} in *bell. */
static inline vec normal (vec z, vec *bell) {
  *bell = vexp_neg(z * z * (real)-0.5);
#if FOV_REAL == 32
  static const real q[] = { 0.13962140420076201f, 0.13986187149932275f, 0.1198328536985777f,
    0.10550806081510954f, -0.023109970288727593f, 0.1591743535249515f, -0.25571441661081852f,
    0.14397177114818243f, -0.029145943932067108f };
  enum { N = sizeof q / sizeof *q };
  vec t = 1 / (1 + vabs(z) * (real)0.35), p = vset(q[N - 1]);
  for (int i = N - 2; i >= 0; i--) p = p * t + q[i];
  p = p * t * *bell;
  return vselect((ivec)(z > 0), 1 - p, p);
#else
  return verfc(z * -0.7071067811865476) * (real)0.5;
#endif
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t d = a->d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++)
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec z = vload_at(a->x + i * d, j, d), bell;
      if (a->b) z += vload_at(a->b, j, d);
      vstore_at(a->y + i * d, z * normal(z, &bell), j, d);
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
  const real top = (real)0.3989422804014327;       /* phi(0) */
  real *db = a->part + task * d;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++)
    for (ptrdiff_t j = 0; j < d; j += VL) {
      vec z = vload_at(a->x + i * d, j, d), bell;
      if (a->b) z += vload_at(a->b, j, d);
      vec p = normal(z, &bell);
      vec g = vload_at(a->dy + i * d, j, d) * (p + z * bell * top);
      vstore_at(db, vload_at(db, j, d) + g, j, d);
      if (a->dx) vstore_at(a->dx + i * d, g, j, d);
    }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c);
  a.dy = c->dout[0].x, a.dx = c->din[0].x;
  a.part = fov_partial(a.cut.tasks, a.d);
  if (!a.part) return FOV_NOMEM;
  fov_Status s = fov_parallel(a.cut.tasks, backward, &a);
  if (c->din[1].x) fov_total(a.part, a.cut.tasks, a.d, 0, a.d, c->din[1].x);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 24 * size;
  r->exps = size;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(bias_gelu) = {
  .name = "bias_gelu",
  .sig = "x(n,d) bias?(d) -> y(n,d)",
  .doc = "z Phi(z) of z = x + bias, Phi the normal distribution function, in one pass.\n"
         "As (x + bias):gelu(), whose accuracy it has: 2e-7 of max(1, |z|) in f32.",
  .ref = "Hendrycks & Gimpel 2016, arXiv:1606.08415",
  .fwd = fwd, .bwd = bwd, .cost = cost
};
