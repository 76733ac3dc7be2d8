/* part.c -- what parts of a reduction mean: the empty one, how two join, what
 * the whole gives; and the folds of i64 runs (sums and products wrap). */
#include "tensor/reduce.h"

#include <math.h>

static void sum_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  const int64_t *v = x;
  uint64_t s = 0;
  for (ptrdiff_t i = 0; i < n; i++) s += (uint64_t)v[i];
  p->i = (int64_t)s;
}

static void prod_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  const int64_t *v = x;
  uint64_t s = 1;
  for (ptrdiff_t i = 0; i < n; i++) s *= (uint64_t)v[i];
  p->i = (int64_t)s;
}

static ptrdiff_t place_i64 (const int64_t *v, ptrdiff_t n, bool least) {
  ptrdiff_t best = 0;
  for (ptrdiff_t i = 1; i < n; i++)
    if (least ? v[i] < v[best] : v[i] > v[best]) best = i;
  return best;
}

static void max_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  p->i = p->v = ((const int64_t *)x)[place_i64(x, n, false)];
}

static void min_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  p->i = p->v = ((const int64_t *)x)[place_i64(x, n, true)];
}

static void argmax_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  p->i = place_i64(x, n, false);
  p->v = ((const int64_t *)x)[p->i];
}

static void argmin_i64 (const void *x, ptrdiff_t n, fov_Part *p) {
  p->i = place_i64(x, n, true);
  p->v = ((const int64_t *)x)[p->i];
}

fov_Fold *const fov_fold_i64[FOV_NREDUCE] = {
  [FOV_SUM] = sum_i64, [FOV_PROD] = prod_i64, [FOV_MAX] = max_i64, [FOV_MIN] = min_i64,
  [FOV_ARGMAX] = argmax_i64, [FOV_ARGMIN] = argmin_i64
};

/* p := p then q. */
void fov_part_merge (fov_Reduce r, fov_Part *p, const fov_Part *q) {
  ptrdiff_t at = p->n;
  if (at == 0) { *p = *q; return; }
  p->n += q->n;
  switch (r) {
    case FOV_SUM: case FOV_MEAN: case FOV_NORM1: case FOV_NORM2:
      p->a += q->a;
      p->i = (int64_t)((uint64_t)p->i + (uint64_t)q->i);
      break;
    case FOV_PROD:
      p->a *= q->a;
      p->i = (int64_t)((uint64_t)p->i * (uint64_t)q->i);
      break;
    case FOV_VAR: case FOV_STD: {   /* squares about the joint mean */
      double d = q->a - p->a, n = (double)p->n, m = (double)q->n;
      p->a += d * (m / n);
      p->b += q->b + d * d * ((n - m) * (m / n));
      break;
    }
    case FOV_LOGSUMEXP:
      if (isnan(p->a) || q->b == 0) break;
      if (isnan(q->a) || p->b == 0) p->a = q->a, p->b = q->b;
      else if (q->a == p->a) p->b += q->b;
      else if (q->a > p->a) p->b = p->b * exp(p->a - q->a) + q->b, p->a = q->a;
      else p->b += q->b * exp(q->a - p->a);
      break;
    case FOV_NORMINF: case FOV_MAX: case FOV_ARGMAX:
    case FOV_MIN: case FOV_ARGMIN: {
      bool least = r == FOV_MIN || r == FOV_ARGMIN, places = r >= FOV_ARGMAX;
      bool better = least ? q->a < p->a || q->v < p->v : q->a > p->a || q->v > p->v;
      if (better || (isnan(q->a) && !isnan(p->a))) {
        p->a = q->a;
        p->v = q->v;
        p->i = q->i + (places ? at : 0);
      }
      break;
    }
    case FOV_ANY: p->i |= q->i; break;
    default: p->i &= q->i; break;
  }
}

/* What no elements give; extremes of none were refused before. */
fov_Part fov_part_none (fov_Reduce r) {
  fov_Part p = { .a = 0 };
  if (r == FOV_PROD) p.a = 1, p.i = 1;
  if (r == FOV_ALL) p.i = 1;
  if (r == FOV_LOGSUMEXP) p.a = -INFINITY;
  return p;
}

double fov_part_value (fov_Reduce r, const fov_Part *p, double correction) {
  double n = (double)p->n;
  switch (r) {
    case FOV_MEAN: return p->a / n;
    case FOV_VAR: case FOV_STD: {
      double v = n > correction ? fmax(p->b, isnan(p->b) ? p->b : 0) / (n - correction) : NAN;
      return r == FOV_STD ? sqrt(v) : v;
    }
    case FOV_NORM2: return sqrt(p->a);
    case FOV_LOGSUMEXP: return p->b == 0 ? -INFINITY : p->a + log(p->b);
    default: return p->a;
  }
}
