/* trig.h -- sine and cosine of vectors, for files built per dtype and level. */
#ifndef FOV_TRIG_H
#define FOV_TRIG_H

#include "tensor/simd.h"

/* s = sin(x), c = cos(x), to 2 ulp of 1 (absolute error).
 *
 * x = k pi/2 + r with |r| <= pi/4; pi/2 is a sum of three parts, the first two
 * short enough that their product with k is exact.  Taylor polynomials, cut
 * where the next term is below a quarter ulp at pi/4.  Lanes beyond 'limit',
 * where k has too many bits, go to libm one by one. */
static inline void vsincos (vec x, vec *s, vec *c) {
#if FOV_REAL == 32
  const real magic = 12582912.0f, limit = 8192.0f, two_over_pi = 0.63661977236758134f;
  const real p1 = 1.5703125f, p2 = 4.837512969970703125e-4f, p3 = 7.5497899548918824e-8f;
#else
  const real magic = 6755399441055744.0, limit = 268435456.0,
             two_over_pi = 0.63661977236758134308;
  const real p1 = 0x1.921fb4p+0, p2 = 0x1.4442dp-24, p3 = 0x1.8469898cc517p-48;
#endif
  vec k = x * two_over_pi + magic;
  ivec q = (ivec)k;
  k -= magic;
  vec r = x - k * p1;
  r -= k * p2;
  r -= k * p3;
  vec z = r * r;
#if FOV_REAL == 32
  vec a = vset(1.0f / 362880.0f);
  vec b = vset(-1.0f / 3628800.0f);
  b = b * z + 1.0f / 40320.0f;
#else
  vec a = vset(-1.0 / 1307674368000.0);
  a = a * z + 1.0 / 6227020800.0;
  a = a * z - 1.0 / 39916800.0;
  a = a * z + 1.0 / 362880.0;
  vec b = vset(1.0 / 20922789888000.0);
  b = b * z - 1.0 / 87178291200.0;
  b = b * z + 1.0 / 479001600.0;
  b = b * z - 1.0 / 3628800.0;
  b = b * z + 1.0 / 40320.0;
#endif
  a = a * z + (real)(-1.0 / 5040.0);
  a = a * z + (real)(1.0 / 120.0);
  a = a * z + (real)(-1.0 / 6.0);
  a = a * z * r + r;
  b = b * z + (real)(-1.0 / 720.0);
  b = b * z + (real)(1.0 / 24.0);
  b = b * z - (real)0.5;
  b = b * z + (real)1;
  /* quarter turns: sin, cos are (a,b) (b,-a) (-a,-b) (-b,a) for q mod 4 = 0..3 */
  ivec odd = -(q & 1), sign = (ivec)vset((real)-0.0);
  *s = (vec)((ivec)vselect(odd, b, a) ^ (-((q >> 1) & 1) & sign));
  *c = (vec)((ivec)vselect(odd, a, b) ^ (-(((q + 1) >> 1) & 1) & sign));
  ivec fits = (ivec)(x < limit) & (ivec)(x > -limit);
  uint64_t word[FOV_VBYTES / 8], all = ~(uint64_t)0;
  memcpy(word, &fits, sizeof word);
  for (size_t i = 0; i < sizeof word / sizeof *word; i++) all &= word[i];
  if (all == ~(uint64_t)0) return;
  for (ptrdiff_t i = 0; i < VL; i++)
    if (!fits[i]) {
      (*s)[i] = (real)sin((double)x[i]);
      (*c)[i] = (real)cos((double)x[i]);
    }
}

#endif
