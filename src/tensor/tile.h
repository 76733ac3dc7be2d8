/* tile.h -- register tiles: the dense products inside fused kernels.
 *
 * For files built per dtype and level.  One tile holds TILE_ROWS rows of
 * TILE_VECS vectors of C in registers for the whole of the inner dimension:
 *
 *   C(r, w) (+)= A(r, k) B(k, w)
 *
 * A is read a scalar at a time and broadcast, either row-major or transposed;
 * B is read in vectors, rows 'ldb' apart; w is a multiple of VL.  Sums over k
 * run in order with one accumulator each, so a result depends on k and its
 * operands alone, not on how rows and columns were grouped into tiles. */
#ifndef FOV_TILE_H
#define FOV_TILE_H

#include "tensor/simd.h"

#if FOV_NREG == 32
#define TILE_ROWS 6
#define TILE_VECS 4
#else
#define TILE_ROWS 6
#define TILE_VECS 2
#endif
#define TILE_COLS (TILE_VECS * VL)

#ifdef __clang__
#define UNROLL(n) _Pragma("unroll")
#else
#define UNROLL(n) UNROLL_(GCC unroll n)
#define UNROLL_(x) _Pragma(#x)
#endif

static inline ptrdiff_t roundup (ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }
static inline ptrdiff_t least (ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t most (ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* A(i,k) at a[i*ai + k*ak]; R and V are constants where this is inlined. */
static inline __attribute__((always_inline))
void tile (int R, int V, bool add, ptrdiff_t K, const real *a, ptrdiff_t ai, ptrdiff_t ak,
           const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc) {
  vec acc[TILE_ROWS][TILE_VECS], x[TILE_VECS];
  real *to = c;
  UNROLL(8) for (int i = 0; i < R; i++, c += ldc)
    UNROLL(8) for (int j = 0; j < V; j++) acc[i][j] = add ? vload(c + j * VL) : vzero();
  for (ptrdiff_t k = 0; k < K; k++, a += ak, b += ldb) {
    UNROLL(8) for (int j = 0; j < V; j++) x[j] = vload(b + j * VL);
    UNROLL(8) for (int i = 0; i < R; i++) {
      vec y = vset(a[i * ai]);
      UNROLL(8) for (int j = 0; j < V; j++) acc[i][j] += y * x[j];
    }
  }
  UNROLL(8) for (int i = 0; i < R; i++, to += ldc)
    UNROLL(8) for (int j = 0; j < V; j++) vstore(to + j * VL, acc[i][j]);
}

#define TILE_CASE(R, V) case (R) * 8 + (V): tile(R, V, add, K, a, ai, ak, b, ldb, c, ldc); break;
#if TILE_VECS == 4
#define TILE_CASES(R) TILE_CASE(R, 1) TILE_CASE(R, 2) TILE_CASE(R, 3) TILE_CASE(R, 4)
#else
#define TILE_CASES(R) TILE_CASE(R, 1) TILE_CASE(R, 2)
#endif

/* One tile, R of 1, 2, 4, 6 rows and V of 1 .. TILE_VECS vectors. */
static __attribute__((noinline, unused))
void tile_rows (int R, int V, bool add, ptrdiff_t K, const real *a, ptrdiff_t lda,
                const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc) {
  const ptrdiff_t ai = lda, ak = 1;
  switch (R * 8 + V) { TILE_CASES(1) TILE_CASES(2) TILE_CASES(4) TILE_CASES(6) }
}
static __attribute__((noinline, unused))
void tile_cols (int R, int V, bool add, ptrdiff_t K, const real *a, ptrdiff_t lda,
                const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc) {
  const ptrdiff_t ai = 1, ak = lda;
  switch (R * 8 + V) { TILE_CASES(1) TILE_CASES(2) TILE_CASES(4) TILE_CASES(6) }
}

static inline int tile_step (ptrdiff_t rows) {
  return rows >= 6 ? 6 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
}

/* C(rows,w) (+)= A(rows,K) B(K,w), A row-major. */
static inline void product (bool add, ptrdiff_t rows, ptrdiff_t w, ptrdiff_t K,
                            const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb,
                            real *c, ptrdiff_t ldc) {
  for (ptrdiff_t j = 0; j < w; j += TILE_COLS) {
    int V = (int)(least(w - j, TILE_COLS) / VL), R;
    for (ptrdiff_t i = 0; i < rows; i += R) {
      R = tile_step(rows - i);
      tile_rows(R, V, add, K, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc);
    }
  }
}

/* C(i,w) += sum over k < i of A(i,k) B(k,w): below the diagonal of one tile's
 * rows, A row-major. */
static inline void tile_stairs (ptrdiff_t w, const real *a, ptrdiff_t lda, const real *b,
                                ptrdiff_t ldb, real *c, ptrdiff_t ldc) {
  for (ptrdiff_t j = 0; j < w; j += VL) {
    vec x[TILE_ROWS - 1];
    UNROLL(8) for (int k = 0; k < TILE_ROWS - 1; k++) x[k] = vload(b + k * ldb + j);
    UNROLL(8) for (int i = 1; i < TILE_ROWS; i++) {
      vec acc = vload(c + i * ldc + j);
      UNROLL(8) for (int k = 0; k < i; k++) acc += vset(a[i * lda + k]) * x[k];
      vstore(c + i * ldc + j, acc);
    }
  }
}

/* ---- packing: transposes in registers --------------------------------- */

#if FOV_VBYTES * 8 / FOV_REAL == 16
#define ZIP_LO 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HI 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif FOV_VBYTES * 8 / FOV_REAL == 8
#define ZIP_LO 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HI 4, 12, 5, 13, 6, 14, 7, 15
#elif FOV_VBYTES * 8 / FOV_REAL == 4
#define ZIP_LO 0, 4, 1, 5
#define ZIP_HI 2, 6, 3, 7
#else
#define ZIP_LO 0, 2
#define ZIP_HI 1, 3
#endif

/* Zipping row i with row i + VL/2 rotates the bits of (row, lane) by one
 * place; after log2 VL rounds row and lane have changed places. */
static inline __attribute__((always_inline)) void transpose (vec *x) {
  vec y[FOV_VBYTES / sizeof(real)];
  UNROLL(4) for (ptrdiff_t s = 1; s < VL; s *= 2) {
    UNROLL(8) for (ptrdiff_t i = 0; i < VL / 2; i++) {
      y[2 * i] = __builtin_shufflevector(x[i], x[i + VL / 2], ZIP_LO);
      y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + VL / 2], ZIP_HI);
    }
    UNROLL(16) for (ptrdiff_t i = 0; i < VL; i++) x[i] = y[i];
  }
}

