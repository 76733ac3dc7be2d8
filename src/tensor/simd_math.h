/* simd_math.h -- elementary functions of a vec: SLEEF's at the width of the
 * level, and our own where a loop is hot.  For tensor/kernels. */
#ifndef FOV_SIMD_MATH_H
#define FOV_SIMD_MATH_H

#include "tensor/simd.h"

#include <sleef.h>

#if FOV_LEVEL == 2
#if FOV_REAL == 32
#define FOV_SLEEF_WIDTH f16
typedef __m512 fov_Mvec;
#else
#define FOV_SLEEF_WIDTH d8
typedef __m512d fov_Mvec;
#endif
#elif FOV_LEVEL == 1
#if FOV_REAL == 32
#define FOV_SLEEF_WIDTH f8
typedef __m256 fov_Mvec;
#else
#define FOV_SLEEF_WIDTH d4
typedef __m256d fov_Mvec;
#endif
#else
#if FOV_REAL == 32
#define FOV_SLEEF_WIDTH f4
typedef __m128 fov_Mvec;
#else
#define FOV_SLEEF_WIDTH d2
typedef __m128d fov_Mvec;
#endif
#endif

/* SLEEF(sin, _u10): Sleef_sinf16_u10, Sleef_sind4_u10 ... */
#define SLEEF3(f, w, bound) Sleef_##f##w##bound
#define SLEEF2(f, w, bound) SLEEF3(f, w, bound)
#define SLEEF(f, bound) SLEEF2(f, FOV_SLEEF_WIDTH, bound)

static inline vec vlog (vec x) { return (vec)SLEEF(log, _u10)((fov_Mvec)x); }
static inline vec vlog2 (vec x) { return (vec)SLEEF(log2, _u10)((fov_Mvec)x); }
static inline vec vlog1p (vec x) { return (vec)SLEEF(log1p, _u10)((fov_Mvec)x); }
static inline vec vexp2 (vec x) { return (vec)SLEEF(exp2, _u10)((fov_Mvec)x); }
static inline vec vexpm1 (vec x) { return (vec)SLEEF(expm1, _u10)((fov_Mvec)x); }
static inline vec vsin (vec x) { return (vec)SLEEF(sin, _u10)((fov_Mvec)x); }
static inline vec vcos (vec x) { return (vec)SLEEF(cos, _u10)((fov_Mvec)x); }
static inline vec vtan (vec x) { return (vec)SLEEF(tan, _u10)((fov_Mvec)x); }
static inline vec vtanh (vec x) { return (vec)SLEEF(tanh, _u10)((fov_Mvec)x); }
static inline vec vsinh (vec x) { return (vec)SLEEF(sinh, _u10)((fov_Mvec)x); }
static inline vec vcosh (vec x) { return (vec)SLEEF(cosh, _u10)((fov_Mvec)x); }
static inline vec vasin (vec x) { return (vec)SLEEF(asin, _u10)((fov_Mvec)x); }
static inline vec vacos (vec x) { return (vec)SLEEF(acos, _u10)((fov_Mvec)x); }
static inline vec vatan (vec x) { return (vec)SLEEF(atan, _u10)((fov_Mvec)x); }
static inline vec verf (vec x) { return (vec)SLEEF(erf, _u10)((fov_Mvec)x); }
static inline vec verfc (vec x) { return (vec)SLEEF(erfc, _u15)((fov_Mvec)x); }
static inline vec vfloor (vec x) { return (vec)SLEEF(floor, )((fov_Mvec)x); }
static inline vec vceil (vec x) { return (vec)SLEEF(ceil, )((fov_Mvec)x); }
static inline vec vround (vec x) { return (vec)SLEEF(rint, )((fov_Mvec)x); }
static inline vec vpow (vec x, vec p) {
  return (vec)SLEEF(pow, _u10)((fov_Mvec)x, (fov_Mvec)p);
}
static inline vec vatan2 (vec y, vec x) {
  return (vec)SLEEF(atan2, _u10)((fov_Mvec)y, (fov_Mvec)x);
}

#endif
