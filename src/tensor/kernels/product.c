/* product.c -- matrix products from the register tile; see product.h.
 *
 * DEPTH terms at a time, so that a panel of B and the rows of A that meet it
 * stay in L1; the panel is packed when its rows are not a panel wide. */
#include "tensor/product.h"

#include "base/pool.h"
#include "tensor/tile.h"

enum { DEPTH = 96 };

/* Rows [i, i + m) of columns [j, j + w), w <= TILE_COLS. */
static fov_Status panel (const fov_Product *p, ptrdiff_t i, ptrdiff_t m, ptrdiff_t j, ptrdiff_t w) {
  const ptrdiff_t width = roundup(w, VL), up = p->ta ? 1 : p->lda, along = p->ta ? p->lda : 1;
  const bool padded = w < width, pack = padded || p->ldb != width;
  real *b = NULL, *c = p->c + i * p->ldc + j;
  ptrdiff_t ldc = p->ldc;
  if (pack && !(b = fov_scratch((size_t)(DEPTH * width), sizeof *b))) return FOV_NOMEM;
  if (padded) {
    if (!(c = fov_scratch((size_t)(m * width), sizeof *c))) return FOV_NOMEM;
    ldc = width;
    for (ptrdiff_t r = 0; p->add && r < m; r++) {
      memcpy(c + r * width, p->c + (i + r) * p->ldc + j, (size_t)w * sizeof *c);
      memset(c + r * width + w, 0, (size_t)(width - w) * sizeof *c);
    }
  }
  for (ptrdiff_t k = 0; k < p->k || k == 0; k += DEPTH) {
    const ptrdiff_t depth = least(p->k - k, DEPTH);
    const real *from = p->b + k * p->ldb + j;
    for (ptrdiff_t r = 0; pack && r < depth; r++) {
      memcpy(b + r * width, from + r * p->ldb, (size_t)w * sizeof *b);
      memset(b + r * width + w, 0, (size_t)(width - w) * sizeof *b);
    }
    int R;
    for (ptrdiff_t r = 0; r < m; r += R) {
      R = tile_step(m - r);
      (p->ta ? tile_cols : tile_rows)(R, (int)(width / VL), p->add || k > 0, depth,
                                      p->a + (i + r) * up + k * along, p->lda, pack ? b : from, width,
                                      c + r * ldc, ldc);
    }
  }
  for (ptrdiff_t r = 0; padded && r < m; r++)
    memcpy(p->c + (i + r) * p->ldc + j, c + r * width, (size_t)w * sizeof *c);
  return FOV_OK;
}

/* Rows of one task: a few tiles of a short product, many of a tall one. */
static ptrdiff_t stripe (const fov_Product *p) {
  return p->m < 48 * TILE_ROWS ? 2 * TILE_ROWS : 48 * TILE_ROWS;
}

static fov_Status task (void *arg, ptrdiff_t t) {
  const fov_Product *p = arg;
  const ptrdiff_t panels = (p->n + TILE_COLS - 1) / TILE_COLS, s = stripe(p);
  const ptrdiff_t i = t / panels * s, j = t % panels * TILE_COLS;
  return panel(p, i, least(p->m - i, s), j, least(p->n - j, TILE_COLS));
}

static fov_Status run (const fov_Product *p, bool spread) {
  fov_Product copy = *p;
  fov_Status s = FOV_OK;
  if (p->m <= 0 || p->n <= 0) return FOV_OK;
  if (spread)
    return fov_parallel((p->m + stripe(p) - 1) / stripe(p) * ((p->n + TILE_COLS - 1) / TILE_COLS),
                        task, &copy);
  for (ptrdiff_t j = 0; j < p->n && s == FOV_OK; j += TILE_COLS) {
    fov_Mark m = fov_mark();
    s = panel(p, 0, p->m, j, least(p->n - j, TILE_COLS));
    fov_release(m);
  }
  return s;
}

const fov_ProductKernels FOV_BUILD(fov_product) = { run };