/* Columns c .. c+VL of one panel: p[k*TILE_COLS + r] = f * src[r*ld + k]; rows
 * from 'rows' on are zero and not read. */
static inline void pack_strip (real f, ptrdiff_t rows, ptrdiff_t d, const real *src,
                               ptrdiff_t ld, real *p) {
  ptrdiff_t k = 0;
  if (rows >= VL)
    for (; k + VL <= d; k += VL) {
      vec x[FOV_VBYTES / sizeof(real)];
      UNROLL(16) for (ptrdiff_t r = 0; r < VL; r++) x[r] = vload(src + r * ld + k);
      transpose(x);
      UNROLL(16) for (ptrdiff_t r = 0; r < VL; r++) vstore(p + (k + r) * TILE_COLS, f * x[r]);
    }
  for (; k < d; k++)
    for (ptrdiff_t r = 0; r < VL; r++) p[k * TILE_COLS + r] = r < rows ? f * src[r * ld + k] : 0;
}

/* f * src(rows,d) transposed into panels [rows/TILE_COLS][d][TILE_COLS], the last
 * one filled up with zeros. */
static inline void pack_panels (real f, ptrdiff_t rows, ptrdiff_t d, const real *src,
                                ptrdiff_t ld, real *p) {
  for (ptrdiff_t j = 0; j < rows; j += TILE_COLS, p += d * TILE_COLS)
    for (ptrdiff_t c = 0; c < TILE_COLS; c += VL)
      pack_strip(f, rows - j - c, d, src + (j + c) * ld, ld, p + c);
}

/* dst(rows,ldd) = f * src(rows,d), columns from d to ldd zero. */
static inline void pack_rows (real f, ptrdiff_t rows, ptrdiff_t d, const real *src,
                              ptrdiff_t ld, real *dst, ptrdiff_t ldd) {
  for (ptrdiff_t i = 0; i < rows; i++, src += ld, dst += ldd) {
    ptrdiff_t k = 0;
    for (; k + VL <= d; k += VL) vstore(dst + k, f * vload(src + k));
    for (; k < d; k++) dst[k] = f * src[k];
    for (; k < ldd; k++) dst[k] = 0;
  }
}

#endif
