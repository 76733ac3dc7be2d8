/* chunked.c -- three passes over the chunks of a recurrence; see chunked.h. */
#include "tensor/chunked.h"

#include "base/pool.h"
#include "tensor/product.h"

typedef struct Chunks {
  const fov_Recur *r;
  ptrdiff_t size, side;           /* tokens of a chunk; gates of a token */
  real *s;                        /* state before each chunk, (d,e) each */
  real *p;                        /* product of each chunk's gates, (side) each */
} Chunks;

static ptrdiff_t tokens (const Chunks *c, ptrdiff_t h) {
  const ptrdiff_t left = c->r->n - h * c->size;
  return left < c->size ? left : c->size;
}

/* S_{h+1} := sum_t P_t k_t v_t'; p_h := P. */
static fov_Status sum (void *arg, ptrdiff_t h) {
  const Chunks *c = arg;
  const fov_Recur *r = c->r;
  const ptrdiff_t n = tokens(c, h), t0 = h * c->size;
  const bool cols = r->gate == FOV_COLS;
  const ptrdiff_t w = cols ? r->e : r->d, ld = cols ? r->ldv : r->ldk;
  const real *k = r->k + t0 * r->ldk, *v = r->v + t0 * r->ldv;
  fov_Product x = { .m = r->d, .n = r->e, .k = n, .a = k, .lda = r->ldk, .ta = true, .b = v,
                    .ldb = r->ldv, .c = c->s + (h + 1) * r->d * r->e, .ldc = r->e };
  if (r->gate != FOV_FREE) {
    real *y = fov_scratch((size_t)(n * w), sizeof *y), *p = c->p + h * c->side;
    const real *from = cols ? v : k;
    if (!y) return FOV_NOMEM;
    for (ptrdiff_t i = 0; i < c->side; i++) p[i] = 1;
    for (ptrdiff_t t = n - 1; t >= 0; t--) {
      const real *a = r->a + (t0 + t) * r->lda;
      for (ptrdiff_t i = 0; i < w; i++) y[t * w + i] = from[t * ld + i] * p[r->each ? i : 0];
      for (ptrdiff_t i = 0; i < c->side; i++) p[i] *= a[i];
    }
    if (cols) x.b = y, x.ldb = w;
    else x.a = y, x.lda = w;
  }
  return FOV_BUILD(fov_product).run(&x, false);
}

static fov_Status outputs (void *arg, ptrdiff_t h) {
  const Chunks *c = arg;
  fov_Recur r = fov_recur_part(c->r, h * c->size, tokens(c, h));
  r.s = fov_scratch((size_t)(r.d * r.e), sizeof *r.s);
  if (!r.s) return FOV_NOMEM;
  memcpy(r.s, c->s + h * r.d * r.e, (size_t)(r.d * r.e) * sizeof *r.s);
  return FOV_BUILD(fov_recur).run(&r, 1, false);
}

static fov_Status run (const fov_Recur *r, ptrdiff_t chunk) {
  const ptrdiff_t n = r->n > 0 ? (r->n + chunk - 1) / chunk : 0, de = r->d * r->e;
  Chunks c = { .r = r, .size = chunk };
  c.side = r->gate == FOV_FREE ? 0 : !r->each ? 1 : r->gate == FOV_COLS ? r->e : r->d;
  c.s = fov_scratch((size_t)(n + 1) * (size_t)de, sizeof *c.s);
  c.p = fov_scratch((size_t)(n * c.side), sizeof *c.p);
  if (!c.s || !c.p) return FOV_NOMEM;
  memcpy(c.s, r->s, (size_t)de * sizeof *c.s);
  fov_Status st = fov_parallel(n, sum, &c);
  for (ptrdiff_t h = 0; st == FOV_OK && h < n; h++) {
    const real *s = c.s + h * de, *p = c.p + h * c.side;
    real *next = c.s + (h + 1) * de;
    for (ptrdiff_t i = 0; i < r->d; i++)
      for (ptrdiff_t j = 0; j < r->e; j++) {
        const real a = c.side ? p[!r->each ? 0 : r->gate == FOV_COLS ? j : i] : 1;
        next[i * r->e + j] += a * s[i * r->e + j];
      }
  }
  if (st == FOV_OK) st = fov_parallel(n, outputs, &c);
  memcpy(r->s, c.s + n * de, (size_t)de * sizeof *c.s);
  return st;
}

const fov_ChunkedKernels FOV_BUILD(fov_chunked) = { run };
