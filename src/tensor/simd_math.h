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
static inline vec vtan (vec x) { return (vec)SLEEF(tan, _u10)((fov_Mvec)x); }
static inline vec vsinh (vec x) { return (vec)SLEEF(sinh, _u10)((fov_Mvec)x); }
static inline vec vcosh (vec x) { return (vec)SLEEF(cosh, _u10)((fov_Mvec)x); }
static inline vec vasin (vec x) { return (vec)SLEEF(asin, _u10)((fov_Mvec)x); }
static inline vec vacos (vec x) { return (vec)SLEEF(acos, _u10)((fov_Mvec)x); }
static inline vec vatan (vec x) { return (vec)SLEEF(atan, _u10)((fov_Mvec)x); }
static inline vec vfloor (vec x) { return (vec)SLEEF(floor, )((fov_Mvec)x); }
static inline vec vceil (vec x) { return (vec)SLEEF(ceil, )((fov_Mvec)x); }
static inline vec vround (vec x) { return (vec)SLEEF(rint, )((fov_Mvec)x); }
static inline vec vpow (vec x, vec p) {
  return (vec)SLEEF(pow, _u10)((fov_Mvec)x, (fov_Mvec)p);
}
static inline vec vatan2 (vec y, vec x) {
  return (vec)SLEEF(atan2, _u10)((fov_Mvec)y, (fov_Mvec)x);
}

/* sum of c[i] x^i, fused by name */
static inline __attribute__((always_inline)) vec vpoly (vec x, const real *c, int n) {
  vec p = vset(c[n - 1]);
  for (int i = n - 2; i >= 0; i--) p = vfma(p, x, vset(c[i]));
  return p;
}

/* In f32 with fused multiply-add our own, four to seven times as fast as
 * SLEEF's; all polynomials by Remez exchange. */
#if FOV_REAL == 32 && FOV_LEVEL > 0

/* e^x - 1 = 2^k (e^r - 1) + (2^k - 1), k and r as in vexp; halved, since 2^k
 * may overflow where the result does not.  Within 1.5 ulp; -0 stays -0. */
static inline vec vexpm1 (vec x) {
  const real magic = 12582912 + 126, log2e = 1.44269504088896341f;
  static const real q[] = { 0.4999999403953552f, 0.1666652113199234f, 0.04166838899254799f,
                            0.008368724025785923f, 0.001381458481773734f };
  vec y = vmin(vset(89), vmax(vset(-40), x)), t = y * log2e + magic, k = t - magic;
  vec r = vfma(-k, vset(0.693359375f), y);
  r = vfma(-k, vset(-2.12194440e-4f), r);
  vec p = vfma(r * r, vpoly(r, q, 5), r), half = (vec)((ivec)t << 23);
  vec z = vfma(half, p, half - (real)0.5);
  return vselect((ivec)(x == 0), x, z + z);
}

/* Near 0 x + x^3 q(x^2), else 1 - 2 / (e^2x + 1) with x's sign.  1.5 ulp. */
static inline vec vtanh (vec x) {
  static const real q[] = { -0.333332948f, 0.133317194f, -0.0537592879f, 0.0206950061f,
                            -0.0057609203f };
  vec a = vabs(x), s = x * x, near = vfma(s * x, vpoly(s, q, 5), x);
  vec far = 1 - 2 / (vexp(a + a) + 1);
  far = vselect((ivec)(x < 0), -far, far);
  return vselect((ivec)(a < (real)0.625), near, far);
}

/* erfc(x) = e^(-x^2) G(u), u = (x - 3) / (x + 3), for x >= 0, where G is
 * e^(x^2) erfc(x); what x^2 loses in rounding comes back to first order. */
static inline vec verfc_above (vec x) {
  static const real q[] = { 0.179001151f, -0.326233564f, 0.245603795f, -0.150115783f,
                            0.0716659127f, -0.0243941846f, 0.0042686363f, 0.000715392057f,
                            -0.000594279577f, 2.95679536e-05f, 5.62142978e-05f };
  x = vmin(vset(11), x);
  vec s = x * x, lost = vfma(x, x, -s);
  return (1 - lost) * vexp(-s) * vpoly((x - 3) / (x + 3), q, 11);
}

/* Within 4 ulp. */
static inline vec verfc (vec x) {
  vec e = verfc_above(vabs(x));
  return vselect((ivec)(x < 0), 2 - e, e);
}

/* x q(x^2) up to 1.  Within 2 ulp. */
static inline vec verf (vec x) {
  static const real q[] = { 1.12837917f, -0.376126258f, 0.112835851f, -0.0268538119f,
                            0.00518832766f, -0.000801019345f, 7.85386078e-05f };
  vec a = vabs(x), far = 1 - verfc_above(a);
  far = vselect((ivec)(x < 0), -far, far);
  return vselect((ivec)(a < 1), x * vpoly(x * x, q, 7), far);
}

/* log(1 + x) for 0 <= x <= 1.  Within 1.5 ulp. */
static inline vec vlog1p_unit (vec x) {
  static const real q[] = { 0.999999995f, -0.499999024f, 0.333299624f, -0.249541338f,
                            0.196759401f, -0.153055949f, 0.106036587f, -0.0569595706f,
                            0.0198514808f, -0.00324402906f };
  return x * vpoly(x, q, 10);
}

