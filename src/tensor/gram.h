/* gram.h -- Gram matrices by tiles: what kernel functions share.
 *
 * For files built per dtype and level.  A kernel is a function of
 *
 *   u = f x.y         and |x|^2, |y|^2 (times f)        GRAM_PRODUCT
 *   u = f |x - y|^2                                     GRAM_DISTANCE
 *   u = f |x - y|_1                                     GRAM_CITY
 *
 * and its file gives two functions of a row of u.  A tile of u comes from the
 * register tile, is turned into K while it is in L1, and without y only tiles
 * on and above the diagonal are computed: the others are their transposes, and
 * the diagonal is that of u = |x|^2 or 0 exactly.
 *
 * Squared distances are |x|^2 + |y|^2 - 2 x.y; where less than 1/64 of the norms
 * is left, they are summed from the differences, so that their relative error
 * stays below 64 roundings or so.
 *
 * Backward, with W = dK o dk/du and r_i = sum_j dK_ij dk/d|x_i|^2, tiles again:
 *   product   dX = f (W Y + 2 diag(r) X)
 *   distance  dX = 2 f (diag(W 1) X - W Y)
 *   city      dX_ik = f sum_j W_ij sign(x_ik - y_jk)
 * and dY by the same with the roles changed, dK transposed; with x alone dK + dK'
 * takes the place of dK.  Nothing of size nm is kept but K.
 *
 * Time O(nmd), half of it for x with itself; scratch n + m + md.  Blocks are cut
 * by the sizes alone. */
#ifndef FOV_GRAM_H
#define FOV_GRAM_H

#include "base/pool.h"
#include "tensor/simd_math.h"
#include "tensor/tile.h"

enum { GRAM_SIDE = 192, GRAM_ROWS = 48, GRAM_DEPTH = 256 };

typedef enum gram_Kind { GRAM_PRODUCT, GRAM_DISTANCE, GRAM_CITY } gram_Kind;

typedef struct gram {
  gram_Kind kind;
  real f, a, b;                /* a, b, p: what the kernel likes */
  int p;

  /* u := k, a row of w elements, a multiple of VL; xx, yy are f |x|^2, f |y|^2. */
  void (*values) (const struct gram *g, real xx, const real *yy, real *u, ptrdiff_t w);

  /* du := dk/du, and dxx := dk/d(f |x|^2) (product only). */
  void (*slopes) (const struct gram *g, real xx, const real *yy, const real *u, real *du,
                  real *dxx, ptrdiff_t w);

  ptrdiff_t n, m, d;
  const real *X, *Y;           /* Y == NULL: of X with itself, m = n */
  real *K;                     /* forward writes */
  const real *dK;              /* backward reads; dX, dY: NULL where not wanted */
  real *dX, *dY;

  /* the rest is gram_forward's and gram_backward's own */
  bool same, stream;
  real *xx, *yy, *panels;      /* yy has room for whole panels */
  bool flip, both;             /* dK is (m,n); dK + dK' */
  const real *Yw;              /* rows of Y, 'wide' apart, filled up with zeros */
  ptrdiff_t wide;
} gram;

/* Results beyond so many bytes do not stay in a cache and go past them. */
#define GRAM_STREAM (8u << 20)

static inline real gram_square (const real *x, ptrdiff_t d) {
  vec s = vzero();
  ptrdiff_t k = 0;
  for (; k + VL <= d; k += VL) s += vload(x + k) * vload(x + k);
  if (k < d) {
    vec last = vload_n(x + k, d - k, 0);
    s += last * last;
  }
  return vsum(s);
}

static inline real gram_gap (const real *x, const real *y, ptrdiff_t d) {
  vec s = vzero();
  ptrdiff_t k = 0;
  for (; k + VL <= d; k += VL) {
    vec e = vload(x + k) - vload(y + k);
    s += e * e;
  }
  if (k < d) {
    vec e = vload_n(x + k, d - k, 0) - vload_n(y + k, d - k, 0);
    s += e * e;
  }
  return vsum(s);
}

