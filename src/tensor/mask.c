/* mask.c -- see mask.h. */
#include "tensor/mask.h"

#include "base/pool.h"
#include "tensor/choose.h"
#include "tensor/flat.h"

#include <string.h>

enum { GRAIN = 1 << 15, BLOCK = 2048 };

typedef struct Where { fov_Tensor mask, a, b, out; ptrdiff_t n; } Where;

/* Elements i .. i+n-1 as a run of 'type': in place if they are one. */
static const void *run (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Type type, void *room) {
  if (t->type == type && t->ndim == 1 && t->stride[0] == 1)
    return (const char *)t->x + i * (ptrdiff_t)fov_type_size(type);
  fov_pull(t, i, n, type, room);
  return room;
}

static fov_Status where_some (void *arg, ptrdiff_t task) {
  const Where *w = arg;
  uint64_t ra[BLOCK], rb[BLOCK];
  uint8_t rm[BLOCK];
  fov_Type type = w->out.type;
  size_t size = fov_type_size(type);
  ptrdiff_t end = (task + 1) * GRAIN < w->n ? (task + 1) * GRAIN : w->n;
  for (ptrdiff_t at = task * GRAIN; at < end; at += BLOCK) {
    ptrdiff_t n = end - at < BLOCK ? end - at : BLOCK;
    const void *a = run(&w->a, at, n, type, ra), *b = run(&w->b, at, n, type, rb);
    const uint8_t *m = run(&w->mask, at, n, FOV_U8, rm);
    char *y = (char *)w->out.x + (size_t)at * size;
    if (size > 1) fov_choose_for(size)->where(m, a, b, y, n);
    else
      for (ptrdiff_t j = 0; j < n; j++) y[j] = ((const char *)(m[j] ? a : b))[j];
  }
  return FOV_OK;
}

fov_Status fov_where (const fov_Tensor *mask, const fov_Tensor *a, const fov_Tensor *b,
                      const fov_Tensor *out) {
  const fov_Tensor *in[] = { mask, a, b };
  Where w = { .out = *out, .n = fov_numel(out) };
  fov_Tensor *flat[] = { &w.mask, &w.a, &w.b };
  for (int i = 0; i < 3; i++) {
    fov_Tensor t = fov_expand(in[i], out->ndim, out->shape);
    *flat[i] = fov_squash(&t);
  }
  ptrdiff_t tasks = (w.n + GRAIN - 1) / GRAIN;
  return tasks > 1 ? fov_parallel(tasks, where_some, &w) : tasks ? where_some(&w, 0) : FOV_OK;
}

typedef struct Nonzero { fov_Tensor x, shape; ptrdiff_t n, *count, ndim; int64_t *out; } Nonzero;

#define TEST(T) \
  for (ptrdiff_t j = 0; j < n; j++) m[j] = ((const T *)x)[j] != 0

/* m[j] := element at+j of the squashed 't' is not 0, j < n <= BLOCK */
static void test (const fov_Tensor *t, ptrdiff_t at, ptrdiff_t n, uint8_t *m) {
  uint64_t room[BLOCK];
  const void *x = run(t, at, n, t->type, room);
  switch (t->type) {
    case FOV_F32: TEST(float); break;
    case FOV_F64: TEST(double); break;
    case FOV_I64: TEST(int64_t); break;
    default: TEST(uint8_t); break;
  }
}

static fov_Status count_some (void *arg, ptrdiff_t task) {
  const Nonzero *z = arg;
  ptrdiff_t end = (task + 1) * FOV_NONZERO < z->n ? (task + 1) * FOV_NONZERO : z->n, sum = 0;
  for (ptrdiff_t at = task * FOV_NONZERO; at < end; at += BLOCK) {
    uint8_t m[BLOCK];
    ptrdiff_t n = end - at < BLOCK ? end - at : BLOCK;
    test(&z->x, at, n, m);
    for (ptrdiff_t j = 0; j < n; j++) sum += m[j];
  }
  z->count[task] = sum;
  return FOV_OK;
}

static fov_Status list_some (void *arg, ptrdiff_t task) {
  const Nonzero *z = arg;
  ptrdiff_t end = (task + 1) * FOV_NONZERO < z->n ? (task + 1) * FOV_NONZERO : z->n, row = 0;
  for (ptrdiff_t t = 0; t < task; t++) row += z->count[t];
  int64_t *out = z->out + row * z->ndim;
  for (ptrdiff_t at = task * FOV_NONZERO; at < end; at += BLOCK) {
    uint8_t m[BLOCK];
    ptrdiff_t n = end - at < BLOCK ? end - at : BLOCK;
    test(&z->x, at, n, m);
    for (ptrdiff_t j = 0; j < n; j++) {
      if (!m[j]) continue;
      ptrdiff_t i = at + j;
      for (ptrdiff_t k = z->ndim - 1; k >= 0; k--) {
        out[k] = i % z->shape.shape[k] + 1;
        i /= z->shape.shape[k];
      }
      out += z->ndim;
    }
  }
  return FOV_OK;
}

fov_Status fov_count_nonzero (const fov_Tensor *x, ptrdiff_t *count) {
  Nonzero z = { .x = fov_squash(x), .n = fov_numel(x), .count = count };
  return z.n ? fov_parallel((z.n + FOV_NONZERO - 1) / FOV_NONZERO, count_some, &z) : FOV_OK;
}

fov_Status fov_nonzero (const fov_Tensor *x, const ptrdiff_t *count, const fov_Tensor *out) {
  Nonzero z = { .x = fov_squash(x), .shape = *x, .n = fov_numel(x), .ndim = x->ndim,
                .count = (ptrdiff_t *)count, .out = out->x };
  return z.n ? fov_parallel((z.n + FOV_NONZERO - 1) / FOV_NONZERO, list_some, &z) : FOV_OK;
}

void fov_triangle (const fov_Tensor *t, ptrdiff_t k, bool lower) {
  ptrdiff_t n = t->shape[t->ndim - 2], m = t->shape[t->ndim - 1], total = fov_numel(t);
  ptrdiff_t size = (ptrdiff_t)fov_type_size(t->type);
  for (ptrdiff_t row = 0; total && row < total / m; row++) {
    /* row i keeps columns j <= i + k, or j >= i + k */
    ptrdiff_t edge = row % n + k + (lower ? 1 : 0);
    edge = edge < 0 ? 0 : edge > m ? m : edge;
    char *x = (char *)t->x + row * m * size;
    if (lower) memset(x + edge * size, 0, (size_t)((m - edge) * size));
    else memset(x, 0, (size_t)(edge * size));
  }
}
