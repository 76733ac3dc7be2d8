/* choose.c -- see choose.h. */
#include "tensor/choose.h"
#include "tensor/simd.h"

static void where (const uint8_t *m, const void *a, const void *b, void *y, ptrdiff_t n) {
  const rint_t *p = a, *q = b;
  rint_t *z = y;
  for (ptrdiff_t j = 0; j < n; j++) {
    rint_t u = p[j], v = q[j];
    z[j] = m[j] ? u : v;
  }
}

static void pick (const void *x, ptrdiff_t a, const int64_t *i, ptrdiff_t si, ptrdiff_t step,
                  void *y, ptrdiff_t n) {
  const rint_t *p = x;
  rint_t *z = y;
  if (a == 0 && si == 1 && step == 1)
    for (ptrdiff_t j = 0; j < n; j++) z[j] = p[i[j]];
  else
    for (ptrdiff_t j = 0; j < n; j++) z[j] = p[j * a + i[j * si] * step];
}

static void add (void *x, const void *y, ptrdiff_t n) {
  real *p = x;
  const real *q = y;
  for (ptrdiff_t j = 0; j < n; j++) p[j] += q[j];
}

extern const fov_Choose FOV_BUILD(fov_choose);
const fov_Choose FOV_BUILD(fov_choose) = { where, pick, add };
