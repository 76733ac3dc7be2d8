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

/* Before a loop of constant, small trip count over register arrays. */
#ifdef __clang__
#define FOV_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FOV_UNROLL _Pragma("GCC unroll 32")
#endif

static inline vec vload (const real *p) { return *(const uvec *)p; }
static inline void vstore (real *p, vec v) { *(uvec *)p = v; }
static inline vec vset (real a) { return a - (vec){ 0 }; }
static inline vec vzero (void) { return (vec){ 0 }; }
static inline ivec viset (rint_t a) { return a - (ivec){ 0 }; }

/* A store past the caches, to an address aligned to a vec; other threads see it
 * after vstreamed(). */
static inline void vstream (real *p, vec v) {
#if FOV_LEVEL == 2
  _mm512_stream_si512((void *)p, (__m512i)v);
#elif FOV_LEVEL == 1
  _mm256_stream_si256((void *)p, (__m256i)v);
#else
  _mm_stream_si128((void *)p, (__m128i)v);
#endif
}
static inline void vstreamed (void) { _mm_sfence(); }

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

/* Is 'm' set in any lane? */
static inline bool vany (ivec m) {
#if FOV_LEVEL == 2
  return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif FOV_LEVEL == 1
  return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#else
  return _mm_movemask_epi8((__m128i)m) != 0;
#endif
}

