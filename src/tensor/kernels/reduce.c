/* reduce.c -- the part that one run of contiguous elements has in a reduction.
 *
 *   sum, prod, norm   a: sum, product, sum of |x| or x^2, largest |x|
 *   var               a: mean, b: sum of (x - mean)^2
 *   logsumexp         a: the maximum m, b: sum of exp(x - m)
 *   max, min          a: the extreme, i: its place in the run; NaN wins
 *   any, all          i: 1 or 0 */
#include "tensor/reduce.h"
#include "tensor/simd.h"

/* Four accumulators of VL lanes, added in a fixed order. */
enum { U = 4 };

typedef vec Term (vec x, vec c);

static inline __attribute__((always_inline))
real total (Term *f, const real *x, ptrdiff_t n, real c) {
  vec s[U] = { vzero() }, vc = vset(c);
  ptrdiff_t i = 0;
  for (; i + U * VL <= n; i += U * VL)
    for (int u = 0; u < U; u++) s[u] += f(vload(x + i + u * VL), vc);
  for (; i + VL <= n; i += VL) s[0] += f(vload(x + i), vc);
  real rest = 0;
  if (i < n) {
    vec t = f(vload_n(x + i, n - i, 0), vc);
    for (ptrdiff_t j = 0; j < n - i; j++) rest += t[j];
  }
  return vsum((s[0] + s[1]) + (s[2] + s[3])) + rest;
}

static inline vec term (vec x, vec c) { (void)c; return x; }
static inline vec term_abs (vec x, vec c) { (void)c; return vabs(x); }
static inline vec term_diff (vec x, vec c) { return x - c; }
static inline vec term_var (vec x, vec c) { return (x - c) * (x - c); }
static inline vec term_exp (vec x, vec c) { return vexp(x - c); }

static void sum (const void *x, ptrdiff_t n, fov_Part *p) {
  p->a = (double)total(term, x, n, 0);
}

static void norm1 (const void *x, ptrdiff_t n, fov_Part *p) {
  p->a = (double)total(term_abs, x, n, 0);
}

/* Squares of f32 are exact in double and cannot overflow there. */
static void norm2 (const void *x, ptrdiff_t n, fov_Part *p) {
  const real *v = x;
  double s[8] = { 0 };
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) s[j] += (double)v[i + j] * (double)v[i + j];
  for (; i < n; i++) s[0] += (double)v[i] * (double)v[i];
  p->a = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void prod (const void *x, ptrdiff_t n, fov_Part *p) {
  const real *v = x;
  double s[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) s[j] *= (double)v[i + j];
  for (; i < n; i++) s[0] *= (double)v[i];
  p->a = ((s[0] * s[1]) * (s[2] * s[3])) * ((s[4] * s[5]) * (s[6] * s[7]));
}

/* Two passes; the first pass's rounding is taken out by sum(x - c), which
 * would be 0 for the exact mean. */
static void var (const void *x, ptrdiff_t n, fov_Part *p) {
  real c = (real)((double)total(term, x, n, 0) / (double)n);
  double d = (double)total(term_diff, x, n, c);
  p->a = (double)c + d / (double)n;
  p->b = (double)total(term_var, x, n, c) - d * d / (double)n;
}

/* The largest element; NaN where there is one. */
static inline real largest (const real *x, ptrdiff_t n) {
  vec m[2] = { vset((real)-INFINITY), vset((real)-INFINITY) };
  ivec bad = { 0 };
  ptrdiff_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL)
    for (int u = 0; u < 2; u++) {
      vec v = vload(x + i + u * VL);
      bad |= (ivec)(v != v);
      m[u] = vmax(m[u], v);
    }
  for (; i < n; i += VL) {
    vec v = n - i < VL ? vload_n(x + i, n - i, (real)-INFINITY) : vload(x + i);
    bad |= (ivec)(v != v);
    m[0] = vmax(m[0], v);
  }
  if (vany(bad)) return (real)NAN;
  return vmaxlane(vmax(m[0], m[1]));
}

