/* rows.c -- applies a function of whole rows along one dimension.
 *
 * Rows that are not contiguous are turned first: into 'y' when the dimension
 * is the last, else into scratch with the dimension moved to the end. */
#include "base/pool.h"
#include "tensor/build.h"
#include "tensor/flat.h"
#include "tensor/reduce.h"

enum { WORK = 1 << 14 };   /* elements of a task, at least a row */

FOV_BUILDS(fov_Rowfns, fov_rowfns);
static const fov_Rowfns *const rowfns[2][FOV_NISA] = FOV_BUILD_LIST(fov_rowfns);

static void cumsum_i64 (const void *px, void *py, ptrdiff_t n) {
  const int64_t *x = px;
  int64_t *y = py;
  uint64_t s = 0;
  for (ptrdiff_t i = 0; i < n; i++) y[i] = (int64_t)(s += (uint64_t)x[i]);
}

typedef struct Rows {
  fov_Rowfn *fn;
  const char *x;
  char *y;
  ptrdiff_t size, n, rows, grain;
} Rows;

static fov_Status task (void *arg, ptrdiff_t t) {
  const Rows *c = arg;
  ptrdiff_t r = t * c->grain, end = r + c->grain < c->rows ? r + c->grain : c->rows;
  for (; r < end; r++)
    c->fn(c->x + r * c->n * c->size, c->y + r * c->n * c->size, c->n);
  return FOV_OK;
}

static fov_Status run (fov_Rowfn *fn, const void *x, void *y, fov_Type type, ptrdiff_t n,
                       ptrdiff_t total) {
  Rows c = { .fn = fn, .x = x, .y = y, .size = (ptrdiff_t)fov_type_size(type), .n = n,
             .rows = total / n, .grain = n < WORK ? WORK / n : 1 };
  return fov_parallel((c.rows + c.grain - 1) / c.grain, task, &c);
}

/* 't' with dimension 'dim' moved to the end. */
static fov_Tensor turned (const fov_Tensor *t, int dim) {
  fov_Tensor v = *t;
  for (int i = dim; i < t->ndim - 1; i++) {
    v.shape[i] = t->shape[i + 1];
    v.stride[i] = t->stride[i + 1];
  }
  v.shape[t->ndim - 1] = t->shape[dim];
  v.stride[t->ndim - 1] = t->stride[dim];
  return v;
}

fov_Status fov_rows (fov_Row f, const fov_Tensor *x, int dim, const fov_Tensor *y) {
  ptrdiff_t total = fov_numel(x), n = x->shape[dim];
  fov_Rowfn *fn = fov_is_real(y->type) ? rowfns[y->type][fov_isa()]->fn[f] : cumsum_i64;
  if (total == 0) return FOV_OK;
  if (dim == x->ndim - 1) {
    if (x->type == y->type && fov_contiguous(x)) return run(fn, x->x, y->x, y->type, n, total);
    fov_Status s = fov_copy(x, y);
    return s == FOV_OK ? run(fn, y->x, y->x, y->type, n, total) : s;
  }
  fov_Mark mark = fov_mark();
  fov_Tensor from = turned(x, dim), to = turned(y, dim);
  fov_Tensor mid = fov_view(fov_scratch((size_t)total, fov_type_size(y->type)), y->type,
                            x->ndim, from.shape);
  fov_Status s = mid.x ? fov_copy(&from, &mid) : fov_fail(FOV_NOMEM, "not enough memory");
  if (s == FOV_OK) s = run(fn, mid.x, mid.x, y->type, n, total);
  if (s == FOV_OK) s = fov_copy(&mid, &to);
  fov_release(mark);
  return s;
}
