/* hadamard.h -- the fast Walsh-Hadamard transform of VL vectors side by side.
 * For files built per dtype and level.
 *
 * A panel T(p,VL) holds entry j of vector l at T[j] lane l, p a power of two;
 * H_1 = 1, H_2p = [H H; H -H], not normalised: H H = p I.  Passes take four
 * entries a time (two stages), so each reads and writes the panel once.
 * p log2(p) additions a vector. */
#ifndef FOV_HADAMARD_H
#define FOV_HADAMARD_H

#include "tensor/simd.h"

static inline void hadamard_panel (vec *T, ptrdiff_t p) {
  ptrdiff_t h = 1;
  if (__builtin_ctzll((unsigned long long)p) % 2) {
    for (ptrdiff_t j = 0; j < p; j += 2) {
      vec a = T[j], b = T[j + 1];
      T[j] = a + b;
      T[j + 1] = a - b;
    }
    h = 2;
  }
  for (; h < p; h *= 4)
    for (ptrdiff_t i = 0; i < p; i += 4 * h)
      for (ptrdiff_t j = i; j < i + h; j++) {
        vec a = T[j], b = T[j + h], c = T[j + 2 * h], d = T[j + 3 * h];
        vec s = a + b, t = a - b, u = c + d, v = c - d;
        T[j] = s + u;
        T[j + h] = t + v;
        T[j + 2 * h] = s - u;
        T[j + 3 * h] = t - v;
      }
}

/* T := 'rows' <= VL rows of x(.,ld), the first d columns; zeros elsewhere. */
static inline void hadamard_load (vec *T, ptrdiff_t p, const real *x, ptrdiff_t ld, ptrdiff_t rows,
                                  ptrdiff_t d) {
  real *t = (real *)T;
  memset(T, 0, (size_t)p * sizeof *T);
  for (ptrdiff_t l = 0; l < rows; l++)
    for (ptrdiff_t j = 0; j < d; j++) t[j * VL + l] = x[l * ld + j];
}

/* 'rows' rows of y(.,ld), d columns := c T. */
static inline void hadamard_store (const vec *T, real c, real *y, ptrdiff_t ld, ptrdiff_t rows,
                                   ptrdiff_t d) {
  const real *t = (const real *)T;
  for (ptrdiff_t l = 0; l < rows; l++)
    for (ptrdiff_t j = 0; j < d; j++) y[l * ld + j] = c * t[j * VL + l];
}

static inline ptrdiff_t hadamard_size (ptrdiff_t d) {
  ptrdiff_t p = 1;
  while (p < d) p *= 2;
  return p;
}

#endif
