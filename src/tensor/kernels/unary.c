/* unary.c -- elementwise functions of one argument.
 *
 * To add one: a function of a vec, MAP (or TEST) of it, a line in the table. */
#include "tensor/element.h"
#include "tensor/simd_math.h"

typedef vec Map (vec x);
typedef ivec Test (vec x);

static inline __attribute__((always_inline))
void map (Map *f, const real *x, real *y, ptrdiff_t n) {
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, f(vload(x + i)));
  if (i < n) vstore_n(y + i, f(vload_n(x + i, n - i, 1)), n - i);
}

static inline __attribute__((always_inline))
void test (Test *f, const real *x, uint8_t *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += VL) {
    ptrdiff_t w = n - i < VL ? n - i : VL;
    ivec m = f(w == VL ? vload(x + i) : vload_n(x + i, w, 1));
    for (ptrdiff_t j = 0; j < w; j++) y[i + j] = m[j] & 1;
  }
}

#define MAP(f) \
  static fov_Status f##_run (const void *const x[], const ptrdiff_t *s, void *y, \
                             ptrdiff_t n) { \
    (void)s; map(f, x[0], y, n); return FOV_OK; }
#define TEST(f) \
  static fov_Status f##_run (const void *const x[], const ptrdiff_t *s, void *y, \
                             ptrdiff_t n) { \
    (void)s; test(f, x[0], y, n); return FOV_OK; }

static inline vec neg (vec x) { return -x; }
static inline vec sign (vec x) {
  vec one = vset(1);
  return vselect((ivec)(x > 0), one, vselect((ivec)(x < 0), -one, x));
}
static inline vec rsqrt (vec x) { return 1 / vsqrt(x); }
static inline vec reciprocal (vec x) { return 1 / x; }
static inline vec square (vec x) { return x * x; }
static inline vec relu (vec x) { return vmax(vzero(), x); }  /* NaN stays NaN */
static inline vec elu (vec x) { return vselect((ivec)(x > 0), x, vexpm1(x)); }

/* With e = exp(-|x|): 1/(1+e) for x >= 0, e/(1+e) below; no overflow, and
 * small values keep their relative accuracy. */
static inline vec sigmoid (vec x) {
  vec e = vexp(-vabs(x));
  return vselect((ivec)(x < 0), e, vset(1)) / (1 + e);
}
static inline vec softplus (vec x) { return vmax(vzero(), x) + vlog1p_unit(vexp(-vabs(x))); }
static inline vec logsigmoid (vec x) { return -softplus(-x); }

/* x Phi(x) and x sigmoid(x) tend to 0 at -inf; -inf * 0 would be NaN. */
static inline vec bounded (vec x) { return vmax(vset((real)-1e30), x); }
static inline vec silu (vec x) { return bounded(x) * sigmoid(x); }
static inline vec gelu (vec x) {
  return (real)0.5 * bounded(x) * verfc(x * (real)-0.70710678118654752440);
}

static inline ivec isnan_ (vec x) { return (ivec)(x != x); }
static inline ivec isinf_ (vec x) { return (ivec)(vabs(x) == vset((real)INFINITY)); }
static inline ivec isfinite_ (vec x) { return (ivec)(vabs(x) < vset((real)INFINITY)); }
static inline ivec not_ (vec x) { return (ivec)(x == vzero()); }

MAP(neg) MAP(vabs) MAP(sign) MAP(vsqrt) MAP(rsqrt) MAP(reciprocal) MAP(square)
MAP(vexp) MAP(vexp2) MAP(vexpm1) MAP(vlog) MAP(vlog2) MAP(vlog1p)
MAP(vsin) MAP(vcos) MAP(vtan) MAP(vtanh) MAP(vsinh) MAP(vcosh)
MAP(vasin) MAP(vacos) MAP(vatan) MAP(verf) MAP(verfc)
MAP(sigmoid) MAP(logsigmoid) MAP(relu) MAP(gelu) MAP(softplus) MAP(silu) MAP(elu)
MAP(vfloor) MAP(vceil) MAP(vround)
TEST(isnan_) TEST(isinf_) TEST(isfinite_) TEST(not_)

