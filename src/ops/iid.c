/* iid.c -- rows of independent standard normal entries.
 *
 *   w_ij ~ N(0,1)
 *
 * Drawn in f64 whatever the dtype, so that an f32 projection is the rounding
 * of the f64 one.  Time O(md), 5 ns an entry and thread; scratch one tile. */
#include "ops/op.h"

#include "tensor/simd.h"

enum { TILE = 4096 };

static fov_Status tile (void *arg, ptrdiff_t i) {
  const fov_Call *c = arg;
  real *w = (real *)c->out[0].x + i * TILE;
  ptrdiff_t n = fov_dim(c, 'm') * fov_dim(c, 'd') - i * TILE;
  if (n > TILE) n = TILE;
  fov_Stream s = c->stream;
  s.at += (uint64_t)i * (TILE / 2);
  double *x = fov_scratch(TILE, sizeof *x);
  if (!x) return FOV_NOMEM;
  fov_Status status = fov_normal_f64(&s, n, x);
  for (ptrdiff_t j = 0; status == FOV_OK && j < n; j++) w[j] = (real)x[j];
  return status;
}

static fov_Status fwd (fov_Call *c) {
  return fov_parallel((fov_dim(c, 'm') * fov_dim(c, 'd') + TILE - 1) / TILE, tile, c);
}

static void cost (const fov_Call *c, fov_Cost *k) {
  double n = (double)(fov_dim(c, 'm') * fov_dim(c, 'd'));
  *k = (fov_Cost){ .flops = 30 * n, .bytes = n * sizeof(real) };
}

const fov_Op FOV_OP(iid) = {
  .name = "iid",
  .kind = FOV_SAMPLER,
  .sig = "-> w(m,d)",
  .doc = "Rows of independent standard normal entries.\n"
         "The plain Monte Carlo projection; the f32 matrix is the f64 one, rounded.",
  .ref = "Rahimi & Recht 2007, \"Random features for large-scale kernel machines\"",
  .caps = "unbiased",
  .fwd = fwd,
  .cost = cost
};
