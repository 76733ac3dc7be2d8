/* coding.c -- element codings; see coding.h.
 *
 * Binary16 to binary32 is exact: with sign s, exponent e, fraction f
 *   e = 0:  (-1)^s f 2^-24      e = 31: infinity or NaN, payload kept
 *   else:   exponent e - 15 + 127, fraction f 2^13. */
#include "io/coding.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

static float half (uint16_t h) {
  uint32_t s = (uint32_t)(h >> 15) << 31, e = h >> 10 & 31, f = h & 1023, u;
  float x;
  if (e == 0) return (s ? -1.0f : 1.0f) * (float)f * 0x1p-24f;
  u = s | (e == 31 ? 255u : e + 112) << 23 | f << 13;
  memcpy(&x, &u, sizeof x);
  return x;
}

static void from_f16 (const char *raw, ptrdiff_t n, void *out) {
  float *y = out;
  for (ptrdiff_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, raw + 2 * i, 2);
    y[i] = half(h);
  }
}

static void from_bf16 (const char *raw, ptrdiff_t n, void *out) {
  char *y = out;
  memset(y, 0, (size_t)n * 4);
  for (ptrdiff_t i = 0; i < n; i++) memcpy(y + 4 * i + 2, raw + 2 * i, 2);
}

#define FROM(name, T) \
  static void name (const char *raw, ptrdiff_t n, void *out) { \
    int64_t *y = out; \
    for (ptrdiff_t i = 0; i < n; i++) { \
      T v; \
      memcpy(&v, raw + (ptrdiff_t)sizeof v * i, sizeof v); \
      y[i] = v; \
    } \
  }
FROM(from_i32, int32_t)
FROM(from_i16, int16_t)
FROM(from_i8, int8_t)
FROM(from_u32, uint32_t)
FROM(from_u16, uint16_t)

/* The first four are fov_Type's own, in its order. */
static const fov_Coding codings[] = {
  { "<f4", "F32", 4, FOV_F32, NULL },
  { "<f8", "F64", 8, FOV_F64, NULL },
  { "<i8", "I64", 8, FOV_I64, NULL },
  { "|u1", "U8", 1, FOV_U8, NULL },
  { "|b1", "BOOL", 1, FOV_U8, NULL },
  { "<f2", "F16", 2, FOV_F32, from_f16 },
  { NULL, "BF16", 2, FOV_F32, from_bf16 },
  { "<i4", "I32", 4, FOV_I64, from_i32 },
  { "<i2", "I16", 2, FOV_I64, from_i16 },
  { "|i1", "I8", 1, FOV_I64, from_i8 },
  { "<u4", "U32", 4, FOV_I64, from_u32 },
  { "<u2", "U16", 2, FOV_I64, from_u16 },
};
#define NCODING (sizeof codings / sizeof *codings)

const fov_Coding *fov_coding_npy (const char *name) {
  for (size_t i = 0; i < NCODING; i++)
    if (codings[i].npy && strcmp(name, codings[i].npy) == 0) return &codings[i];
  return NULL;
}

const fov_Coding *fov_coding_st (const char *name) {
  for (size_t i = 0; i < NCODING; i++)
    if (strcmp(name, codings[i].st) == 0) return &codings[i];
  return NULL;
}

const fov_Coding *fov_coding_of (fov_Type t) { return &codings[t]; }
