/* simd.h -- 'real' and vectors of it, for files built per dtype and level.
 *
 *   real   float or double          vec   VL reals, one machine register
 *   uint   unsigned of real's size  ivec  VL signed integers of real's size
 *
 * Only the compiler's vector extensions, but for the few operations they do
 * not reach (max, min), which have one spelling per level here and nowhere
 * else.  Loads and stores need no alignment. */
#ifndef FOV_SIMD_H
#define FOV_SIMD_H

#include "tensor/build.h"

#include <math.h>
#include <string.h>
#if FOV_LEVEL > 0
#include <immintrin.h>
#else
#include <emmintrin.h>
#endif

#if FOV_LEVEL == 2
#define FOV_VBYTES 64
#define FOV_NREG 32      /* vector registers */
#elif FOV_LEVEL == 1
#define FOV_VBYTES 32
#define FOV_NREG 16
#else
#define FOV_VBYTES 16
#define FOV_NREG 16
#endif

#if FOV_REAL == 32
typedef float real;
typedef int32_t rint_t;
#define FOV_RTYPE FOV_F32
#else
typedef double real;
typedef int64_t rint_t;
#define FOV_RTYPE FOV_F64
#endif
#define VL ((ptrdiff_t)(FOV_VBYTES / sizeof(real)))

typedef real vec __attribute__((vector_size(FOV_VBYTES)));
typedef rint_t ivec __attribute__((vector_size(FOV_VBYTES)));
typedef real uvec __attribute__((vector_size(FOV_VBYTES), aligned(sizeof(real)), may_alias));

static inline vec vload (const real *p) { return *(const uvec *)p; }
static inline void vstore (real *p, vec v) { *(uvec *)p = v; }
static inline vec vset (real a) { return a - (vec){ 0 }; }
static inline vec vzero (void) { return (vec){ 0 }; }
static inline ivec viset (rint_t a) { return a - (ivec){ 0 }; }

/* m ? a : b, lane by lane; 'm' is all ones or all zeros in each lane. */
static inline vec vselect (ivec m, vec a, vec b) {
  return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

/* a > b ? a : b; b where either is NaN (the machine's rule). */
static inline vec vmax (vec a, vec b) {
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif FOV_LEVEL == 2
  return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif FOV_LEVEL == 1 && FOV_REAL == 32
  return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif FOV_LEVEL == 1
  return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return vselect((ivec)(a > b), a, b);
#endif
}

static inline vec vmin (vec a, vec b) {
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif FOV_LEVEL == 2
  return (vec)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif FOV_LEVEL == 1 && FOV_REAL == 32
  return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif FOV_LEVEL == 1
  return (vec)_mm256_min_pd((__m256d)a, (__m256d)b);
#else
  return vselect((ivec)(a < b), a, b);
#endif
}

static inline vec vabs (vec a) {
  const ivec sign = (ivec)(-vzero());
  return (vec)((ivec)a & ~sign);
}

static inline vec vsqrt (vec a) {
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return (vec)_mm512_sqrt_ps((__m512)a);
#elif FOV_LEVEL == 2
  return (vec)_mm512_sqrt_pd((__m512d)a);
#elif FOV_LEVEL == 1 && FOV_REAL == 32
  return (vec)_mm256_sqrt_ps((__m256)a);
#elif FOV_LEVEL == 1
  return (vec)_mm256_sqrt_pd((__m256d)a);
#elif FOV_REAL == 32
  return (vec)_mm_sqrt_ps((__m128)a);
#else
  return (vec)_mm_sqrt_pd((__m128d)a);
#endif
}

/* Sum and maximum over lanes, by halves: a fixed order. */
static inline real vsum (vec v) {
  real x[FOV_VBYTES / sizeof(real)];
  memcpy(x, &v, sizeof x);
  for (ptrdiff_t h = VL / 2; h; h /= 2)
    for (ptrdiff_t i = 0; i < h; i++) x[i] += x[i + h];
  return x[0];
}

static inline real vmaxlane (vec v) {
  real x[FOV_VBYTES / sizeof(real)];
  memcpy(x, &v, sizeof x);
  for (ptrdiff_t h = VL / 2; h; h /= 2)
    for (ptrdiff_t i = 0; i < h; i++) x[i] = x[i + h] > x[i] ? x[i + h] : x[i];
  return x[0];
}

/* First 'n' < VL reals, the other lanes 'fill'; and the store of n lanes. */
static inline vec vload_n (const real *p, ptrdiff_t n, real fill) {
  vec v = vset(fill);
  memcpy(&v, p, (size_t)n * sizeof *p);
  return v;
}
static inline void vstore_n (real *p, vec v, ptrdiff_t n) {
  memcpy(p, &v, (size_t)n * sizeof *p);
}

/* exp(x).  x = k ln2 + r, |r| <= ln2/2, by adding and subtracting 1.5*2^p so
 * that k sits in the low mantissa bits; polynomial of exp(r); exponent added
 * in integers.  f32: max error 1.2 ulp; f64: 1 ulp-class, on the normal range.
 * Below the normal range the result is 0; above it, inf; NaN stays NaN. */
static inline vec vexp (vec x) {
#if FOV_REAL == 32
  const real lo = -87.33654f, hi = 88.72283f, magic = 12582912.0f;
  const real log2e = 1.44269504088896341f, c1 = 0.693359375f, c2 = -2.12194440e-4f;
  vec k = x * log2e + magic;
  ivec e = (ivec)k << 23;
  k -= magic;
  vec r = x - k * c1;
  r -= k * c2;
  vec p = vset(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
#else
  const real lo = -708.3964185322641, hi = 709.782712893384, magic = 6755399441055744.0;
  const real log2e = 1.4426950408889634074, c1 = 6.93147180369123816490e-1,
             c2 = 1.90821492927058770002e-10;
  vec k = x * log2e + magic;
  ivec e = (ivec)k << 52;
  k -= magic;
  vec r = x - k * c1;
  r -= k * c2;
  vec p = vset(1.0 / 6227020800.0);   /* Taylor to r^13: below 2^-60 at ln2/2 */
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * (r * r) + r + 1.0;
#endif
  /* near the top k may be one past the largest exponent: scale in two steps */
  ivec half = e >> 1;
#if FOV_REAL == 32
  half &= viset((rint_t)0xff800000);
#else
  half &= viset((rint_t)0xfff0000000000000);
#endif
  vec y = (vec)((ivec)p + half);
  y *= (vec)((e - half) + (ivec)vset(1));
  y = vselect((ivec)(x < lo), vzero(), y);
  y = vselect((ivec)(x > hi), vset((real)INFINITY), y);
  return vselect((ivec)(x != x), x, y);
}

/* exp(x) for x <= 0 (softmax): 0 below the normal range, NaN stays NaN. */
static inline vec vexp_neg (vec x) {
#if FOV_REAL == 32
  const real magic = 12582912.0f;
  vec k = x * 1.44269504088896341f + magic;
  ivec e = (ivec)k << 23;
  k -= magic;
  vec r = x - k * 0.693359375f;
  r -= k * -2.12194440e-4f;
  vec p = vset(8.3334519073e-3f);
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return vselect((ivec)(x < -87.0f), vzero(), (vec)((ivec)p + e));
#else
  return vexp(x);
#endif
}

#endif