#else
static inline vec vexpm1 (vec x) { return (vec)SLEEF(expm1, _u10)((fov_Mvec)x); }
static inline vec vtanh (vec x) { return (vec)SLEEF(tanh, _u10)((fov_Mvec)x); }
static inline vec verf (vec x) { return (vec)SLEEF(erf, _u10)((fov_Mvec)x); }
static inline vec verfc (vec x) { return (vec)SLEEF(erfc, _u15)((fov_Mvec)x); }
static inline vec vlog1p_unit (vec x) { return vlog1p(x); }
#endif

/* sin(x - (h - k) pi) = (-1)^k sin(r), r = x - h pi, with h = k or k + 1/2
 * nearest to x/pi.  pi comes in three parts, each product fused, so that r
 * keeps its relative accuracy at the zeros; the parts are positive, so that
 * -0 stays -0.  sin r = r (1 + r^2 q(r^2)) on |r| <= pi/2, q by Remez exchange
 * (relative error 6e-9 in f32, 3e-19 in f64); within 2.5 ulp.  Without fused
 * multiply-add, and beyond 'far', SLEEF; f32 finds r in f64 up to 'farther'. */
#if FOV_LEVEL > 0
static inline vec vsin_reduced (vec r) {
#if FOV_REAL == 32
  static const real q[] = { 1, -0.16666659712791443f, 0.008333064615726471f,
                            -0.00019809475634247065f, 2.605481540740584e-06f };
#else
  static const real q[] = {
    1, -0.16666666666666666, 0.008333333333333193, -0.00019841269841208478,
    2.7557319211006616e-06, -2.5052106860537487e-08, 1.6058939074989628e-10,
    -7.642974713860469e-13, 2.720994740342961e-15 };
#endif
  vec s = r * r, p = vset(q[sizeof q / sizeof *q - 1]);
  for (int i = (int)(sizeof q / sizeof *q) - 2; i >= 0; i--) p = vfma(p, s, vset(q[i]));
  return p * r;
}

static inline vec vsin_shifted (vec x, real shift) {
#if FOV_REAL == 32
  const real magic = 12582912, per_pi = 0.31830987334251404f;
  const real c1 = 3.141592502593994f, c2 = 1.5099578831723193e-07f,
             c3 = 1.078060505991553e-14f;
#else
  const real magic = 6755399441055744.0, per_pi = 0.3183098861837907;
  const real c1 = 3.141592653589793, c2 = 1.224646799147353e-16, c3 = 2.1657133478438278e-32;
#endif
  enum { top = 8 * sizeof(real) - 1 };
  vec t = (shift != 0 ? x * per_pi - shift : x * per_pi) + magic, h = t - magic;
  if (shift != 0) h += shift;
  vec r = vfma(-h, vset(c1), x);
  r = vfma(-h, vset(c2), r);
  r = vfma(-h, vset(c3), r);
  return (vec)((ivec)vsin_reduced(r) ^ ((ivec)t << top));
}

#if FOV_REAL == 32
typedef float fov_Half __attribute__((vector_size(FOV_VBYTES / 2)));
typedef double fov_Wide __attribute__((vector_size(FOV_VBYTES)));
typedef int64_t fov_WideInt __attribute__((vector_size(FOV_VBYTES)));

/* The same for |x| <= 'farther', where h and both products fit f64. */
static inline vec vsin_far (vec x, double shift) {
  const double magic = 6755399441055744.0, per_pi = 0.3183098861837907;
  const double c1 = 3.141592653589793, c2 = 1.224646799147353e-16;
  fov_Half part[2];
  memcpy(part, &x, sizeof x);
  for (int i = 0; i < 2; i++) {
    fov_Wide y = __builtin_convertvector(part[i], fov_Wide);
    fov_Wide t = (y * per_pi - shift) + magic, h = (t - magic) + shift, r;
#if FOV_LEVEL == 2
    r = (fov_Wide)_mm512_fnmadd_pd((__m512d)h, _mm512_set1_pd(c1), (__m512d)y);
#else
    r = (fov_Wide)_mm256_fnmadd_pd((__m256d)h, _mm256_set1_pd(c1), (__m256d)y);
#endif
    r -= h * c2;
    r = (fov_Wide)((fov_WideInt)r ^ ((fov_WideInt)t << 63));
    part[i] = __builtin_convertvector(r, fov_Half);
  }
  vec r;
  memcpy(&r, part, sizeof r);
  return vsin_reduced(r);
}
#endif
#endif

static inline vec vsin (vec x) {
#if FOV_LEVEL > 0
  const real far = FOV_REAL == 32 ? 1e4f : 1e6;
  if (!__builtin_expect(vbeyond(x, far), 0)) return vsin_shifted(x, 0);
#if FOV_REAL == 32
  const real farther = 1e12f;
  if (!vbeyond(x, farther)) return vsin_far(x, 0);
#endif
#endif
  return (vec)SLEEF(sin, _u10)((fov_Mvec)x);
}

/* cos(x) = sin(x + pi/2) = -sin(x - h pi) (-1)^k, h = k + 1/2. */
static inline vec vcos (vec x) {
#if FOV_LEVEL > 0
  const real far = FOV_REAL == 32 ? 1e4f : 1e6;
  if (!__builtin_expect(vbeyond(x, far), 0)) return -vsin_shifted(x, (real)0.5);
#if FOV_REAL == 32
  const real farther = 1e12f;
  if (!vbeyond(x, farther)) return -vsin_far(x, 0.5);
#endif
#endif
  return (vec)SLEEF(cos, _u10)((fov_Mvec)x);
}

#endif