static inline real smallest (const real *x, ptrdiff_t n) {
  real y[FOV_RUN];
  for (ptrdiff_t i = 0; i < n; i++) y[i] = -x[i];
  return -largest(y, n);
}

static ptrdiff_t place (const real *x, real m) {
  ptrdiff_t i = 0;
  if (m != m) while (x[i] == x[i]) i++;
  else while (x[i] != m) i++;
  return i;
}

static void max (const void *x, ptrdiff_t n, fov_Part *p) { p->a = (double)largest(x, n); }
static void min (const void *x, ptrdiff_t n, fov_Part *p) { p->a = (double)smallest(x, n); }

static void argmax (const void *x, ptrdiff_t n, fov_Part *p) {
  real m = largest(x, n);
  p->a = (double)m;
  p->i = place(x, m);
}

static void argmin (const void *x, ptrdiff_t n, fov_Part *p) {
  real m = smallest(x, n);
  p->a = (double)m;
  p->i = place(x, m);
}

static void norminf (const void *x, ptrdiff_t n, fov_Part *p) {
  const real *v = x;
  real y[FOV_RUN];
  for (ptrdiff_t i = 0; i < n; i++) y[i] = v[i] < 0 ? -v[i] : v[i];
  p->a = (double)largest(y, n);
}

/* An infinite m would give inf - inf: then exp(x - m) is 0 or 1 by limit. */
static void logsumexp (const void *x, ptrdiff_t n, fov_Part *p) {
  real m = largest(x, n);
  p->a = (double)m;
  p->b = isinf(m) ? m > 0 : (double)total(term_exp, x, n, m);
}

static void any (const void *x, ptrdiff_t n, fov_Part *p) {
  const real *v = x;
  int64_t found = 0;
  for (ptrdiff_t i = 0; i < n; i++) found |= v[i] != 0;
  p->i = found;
}

static void all (const void *x, ptrdiff_t n, fov_Part *p) {
  const real *v = x;
  int64_t found = 0;
  for (ptrdiff_t i = 0; i < n; i++) found |= v[i] == 0;
  p->i = !found;
}

static void sum_rows (const void *x, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t n, double *acc) {
  const real *X = x;
  ptrdiff_t j = 0;
  for (; j + U * VL <= n; j += U * VL) {
    vec s[U] = { vzero() };
    for (ptrdiff_t r = 0; r < rows; r++)
      for (int u = 0; u < U; u++) s[u] += vload(X + r * step + j + u * VL);
    for (int u = 0; u < U; u++)
      for (ptrdiff_t i = 0; i < VL; i++) acc[j + u * VL + i] += (double)s[u][i];
  }
  for (; j + VL <= n; j += VL) {
    vec s = vzero();
    for (ptrdiff_t r = 0; r < rows; r++) s += vload(X + r * step + j);
    for (ptrdiff_t i = 0; i < VL; i++) acc[j + i] += (double)s[i];
  }
  for (; j < n; j++) {
    real s = 0;
    for (ptrdiff_t r = 0; r < rows; r++) s += X[r * step + j];
    acc[j] += (double)s;
  }
}

extern const fov_Folds FOV_BUILD(fov_folds);
const fov_Folds FOV_BUILD(fov_folds) = {
  .fold = {
    [FOV_SUM] = sum, [FOV_MEAN] = sum, [FOV_PROD] = prod, [FOV_VAR] = var, [FOV_STD] = var,
    [FOV_NORM1] = norm1, [FOV_NORM2] = norm2, [FOV_NORMINF] = norminf,
    [FOV_LOGSUMEXP] = logsumexp, [FOV_MAX] = max, [FOV_MIN] = min,
    [FOV_ARGMAX] = argmax, [FOV_ARGMIN] = argmin, [FOV_ANY] = any, [FOV_ALL] = all
  },
  .sum_rows = sum_rows
};
