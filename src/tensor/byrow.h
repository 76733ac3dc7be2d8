/* byrow.h -- what operators on the rows of one (n,d) problem share.
 *
 * For files built per dtype and level.  Rows are cut into tasks by the sizes
 * alone; gradients of what all rows share are summed task by task, then over
 * tasks in order, so they are the same bits at any thread count. */
#ifndef FOV_BYROW_H
#define FOV_BYROW_H

#include "base/pool.h"
#include "tensor/simd.h"

/* Rows [from, to) of task i. */
typedef struct fov_Cut { ptrdiff_t n, each, tasks; } fov_Cut;

static inline fov_Cut fov_cut (ptrdiff_t n, ptrdiff_t d) {
  ptrdiff_t each = 16384 / (d > 0 ? d : 1);
  if (each < 1) each = 1;
  return (fov_Cut){ n, each, (n + each - 1) / each };
}

static inline ptrdiff_t fov_cut_end (const fov_Cut *cut, ptrdiff_t i) {
  return (i + 1) * cut->each < cut->n ? (i + 1) * cut->each : cut->n;
}

/* Lanes of the vector at column j of d. */
static inline ptrdiff_t vlanes (ptrdiff_t j, ptrdiff_t d) { return d - j < VL ? d - j : VL; }
static inline vec vload_at (const real *x, ptrdiff_t j, ptrdiff_t d) {
  return d - j < VL ? vload_n(x + j, d - j, 0) : vload(x + j);
}
static inline void vstore_at (real *x, vec v, ptrdiff_t j, ptrdiff_t d) {
  if (d - j < VL) vstore_n(x + j, v, d - j);
  else vstore(x + j, v);
}

/* Partial sums of 'tasks' tasks, zeroed, each of 'size' reals; NULL: no memory. */
static inline real *fov_partial (ptrdiff_t tasks, ptrdiff_t size) {
  real *p = fov_scratch((size_t)(tasks * size + 1), sizeof(real));
  if (p) memset(p, 0, (size_t)(tasks * size) * sizeof(real));
  return p;
}

/* out[j] := sum over tasks of column 'at' + j of their partial sums. */
static inline void fov_total (const real *part, ptrdiff_t tasks, ptrdiff_t size, ptrdiff_t at,
                              ptrdiff_t d, real *out) {
  for (ptrdiff_t j = 0; j < d; j++) out[j] = 0;
  for (ptrdiff_t i = 0; i < tasks; i++)
    for (ptrdiff_t j = 0; j < d; j++) out[j] += part[i * size + at + j];
}

/* 1 / (1 + exp(-x)); NaN stays NaN. */
static inline vec vsigmoid (vec x) { return 1 / (1 + vexp_neg(vmin(vset(87), -x))); }

#endif