/* t(rows, TILE_COLS) = sum_k |x_k - y_k|, as 'product' does x.y. */
static inline void gram_city (ptrdiff_t rows, ptrdiff_t d, const real *x, const real *panel,
                              real *t) {
  for (ptrdiff_t i = 0; i < rows; i++, x += d, t += TILE_COLS) {
    vec acc[TILE_VECS];
    UNROLL(8) for (int v = 0; v < TILE_VECS; v++) acc[v] = vzero();
    for (ptrdiff_t k = 0; k < d; k++)
      UNROLL(8) for (int v = 0; v < TILE_VECS; v++)
        acc[v] += vabs(x[k] - vload(panel + k * TILE_COLS + v * VL));
    UNROLL(8) for (int v = 0; v < TILE_VECS; v++) vstore(t + v * VL, acc[v]);
  }
}

/* A row of |x|^2 + |y|^2 - 2 x.y, at least 0, in place of x.y; the few that
 * cancel from the differences. */
static inline void gram_distances (const gram *g, ptrdiff_t i, ptrdiff_t j, real *t) {
  const vec xx = vset(g->xx[i]);
  for (ptrdiff_t c = 0; c < TILE_COLS; c += VL) {
    vec sum = xx + vload(g->yy + j + c), gap = vmax(vzero(), sum - 2 * g->f * vload(t + c));
    vstore(t + c, gap);
    if (__builtin_expect(vany((ivec)(gap * 64 < sum)), 0))
      for (ptrdiff_t e = c; e < c + VL && j + e < g->m; e++)
        if (t[e] * 64 < g->xx[i] + g->yy[j + e])
          t[e] = g->f * gram_gap(g->X + i * g->d, g->Y + (j + e) * g->d, g->d);
  }
}

/* u of 'rows' rows from i and the panel that begins at column j. */
static inline void gram_tile (const gram *g, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, real *t) {
  const ptrdiff_t d = g->d;
  const real *x = g->X + i * d, *panel = g->panels + j * d;
  if (g->kind == GRAM_CITY) gram_city(rows, d, x, panel, t);
  else
    for (ptrdiff_t k = 0; k < d || k == 0; k += GRAM_DEPTH)
      product(k > 0, rows, TILE_COLS, least(d - k, GRAM_DEPTH), x + k, d, panel + k * TILE_COLS,
              TILE_COLS, t, TILE_COLS);
  for (ptrdiff_t r = 0; r < rows; r++, t += TILE_COLS) {
    if (g->kind == GRAM_DISTANCE) gram_distances(g, i + r, j, t);
    else
      for (ptrdiff_t c = 0; c < TILE_COLS; c += VL) vstore(t + c, g->f * vload(t + c));
    ptrdiff_t at = i + r - j;
    if (g->same && at >= 0 && at < TILE_COLS && t[at] == t[at])
      t[at] = g->kind == GRAM_PRODUCT ? g->xx[i + r] : 0;
  }
}

static inline void gram_store (bool stream, real *to, vec v) {
  if (stream) vstream(to, v);
  else vstore(to, v);
}

/* to[c ldt + r] = from[r ldf + c]. */
static inline void gram_turn (bool stream, ptrdiff_t rows, ptrdiff_t cols, const real *from,
                              ptrdiff_t ldf, real *to, ptrdiff_t ldt) {
  const ptrdiff_t R = rows / VL * VL, C = cols / VL * VL;
  for (ptrdiff_t c = 0; c < C; c += VL)
    for (ptrdiff_t r = 0; r < R; r += VL) {
      vec x[FOV_VBYTES / sizeof(real)];
      UNROLL(16) for (ptrdiff_t v = 0; v < VL; v++) x[v] = vload(from + (r + v) * ldf + c);
      transpose(x);
      UNROLL(16) for (ptrdiff_t v = 0; v < VL; v++) gram_store(stream, to + (c + v) * ldt + r, x[v]);
    }
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = r < R ? C : 0; c < cols; c++) to[c * ldt + r] = from[r * ldf + c];
}