/* Is !(|x| <= a) in any lane? */
static inline bool vbeyond (vec x, real a) {
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return _mm512_cmp_ps_mask((__m512)vabs(x), (__m512)vset(a), _CMP_NLE_UQ) != 0;
#elif FOV_LEVEL == 2
  return _mm512_cmp_pd_mask((__m512d)vabs(x), (__m512d)vset(a), _CMP_NLE_UQ) != 0;
#elif FOV_LEVEL == 1
  return !_mm256_testc_si256((__m256i)(vabs(x) <= vset(a)), _mm256_set1_epi64x(-1));
#else
  return _mm_movemask_epi8((__m128i)(vabs(x) <= vset(a))) != 0xffff;
#endif
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

/* a b + c, fused where the level can: for sums whose rounding must not depend
 * on which product the compiler would fuse. */
static inline vec vfma (vec a, vec b, vec c) {
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FOV_LEVEL == 2
  return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif FOV_LEVEL == 1 && FOV_REAL == 32
  return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif FOV_LEVEL == 1
  return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}

/* Sum and maximum over lanes, by halves: a fixed order. */
typedef real fov_Quarter __attribute__((vector_size(16)));

static inline real vsum (vec v) {
  fov_Quarter q[FOV_VBYTES / 16];
  memcpy(q, &v, sizeof q);
#if FOV_LEVEL == 2
  q[0] += q[2];
  q[1] += q[3];
#endif
#if FOV_LEVEL > 0
  q[0] += q[1];
#endif
#if FOV_REAL == 32
  return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
#else
  return q[0][0] + q[0][1];
#endif
}

static inline fov_Quarter fov_max2 (fov_Quarter a, fov_Quarter b) {
#if FOV_REAL == 32
  return (fov_Quarter)_mm_max_ps((__m128)a, (__m128)b);
#else
  return (fov_Quarter)_mm_max_pd((__m128d)a, (__m128d)b);
#endif
}

static inline real vmaxlane (vec v) {
  fov_Quarter q[FOV_VBYTES / 16];
  memcpy(q, &v, sizeof q);
#if FOV_LEVEL == 2
  q[0] = fov_max2(q[0], q[2]);
  q[1] = fov_max2(q[1], q[3]);
#endif
#if FOV_LEVEL > 0
  q[0] = fov_max2(q[0], q[1]);
#endif
#if FOV_REAL == 32
  real a = q[0][0] > q[0][2] ? q[0][0] : q[0][2], b = q[0][1] > q[0][3] ? q[0][1] : q[0][3];
  return a > b ? a : b;
#else
  return q[0][0] > q[0][1] ? q[0][0] : q[0][1];
#endif
}

/* First 'n' < VL reals, the other lanes 'fill'; and the store of n lanes. */
#if FOV_LEVEL == 2 && FOV_REAL == 32
static inline vec vload_n (const real *p, ptrdiff_t n, real fill) {
  return (vec)_mm512_mask_loadu_ps((__m512)vset(fill), (__mmask16)((1u << n) - 1), p);
}
static inline void vstore_n (real *p, vec v, ptrdiff_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif FOV_LEVEL == 2
static inline vec vload_n (const real *p, ptrdiff_t n, real fill) {
  return (vec)_mm512_mask_loadu_pd((__m512d)vset(fill), (__mmask8)((1u << n) - 1), p);
}
static inline void vstore_n (real *p, vec v, ptrdiff_t n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#else
static inline vec vload_n (const real *p, ptrdiff_t n, real fill) {
  vec v = vset(fill);
  memcpy(&v, p, (size_t)n * sizeof *p);
  return v;
}
static inline void vstore_n (real *p, vec v, ptrdiff_t n) {
  memcpy(p, &v, (size_t)n * sizeof *p);
}
#endif

/* exp(x) = 2^k e^r, k whole, |r| <= ln2/2: adding 'magic' = 1.5 * 2^p rounds
 * x/ln2 to k and leaves k in the low bits; ln2 is c1 + c2 with k*c1 exact;
 * e^r = 1 + r + r^2 q(r), q by Remez exchange (relative error of e^r: 3e-9 in
 * f32, 8e-18 in f64).  2^k is two factors, since k reaches past the exponents
 * on both sides.  Within 1.2 ulp (f32) and 1 ulp (f64), gradual underflow
 * included; exp(-inf) = 0, exp(inf) = inf, NaN stays NaN. */
static inline vec vexp (vec x) {
#if FOV_REAL == 32
  const real lo = -104, hi = 89, magic = 12582912 + 127;
  const real log2e = 1.44269504088896341f, c1 = 0.693359375f, c2 = -2.12194440e-4f;
  static const real q[] = { 0.4999999403953552f, 0.1666652113199234f, 0.04166838899254799f,
                            0.008368724025785923f, 0.001381458481773734f };
#else
  const real lo = -746, hi = 710, magic = 6755399441055744.0 + 1023;
  const real log2e = 1.4426950408889634, c1 = 6.93147180369123816490e-1,
             c2 = 1.90821492927058770002e-10;
  static const real q[] = {
    0.500000000000001, 0.16666666666666674, 0.04166666666652188, 0.008333333333322198,
    0.0013888888947856278, 0.00019841269886618213, 2.480148728598709e-05,
    2.7557242305898417e-06, 2.7632670844700725e-07, 2.5110061497567575e-08 };
#endif
  enum { N = sizeof q / sizeof *q };
  x = vmin(vset(hi), vmax(vset(lo), x));
  vec k = x * log2e + magic;
  k -= magic;
  vec r = x - k * c1;
  r -= k * c2;
  vec p = vset(q[N - 1]);
  for (int i = N - 2; i >= 0; i--) p = p * r + q[i];
  p = p * r + 1;
  p = p * r + 1;
#if FOV_LEVEL == 2 && FOV_REAL == 32
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)k);
#elif FOV_LEVEL == 2
  return (vec)_mm512_scalef_pd((__m512d)p, (__m512d)k);
#else
  vec h = k * (real)0.5 + magic, g = k - (h - magic) + magic;
  const int exponent = FOV_REAL == 32 ? 23 : 52;
  return p * (vec)((ivec)h << exponent) * (vec)((ivec)g << exponent);
#endif
}

/* exp(x) for softmax, x <= 88, with fewer instructions: e^r = 1 + r q(r) of
 * degree 5 and one factor 2^k, which is 0 from k = -127 (x < -87.7) down.
 * f32: relative error below 2e-7; exp(0) = 1, exp(-inf) = 0, NaN stays NaN. */
static inline vec vexp_neg (vec x) {
#if FOV_REAL == 32
  const real magic = 12582912 + 127, log2e = 1.44269504088896341f;
  const real c1 = 0.693359375f, c2 = -2.12194440e-4f;
  x = vmax(vset(-88), x);
  vec t = x * log2e + magic, k = t - magic, r = x - k * c1;
  r -= k * c2;
  vec p = vset(0.008290297351777554f);
  p = p * r + 0.04189801961183548f;
  p = p * r + 0.1666763722896576f;
  p = p * r + 0.4999914765357971f;
  p = p * r + 0.9999997019767761f;
  p = p * r + 1;
  return p * (vec)((ivec)t << 23);
#else
  return vexp(x);
#endif
}

#endif
