/* reduce.c -- drives reductions over strided tensors; see reduce.h.
 *
 * x is seen as (K, R): K outputs, R elements for each.  A task folds a fixed
 * range of R for a fixed range of K.  Elements that are not contiguous along
 * R come through a buffer; where neighbours in K lie side by side in memory,
 * SIDE of them are fetched together. */
#include "tensor/reduce.h"

#include "base/pool.h"
#include "tensor/build.h"
#include "tensor/flat.h"


enum { SIDE = 16,            /* outputs fetched together */
       RANGE = 64 * FOV_RUN, /* elements along R of one task */
       WORK = 1 << 15,       /* elements of a task of many short reductions */
       BAND = 512, ROWS = 128 };  /* columns and rows of one sum_rows */

FOV_BUILDS(fov_Folds, fov_folds);
static const fov_Folds *const folds[2][FOV_NISA] = FOV_BUILD_LIST(fov_folds);

typedef struct Reduce {
  fov_Reduce r;
  fov_Type type;             /* the elements' when they are folded */
  fov_Fold *fold;
  const fov_Folds *kernels;
  fov_Tensor kept, over;     /* x's dimensions apart, squashed, at x */
  fov_Tensor out;
  ptrdiff_t K, R, grain;     /* outputs of a task */
  ptrdiff_t range, ranges;   /* elements along R of a task, tasks along R */
  double correction;
  fov_Part *parts;           /* (K, ranges) when ranges > 1 */
} Reduce;

static void finish (const Reduce *c, ptrdiff_t k, const fov_Part *p) {
  double v = fov_part_value(c->r, p, c->correction);
  switch (c->out.type) {
    case FOV_F32: ((float *)c->out.x)[k] = (float)v; break;
    case FOV_F64: ((double *)c->out.x)[k] = v; break;
    case FOV_I64: ((int64_t *)c->out.x)[k] = p->i; break;
    default: ((uint8_t *)c->out.x)[k] = (uint8_t)p->i; break;
  }
}

/* Address of output k's first element. */
static char *start (const Reduce *c, ptrdiff_t k) {
  ptrdiff_t at = 0;
  for (int d = c->kept.ndim - 1; d > 0; d--) {
    at += k % c->kept.shape[d] * c->kept.stride[d];
    k /= c->kept.shape[d];
  }
  at += k * c->kept.stride[0];
  return (char *)c->kept.x + at * (ptrdiff_t)fov_type_size(c->kept.type);
}

static void store (const Reduce *c, ptrdiff_t k, ptrdiff_t range, const fov_Part *p) {
  if (c->parts) c->parts[k * c->ranges + range] = *p;
  else finish(c, k, p);
}

/* Elements lo .. hi-1 of one output. */
static void fold_one (const Reduce *c, ptrdiff_t k, ptrdiff_t range, ptrdiff_t lo, ptrdiff_t hi) {
  _Alignas(64) double buffer[FOV_RUN];
  fov_Part p = fov_part_none(c->r);
  fov_Tensor x = c->over;
  x.x = start(c, k);
  bool direct = x.type == c->type && x.ndim == 1 && x.stride[0] == 1;
  for (ptrdiff_t i = lo; i < hi; i += FOV_RUN) {
    ptrdiff_t n = hi - i < FOV_RUN ? hi - i : FOV_RUN;
    const void *run = (char *)x.x + i * (ptrdiff_t)fov_type_size(x.type);
    if (!direct) fov_pull(&x, i, n, c->type, buffer), run = buffer;
    fov_Part q = { .n = n };
    c->fold(run, n, &q);
    fov_part_merge(c->r, &p, &q);
  }
  store(c, k, range, &p);
}

/* The same for SIDE outputs that are neighbours in memory: each pull fetches
 * rows of SIDE elements, which are then turned into SIDE runs. */
static fov_Status fold_side (const Reduce *c, ptrdiff_t k, ptrdiff_t range, ptrdiff_t lo,
                             ptrdiff_t hi) {
  fov_Part p[SIDE];
  size_t size = fov_type_size(c->type);
  fov_Tensor x = c->over, from, to;
  char *rows = fov_scratch(2 * SIDE * FOV_RUN, size), *runs = rows + SIDE * FOV_RUN * size;
  if (!rows) return fov_fail(FOV_NOMEM, "not enough memory");
  x.x = start(c, k);
  x.shape[x.ndim] = SIDE;
  x.stride[x.ndim++] = 1;
  for (int s = 0; s < SIDE; s++) p[s] = fov_part_none(c->r);
  for (ptrdiff_t i = lo; i < hi; i += FOV_RUN) {
    ptrdiff_t n = hi - i < FOV_RUN ? hi - i : FOV_RUN;
    fov_pull(&x, i * SIDE, n * SIDE, c->type, rows);
    from = (fov_Tensor){ .x = rows, .type = c->type, .ndim = 2, .shape = { SIDE, n },
                         .stride = { 1, SIDE } };
    to = fov_view(runs, c->type, 2, from.shape);
    fov_Status status = fov_copy(&from, &to);
    if (status != FOV_OK) return status;
    for (int s = 0; s < SIDE; s++) {
      fov_Part q = { .n = n };
      c->fold(runs + (size_t)(s * n) * size, n, &q);
      fov_part_merge(c->r, &p[s], &q);
    }
  }
  for (int s = 0; s < SIDE; s++) store(c, k + s, range, &p[s]);
  return FOV_OK;
}

