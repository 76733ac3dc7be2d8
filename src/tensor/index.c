/* index.c -- gather and scatter; see index.h.
 *
 * Both walk one shape with a stride for each side.  Along 'dim' the indexed
 * side does not walk (stride 0): there the index, times 'step', moves it. */
#include "tensor/index.h"

#include "base/pool.h"
#include "tensor/choose.h"
#include "tensor/flat.h"

#include <string.h>

enum { GRAIN = 1 << 16,   /* elements per gather task */
       AHEAD = 8,         /* rows fetched early */
       COLUMNS = 64,      /* columns per scatter task .. */
       WIDE = 1024,       /* .. if whole rows go to one place, */
       BINS = 8 };        /* and then each task takes the rows of one residue mod 2^k */

FOV_BUILDS(fov_Choose, fov_choose);

const fov_Choose *fov_choose_for (size_t size) {
  static const fov_Choose *const builds[2][FOV_NISA] = FOV_BUILD_LIST(fov_choose);
  return builds[size == 8][fov_isa()];
}

fov_Status fov_index_read (const fov_Tensor *index, ptrdiff_t n, int64_t *out) {
  fov_Tensor flat = fov_squash(index);
  ptrdiff_t total = fov_numel(index);
  for (ptrdiff_t at = 0; at < total; at += GRAIN) {
    ptrdiff_t m = total - at < GRAIN ? total - at : GRAIN;
    fov_pull(&flat, at, m, FOV_I64, out + at);
    int64_t bad = 0;
    for (ptrdiff_t i = at; i < at + m; i++) {
      out[i] = (int64_t)((uint64_t)out[i] - 1);   /* wraps for the smallest: refused */
      bad |= (uint64_t)out[i] >= (uint64_t)n;
    }
    for (ptrdiff_t i = at; bad && i < at + m; i++)
      if ((uint64_t)out[i] >= (uint64_t)n)
        return fov_fail(FOV_VALUE, "index %lld, expected 1 to %td",
                        (long long)((uint64_t)out[i] + 1), n);
  }
  return FOV_OK;
}

typedef struct Walk {
  int ndim;
  ptrdiff_t shape[FOV_MAXDIM];
  ptrdiff_t sx[FOV_MAXDIM];   /* the indexed side, 0 along dim */
  ptrdiff_t sy[FOV_MAXDIM];   /* the other side */
  ptrdiff_t si[FOV_MAXDIM];   /* the index */
  ptrdiff_t step, n;          /* x's stride along dim; elements */
  ptrdiff_t mid, my, mi;      /* scatter: size and strides along dim, */
  ptrdiff_t cut, bins;        /* columns and residues of tasks */
  fov_Type type;
  char *x, *y;
  const int64_t *index;
} Walk;

/* Appends a dimension, merged with the one before where all three step alike. */
static void extend (Walk *w, ptrdiff_t size, ptrdiff_t sx, ptrdiff_t sy, ptrdiff_t si) {
  int k = w->ndim - 1;
  if (size == 1) return;
  if (k >= 0 && w->sx[k] == size * sx && w->sy[k] == size * sy && w->si[k] == size * si)
    w->shape[k] *= size;
  else w->shape[k = w->ndim++] = size;
  w->sx[k] = sx;
  w->sy[k] = sy;
  w->si[k] = si;
}

/* 'at' moved to row 'row' of dimensions 0 .. last-1. */
static void seek (const Walk *w, int last, ptrdiff_t row, ptrdiff_t index[], ptrdiff_t at[3]) {
  for (int k = last - 1; k >= 0; k--) {
    index[k] = row % w->shape[k];
    row /= w->shape[k];
    at[0] += index[k] * w->sx[k];
    at[1] += index[k] * w->sy[k];
    at[2] += index[k] * w->si[k];
  }
}

