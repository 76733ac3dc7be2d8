/* panel.c -- C = A B with B packed in panels of registers' width; see panel.h.
 *
 *   C[i..i+MR, j..j+W] += A[i.., p..p+KC] B[p..p+KC, j..j+W]
 *
 * MR rows times W = NV vectors of C stay in registers while p runs; a packed
 * block of B (KC by W) stays in L1; elements of A are spread over a vector, from
 * where they lie or from a packed copy: rows a power of two apart would share
 * few cache sets.  Terms are added in the order of p. */
#include "tensor/panel.h"

#include "tensor/simd.h"

#if FOV_NREG == 32
enum { NV = 4, MR = 6 };
#else
enum { NV = 2, MR = 6 };
#endif
enum { KC = 384, LINE = 64 / sizeof(real) };

#define W (NV * VL)

/* What the p-th term of a block fetches for later: x + p row. */
typedef struct Ahead { const real *x; ptrdiff_t row; } Ahead;

static inline __attribute__((always_inline)) void
block (int rows, ptrdiff_t k, const real *A, ptrdiff_t ra, ptrdiff_t ca, const real *B,
       const Ahead *later, real *C, ptrdiff_t ldc, int add) {
  vec acc[MR][NV];
  /* What the next rows will read: the next columns of A where rows are adjacent,
   * else what follows the dense or packed rows of this block. */
  const bool columns = ra == 1 && ca != MR;
  const real *next = columns ? A + LINE : A + MR * (ra == 1 ? k : ra);
  const ptrdiff_t step = columns ? ca : MR, row = later->row;
  const real *far = later->x;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) {
      __builtin_prefetch(C + r * ldc + v * VL, 1);
      acc[r][v] = vzero();
    }
  for (ptrdiff_t p = 0; p < k; p++, A += ca, B += W, next += step, far += row) {
    vec b[NV];
    __builtin_prefetch(next);
    __builtin_prefetch(far, 0, 2);
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) b[v] = vload(B + v * VL);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      vec a = vset(A[r * ra]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) acc[r][v] += a * b[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) {
      real *c = C + r * ldc + v * VL;
      vstore(c, add ? vload(c) + acc[r][v] : acc[r][v]);
    }
}

/* Rows beyond a multiple of MR. */
static void edge (int rows, ptrdiff_t k, const real *A, ptrdiff_t ra, ptrdiff_t ca,
                  const real *B, const Ahead *later, real *C, ptrdiff_t ldc, int add) {
  switch (rows) {
    case 1: block(1, k, A, ra, ca, B, later, C, ldc, add); break;
    case 2: block(2, k, A, ra, ca, B, later, C, ldc, add); break;
    case 3: block(3, k, A, ra, ca, B, later, C, ldc, add); break;
    case 4: block(4, k, A, ra, ca, B, later, C, ldc, add); break;
    case 5: block(5, k, A, ra, ca, B, later, C, ldc, add); break;
    default: block(MR, k, A, ra, ca, B, later, C, ldc, add);
  }
}

/* (k,n) of B as k rows of W, zeros beyond n. */
static void pack (ptrdiff_t k, ptrdiff_t n, const real *B, ptrdiff_t rb, ptrdiff_t cb,
                  real *P) {
  if (n < W) memset(P, 0, (size_t)(k * W) * sizeof *P);
  if (cb == 1)
    for (ptrdiff_t p = 0; p < k; p++) {
      for (ptrdiff_t j = 0; j < n; j += LINE) __builtin_prefetch(B + (p + 8) * rb + j);
      memcpy(P + p * W, B + p * rb, (size_t)n * sizeof *P);
    }
  else
    for (ptrdiff_t p0 = 0; p0 < k; p0 += 16)     /* a cache line of B at a time */
      for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t p = p0; p < k && p < p0 + 16; p++) P[p * W + j] = B[p * rb + j * cb];
}

static void pack_left (ptrdiff_t i, ptrdiff_t last, ptrdiff_t m, ptrdiff_t k,
                       const fov_Left *L, void *P_) {
  const real *A = L->x;
  ptrdiff_t padded = (m + MR - 1) / MR * MR, sr = L->row, sc = L->col;
  for (ptrdiff_t p = 0; p < k; p += KC) {
    ptrdiff_t kc = k - p < KC ? k - p : KC;
    real *P = (real *)P_ + p * padded;
    if (sr == 1)
      for (ptrdiff_t q = 0; q < kc; q++)
        for (ptrdiff_t r = i; r < last; r += MR)
          for (ptrdiff_t s = r; s < last && s < r + MR; s++)
            P[r * kc + q * MR + s - r] = A[s + (p + q) * sc];
    else
      for (ptrdiff_t r = i; r < last; r += MR)
        for (ptrdiff_t s = r; s < last && s < r + MR; s++) {
          const real *a = A + s * sr + p * sc;
          for (ptrdiff_t q = 0; q < kc; q++) P[r * kc + q * MR + s - r] = a[q * sc];
        }
  }
}

static fov_Status product (ptrdiff_t i0, ptrdiff_t p0, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                           const fov_Left *L, const void *B_, ptrdiff_t rb, ptrdiff_t cb,
                           void *C_, ptrdiff_t ldc) {
  const real *A = L->x, *B = B_;
  real *C = C_, *P = fov_scratch(KC * W, sizeof *P), edges[MR * W];
  if (!P) return FOV_NOMEM;
  ptrdiff_t sr = L->padded ? 1 : L->row, sc = L->padded ? MR : L->col;
  for (ptrdiff_t p = 0; p < k; p += KC) {
    ptrdiff_t kc = k - p < KC ? k - p : KC;
    for (ptrdiff_t j = 0; j < n; j += W) {
      ptrdiff_t w = n - j < W ? n - j : W;
      pack(kc, w, B + p * rb + j * cb, rb, cb, P);
      /* packed next: each of the first NV blocks of rows fetches a vector of its rows */
      const real *then = j + W < n ? B + p * rb + (j + W) * cb : B + (p + kc) * rb;
      for (ptrdiff_t i = 0; i < m; i += MR) {
        const real *a = L->padded ? A + (p0 + p) * L->padded + (i0 + i) * kc
                                  : A + (i0 + i) * sr + (p0 + p) * sc;
        real *c = C + i * ldc + j;
        int rows = m - i < MR ? (int)(m - i) : MR;
        const bool fetch = cb == 1 && i < MR * NV;
        Ahead later = { fetch ? then + i / MR * VL : a, fetch ? rb : 0 };
        if (w == W) {
          edge(rows, kc, a, sr, sc, P, &later, c, ldc, p > 0);
          continue;
        }
        edge(rows, kc, a, sr, sc, P, &later, edges, W, 0);
        for (int r = 0; r < rows; r++)
          for (ptrdiff_t v = 0; v < w; v++)
            c[r * ldc + v] = p > 0 ? c[r * ldc + v] + edges[r * W + v] : edges[r * W + v];
      }
    }
  }
  return FOV_OK;
}

extern const fov_Panel FOV_BUILD(fov_panel);
const fov_Panel FOV_BUILD(fov_panel) = {
  .width = NV * FOV_VBYTES / sizeof(real), .rows = MR, .depth = KC,
  .pack = pack_left, .product = product
};
