/* choose.h -- inner loops over elements of 4 or 8 bytes, by instruction set:
 * kernels/choose.c. */
#ifndef FOV_CHOOSE_H
#define FOV_CHOOSE_H

#include "tensor/build.h"

typedef struct fov_Choose {
  /* y[j] := m[j] ? a[j] : b[j], bits of real's size */
  void (*where) (const uint8_t *m, const void *a, const void *b, void *y, ptrdiff_t n);

  /* y[j] := x[j a + i[j si] step], bits of real's size */
  void (*pick) (const void *x, ptrdiff_t a, const int64_t *i, ptrdiff_t si, ptrdiff_t step,
                void *y, ptrdiff_t n);

  /* x[j] += y[j], reals */
  void (*add) (void *x, const void *y, ptrdiff_t n);
} fov_Choose;

/* The build for elements of 'size' (4 or 8) bytes. */
const fov_Choose *fov_choose_for (size_t size);

#endif
