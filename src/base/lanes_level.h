/* lanes_level.h -- the bodies of lanes.c for one level: vectors of BYTES.
 *
 * Words of 32 bits sit in the low halves of 64-bit lanes, one block to a
 * lane, because the machine multiplies 32 x 32 -> 64 there; what is in the
 * upper halves never reaches a lower one. */
#define INLINE ISA static inline __attribute__((always_inline))
#define u64v FN(u64v)
#define u32v FN(u32v)
#define i32v FN(i32v)
#define f32v FN(f32v)
#define f64v FN(f64v)

typedef uint64_t u64v __attribute__((vector_size(BYTES)));
typedef uint32_t u32v __attribute__((vector_size(BYTES)));
typedef int32_t i32v __attribute__((vector_size(BYTES)));
typedef float f32v __attribute__((vector_size(BYTES)));
typedef double f64v __attribute__((vector_size(BYTES)));

/* Blocks at, at + 1, .. of two vectors; word w of each in c[.][w].  Two chains
 * of rounds hide each other's latency.  The keys are broadcast from memory:
 * the load ports are idle, the others are not. */
INLINE void FN(philox) (const uint64_t key[20], uint64_t high, uint64_t at, u64v c[2][4]) {
  const u64v zero = { 0 }, M0 = zero + FOV_PHILOX_M0, M1 = zero + FOV_PHILOX_M1;
  for (int g = 0; g < 2; g++) {
    c[g][0] = (u64v){ LANES } + (at + (uint64_t)g * BYTES / 8);
    c[g][1] = c[g][0] >> 32;
    c[g][2] = zero + high;
    c[g][3] = c[g][2] >> 32;
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++)
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
      u64v p = (u64v)MUL(c[g][0], M0), q = (u64v)MUL(c[g][2], M1);
      c[g][0] = (u64v)HIGH(q) ^ c[g][1] ^ (zero + key[2 * round]);
      c[g][1] = q;
      c[g][2] = (u64v)HIGH(p) ^ c[g][3] ^ (zero + key[2 * round + 1]);
      c[g][3] = p;
    }
}

INLINE u64v FN(join) (u64v low, u64v high) { return (low & 0xffffffff) | high << 32; }

/* Box & Muller 1958: with u uniform on (0,1] and w on the turns of a circle,
 *   r = sqrt(-2 ln u),   x = r cos(2 pi w),   y = r sin(2 pi w)
 * are two normals.  u = 2^k m, m in [sqrt(1/2), sqrt(2)), and
 *   2 ln m = 4 (s + s^3/3 + s^5/5 + ..),   s = (m - 1)/(m + 1), |s| < .1716;
 * the nearest quarter turn q of w is taken off in integers, and Taylor series
 * serve the rest, |t| <= pi/4.  Each series is cut below half an ulp. */
INLINE void FN(polar32) (u32v u, u32v w, f32v *x, f32v *y) {
  f32v v = __builtin_convertvector((i32v)(u >> 1), f32v) + 0.5f;   /* 2^31 u */
  i32v i = (i32v)v - 0x3f3504f3, k = i >> 23;
  f32v m = (f32v)((i & 0x7fffff) + 0x3f3504f3);
  f32v s = (m - 1.0f) / (m + 1.0f), z = s * s;
  f32v p = z * (4.0f / 9) + 4.0f / 7;
  p = p * z + 4.0f / 5;
  p = p * z + 4.0f / 3;
  p = p * z + 4.0f;
  f32v r = (f32v)SQRT32(__builtin_convertvector(31 - k, f32v) * 1.38629436f - s * p);

  u32v a = w + (1u << 29);                             /* q in the two top bits */
  f32v t = __builtin_convertvector((i32v)(a & 0x3fffffff) - (1 << 29), f32v) * 1.46291808e-9f;
  f32v h = t * t;
  p = h * (1.0f / 362880) - 1.0f / 5040;
  p = p * h + 1.0f / 120;
  p = p * h - 1.0f / 6;
  f32v sine = t + t * h * p;
  p = h * (1.0f / 40320) - 1.0f / 720;
  p = p * h + 1.0f / 24;
  p = p * h - 0.5f;
  f32v cosine = 1.0f + h * p;
  u32v odd = (u32v)((i32v)(a << 1) >> 31), S = (u32v)(r * sine), C = (u32v)(r * cosine);
  *x = (f32v)(((C & ~odd) | (S & odd)) ^ ((a + (1u << 30)) & 0x80000000));
  *y = (f32v)(((S & ~odd) | (C & odd)) ^ (a & 0x80000000));
}

/* Uniform on (0,1): 52 bits and a half. */
INLINE f64v FN(unit64) (u64v a) {
  return (f64v)((a >> 12) | 0x3ff0000000000000) - (1 - 0x1p-53);
}