/* y[j] := x[j a + i[j si] step] */
static void pick (fov_Type type, const char *x, ptrdiff_t a, const int64_t *i, ptrdiff_t si,
                  ptrdiff_t step, char *y, ptrdiff_t n) {
  ptrdiff_t size = (ptrdiff_t)fov_type_size(type);
  if (si == 0 && a == 1) memcpy(y, x + *i * step * size, (size_t)(n * size));
  else if (si == 0) fov_cast(type, type)(x + *i * step * size, a, y, 1, n);
  else if (size > 1) fov_choose_for((size_t)size)->pick(x, a, i, si, step, y, n);
  else
    for (ptrdiff_t j = 0; j < n; j++) y[j] = x[j * a + i[j * si] * step];
}

/* Row r + AHEAD of a table, whose place no hardware guesses. */
static void fetch (const Walk *w, int last, const ptrdiff_t index[], const ptrdiff_t at[3]) {
  int k = last - 1;
  if (k < 0 || w->si[last] != 0 || index[k] + AHEAD >= w->shape[k]) return;
  ptrdiff_t row = at[0] + AHEAD * w->sx[k] + w->index[at[2] + AHEAD * w->si[k]] * w->step;
  __builtin_prefetch(w->x + row * (ptrdiff_t)fov_type_size(w->type));
}

static fov_Status gather_some (void *arg, ptrdiff_t task) {
  const Walk *w = arg;
  int last = w->ndim - 1;
  ptrdiff_t from = task * GRAIN, end = from + GRAIN < w->n ? from + GRAIN : w->n;
  ptrdiff_t width = w->shape[last], col = from % width, size = (ptrdiff_t)fov_type_size(w->type);
  ptrdiff_t index[FOV_MAXDIM], at[3] = { 0 };
  char *y = w->y + from * size;
  seek(w, last, from / width, index, at);
  while (from < end) {
    ptrdiff_t m = width - col < end - from ? width - col : end - from;
    fetch(w, last, index, at);
    pick(w->type, w->x + (at[0] + col * w->sx[last]) * size, w->sx[last],
         w->index + at[2] + col * w->si[last], w->si[last], w->step, y, m);
    y += m * size;
    from += m;
    col = 0;
    for (int k = last - 1; k >= 0; k--) {
      at[0] += w->sx[k];
      at[2] += w->si[k];
      if (++index[k] < w->shape[k]) break;
      at[0] -= w->shape[k] * w->sx[k];
      at[2] -= w->shape[k] * w->si[k];
      index[k] = 0;
    }
  }
  return FOV_OK;
}

fov_Status fov_gather (const fov_Tensor *x, int dim, const fov_Tensor *index,
                       const fov_Tensor *out) {
  Walk w = { .type = x->type, .x = x->x, .y = out->x, .index = index->x,
             .step = x->stride[dim], .n = fov_numel(out) };
  if (w.n == 0) return FOV_OK;
  for (int k = 0; k < out->ndim; k++)
    extend(&w, out->shape[k], k == dim || x->shape[k] == 1 ? 0 : x->stride[k], out->stride[k],
           index->shape[k] == 1 ? 0 : index->stride[k]);
  if (w.ndim == 0) w.ndim = 1, w.shape[0] = 1;
  ptrdiff_t tasks = (w.n + GRAIN - 1) / GRAIN;
  return tasks > 1 ? fov_parallel(tasks, gather_some, &w) : gather_some(&w, 0);
}

#define ADD(T) \
  for (ptrdiff_t j = 0; j < n; j++) { \
    T *r = (T *)x + j * a + i[j * si] * step; \
    *r = (T)(*r + ((const T *)y)[j * b]); \
  }

/* x[j a + i[j si] step] += y[j b]; integers wrap. */
static void add (fov_Type type, char *x, ptrdiff_t a, const int64_t *i, ptrdiff_t si,
                 ptrdiff_t step, const char *y, ptrdiff_t b, ptrdiff_t n) {
  size_t size = fov_type_size(type);
  if (si == 0 && a == 1 && b == 1 && fov_is_real(type))
    fov_choose_for(size)->add(x + *i * step * (ptrdiff_t)size, y, n);
  else if (type == FOV_F32) ADD(float)
  else if (type == FOV_F64) ADD(double)
  else if (type == FOV_I64) ADD(uint64_t)
  else ADD(uint8_t)
}

