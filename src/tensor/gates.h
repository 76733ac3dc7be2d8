/* gates.h -- log gates of the recurrences, for files built per dtype and level. */
#ifndef FOV_GATES_H
#define FOV_GATES_H

#include "tensor/simd.h"

/* FOV_VALUE, naming the first token with a gate above 0; g(n) or g(n,d), or absent. */
static inline fov_Status gates_check (const fov_Tensor *g) {
  const real *x = g->x;
  const ptrdiff_t size = x ? fov_numel(g) : 0, each = g->ndim == 2 ? g->shape[1] : 1;
  vec most = vset(-1);
  ptrdiff_t i = 0;
  for (; i + VL <= size; i += VL) most = vmax(vload(x + i), most);   /* NaN passes */
  if (i < size) most = vmax(vload_n(x + i, size - i, -1), most);
  if (!(vmaxlane(most) > 0)) return FOV_OK;
  for (i = 0; !(x[i] > 0); i++);
  return fov_fail(FOV_VALUE, "g: log gates must be <= 0, got %g at token %td", (double)x[i],
                  i / each + 1);
}

#endif
