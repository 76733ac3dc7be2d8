/* binary.c -- elementwise functions of two and three arguments.
 *
 * To add one: a function of vecs, MAP2 (or TEST2) of it, a line in the table. */
#include "tensor/element.h"
#include "tensor/simd_math.h"

typedef vec Map2 (vec x, vec y);
typedef ivec Test2 (vec x, vec y);

/* Lanes of an argument from element i on: w of them, or one value repeated. */
static inline vec take (const real *x, ptrdiff_t step, ptrdiff_t i, ptrdiff_t w) {
  if (step == 0) return vset(*x);
  return w == VL ? vload(x + i) : vload_n(x + i, w, 1);
}

static inline __attribute__((always_inline))
void map2 (Map2 *f, const real *x, ptrdiff_t sx, const real *y, ptrdiff_t sy, real *z,
           ptrdiff_t n) {
  ptrdiff_t i = 0;
  if (sx && sy)
    for (; i + VL <= n; i += VL) vstore(z + i, f(vload(x + i), vload(y + i)));
  else if (sx)
    for (vec b = vset(*y); i + VL <= n; i += VL) vstore(z + i, f(vload(x + i), b));
  else if (sy)
    for (vec a = vset(*x); i + VL <= n; i += VL) vstore(z + i, f(a, vload(y + i)));
  for (; i < n; i += VL) {
    ptrdiff_t w = n - i < VL ? n - i : VL;
    vstore_n(z + i, f(take(x, sx, i, w), take(y, sy, i, w)), w);
  }
}

static inline __attribute__((always_inline))
void test2 (Test2 *f, const real *x, ptrdiff_t sx, const real *y, ptrdiff_t sy, uint8_t *z,
            ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += VL) {
    ptrdiff_t w = n - i < VL ? n - i : VL;
    ivec m = f(take(x, sx, i, w), take(y, sy, i, w));
    for (ptrdiff_t j = 0; j < w; j++) z[i + j] = m[j] & 1;
  }
}

#define MAP2(f) \
  static fov_Status f##_run (const void *const x[], const ptrdiff_t *s, void *z, \
                             ptrdiff_t n) { \
    map2(f, x[0], s[0], x[1], s[1], z, n); return FOV_OK; }
#define TEST2(f) \
  static fov_Status f##_run (const void *const x[], const ptrdiff_t *s, void *z, \
                             ptrdiff_t n) { \
    test2(f, x[0], s[0], x[1], s[1], z, n); return FOV_OK; }

static inline vec add (vec x, vec y) { return x + y; }
static inline vec sub (vec x, vec y) { return x - y; }
static inline vec mul (vec x, vec y) { return x * y; }
static inline vec divide (vec x, vec y) { return x / y; }
static inline vec floordiv (vec x, vec y) { return vfloor(x / y); }

/* vmax and vmin give y where either is NaN; here NaN on either side wins. */
static inline vec maximum (vec x, vec y) {
  return vselect((ivec)(x != x), x, vmax(x, y));
}
static inline vec minimum (vec x, vec y) {
  return vselect((ivec)(x != x), x, vmin(x, y));
}

/* Exact remainder with y's sign, as in Lua. */
static inline vec mod (vec x, vec y) {
  vec r;
  for (ptrdiff_t j = 0; j < VL; j++) {
#if FOV_REAL == 32
    real m = fmodf(x[j], y[j]);
#else
    real m = fmod(x[j], y[j]);
#endif
    r[j] = m * y[j] < 0 ? m + y[j] : m;
  }
  return r;
}

static inline ivec eq (vec x, vec y) { return (ivec)(x == y); }
static inline ivec ne (vec x, vec y) { return (ivec)(x != y); }
static inline ivec lt (vec x, vec y) { return (ivec)(x < y); }
static inline ivec le (vec x, vec y) { return (ivec)(x <= y); }
static inline ivec gt (vec x, vec y) { return (ivec)(x > y); }
static inline ivec ge (vec x, vec y) { return (ivec)(x >= y); }
static inline ivec and_ (vec x, vec y) { return (ivec)(x != vzero()) & (ivec)(y != vzero()); }
static inline ivec or_ (vec x, vec y) { return (ivec)(x != vzero()) | (ivec)(y != vzero()); }

