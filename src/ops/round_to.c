/* round_to.c -- values as a shorter floating-point format would hold them.
 *
 *   y = the number of 'format' nearest to x, ties to the even one;
 *   beyond the largest plus half a unit inf (e4m3, which has no inf: NaN)
 *
 * A format has p bits of significand (one hidden), exponents from emin on and
 * a largest number.  With 2^e <= |x| < 2^(e+1) and e raised to emin, which is
 * where subnormal numbers begin, numbers near x are multiples of
 * u = 2^(e-p+1), and |x| + 1.5 2^52 u - 1.5 2^52 u rounds to one in doubles.
 *
 * IEEE 754-2019 (binary16, binary32); bfloat16 and tf32 keep the exponents of
 * binary32; e5m2, e4m3: Micikevicius et al. 2022 (arXiv:2209.05433).  The
 * gradient is that of the identity.  Time O(numel), no scratch. */
#include "ops/op.h"
#include "tensor/simd.h"

#include <math.h>
#include <string.h>

#define STEP 16384

typedef struct Format { int p, emin; double largest; bool inf; } Format;

static const Format formats[] = {
  { 8, -126, 0x1.fep127, true }, { 11, -14, 65504, true }, { 11, -126, 0x1.ffcp127, true },
  { 24, -126, 0x1.fffffep127, true }, { 3, -14, 57344, true }, { 4, -6, 448, false }
};

typedef struct Map { const real *x; real *y; ptrdiff_t count; Format format; } Map;

static fov_Status map (void *arg, ptrdiff_t b) {
  const Map *a = arg;
  const Format f = a->format;
  const double least = ldexp(1, f.emin), magic = ldexp(1.5, 52 - f.p + 1);
  ptrdiff_t i = b * STEP, end = i + STEP < a->count ? i + STEP : a->count;
  for (; i < end; i++) {
    double x = a->x[i], size = fabs(x), power;
    uint64_t bits;
    memcpy(&bits, &size, sizeof bits);
    bits &= (uint64_t)0x7ff << 52;
    memcpy(&power, &bits, sizeof bits);           /* 2^e; 0 for subnormals; inf for inf, NaN */
    if (!(size < 2 * f.largest)) {                /* also NaN */
      size = size == size ? (f.inf ? INFINITY : NAN) : size;
    } else {
      double c = magic * (power > least ? power : least);
      size = (size + c) - c;
      if (size > f.largest) size = f.inf ? INFINITY : NAN;
    }
    a->y[i] = (real)copysign(size, x);
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Map a = { .x = c->in[0].x, .y = c->out[0].x, .count = fov_numel(&c->in[0]),
            .format = formats[(int)c->opt[0]] };
  return fov_parallel((a.count + STEP - 1) / STEP, map, &a);
}

static fov_Status bwd (fov_Call *c) {
  if (c->din[0].x) memcpy(c->din[0].x, c->dout[0].x, (size_t)fov_numel(&c->in[0]) * sizeof(real));
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  r->flops = 3 * (double)fov_dim(c, 'n');
  r->bytes = 2 * (double)sizeof(real) * (double)fov_dim(c, 'n');
}

const fov_Op FOV_OP(round_to) = {
  .name = "round_to",
  .sig = "x(n) -> y(n)",
  .doc = "x with every value rounded to a shorter format, to nearest, ties to even;\n"
         "the dtype stays. Too large becomes inf (e4m3 has none: NaN), subnormal numbers are kept,\n"
         "signs of zero too. bf16 8 bits, tf32 11, f32 24 of significand with the exponents of f32;\n"
         "fp16 11 bits, largest 65504; e5m2 3 bits, 57344; e4m3 4 bits, 448.\n"
         "The gradient passes straight through. fv.precision rounds at points of your choice.\n"
         "Example: fv.round_to(x, {format=\"fp16\"})",
  .ref = "IEEE 754-2019; Micikevicius et al. 2022, arXiv:2209.05433",
  .caps = "surrogate",
  .opt = { { "format", 'e', 0, 0, 0, "the format of the result", "bf16|fp16|tf32|f32|e5m2|e4m3" } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
