/* peak.c -- work that only registers and L1 limit; see peak.h. */
#include "tensor/peak.h"
#include "tensor/simd_math.h"

/* Enough chains to hide the latency of the multiply-add, few enough for the
 * registers: two more hold b and c. */
enum { CHAINS = FOV_NREG == 32 ? 24 : 12, L1 = 8192 / sizeof(real) };

static volatile real sink;

static double chains (ptrdiff_t rounds) {
  vec a[CHAINS], s = vzero();
  const vec b = vset((real)0.5), c = vset(1);
  for (int i = 0; i < CHAINS; i++) a[i] = vset((real)i);
  for (ptrdiff_t r = 0; r < rounds; r++) {
    FOV_UNROLL
    for (int i = 0; i < CHAINS; i++) a[i] = vfma(a[i], b, c);
  }
  for (int i = 0; i < CHAINS; i++) s += a[i];
  sink = vsum(s);
  return 2.0 * CHAINS * (double)VL * (double)rounds;
}

/* The barrier keeps the compiler from noticing that rounds repeat. */
#define MAPPED(name, f, from, to) \
  static double name (ptrdiff_t rounds) { \
    real x[L1], y[L1]; \
    for (ptrdiff_t i = 0; i < L1; i++) \
      x[i] = (real)(from) + (real)((to) - (from)) * (real)i / (real)L1; \
    for (ptrdiff_t r = 0; r < rounds; r++) { \
      for (ptrdiff_t i = 0; i < L1; i += 2 * VL) { \
        vec u = f(vload(x + i)), v = f(vload(x + i + VL)); \
        vstore(y + i, u); \
        vstore(y + i + VL, v); \
      } \
      __asm__ volatile ("" : : "r" (x), "r" (y) : "memory"); \
    } \
    sink = y[L1 - 1]; \
    return (double)L1 * (double)rounds; \
  }

MAPPED(exps, vexp_neg, -30, 0)
MAPPED(cosines, vcos, -10, 10)

const fov_Peak FOV_BUILD(fov_peak) = { { chains, exps, cosines } };