MAP2(add) MAP2(sub) MAP2(mul) MAP2(divide) MAP2(floordiv) MAP2(maximum) MAP2(minimum)
MAP2(mod) MAP2(vpow) MAP2(vatan2)
TEST2(eq) TEST2(ne) TEST2(lt) TEST2(le) TEST2(gt) TEST2(ge) TEST2(and_) TEST2(or_)

/* One exponent for all: the common ones are cheap. */
static fov_Status power (const void *const x[], const ptrdiff_t *s, void *z, ptrdiff_t n) {
  real p = *(const real *)x[1], one = 1;
  const void *const over[] = { &one, x[0] }, *const twice[] = { x[0], x[0] };
  const ptrdiff_t over_s[] = { 0, 1 }, twice_s[] = { 1, 1 };
  if (s[1] == 0 && s[0] == 1) {
    if (p == 2) return mul_run(twice, twice_s, z, n);
    if (p == -1) return divide_run(over, over_s, z, n);
  }
  return vpow_run(x, s, z, n);
}

/* NaN in x stays; where lo > hi the result is hi. */
static fov_Status clamp (const void *const x[], const ptrdiff_t *s, void *z, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += VL) {
    ptrdiff_t w = n - i < VL ? n - i : VL;
    vec v = take(x[0], s[0], i, w);
    v = vmin(take(x[2], s[2], i, w), vmax(take(x[1], s[1], i, w), v));
    vstore_n((real *)z + i, v, w);
  }
  return FOV_OK;
}

static const fov_Element table[] = {
  /* name, nin, test, heavy, kernel, doc */
  { "add", 2, 0, 0, add_run, "x + y." },
  { "sub", 2, 0, 0, sub_run, "x - y." },
  { "mul", 2, 0, 0, mul_run, "x * y, element by element." },
  { "div", 2, 0, 0, divide_run, "x / y; integers divide as f32." },
  { "pow", 2, 0, 1, power, "x ^ y; integers as f32, NaN for a fractional power below 0." },
  { "maximum", 2, 0, 0, maximum_run, "The larger of x and y; NaN where either is." },
  { "minimum", 2, 0, 0, minimum_run, "The smaller of x and y; NaN where either is." },
  { "atan2", 2, 0, 1, vatan2_run, "atan(x / y) in the quadrant of (y, x), in [-pi, pi]." },
  { "mod", 2, 0, 1, mod_run, "Remainder with y's sign, as x % y in Lua; an integer 0 raises." },
  { "floordiv", 2, 0, 0, floordiv_run, "floor(x / y), as x // y in Lua; an integer 0 raises." },
  { "eq", 2, 1, 0, eq_run, "1 where x equals y, else 0 (u8)." },
  { "ne", 2, 1, 0, ne_run, "1 where x differs from y, else 0 (u8)." },
  { "lt", 2, 1, 0, lt_run, "1 where x < y, else 0 (u8)." },
  { "le", 2, 1, 0, le_run, "1 where x <= y, else 0 (u8)." },
  { "gt", 2, 1, 0, gt_run, "1 where x > y, else 0 (u8)." },
  { "ge", 2, 1, 0, ge_run, "1 where x >= y, else 0 (u8)." },
  { "logical_and", 2, 1, 0, and__run, "1 where neither x nor y is 0, else 0 (u8)." },
  { "logical_or", 2, 1, 0, or__run, "1 where x or y is not 0, else 0 (u8)." },
  { "clamp", 3, 0, 0, clamp, "x kept within [lo, hi]; NaN stays NaN." },
};

extern const fov_Elements FOV_BUILD(fov_binary);
const fov_Elements FOV_BUILD(fov_binary) = { table, sizeof table / sizeof *table };