/* Integers reach f64 through the low bits of 2^52. */
INLINE void FN(polar64) (u64v u, u64v w, f64v *x, f64v *y) {
  u64v i = (u64v)FN(unit64)(u) - 0x3fe6a09e667f3bcd;
  u64v k = (i >> 52) & 0x7ff;                          /* from -53 to 0, mod 2^11 */
  f64v m = (f64v)((i & 0xfffffffffffff) + 0x3fe6a09e667f3bcd);
  f64v s = (m - 1.0) / (m + 1.0), z = s * s;
  f64v p = z * (4.0 / 19) + 4.0 / 17;
  p = p * z + 4.0 / 15;
  p = p * z + 4.0 / 13;
  p = p * z + 4.0 / 11;
  p = p * z + 4.0 / 9;
  p = p * z + 4.0 / 7;
  p = p * z + 4.0 / 5;
  p = p * z + 4.0 / 3;
  p = p * z + 4.0;
  f64v minus_k = (0x1p52 + 1024) - (f64v)((k ^ 0x400) | 0x4330000000000000);
  f64v r = (f64v)SQRT64(minus_k * 1.3862943611198906 - s * p);

  u64v a = w + (1ull << 61);
  f64v t = (f64v)(((a >> 12) & 0x3ffffffffffff) | 0x4330000000000000) - (0x1p52 + 0x1p49);
  t *= 1.3951473992034527e-15;
  f64v h = t * t;
  p = h * (1.0 / 355687428096000) - 1.0 / 1307674368000;
  p = p * h + 1.0 / 6227020800;
  p = p * h - 1.0 / 39916800;
  p = p * h + 1.0 / 362880;
  p = p * h - 1.0 / 5040;
  p = p * h + 1.0 / 120;
  p = p * h - 1.0 / 6;
  f64v sine = t + t * h * p;
  p = h * (1.0 / 20922789888000) - 1.0 / 87178291200;
  p = p * h + 1.0 / 479001600;
  p = p * h - 1.0 / 3628800;
  p = p * h + 1.0 / 40320;
  p = p * h - 1.0 / 720;
  p = p * h + 1.0 / 24;
  p = p * h - 0.5;
  f64v cosine = 1.0 + h * p;
  u64v odd = -((a >> 62) & 1), S = (u64v)(r * sine), C = (u64v)(r * cosine);
  *x = (f64v)(((C & ~odd) | (S & odd)) ^ ((a + (1ull << 62)) & (1ull << 63)));
  *y = (f64v)(((S & ~odd) | (C & odd)) ^ (a & (1ull << 63)));
}

/* Values of the BYTES / 8 blocks in c, in the order of blocks and words. */
INLINE void FN(values) (const u64v c[4], fov_Draw kind, char *to) {
  if (kind == FOV_NORMAL_F32) {
    f32v x, y;
    FN(polar32)((u32v)FN(join)(c[0], c[2]), (u32v)FN(join)(c[1], c[3]), &x, &y);
    f32v out[2] = { ZIP32(x, y) };
    memcpy(to, out, sizeof out);
    return;
  }
  u64v a = FN(join)(c[0], c[1]), b = FN(join)(c[2], c[3]);
  if (kind == FOV_NORMAL_F64) {
    f64v x, y;
    FN(polar64)(a, b, &x, &y);
    f64v out[2] = { ZIP64(x, y) };
    memcpy(to, out, sizeof out);
    return;
  }
  u64v out[2] = { ZIP64(a, b) };
  for (int i = 0; i < 2; i++)
    if (kind == FOV_UNIFORM_F32)
      out[i] = (u64v)(__builtin_convertvector((i32v)((u32v)out[i] >> 9), f32v) * 0x1p-23f
                      + 0x1p-24f);
    else if (kind == FOV_UNIFORM_F64)
      out[i] = (u64v)FN(unit64)(out[i]);
  memcpy(to, out, sizeof out);
}

INLINE void FN(draw) (const fov_Stream *s, uint64_t at, fov_Draw kind, ptrdiff_t bytes, char *to) {
  uint64_t key[20];
  for (uint32_t i = 0; i < 10; i++) {
    key[2 * i] = s->key[0] + i * FOV_PHILOX_W0;
    key[2 * i + 1] = s->key[1] + i * FOV_PHILOX_W1;
  }
  for (; bytes > 0; bytes -= 4 * BYTES, to += 4 * BYTES, at += BYTES / 4) {
    u64v c[2][4];
    char last[4 * BYTES], *x = bytes < 4 * BYTES ? last : to;
    FN(philox)(key, s->high, at, c);
    FN(values)(c[0], kind, x);
    FN(values)(c[1], kind, x + 2 * BYTES);
    if (x == last) memcpy(to, last, (size_t)bytes);
  }
}

ISA static void FN(words) (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x) {
  FN(draw)(s, at, FOV_WORDS, 8 * n, x);
}
ISA static void FN(uniform32) (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x) {
  FN(draw)(s, at, FOV_UNIFORM_F32, 4 * n, x);
}
ISA static void FN(uniform64) (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x) {
  FN(draw)(s, at, FOV_UNIFORM_F64, 8 * n, x);
}
ISA static void FN(normal32) (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x) {
  FN(draw)(s, at, FOV_NORMAL_F32, 4 * n, x);
}
ISA static void FN(normal64) (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x) {
  FN(draw)(s, at, FOV_NORMAL_F64, 8 * n, x);
}

#undef INLINE
#undef u64v
#undef u32v
#undef i32v
#undef f32v
#undef f64v
#undef LEVEL
#undef ISA
#undef BYTES
#undef MUL
#undef HIGH
#undef SQRT32
#undef SQRT64
#undef LANES
#undef ZIP64
#undef ZIP32
