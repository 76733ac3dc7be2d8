/* silu_mul.c -- y = silu(a) o b, the gate of SwiGLU.
 *
 *   s = 1/(1 + e^{-a}),  y = a s b;   da = dy b s (1 + a (1 - s)),  db = dy a s
 *
 * Shazeer 2020 (arXiv:2002.05202).  Time O(nd); no scratch. */
#include "ops/op.h"
#include "tensor/byrow.h"

typedef struct Job {
  fov_Cut cut;
  const real *a, *b, *dy;
  real *y, *da, *db;
} Job;

static Job job (const fov_Call *c) {
  return (Job){ .cut = fov_cut(fov_numel(&c->in[0]), 1), .a = c->in[0].x, .b = c->in[1].x, .y = c->out[0].x };
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *j = arg;
  const ptrdiff_t end = fov_cut_end(&j->cut, task);
  for (ptrdiff_t i = task * j->cut.each; i < end; i += VL) {
    vec a = vload_at(j->a, i, end);
    vstore_at(j->y, a * vsigmoid(a) * vload_at(j->b, i, end), i, end);
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Job j = job(c);
  return fov_parallel(j.cut.tasks, forward, &j);
}

static fov_Status backward (void *arg, ptrdiff_t task) {
  const Job *j = arg;
  const ptrdiff_t end = fov_cut_end(&j->cut, task);
  for (ptrdiff_t i = task * j->cut.each; i < end; i += VL) {
    vec a = vload_at(j->a, i, end), s = vsigmoid(a), g = vload_at(j->dy, i, end) * s;
    if (j->da) vstore_at(j->da, g * vload_at(j->b, i, end) * (1 + a * (1 - s)), i, end);
    if (j->db) vstore_at(j->db, g * a, i, end);
  }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job j = job(c);
  j.dy = c->dout[0].x, j.da = c->din[0].x, j.db = c->din[1].x;
  return fov_parallel(j.cut.tasks, backward, &j);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'd');
  r->flops = 4 * size;
  r->exps = size;
  r->bytes = 3 * (double)sizeof(real) * size;
}

const fov_Op FOV_OP(silu_mul) = {
  .name = "silu_mul",
  .sig = "a(n,d) b(n,d) -> y(n,d)",
  .doc = "a sigmoid(a) o b in one pass: the gate of SwiGLU.",
  .ref = "Shazeer 2020, arXiv:2002.05202",
  .fwd = fwd, .bwd = bwd, .cost = cost
};