/* Block b of the matrix, or of its upper triangle. */
static fov_Status gram_block (void *arg, ptrdiff_t b) {
  const gram *g = arg;
  const ptrdiff_t count = (g->m + GRAM_SIDE - 1) / GRAM_SIDE, m = g->m;
  real t[GRAM_ROWS * TILE_COLS] __attribute__((aligned(64)));
  ptrdiff_t I = 0, J = b;
  if (g->same) for (; J >= count - I; I++) J -= count - I;
  else I = b / count, J = b % count;
  if (g->same) J += I;
  const ptrdiff_t last = least(g->n, (I + 1) * GRAM_SIDE), right = least(m, (J + 1) * GRAM_SIDE);
  for (ptrdiff_t j = J * GRAM_SIDE; j < right; j += TILE_COLS) {
    const ptrdiff_t w = least(right - j, TILE_COLS);
    for (ptrdiff_t i = I * GRAM_SIDE; i < last; i += GRAM_ROWS) {
      const ptrdiff_t rows = least(last - i, GRAM_ROWS);
      if (g->same && j + w <= i) continue;
      gram_tile(g, i, rows, j, t);
      for (ptrdiff_t r = 0; r < rows; r++) {
        real *u = t + r * TILE_COLS, *k = g->K + (i + r) * m + j;
        g->values(g, g->xx[i + r], g->yy + j, u, TILE_COLS);
        ptrdiff_t c = 0;
        for (; c + VL <= w; c += VL) gram_store(g->stream, k + c, vload(u + c));
        if (c < w) vstore_n(k + c, vload(u + c), w - c);
      }
      if (!g->same) continue;
      for (ptrdiff_t r = 0; r < rows; r += VL) {   /* what is above the diagonal */
        const ptrdiff_t high = least(rows - r, VL), above = most(0, i + r + VL - j);
        if (above < w)
          gram_turn(g->stream, high, w - above, t + r * TILE_COLS + above, TILE_COLS,
                    g->K + (j + above) * m + i + r, m);
        for (ptrdiff_t q = r; q < r + high; q++)
          for (ptrdiff_t c = most(0, i + q + 1 - j); c < least(above, w); c++)
            g->K[(j + c) * m + i + q] = t[q * TILE_COLS + c];
      }
    }
  }
  if (g->stream) vstreamed();
  return FOV_OK;
}

/* What a pass reads: squared norms and Y in panels; X and Y, n and m are set. */
static inline fov_Status gram_ready (gram *g) {
  const ptrdiff_t padded = roundup(g->m, TILE_COLS);
  g->xx = fov_scratch((size_t)g->n, sizeof(real));
  g->yy = fov_scratch((size_t)padded, sizeof(real));
  g->panels = fov_scratch((size_t)(padded * g->d), sizeof(real));
  if (!g->xx || !g->yy || !g->panels) return FOV_NOMEM;
  for (ptrdiff_t i = 0; i < g->n; i++) g->xx[i] = g->f * gram_square(g->X + i * g->d, g->d);
  for (ptrdiff_t j = 0; j < padded; j++)
    g->yy[j] = j < g->m ? g->f * gram_square(g->Y + j * g->d, g->d) : 0;
  pack_panels(1, g->m, g->d, g->Y, g->d, g->panels);
  return FOV_OK;
}

static inline void gram_begin (gram *g) {
  g->same = !g->Y;
  if (g->same) g->Y = g->X, g->m = g->n;
}

static inline fov_Status gram_forward (gram *g) {
  gram_begin(g);
  fov_Status s = gram_ready(g);
  if (s != FOV_OK) return s;
  g->stream = (size_t)(g->n * g->m) * sizeof(real) >= GRAM_STREAM && g->m % VL == 0 &&
              (uintptr_t)g->K % FOV_VBYTES == 0;
  const ptrdiff_t N = (g->n + GRAM_SIDE - 1) / GRAM_SIDE, M = (g->m + GRAM_SIDE - 1) / GRAM_SIDE;
  return fov_parallel(g->same ? N * (N + 1) / 2 : N * M, gram_block, g);
}

/* s(rows, TILE_COLS) = dK of the tile at (i, j), 0 beyond column m. */
static inline void gram_seed (const gram *g, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, real *s) {
  const ptrdiff_t w = least(g->m - j, TILE_COLS);
  if (w < TILE_COLS || g->flip) memset(s, 0, (size_t)(rows * TILE_COLS) * sizeof *s);
  if (g->flip) gram_turn(false, w, rows, g->dK + j * g->n + i, g->n, s, TILE_COLS);
  else
    for (ptrdiff_t r = 0; r < rows; r++)
      memcpy(s + r * TILE_COLS, g->dK + (i + r) * g->m + j, (size_t)w * sizeof *s);
  if (!g->both) return;
  real t[GRAM_ROWS * TILE_COLS];
  gram_turn(false, w, rows, g->dK + j * g->n + i, g->n, t, TILE_COLS);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < w; c++) s[r * TILE_COLS + c] += t[r * TILE_COLS + c];
}

