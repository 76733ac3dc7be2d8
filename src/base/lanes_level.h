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

/* Blocks at, at + 1, ..; word w of each in c[w]. */
INLINE void FN(philox) (const fov_Stream *s, uint64_t at, u64v c[4]) {
  const u64v zero = { 0 }, M0 = zero + FOV_PHILOX_M0, M1 = zero + FOV_PHILOX_M1;
  uint32_t k0 = s->key[0], k1 = s->key[1];
  u64v c0 = (u64v){ LANES } + at, c1 = c0 >> 32;
  u64v c2 = zero + s->high, c3 = c2 >> 32;
  for (int round = 0; round < 10; round++) {
    u64v p = (u64v)MUL(c0, M0), q = (u64v)MUL(c2, M1);
    c0 = (q >> 32) ^ c1 ^ (zero + k0);
    c1 = q;
    c2 = (p >> 32) ^ c3 ^ (zero + k1);
    c3 = p;
    k0 += FOV_PHILOX_W0;
    k1 += FOV_PHILOX_W1;
  }
  c[0] = c0, c[1] = c1, c[2] = c2, c[3] = c3;
}

INLINE u64v FN(join) (u64v low, u64v high) { return (low & 0xffffffff) | high << 32; }

/* Box & Muller 1958: with u uniform on (0,1] and w on the turns of a circle,
 *   r = sqrt(-2 ln u),   x = r cos(2 pi w),   y = r sin(2 pi w)
 * are two normals.  u = 2^k m, m in [sqrt(1/2), sqrt(2)), and
 *   ln m = 2 (s + s^3/3 + s^5/5 + ..),   s = (m - 1)/(m + 1), |s| < .1716;
 * the nearest quarter turn of w is taken off in integers, and Taylor series
 * serve the rest, |t| <= pi/4.  Each series is cut below half an ulp. */
INLINE void FN(polar32) (u32v u, u32v w, f32v *x, f32v *y) {
  f32v v = __builtin_convertvector((i32v)(u >> 1), f32v) + 0.5f;   /* 2^31 u */
  i32v k = ((i32v)v - 0x3f3504f3) >> 23;
  f32v m = (f32v)((i32v)v - (k << 23));
  f32v s = (m - 1.0f) / (m + 1.0f), z = s * s;
  f32v p = z * (1.0f / 9) + 1.0f / 7;
  p = p * z + 1.0f / 5;
  p = p * z + 1.0f / 3;
  f32v ln = 2 * (s + s * z * p);
  f32v r = (f32v)SQRT32(2 * (__builtin_convertvector(31 - k, f32v) * 0.693147181f - ln));

  u32v q = (w + 0x20000000) >> 30;
  f32v t = __builtin_convertvector((i32v)(w - (q << 30)), f32v) * 1.46291808e-9f;
  f32v h = t * t;
  p = h * (1.0f / 362880) - 1.0f / 5040;
  p = p * h + 1.0f / 120;
  p = p * h - 1.0f / 6;
  f32v sine = t + t * h * p;
  p = h * (1.0f / 40320) - 1.0f / 720;
  p = p * h + 1.0f / 24;
  p = p * h - 0.5f;
  f32v cosine = 1.0f + h * p;
  u32v odd = -(q & 1), S = (u32v)(r * sine), C = (u32v)(r * cosine);
  *x = (f32v)(((C & ~odd) | (S & odd)) ^ ((q + 1) & 2) << 30);
  *y = (f32v)(((S & ~odd) | (C & odd)) ^ (q & 2) << 30);
}

/* Uniform on (0,1): 52 bits and a half. */
INLINE f64v FN(unit64) (u64v a) {
  return (f64v)((a >> 12) | 0x3ff0000000000000) - 1.0 + 0x1p-53;
}

INLINE void FN(polar64) (u64v u, u64v w, f64v *x, f64v *y) {
  const f64v magic = (f64v){ 0 } + 0x1.8p52;    /* its low bits hold an integer */
  u64v v = (u64v)FN(unit64)(u);
  u64v k = (v - 0x3fe6a09e667f3bcd + (1024ull << 52)) >> 52;       /* + 1024 */
  f64v m = (f64v)(v - ((k - 1024) << 52));
  f64v s = (m - 1.0) / (m + 1.0), z = s * s;
  f64v p = z * (1.0 / 19) + 1.0 / 17;
  p = p * z + 1.0 / 15;
  p = p * z + 1.0 / 13;
  p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7;
  p = p * z + 1.0 / 5;
  p = p * z + 1.0 / 3;
  f64v ln = 2 * (s + s * z * p);
  f64v minus_k = (0x1.8p52 + 1024) - (f64v)((u64v)magic + k);
  f64v r = (f64v)SQRT64(2 * (minus_k * 0.69314718055994531 - ln));

  u64v a = w >> 12, q = (a + (1ull << 49)) >> 50;
  f64v t = ((f64v)((u64v)magic + (a - (q << 50))) - magic) * 1.3951473992034527e-15;
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
  u64v odd = -(q & 1), S = (u64v)(r * sine), C = (u64v)(r * cosine);
  *x = (f64v)(((C & ~odd) | (S & odd)) ^ ((q + 1) & 2) << 62);
  *y = (f64v)(((S & ~odd) | (C & odd)) ^ (q & 2) << 62);
}

/* Values of BYTES / 8 blocks, in the order of the blocks and their words. */
INLINE void FN(step) (const fov_Stream *s, uint64_t at, fov_Draw kind, char *to) {
  u64v c[4];
  FN(philox)(s, at, c);
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
  for (; bytes >= 2 * BYTES; bytes -= 2 * BYTES, to += 2 * BYTES, at += BYTES / 8)
    FN(step)(s, at, kind, to);
  if (bytes > 0) {
    char last[2 * BYTES];
    FN(step)(s, at, kind, last);
    memcpy(to, last, (size_t)bytes);
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
#undef SQRT32
#undef SQRT64
#undef LANES
#undef ZIP64
#undef ZIP32