static fov_Status task (void *arg, ptrdiff_t t) {
  const Reduce *c = arg;
  ptrdiff_t range = t % c->ranges, k = t / c->ranges * c->grain;
  ptrdiff_t end = k + c->grain < c->K ? k + c->grain : c->K;
  ptrdiff_t lo = range * c->range, hi = lo + c->range < c->R ? lo + c->range : c->R;
  int last = c->kept.ndim - 1, inner = c->over.ndim - 1;
  ptrdiff_t width = c->kept.shape[last];
  bool side = c->kept.stride[last] == 1 && c->over.stride[inner] != 1 && c->R > 1 &&
              c->over.ndim < FOV_MAXDIM;
  while (k < end) {
    if (side && k % width + SIDE <= width && k + SIDE <= end) {
      fov_Mark mark = fov_mark();
      fov_Status s = fold_side(c, k, range, lo, hi);
      fov_release(mark);
      if (s != FOV_OK) return s;
      k += SIDE;
    } else fold_one(c, k++, range, lo, hi);
  }
  return FOV_OK;
}

/* Sums down columns: R steps through memory, K runs along it. */
static fov_Status columns (void *arg, ptrdiff_t t) {
  const Reduce *c = arg;
  double sum[BAND];
  int last = c->kept.ndim - 1;
  ptrdiff_t width = c->kept.shape[last], bands = (width + BAND - 1) / BAND;
  ptrdiff_t range = t % c->ranges, band = t / c->ranges;
  ptrdiff_t j = band % bands * BAND, k = band / bands * width + j;
  ptrdiff_t n = width - j < BAND ? width - j : BAND, step = c->over.stride[0];
  ptrdiff_t lo = range * c->range, hi = lo + c->range < c->R ? lo + c->range : c->R;
  const char *x = start(c, k);
  for (ptrdiff_t i = 0; i < n; i++) sum[i] = 0;
  for (ptrdiff_t r = lo; r < hi; r += ROWS)
    c->kernels->sum_rows(x + r * step * (ptrdiff_t)fov_type_size(c->type), step,
                         hi - r < ROWS ? hi - r : ROWS, n, sum);
  for (ptrdiff_t i = 0; i < n; i++)
    store(c, k + i, range, &(fov_Part){ .a = sum[i], .n = hi - lo });
  return FOV_OK;
}

fov_Type fov_reduce_type (fov_Reduce r, fov_Type t) {
  if (r == FOV_ANY || r == FOV_ALL) return FOV_U8;
  if (r == FOV_ARGMAX || r == FOV_ARGMIN) return FOV_I64;
  if (fov_is_real(t)) return t;
  return r == FOV_SUM || r == FOV_PROD || r == FOV_MAX || r == FOV_MIN ? FOV_I64 : FOV_F32;
}

static void split (Reduce *c, const fov_Tensor *x, unsigned dims) {
  fov_Tensor kept = { .x = x->x, .type = x->type }, over = kept;
  for (int d = 0; d < x->ndim; d++) {
    fov_Tensor *t = dims >> d & 1 ? &over : &kept;
    t->shape[t->ndim] = x->shape[d];
    t->stride[t->ndim++] = x->stride[d];
  }
  c->K = fov_numel(&kept);
  c->R = fov_numel(&over);
  c->kept = fov_squash(&kept);
  c->over = fov_squash(&over);
}

fov_Status fov_reduce (fov_Reduce r, const fov_Tensor *x, unsigned dims, double correction,
                       const fov_Tensor *out) {
  bool extreme = r == FOV_MAX || r == FOV_MIN || r == FOV_ARGMAX || r == FOV_ARGMIN;
  Reduce c = { .r = r, .type = x->type, .out = *out, .correction = correction };
  split(&c, x, dims);
  if (c.K == 0) return FOV_OK;
  if (c.R == 0 && extreme) return fov_fail(FOV_VALUE, "no elements to choose from");
  if (!fov_is_real(x->type)) c.type = fov_fold_i64[r] ? FOV_I64 : FOV_F64;
  c.kernels = folds[fov_is_real(c.type) ? c.type : FOV_F64][fov_isa()];
  c.fold = c.type == FOV_I64 ? fov_fold_i64[r] : c.kernels->fold[r];
  int last = c.kept.ndim - 1;
  ptrdiff_t width = c.kept.shape[last];
  bool down = (r == FOV_SUM || r == FOV_MEAN) && c.type == x->type && fov_is_real(c.type) &&
              c.kept.stride[last] == 1 && width >= SIDE && c.over.ndim == 1 && c.R > 1;
  c.range = RANGE;
  if (down) {
    c.range = RANGE / (width < BAND ? width : BAND) / ROWS * ROWS;
    if (c.range < ROWS) c.range = ROWS;
  }
  c.ranges = c.R > c.range ? (c.R + c.range - 1) / c.range : 1;
  c.grain = c.R < WORK / SIDE ? WORK / (c.R + 1) / SIDE * SIDE : SIDE;
  ptrdiff_t tasks = (c.K + c.grain - 1) / c.grain * c.ranges;
  if (down) tasks = c.K / width * ((width + BAND - 1) / BAND) * c.ranges;
  fov_Mark mark = fov_mark();
  fov_Status s = FOV_OK;
  if (c.ranges > 1) {
    c.parts = fov_scratch((size_t)c.K * (size_t)c.ranges, sizeof *c.parts);
    if (!c.parts) s = fov_fail(FOV_NOMEM, "not enough memory");
  }
  fov_Task *work = down ? columns : task;
  if (s != FOV_OK) tasks = 0;
  if (tasks > 1) s = fov_parallel(tasks, work, &c);
  else if (tasks == 1) s = work(&c, 0);
  if (c.parts && s == FOV_OK)
    for (ptrdiff_t k = 0; k < c.K; k++) {
      fov_Part p = fov_part_none(r);
      for (ptrdiff_t i = 0; i < c.ranges; i++)
        fov_part_merge(r, &p, &c.parts[k * c.ranges + i]);
      finish(&c, k, &p);
    }
  fov_release(mark);
  return s;
}
