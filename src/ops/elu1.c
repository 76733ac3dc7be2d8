/* elu1.c -- the feature map elu(x) + 1.
 *
 * Equations: tensor/elu1.h.
 * Katharopoulos et al. 2020 (arXiv:2006.16236).  Positive until exp(x)
 * underflows (x < -87 in f32), zero beyond.
 *
 * Time O(nd); no scratch. */
#include "ops/op.h"
#include "tensor/elu1.h"

#define STEP 65536

typedef struct Map { const real *x, *y, *dy; real *out; ptrdiff_t count; } Map;

static fov_Status map (void *arg, ptrdiff_t b) {
  const Map *a = arg;
  const ptrdiff_t i = b * STEP, left = a->count - i;
  elu1_map(left < STEP ? left : STEP, a->x + i, a->out + i);
  return FOV_OK;
}

static fov_Status back (void *arg, ptrdiff_t b) {
  const Map *a = arg;
  const ptrdiff_t i = b * STEP, left = a->count - i;
  elu1_back(left < STEP ? left : STEP, a->y + i, a->dy + i, a->out + i);
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Map a = { .x = c->in[0].x, .out = c->out[0].x, .count = fov_numel(&c->in[0]) };
  return fov_parallel((a.count + STEP - 1) / STEP, map, &a);
}

static fov_Status bwd (fov_Call *c) {
  Map a = { .y = c->out[0].x, .dy = c->dout[0].x, .out = c->din[0].x,
            .count = fov_numel(&c->in[0]) };
  if (!a.out) return FOV_OK;
  return fov_parallel((a.count + STEP - 1) / STEP, back, &a);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 2 * size;
  r->exps = size;
  r->bytes = 2 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(elu1) = {
  .name = "elu1",
  .sig = "x(n,d) -> phi(n,d)",
  .doc = "The feature map elu(x) + 1: x + 1 for x > 0, exp(x) otherwise.\n"
         "Deterministic; positive until exp(x) underflows (x < -87 in f32).",
  .ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  .caps = "nonneg",
  .fwd = fwd, .bwd = bwd, .cost = cost
};
