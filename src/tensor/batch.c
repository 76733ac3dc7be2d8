/* batch.c -- one task per matrix of a batch; see batch.h. */
#include "tensor/batch.h"

#include "base/pool.h"
#include "tensor/blas.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static double *room (ptrdiff_t n) { return fov_scratch((size_t)n, sizeof(double)); }

/* Element 'e' of the batch: the last 'dims' dimensions of 't'. */
static fov_Tensor item (const fov_Batch *b, const fov_Tensor *t, int dims, ptrdiff_t e) {
  fov_Tensor v = { .type = t->type, .ndim = dims };
  ptrdiff_t o = 0;
  for (int i = b->nb - 1; i >= 0; i--) {
    int at = t->ndim - dims - b->nb + i;
    if (at >= 0 && t->shape[at] != 1) o += e % b->shape[i] * t->stride[at];
    e /= b->shape[i];
  }
  v.x = (char *)t->x + o * (ptrdiff_t)fov_type_size(t->type);
  for (int i = 0; i < dims; i++) {
    v.shape[i] = t->shape[t->ndim - dims + i];
    v.stride[i] = t->stride[t->ndim - dims + i];
  }
  return v;
}

/* 'x' as a column-major f64 tensor of v's shape. */
static fov_Tensor columns (double *x, const fov_Tensor *v) {
  fov_Tensor c = fov_view(x, FOV_F64, v->ndim, v->shape);
  if (v->ndim == 2) c.stride[0] = 1, c.stride[1] = v->shape[0];
  return c;
}

static bool finite_all (const double *x, ptrdiff_t n) {
  double s = 0;
  for (ptrdiff_t i = 0; i < n; i++) s += x[i] * 0;   /* NaN sticks */
  return s == 0;
}

static fov_Status one (void *arg, ptrdiff_t e) {
  const fov_Batch *b = arg;
  fov_Problem p = { .opt = b->opt };
  bool finite = true;
  for (int i = 0; i < b->nin; i++) {
    fov_Tensor v = item(b, &b->in[i], 2, e);
    if (v.shape[0] > INT_MAX || v.shape[1] > INT_MAX)
      return fov_fail(FOV_VALUE, "a dimension of %td is beyond 2147483647",
                      v.shape[0] > v.shape[1] ? v.shape[0] : v.shape[1]);
    if (i == 0) p.m = (int)v.shape[0], p.n = (int)v.shape[1];
    else p.r = (int)v.shape[1];
    ptrdiff_t rows = i && v.shape[0] < p.n ? p.n : v.shape[0];   /* lstsq answers there */
    if (!(p.in[i] = room(rows * v.shape[1]))) return FOV_NOMEM;
    fov_Tensor c = columns(p.in[i], &v);
    c.stride[1] = rows;
    if (rows > v.shape[0]) memset(p.in[i], 0, (size_t)(rows * v.shape[1]) * sizeof(double));
    fov_Status s = fov_copy(&v, &c);
    if (s) return s;
    finite = finite && finite_all(p.in[i], rows * v.shape[1]);
  }
  fov_Tensor out[FOV_BATCH_OUT], c[FOV_BATCH_OUT];
  for (int i = 0; i < b->nout; i++) {
    out[i] = item(b, &b->out[i], b->dims[i], e);
    if (!(p.out[i] = room(fov_numel(&out[i])))) return FOV_NOMEM;
    c[i] = columns(p.out[i], &out[i]);
    if (!finite)
      for (ptrdiff_t k = fov_numel(&out[i]); k-- > 0;) p.out[i][k] = NAN;
  }
  if (finite) {
    fov_blas_enter();
    fov_Status s = b->core(&p);
    fov_blas_leave();
    if (s == FOV_NUMERIC && b->nb > 0) {
      char why[256];
      strncpy(why, fov_message(), sizeof why - 1)[sizeof why - 1] = 0;
      return fov_fail(s, "%s in matrix %td of the batch", why, e + 1);
    }
    if (s) return s;
  }
  for (int i = 0; i < b->nout; i++) {
    fov_Status s = fov_copy(&c[i], &out[i]);
    if (s) return s;
  }
  return FOV_OK;
}

/* The batch shape is that of the first output. */
fov_Status fov_run_batch (fov_Batch *b) {
  const fov_Tensor *o = &b->out[0];
  ptrdiff_t n = 1;
  b->nb = o->ndim - b->dims[0];
  for (int i = 0; i < b->nb; i++) n *= b->shape[i] = o->shape[i];
  return n == 1 ? one(b, 0) : fov_parallel(n, one, b);
}
