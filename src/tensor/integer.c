/* integer.c -- i64 forms of elementwise functions.
 *
 * Sums, differences and products wrap around.  Division rounds towards minus
 * infinity and the remainder has the divisor's sign, as in Lua; dividing by
 * zero is an error.  Nothing here can trap. */
#include "tensor/element.h"

#include <string.h>

/* y[i] := expr of a, b, c, the arguments' elements. */
#define LOOP(name, U, expr)                                                        \
  static fov_Status name (const void *const x[], const ptrdiff_t s[], void *y, ptrdiff_t n) { \
    const int64_t *p = x[0];                                                       \
    U *o = y;                                                                      \
    for (ptrdiff_t i = 0; i < n; i++) { int64_t a = p[i * s[0]]; o[i] = (U)(expr); } \
    return FOV_OK;                                                                 \
  }
#define LOOP2(name, U, expr)                                                       \
  static fov_Status name (const void *const x[], const ptrdiff_t s[], void *y, ptrdiff_t n) { \
    const int64_t *p = x[0], *q = x[1];                                            \
    U *o = y;                                                                      \
    for (ptrdiff_t i = 0; i < n; i++) {                                            \
      int64_t a = p[i * s[0]], b = q[i * s[1]];                                    \
      o[i] = (U)(expr);                                                            \
    }                                                                              \
    return FOV_OK;                                                                 \
  }

typedef uint64_t U64;

LOOP(neg, int64_t, 0 - (U64)a)
LOOP(abs_, int64_t, a < 0 ? 0 - (U64)a : (U64)a)
LOOP(sign, int64_t, (a > 0) - (a < 0))
LOOP(square, int64_t, (U64)a * (U64)a)
LOOP(same, int64_t, a)
LOOP(relu, int64_t, a > 0 ? a : 0)
LOOP(not_, uint8_t, a == 0)
LOOP2(add, int64_t, (U64)a + (U64)b)
LOOP2(sub, int64_t, (U64)a - (U64)b)
LOOP2(mul, int64_t, (U64)a * (U64)b)
LOOP2(maximum, int64_t, a > b ? a : b)
LOOP2(minimum, int64_t, a < b ? a : b)
LOOP2(eq, uint8_t, a == b)
LOOP2(ne, uint8_t, a != b)
LOOP2(lt, uint8_t, a < b)
LOOP2(le, uint8_t, a <= b)
LOOP2(gt, uint8_t, a > b)
LOOP2(ge, uint8_t, a >= b)
LOOP2(and_, uint8_t, a && b)
LOOP2(or_, uint8_t, a || b)

static bool divisible (const int64_t *b, ptrdiff_t step, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < (step ? n : 1); i++)
    if (b[i] == 0) return false;
  return true;
}

/* b = -1 is apart: the least integer over -1 does not fit. */
static int64_t quotient (int64_t a, int64_t b) {
  if (b == -1) return (int64_t)(0 - (U64)a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static int64_t remainder_ (int64_t a, int64_t b) {
  if (b == -1) return 0;
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
LOOP2(floordiv_run, int64_t, quotient(a, b))
LOOP2(mod_run, int64_t, remainder_(a, b))

static fov_Status floordiv (const void *const x[], const ptrdiff_t s[], void *y, ptrdiff_t n) {
  if (!divisible(x[1], s[1], n)) return fov_fail(FOV_VALUE, "integer division by zero");
  return floordiv_run(x, s, y, n);
}
static fov_Status mod (const void *const x[], const ptrdiff_t s[], void *y, ptrdiff_t n) {
  if (!divisible(x[1], s[1], n)) return fov_fail(FOV_VALUE, "integer remainder by zero");
  return mod_run(x, s, y, n);
}

static fov_Status clamp (const void *const x[], const ptrdiff_t s[], void *y, ptrdiff_t n) {
  const int64_t *a = x[0], *lo = x[1], *hi = x[2];
  int64_t *o = y;
  for (ptrdiff_t i = 0; i < n; i++) {
    int64_t v = a[i * s[0]], l = lo[i * s[1]], h = hi[i * s[2]];
    v = v > l ? v : l;
    o[i] = v < h ? v : h;
  }
  return FOV_OK;
}

static const struct { const char *name; fov_Kernel *fn; } table[] = {
  { "neg", neg }, { "abs", abs_ }, { "sign", sign }, { "square", square },
  { "floor", same }, { "ceil", same }, { "round", same }, { "relu", relu },
  { "logical_not", not_ }, { "add", add }, { "sub", sub }, { "mul", mul },
  { "maximum", maximum }, { "minimum", minimum }, { "floordiv", floordiv },
  { "mod", mod }, { "eq", eq }, { "ne", ne }, { "lt", lt }, { "le", le },
  { "gt", gt }, { "ge", ge }, { "logical_and", and_ }, { "logical_or", or_ },
  { "clamp", clamp }
};

fov_Kernel *fov_integer (const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(table[i].name, name) == 0) return table[i].fn;
  return NULL;
}