static const fov_Element table[] = {
  /* name, nin, test, heavy, kernel, doc */
  { "neg", 1, 0, 0, neg_run, "-x.  Integers stay integers." },
  { "abs", 1, 0, 0, vabs_run, "|x|.  Integers stay integers." },
  { "sign", 1, 0, 0, sign_run, "-1, 0 or 1 with x's sign; zeros and NaN stay as they are." },
  { "sqrt", 1, 0, 0, vsqrt_run, "Square root; NaN below zero." },
  { "rsqrt", 1, 0, 0, rsqrt_run, "1 / sqrt(x)." },
  { "reciprocal", 1, 0, 0, reciprocal_run, "1 / x." },
  { "square", 1, 0, 0, square_run, "x * x.  Integers stay integers." },
  { "exp", 1, 0, 1, vexp_run, "e^x; results below the normal range are 0." },
  { "exp2", 1, 0, 1, vexp2_run, "2^x." },
  { "expm1", 1, 0, 1, vexpm1_run, "e^x - 1, accurate near 0." },
  { "log", 1, 0, 1, vlog_run, "Natural logarithm; -inf at 0, NaN below." },
  { "log2", 1, 0, 1, vlog2_run, "Logarithm to base 2; -inf at 0, NaN below." },
  { "log1p", 1, 0, 1, vlog1p_run, "log(1 + x), accurate near 0." },
  { "sin", 1, 0, 1, vsin_run, "Sine of x in radians." },
  { "cos", 1, 0, 1, vcos_run, "Cosine of x in radians." },
  { "tan", 1, 0, 1, vtan_run, "Tangent of x in radians." },
  { "tanh", 1, 0, 1, vtanh_run, "Hyperbolic tangent." },
  { "sinh", 1, 0, 1, vsinh_run, "Hyperbolic sine." },
  { "cosh", 1, 0, 1, vcosh_run, "Hyperbolic cosine." },
  { "asin", 1, 0, 1, vasin_run, "Arc sine, in [-pi/2, pi/2]; NaN outside [-1, 1]." },
  { "acos", 1, 0, 1, vacos_run, "Arc cosine, in [0, pi]; NaN outside [-1, 1]." },
  { "atan", 1, 0, 1, vatan_run, "Arc tangent, in [-pi/2, pi/2]." },
  { "erf", 1, 0, 1, verf_run, "Error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x." },
  { "erfc", 1, 0, 1, verfc_run, "1 - erf(x), accurate for large x." },
  { "sigmoid", 1, 0, 1, sigmoid_run, "1 / (1 + exp(-x))." },
  { "logsigmoid", 1, 0, 1, logsigmoid_run, "log(sigmoid(x)), without overflow." },
  { "relu", 1, 0, 0, relu_run, "max(x, 0); NaN stays NaN." },
  { "gelu", 1, 0, 1, gelu_run, "x Phi(x), Phi the normal distribution function (exact form)." },
  { "softplus", 1, 0, 1, softplus_run, "log(1 + exp(x)), without overflow." },
  { "silu", 1, 0, 1, silu_run, "x sigmoid(x)." },
  { "elu", 1, 0, 1, elu_run, "x above 0, exp(x) - 1 below." },
  { "floor", 1, 0, 0, vfloor_run, "Largest whole number not above x." },
  { "ceil", 1, 0, 0, vceil_run, "Smallest whole number not below x." },
  { "round", 1, 0, 0, vround_run, "Nearest whole number, halves to the even one." },
  { "isnan", 1, 1, 0, isnan__run, "1 where x is NaN, else 0 (u8)." },
  { "isinf", 1, 1, 0, isinf__run, "1 where x is inf or -inf, else 0 (u8)." },
  { "isfinite", 1, 1, 0, isfinite__run, "1 where x is neither infinite nor NaN, else 0 (u8)." },
  { "logical_not", 1, 1, 0, not__run, "1 where x is 0, else 0 (u8)." },
};

extern const fov_Elements FOV_BUILD(fov_unary);
const fov_Elements FOV_BUILD(fov_unary) = { table, sizeof table / sizeof *table };
