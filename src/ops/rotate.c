/* rotate.c -- Givens rotations of pairs of coordinates, one after the other.
 *
 *   for t = 1..r:  (y_i, y_j) := (c y_i - s y_j, s y_i + c y_j),
 *                  i = from_t, j = to_t, c = cos a_t, s = sin a_t;   y = x at first
 *
 * The backward pass undoes them from the last on: with y and dy after step t,
 *   da_t = sum_rows dy_j y_i - dy_i y_j;   then both are rotated by -a_t.
 *
 * Time O(n r), sequential in t; scratch 2r (backward: 2d + 3r a task). */
#include "ops/op.h"
#include "tensor/simd.h"

enum { STEP = 16 };

typedef struct Job {
  ptrdiff_t n, d, r;
  const int64_t *from, *to;
  const real *x, *dy;
  real *c, *s, *y, *dx, *da;       /* da: one (r) for each task */
} Job;

static inline void turn (real *y, ptrdiff_t i, ptrdiff_t j, real c, real s) {
  real a = y[i], b = y[j];
  y[i] = c * a - s * b;
  y[j] = s * a + c * b;
}

static fov_Status forward (void *arg, ptrdiff_t b) {
  const Job *k = arg;
  for (ptrdiff_t i = b * STEP; i < k->n && i < (b + 1) * STEP; i++) {
    real *y = k->y + i * k->d;
    memcpy(y, k->x + i * k->d, (size_t)k->d * sizeof *y);
    for (ptrdiff_t t = 0; t < k->r; t++) turn(y, k->from[t] - 1, k->to[t] - 1, k->c[t], k->s[t]);
  }
  return FOV_OK;
}

static fov_Status backward (void *arg, ptrdiff_t b) {
  const Job *k = arg;
  real *y = fov_scratch((size_t)(2 * k->d), sizeof *y), *g = y + k->d;
  if (!y) return FOV_NOMEM;
  real *da = k->da ? k->da + b * k->r : NULL;
  if (da) memset(da, 0, (size_t)k->r * sizeof *da);
  for (ptrdiff_t n = b * STEP; n < k->n && n < (b + 1) * STEP; n++) {
    memcpy(y, k->y + n * k->d, (size_t)k->d * sizeof *y);
    memcpy(g, k->dy + n * k->d, (size_t)k->d * sizeof *g);
    for (ptrdiff_t t = k->r - 1; t >= 0; t--) {
      ptrdiff_t i = k->from[t] - 1, j = k->to[t] - 1;
      if (da) da[t] += g[j] * y[i] - g[i] * y[j];
      turn(y, i, j, k->c[t], -k->s[t]);
      turn(g, i, j, k->c[t], -k->s[t]);
    }
    if (k->dx) memcpy(k->dx + n * k->d, g, (size_t)k->d * sizeof *g);
  }
  return FOV_OK;
}

static fov_Status job (const fov_Call *c, Job *k) {
  *k = (Job){ .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .r = fov_dim(c, 'r'), .x = c->in[0].x,
              .from = c->in[2].x, .to = c->in[3].x, .y = c->out[0].x };
  const real *a = c->in[1].x;
  k->c = fov_scratch((size_t)(2 * k->r), sizeof *k->c);
  if (!k->c) return FOV_NOMEM;
  k->s = k->c + k->r;
  for (ptrdiff_t t = 0; t < k->r; t++) {
    k->c[t] = (real)cos((double)a[t]);
    k->s[t] = (real)sin((double)a[t]);
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Job k;
  fov_Status e = job(c, &k);
  return e != FOV_OK ? e : fov_parallel((k.n + STEP - 1) / STEP, forward, &k);
}

static fov_Status bwd (fov_Call *c) {
  Job k;
  fov_Status e = job(c, &k);
  if (e != FOV_OK) return e;
  ptrdiff_t tasks = (k.n + STEP - 1) / STEP;
  k.dy = c->dout[0].x;
  k.dx = c->din[0].x;
  real *da = c->din[1].x;
  if (da && !(k.da = fov_scratch((size_t)(tasks * k.r), sizeof *k.da))) return FOV_NOMEM;
  e = fov_parallel(tasks, backward, &k);
  if (e != FOV_OK || !da) return e;
  memset(da, 0, (size_t)k.r * sizeof *da);
  for (ptrdiff_t b = 0; b < tasks; b++)
    for (ptrdiff_t t = 0; t < k.r; t++) da[t] += k.da[b * k.r + t];
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) {
  const int64_t *from = c->in[2].x, *to = c->in[3].x;
  ptrdiff_t d = fov_dim(c, 'd');
  for (ptrdiff_t t = 0; t < fov_dim(c, 'r'); t++)
    if (from[t] < 1 || from[t] > d || to[t] < 1 || to[t] > d || from[t] == to[t])
      return fov_fail(FOV_VALUE, "from, to: expected two different columns of 1 to %td, got %lld and %lld", d,
                      (long long)from[t], (long long)to[t]);
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), k = (double)fov_dim(c, 'r');
  r->flops = 6 * n * k;
  r->bytes = (double)sizeof(real) * 2 * n * d;
}

const fov_Op FOV_OP(rotate) = {
  .name = "rotate",
  .sig = "x(n,d) angle(r) from:i64(r) to:i64(r) -> y(n,d)",
  .doc = "Givens rotations of the coordinates (from, to) of each row, one after the other, by angles\n"
         "in radians. y = x G' for the orthogonal product G of r rotations, in O(n r) without G.",
  .ref = "Kac 1956, \"Foundations of kinetic theory\"; Choromanski et al. 2021, arXiv:2009.14794",
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
