/* cast.c -- casts between 'real' and every dtype; see flat.h. */
#include "tensor/flat.h"
#include "tensor/simd.h"

/* b[i*sy] := expr of v = a[i*sx].  The loop with both strides 1 is apart so
 * that the compiler can use vectors, and so is a repeated element. */
#define CAST(name, T, U, expr)                                                    \
  static void name (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n) { \
    const T *restrict a = x;                                                      \
    U *restrict b = y;                                                            \
    if (sx == 1 && sy == 1)                                                       \
      for (ptrdiff_t i = 0; i < n; i++) { const T v = a[i]; b[i] = (U)(expr); }   \
    else if (sx == 0 && sy == 1 && n > 0) {                                       \
      const T v = *a;                                                             \
      const U w = (U)(expr);                                                      \
      for (ptrdiff_t i = 0; i < n; i++) b[i] = w;                                 \
    } else                                                                        \
      for (ptrdiff_t i = 0; i < n; i++) { const T v = a[i * sx]; b[i * sy] = (U)(expr); } \
  }

static inline int64_t whole (real v) {
  const real top = 9223372036854775808.0;
  return v >= top ? INT64_MAX : v >= -top ? (int64_t)v : v < -top ? INT64_MIN : 0;
}

static inline int byte (real v) {
  return v >= 255 ? 255 : v > 0 ? (int)v : 0;
}

CAST(to_f32, real, float, v)
CAST(to_f64, real, double, v)
CAST(to_i64, real, int64_t, whole(v))
CAST(to_u8, real, uint8_t, byte(v))
CAST(from_f32, float, real, v)
CAST(from_f64, double, real, v)
CAST(from_i64, int64_t, real, v)
CAST(from_u8, uint8_t, real, v)

extern const fov_Casts FOV_BUILD(fov_casts);
const fov_Casts FOV_BUILD(fov_casts) = {
  .from = { from_f32, from_f64, from_i64, from_u8 },
  .to = { to_f32, to_f64, to_i64, to_u8 }
};
