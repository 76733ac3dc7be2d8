/* flat.c -- strided tensors as row-major sequences; see flat.h. */
#include "tensor/flat.h"

#include "tensor/build.h"

#include <string.h>

FOV_BUILDS(fov_Casts, fov_casts);
static const fov_Casts *const casts[2][FOV_NISA] = FOV_BUILD_LIST(fov_casts);

static void i64_i64 (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n) {
  const int64_t *a = x;
  int64_t *b = y;
  if (sx == 1 && sy == 1) memcpy(b, a, (size_t)n * sizeof *a);
  else
    for (ptrdiff_t i = 0; i < n; i++) b[i * sy] = a[i * sx];
}

static void i64_u8 (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n) {
  const int64_t *a = x;
  uint8_t *b = y;
  for (ptrdiff_t i = 0; i < n; i++) {
    int64_t v = a[i * sx];
    b[i * sy] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
  }
}

static void u8_i64 (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n) {
  const uint8_t *a = x;
  int64_t *b = y;
  for (ptrdiff_t i = 0; i < n; i++) b[i * sy] = a[i * sx];
}

static void u8_u8 (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n) {
  const uint8_t *a = x;
  uint8_t *b = y;
  if (sx == 1 && sy == 1) memcpy(b, a, (size_t)n);
  else
    for (ptrdiff_t i = 0; i < n; i++) b[i * sy] = a[i * sx];
}

fov_Loop *fov_cast (fov_Type from, fov_Type to) {
  if (fov_is_real(from)) return casts[from][fov_isa()]->to[to];
  if (fov_is_real(to)) return casts[to][fov_isa()]->from[from];
  if (from == FOV_I64) return to == FOV_I64 ? i64_i64 : i64_u8;
  return to == FOV_I64 ? u8_i64 : u8_u8;
}

fov_Tensor fov_squash (const fov_Tensor *t) {
  fov_Tensor s = { .x = t->x, .type = t->type };
  for (int i = 0; i < t->ndim; i++) {
    ptrdiff_t size = t->shape[i], step = t->stride[i];
    int last = s.ndim - 1;
    if (size == 1) continue;
    if (last >= 0 && s.stride[last] == size * step) {
      s.shape[last] *= size;
      s.stride[last] = step;
    } else {
      s.shape[s.ndim] = size;
      s.stride[s.ndim++] = step;
    }
  }
  if (s.ndim == 0) s.ndim = 1, s.shape[0] = 1, s.stride[0] = 1;
  return s;
}

/* Runs 'loop' over elements i .. i+n-1 of 't', row by row, beside 'run'. */
static void sweep (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Loop *loop,
                   char *run, size_t run_size, bool push) {
  int last = t->ndim - 1;
  ptrdiff_t width = t->shape[last], step = t->stride[last];
  ptrdiff_t size = (ptrdiff_t)fov_type_size(t->type);
  ptrdiff_t index[FOV_MAXDIM], row = i / width, col = i % width, at = 0;
  for (int d = last - 1; d >= 0; d--) {
    index[d] = row % t->shape[d];
    row /= t->shape[d];
    at += index[d] * t->stride[d];
  }
  while (n > 0) {
    ptrdiff_t m = width - col < n ? width - col : n;
    char *p = (char *)t->x + (at + col * step) * size;
    if (push) loop(run, 1, p, step, m);
    else loop(p, step, run, 1, m);
    run += (size_t)m * run_size;
    n -= m;
    col = 0;
    for (int d = last - 1; d >= 0; d--) {
      at += t->stride[d];
      if (++index[d] < t->shape[d]) break;
      at -= t->shape[d] * t->stride[d];
      index[d] = 0;
    }
  }
}

void fov_pull (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Type type, void *run) {
  sweep(t, i, n, fov_cast(t->type, type), run, fov_type_size(type), false);
}

void fov_push (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Type type, const void *run) {
  /* sweep only reads the run when it pushes */
  sweep(t, i, n, fov_cast(type, t->type), (char *)run, fov_type_size(type), true);
}

/* First byte, and one past the last. */
static void range (const fov_Tensor *t, const char **lo, const char **hi) {
  ptrdiff_t down = 0, up = 0, size = (ptrdiff_t)fov_type_size(t->type);
  for (int i = 0; i < t->ndim; i++) {
    ptrdiff_t reach = (t->shape[i] - 1) * t->stride[i];
    if (reach < 0) down += reach;
    else up += reach;
  }
  *lo = (const char *)t->x + down * size;
  *hi = (const char *)t->x + (up + 1) * size;
}

bool fov_overlap (const fov_Tensor *a, const fov_Tensor *b) {
  const char *alo, *ahi, *blo, *bhi;
  if (fov_numel(a) == 0 || fov_numel(b) == 0) return false;
  range(a, &alo, &ahi);
  range(b, &blo, &bhi);
  return alo < bhi && blo < ahi;
}

bool fov_same (const fov_Tensor *a, const fov_Tensor *b) {
  return a->x == b->x && a->type == b->type && fov_same_shape(a, b) &&
         memcmp(a->stride, b->stride, (size_t)a->ndim * sizeof *a->stride) == 0;
}
