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

/* sin(x - (h - k) pi) = (-1)^k sin(r), r = x - h pi, with h = k or k + 1/2
 * nearest to x/pi.  pi comes in three parts, each product fused, so that r
 * keeps its relative accuracy at the zeros; the parts are positive, so that
 * -0 stays -0.  sin r = r (1 + r^2 q(r^2)) on |r| <= pi/2, q by Remez exchange
 * (relative error 6e-9 in f32, 3e-19 in f64); within 2.5 ulp.  Without fused
 * multiply-add, and beyond 'far', SLEEF. */
#if FOV_LEVEL > 0
static inline vec vsin_shifted (vec x, real shift) {
#if FOV_REAL == 32
  const real magic = 12582912, per_pi = 0.31830987334251404f;
  const real c1 = 3.141592502593994f, c2 = 1.5099578831723193e-07f,
             c3 = 1.078060505991553e-14f;
  static const real q[] = { -0.16666659712791443f, 0.008333064615726471f,
                            -0.00019809475634247065f, 2.605481540740584e-06f };
#else
  const real magic = 6755399441055744.0, per_pi = 0.3183098861837907;
  const real c1 = 3.141592653589793, c2 = 1.224646799147353e-16, c3 = 2.1657133478438278e-32;
  static const real q[] = {
    -0.16666666666666666, 0.008333333333333193, -0.00019841269841208478,
    2.7557319211006616e-06, -2.5052106860537487e-08, 1.6058939074989628e-10,
    -7.642974713860469e-13, 2.720994740342961e-15 };
#endif
  enum { N = sizeof q / sizeof *q, top = 8 * sizeof(real) - 1 };
  vec t = (shift != 0 ? x * per_pi - shift : x * per_pi) + magic, h = t - magic;
  if (shift != 0) h += shift;
  vec r = vfma(-h, vset(c1), x);
  r = vfma(-h, vset(c2), r);
  r = vfma(-h, vset(c3), r);
  vec s = r * r, p = vset(q[N - 1]);
  for (int i = N - 2; i >= 0; i--) p = vfma(p, s, vset(q[i]));
  p = vfma(p, s, vset(1)) * r;
  return (vec)((ivec)p ^ ((ivec)t << top));
}
#endif

static inline vec vsin (vec x) {
#if FOV_LEVEL > 0
  const real far = FOV_REAL == 32 ? 1e4f : 1e6;
  if (!__builtin_expect(vbeyond(x, far), 0)) return vsin_shifted(x, 0);
#endif
  return (vec)SLEEF(sin, _u10)((fov_Mvec)x);
}

/* cos(x) = sin(x + pi/2) = -sin(x - h pi) (-1)^k, h = k + 1/2. */
static inline vec vcos (vec x) {
#if FOV_LEVEL > 0
  const real far = FOV_REAL == 32 ? 1e4f : 1e6;
  if (!__builtin_expect(vbeyond(x, far), 0)) return -vsin_shifted(x, (real)0.5);
#endif
  return (vec)SLEEF(cos, _u10)((fov_Mvec)x);
}

#endif