/* acc(k) += sum_j W_j sign(x_k - y_jk), for w columns. */
static inline void gram_signs (const gram *g, const real *x, ptrdiff_t j, ptrdiff_t w,
                               const real *W, real *acc) {
  const real *y = g->Yw + j * g->wide;
  for (ptrdiff_t k = 0; k < g->wide; k += VL) {
    vec sum = vload(acc + k), xk = k + VL <= g->d ? vload(x + k) : vload_n(x + k, g->d - k, 0);
    for (ptrdiff_t c = 0; c < w; c++) {
      vec wc = vset(W[c]), yk = vload(y + c * g->wide + k);
      sum += vselect((ivec)(xk > yk), wc, vselect((ivec)(xk < yk), -wc, vzero()));
    }
    vstore(acc + k, sum);
  }
}

/* GRAM_ROWS rows of dX. */
static fov_Status gram_pull (void *arg, ptrdiff_t b) {
  const gram *g = arg;
  const ptrdiff_t i = b * GRAM_ROWS, rows = least(g->n - i, GRAM_ROWS), d = g->d;
  real t[GRAM_ROWS * TILE_COLS] __attribute__((aligned(64)));
  real s[GRAM_ROWS * TILE_COLS] __attribute__((aligned(64)));
  real du[TILE_COLS], dxx[TILE_COLS], sums[GRAM_ROWS] = { 0 };
  real *acc = fov_scratch((size_t)(rows * g->wide), sizeof *acc);
  if (!acc) return FOV_NOMEM;
  memset(acc, 0, (size_t)(rows * g->wide) * sizeof *acc);
  for (ptrdiff_t j = 0; j < g->m; j += TILE_COLS) {
    const ptrdiff_t w = least(g->m - j, TILE_COLS);
    gram_tile(g, i, rows, j, t);
    gram_seed(g, i, rows, j, s);
    for (ptrdiff_t r = 0; r < rows; r++) {
      real *W = s + r * TILE_COLS;
      vec sum = vzero();
      g->slopes(g, g->xx[i + r], g->yy + j, t + r * TILE_COLS, du, dxx, roundup(w, VL));
      for (ptrdiff_t c = 0; c < w; c++) {
        real seed = W[c];
        W[c] = seed == 0 ? 0 : seed * du[c];
        dxx[c] = g->kind != GRAM_PRODUCT ? W[c] : seed == 0 ? 0 : seed * dxx[c];
      }
      for (ptrdiff_t c = w; c < TILE_COLS; c++) dxx[c] = 0;
      for (ptrdiff_t c = 0; c < TILE_COLS; c += VL) sum += vload(dxx + c);
      sums[r] += vsum(sum);
      if (g->kind == GRAM_CITY) gram_signs(g, g->X + (i + r) * d, j, w, W, acc + r * g->wide);
    }
    if (g->kind != GRAM_CITY)
      product(true, rows, g->wide, w, s, TILE_COLS, g->Yw + j * g->wide, g->wide, acc, g->wide);
  }
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t k = 0; k < d; k++) {
      real A = acc[r * g->wide + k], x = g->X[(i + r) * d + k], *to = g->dX + (i + r) * d + k;
      *to = g->f * (g->kind == GRAM_CITY ? A : g->kind == GRAM_PRODUCT ? A + 2 * sums[r] * x
                                                                      : 2 * (sums[r] * x - A));
    }
  return FOV_OK;
}

static inline fov_Status gram_side (gram *g, real *dX) {
  if (!dX || g->n == 0) return FOV_OK;
  fov_Mark mark = fov_mark();
  fov_Status s = gram_ready(g);
  g->dX = dX, g->wide = roundup(g->d, VL);
  if (s == FOV_OK) {
    real *wide = fov_scratch((size_t)(g->m * g->wide), sizeof *wide);
    if (!wide) return FOV_NOMEM;
    pack_rows(1, g->m, g->d, g->Y, g->d, wide, g->wide);
    g->Yw = wide;
    s = fov_parallel((g->n + GRAM_ROWS - 1) / GRAM_ROWS, gram_pull, g);
  }
  fov_release(mark);
  return s;
}

static inline fov_Status gram_backward (gram *g) {
  gram_begin(g);
  g->both = g->same;
  fov_Status s = gram_side(g, g->dX);
  if (s != FOV_OK || g->same) return s;
  gram back = *g;
  back.X = g->Y, back.Y = g->X, back.n = g->m, back.m = g->n, back.flip = true;
  return gram_side(&back, g->dY);
}

#endif