/* One block of columns for one place in the dimensions before, and of these
 * the rows of x of one residue: no two tasks meet in an element of x, and each
 * goes through 'dim' from its start. */
static fov_Status scatter_some (void *arg, ptrdiff_t task) {
  const Walk *w = arg;
  int last = w->ndim - 1;
  ptrdiff_t width = w->shape[last], blocks = (width + w->cut - 1) / w->cut;
  ptrdiff_t bin = task % w->bins;
  task /= w->bins;
  ptrdiff_t col = task % blocks * w->cut, m = width - col < w->cut ? width - col : w->cut;
  ptrdiff_t index[FOV_MAXDIM], at[3] = { 0 }, size = (ptrdiff_t)fov_type_size(w->type);
  seek(w, last, task / blocks, index, at);
  char *x = w->x + (at[0] + col * w->sx[last]) * size;
  const char *y = w->y + (at[1] + col * w->sy[last]) * size;
  const int64_t *i = w->index + at[2] + col * w->si[last];
  if (m == 1 && w->bins == 1) add(w->type, x, 0, i, w->mi, w->step, y, w->my, w->mid);
  else
    for (ptrdiff_t p = 0; p < w->mid; p++)
      if (w->bins == 1 || (i[p * w->mi] & (w->bins - 1)) == bin)
        add(w->type, x, w->sx[last], i + p * w->mi, w->si[last], w->step, y + p * w->my * size,
            w->sy[last], m);
  return FOV_OK;
}

fov_Status fov_scatter_add (const fov_Tensor *src, int dim, const fov_Tensor *index,
                            const fov_Tensor *out) {
  Walk w = { .type = src->type, .x = out->x, .y = src->x, .index = index->x,
             .step = out->stride[dim], .n = fov_numel(src), .mid = src->shape[dim],
             .my = src->stride[dim], .mi = index->shape[dim] == 1 ? 0 : index->stride[dim] };
  if (w.n == 0) return FOV_OK;
  for (int k = 0; k < src->ndim; k++)
    if (k != dim)
      extend(&w, src->shape[k], out->stride[k], src->stride[k],
             index->shape[k] == 1 ? 0 : index->stride[k]);
  if (w.ndim == 0) w.ndim = 1, w.shape[0] = 1;
  bool rows = w.si[w.ndim - 1] == 0 && w.shape[w.ndim - 1] > 1;
  w.cut = rows ? WIDE : COLUMNS;
  ptrdiff_t width = w.shape[w.ndim - 1];
  w.bins = !rows || w.n <= GRAIN ? 1 : width < 64 ? 1 : BINS;
  ptrdiff_t tasks = w.n / w.mid / width * ((width + w.cut - 1) / w.cut) * w.bins;
  if (w.n > GRAIN) return fov_parallel(tasks, scatter_some, &w);
  for (ptrdiff_t t = 0; t < tasks; t++) scatter_some(&w, t);
  return FOV_OK;
}

fov_Status fov_one_hot (const int64_t *index, const fov_Tensor *out) {
  ptrdiff_t n = fov_numel(out), classes = out->shape[out->ndim - 1];
  size_t size = fov_type_size(out->type);
  if (n == 0) return FOV_OK;
  memset(out->x, 0, (size_t)n * size);
  for (ptrdiff_t i = 0; i < n / classes; i++) {
    ptrdiff_t at = i * classes + index[i];
    switch (out->type) {
      case FOV_F32: ((float *)out->x)[at] = 1; break;
      case FOV_F64: ((double *)out->x)[at] = 1; break;
      case FOV_I64: ((int64_t *)out->x)[at] = 1; break;
      default: ((uint8_t *)out->x)[at] = 1; break;
    }
  }
  return FOV_OK;
}
