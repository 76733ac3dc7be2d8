/* elu1.h -- the feature map phi(x) = elu(x) + 1, for files built per dtype and level.
 *
 *   phi = x + 1 for x > 0, exp(x) otherwise;   dx = dphi o min(phi, 1)  */
#ifndef FOV_ELU1_H
#define FOV_ELU1_H

#include "tensor/simd.h"

static inline vec elu1_vec (vec x) { return vselect((ivec)(x > vzero()), x + 1, vexp(x)); }

/* phi := phi(x) */
static inline void elu1_map (ptrdiff_t count, const real *x, real *phi) {
  ptrdiff_t i = 0;
  for (; i + VL <= count; i += VL) vstore(phi + i, elu1_vec(vload(x + i)));
  if (i < count) vstore_n(phi + i, elu1_vec(vload_n(x + i, count - i, 0)), count - i);
}

/* dx := dphi o min(phi, 1); dx may be dphi. */
static inline void elu1_back (ptrdiff_t count, const real *phi, const real *dphi, real *dx) {
  for (ptrdiff_t i = 0; i < count; i++) dx[i] = dphi[i] * (phi[i] > 1 ? 1 : phi[i]);
}

#endif
