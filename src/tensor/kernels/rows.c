/* rows.c -- functions of a whole contiguous row.
 *
 *   softmax      y_i = exp(x_i - m) / s,  m = max x, s = sum_j exp(x_j - m)
 *   log_softmax  y_i = x_i - m - log s
 *   cumsum       y_i = x_1 + .. + x_i, accumulated in double
 *
 * A row that is -inf throughout stands for "nothing to attend to": its
 * softmax is 0 everywhere, its log_softmax -inf. */
#include "tensor/reduce.h"
#include "tensor/simd.h"

/* m: the maximum, or NaN; any order gives the same one. */
static real largest (const real *x, ptrdiff_t n) {
  vec m = vset((real)-INFINITY);
  ivec bad = { 0 };
  for (ptrdiff_t i = 0; i < n; i += VL) {
    vec v = n - i < VL ? vload_n(x + i, n - i, (real)-INFINITY) : vload(x + i);
    bad |= (ivec)(v != v);
    m = vmax(m, v);
  }
  if (vany(bad)) return (real)NAN;
  return vmaxlane(m);
}

/* y := exp(x - m); returns the sum, in double over runs of FOV_RUN. */
static double exps (const real *x, real *y, ptrdiff_t n, real m, bool keep) {
  double sum = 0;
  vec vm = vset(m);
  for (ptrdiff_t at = 0; at < n; at += FOV_RUN) {
    ptrdiff_t end = n - at < FOV_RUN ? n : at + FOV_RUN, i = at;
    vec s[2] = { vzero() };
    for (; i + 2 * VL <= end; i += 2 * VL)
      for (int u = 0; u < 2; u++) {
        vec e = vexp_neg(vload(x + i + u * VL) - vm);
        if (keep) vstore(y + i + u * VL, e);
        s[u] += e;
      }
    for (; i < end; i += VL) {
      ptrdiff_t w = end - i < VL ? end - i : VL;
      vec e = vexp_neg(vload_n(x + i, w, (real)-INFINITY) - vm);
      if (keep) vstore_n(y + i, e, w);
      s[0] += e;
    }
    sum += (double)vsum(s[0] + s[1]);
  }
  return sum;
}

static void softmax (const void *px, void *py, ptrdiff_t n) {
  const real *x = px;
  real *y = py, m = largest(x, n);
  if (m == (real)-INFINITY) {
    for (ptrdiff_t i = 0; i < n; i++) y[i] = 0;
    return;
  }
  vec r = vset((real)(1 / exps(x, y, n, m, true)));
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, vload(y + i) * r);
  if (i < n) vstore_n(y + i, vload_n(y + i, n - i, 0) * r, n - i);
}

static void log_softmax (const void *px, void *py, ptrdiff_t n) {
  const real *x = px;
  real *y = py, m = largest(x, n);
  if (m == (real)-INFINITY) {
    for (ptrdiff_t i = 0; i < n; i++) y[i] = m;
    return;
  }
  vec vm = vset(m), l = vset((real)log(exps(x, NULL, n, m, false)));
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, vload(x + i) - vm - l);
  if (i < n) vstore_n(y + i, vload_n(x + i, n - i, 0) - vm - l, n - i);
}

static void cumsum (const void *px, void *py, ptrdiff_t n) {
  const real *x = px;
  real *y = py;
  double s = 0;
  for (ptrdiff_t i = 0; i < n; i++) y[i] = (real)(s += (double)x[i]);
}

extern const fov_Rowfns FOV_BUILD(fov_rowfns);
const fov_Rowfns FOV_BUILD(fov_rowfns) = {
  .fn = { [FOV_SOFTMAX] = softmax, [FOV_LOG_SOFTMAX] = log_softmax, [FOV_CUMSUM] = cumsum }
};
