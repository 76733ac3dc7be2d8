/* project.h -- what feature maps share: U = X W', its adjoints, and a row
 * function that turns projections into features while they are in cache.
 * For files built per dtype and level.
 *
 *   X(n,d), W(m,d); W == NULL stands for the identity (m = d).
 *   G = dL/dU:  dX = G W + diag(s) X,   dW = G' X
 *
 * where s is what a map adds through a dependence on |x|.  Rows are cut into
 * blocks by the sizes alone, so results do not depend on the thread count. */
#ifndef FOV_PROJECT_H
#define FOV_PROJECT_H

#include "base/pool.h"
#include "tensor/blas.h"
#include "tensor/tile.h"

typedef struct project {
  ptrdiff_t n, d, m;
  const real *X, *W;
  real *U;                 /* forward: n rows of 'ldu' >= m; backward: G(n,m) */
  ptrdiff_t ldu;
  real *s;                 /* backward: s(n), or NULL where it is zero */
  real *dX, *dW;           /* backward: NULL where not wanted */
  void (*rows) (const struct project *p, ptrdiff_t i, ptrdiff_t nrows);
  const void *arg;         /* for 'rows' */
  const real *panels;      /* own: W in panels of tile.h, or NULL */
} project;

/* Rows that stay in L1, beside a panel, from the projection to their features;
 * fewer rows in all are not worth the packing of W. */
enum { PROJECT_ROWS = 2 * TILE_ROWS };

static inline ptrdiff_t project_block (const project *p) {
  ptrdiff_t b = 65536 / (p->m + 1);
  return b < 16 ? 16 : b > 256 ? 256 : b;
}

/* a.b, lanes summed in a fixed order */
static inline real project_dot (const real *a, const real *b, ptrdiff_t n) {
  vec s = vzero();
  ptrdiff_t j = 0;
  for (; j + VL <= n; j += VL) s += vload(a + j) * vload(b + j);
  if (j < n) s += vload_n(a + j, n - j, 0) * vload_n(b + j, n - j, 0);
  return vsum(s);
}

static inline real project_sum (const real *a, ptrdiff_t n) {
  vec s = vzero();
  ptrdiff_t j = 0;
  for (; j + VL <= n; j += VL) s += vload(a + j);
  if (j < n) s += vload_n(a + j, n - j, 0);
  return vsum(s);
}

/* U = X W' for at most PROJECT_ROWS rows from i on. */
static inline void project_tiles (const project *p, ptrdiff_t i, ptrdiff_t rows) {
  const real *X = p->X + i * p->d, *panel = p->panels;
  const char *next = (const char *)(p->U + (i + rows) * p->ldu);
  ptrdiff_t lines = i + rows < p->n ? rows * p->ldu * (ptrdiff_t)sizeof(real) / 64 : 0;
  for (ptrdiff_t l = 0; l < lines; l++) __builtin_prefetch(next + 64 * l, 1, 2);
  for (ptrdiff_t j = 0; j < p->m; j += TILE_COLS, panel += p->d * TILE_COLS) {
    const ptrdiff_t w = least(p->m - j, TILE_COLS), whole = w / VL * VL;
    real *U = p->U + i * p->ldu + j, edge[PROJECT_ROWS * TILE_COLS];
    product(false, rows, whole, p->d, X, p->d, panel, TILE_COLS, U, p->ldu);
    if (w == whole) continue;
    product(false, rows, VL, p->d, X, p->d, panel + whole, TILE_COLS, edge, VL);
    for (ptrdiff_t r = 0; r < rows; r++)
      memcpy(U + r * p->ldu + whole, edge + r * VL, (size_t)(w - whole) * sizeof *U);
  }
}

/* Rows of a forward task: so few that threads finish together. */
static inline ptrdiff_t project_step (const project *p) {
  return p->panels ? most(1, 16384 / (p->m + 1) / PROJECT_ROWS) * PROJECT_ROWS : project_block(p);
}

static inline fov_Status project_forward_block (void *arg, ptrdiff_t b) {
  const project *p = arg;
  ptrdiff_t step = project_step(p), i = b * step, rows = least(step, p->n - i);
  real *U = p->U + i * p->ldu;
  if (p->panels) {
    for (ptrdiff_t end = i + rows; i < end; i += PROJECT_ROWS) {
      ptrdiff_t count = least(end - i, PROJECT_ROWS);
      project_tiles(p, i, count);
      p->rows(p, i, count);
    }
    return FOV_OK;
  }
  if (p->W)
    gemm('n', 't', rows, p->m, p->d, 1, p->X + i * p->d, p->d, p->W, p->d, 0, U, p->ldu);
  else
    memcpy(U, p->X + i * p->d, (size_t)(rows * p->d) * sizeof *U);
  p->rows(p, i, rows);
  return FOV_OK;
}

/* U := X W', then rows(p, i, count) once for each row. */
static inline fov_Status project_forward (project *p) {
  if (p->W && p->n >= 2 * PROJECT_ROWS && p->d > 0) {
    real *panels = fov_scratch((size_t)(roundup(p->m, TILE_COLS) * p->d), sizeof *panels);
    if (!panels) return FOV_NOMEM;
    pack_panels(1, p->m, p->d, p->W, p->d, panels);
    p->panels = panels;
  }
  ptrdiff_t step = project_step(p);
  return fov_parallel((p->n + step - 1) / step, project_forward_block, p);
}

static inline fov_Status project_backward_block (void *arg, ptrdiff_t b) {
  const project *p = arg;
  ptrdiff_t step = project_block(p), i0 = b * step, rows = least(step, p->n - i0);
  const real *X = p->X + i0 * p->d;
  real *G = p->U + i0 * p->m, *dX = p->dX ? p->dX + i0 * p->d : NULL;
  p->rows(p, i0, rows);
  if (!dX) return FOV_OK;
  if (!p->W) memcpy(dX, G, (size_t)(rows * p->d) * sizeof *dX);
  else {
    if (p->s)
      for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < p->d; j++) dX[i * p->d + j] = p->s[i0 + i] * X[i * p->d + j];
    gemm('n', 'n', rows, p->d, p->m, 1, G, p->m, p->W, p->d, p->s != NULL, dX, p->d);
  }
  return FOV_OK;
}

static inline fov_Status project_weight_block (void *arg, ptrdiff_t b) {
  const project *p = arg;
  ptrdiff_t r = b * 64, rows = least(64, p->m - r);
  gemm('t', 'n', rows, p->d, p->n, 1, p->U + r, p->m, p->X, p->d, 0, p->dW + r * p->d, p->d);
  return FOV_OK;
}

/* rows(p, i, count) writes rows of G and s; then dX and dW follow. */
static inline fov_Status project_backward (project *p) {
  ptrdiff_t step = project_block(p);
  p->U = fov_scratch((size_t)(p->n * p->m), sizeof *p->U);
  if (!p->U) return FOV_NOMEM;
  fov_Status e = fov_parallel((p->n + step - 1) / step, project_backward_block, p);
  if (e != FOV_OK || !p->W || !p->dW) return e;
  return fov_parallel((p->m + 63) / 64, project_weight_block, p);
}

#endif
