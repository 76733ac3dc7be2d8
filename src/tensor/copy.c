/* copy.c -- copies between strided tensors, with broadcast and cast. */
#include "base/pool.h"
#include "tensor/flat.h"

#include <string.h>

enum { GRAIN = 1 << 17,   /* elements per task */
       TILE = 32 };       /* side of a transposed tile */

typedef struct Copy {
  fov_Tensor src, dst;    /* of one shape */
  ptrdiff_t n;
  int i, j;               /* transposes: dst steps by 1 along i, src along j */
} Copy;

/* Drops and merges dimensions that both tensors step through alike. */
static void squash2 (fov_Tensor *a, fov_Tensor *b) {
  fov_Tensor s = { .x = a->x, .type = a->type }, d = { .x = b->x, .type = b->type };
  for (int i = 0; i < a->ndim; i++) {
    ptrdiff_t size = a->shape[i];
    int last = s.ndim - 1;
    if (size == 1) continue;
    if (last >= 0 && s.stride[last] == size * a->stride[i] &&
        d.stride[last] == size * b->stride[i]) {
      s.shape[last] *= size;
    } else {
      s.shape[++last] = size;
      s.ndim = last + 1;
    }
    s.stride[last] = a->stride[i];
    d.stride[last] = b->stride[i];
  }
  if (s.ndim == 0) s.ndim = 1, s.shape[0] = s.stride[0] = d.stride[0] = 1;
  d.ndim = s.ndim;
  memcpy(d.shape, s.shape, sizeof s.shape);
  *a = s;
  *b = d;
}

/* Elements [GRAIN task, GRAIN (task+1)), row by row of the last dimension. */
static fov_Status rows (void *arg, ptrdiff_t task) {
  const Copy *c = arg;
  const fov_Tensor *s = &c->src, *d = &c->dst;
  fov_Loop *loop = fov_cast(s->type, d->type);
  ptrdiff_t at = task * GRAIN, end = at + GRAIN < c->n ? at + GRAIN : c->n;
  int last = s->ndim - 1;
  ptrdiff_t width = s->shape[last], row = at / width, col = at % width;
  ptrdiff_t index[FOV_MAXDIM] = { 0 };
  for (int k = last - 1; k >= 0; k--) {
    index[k] = row % s->shape[k];
    row /= s->shape[k];
  }
  index[last] = col;
  const char *from = fov_at(s, index);
  char *to = fov_at(d, index);
  const ptrdiff_t up = last > 0 ? s->stride[last - 1] * (ptrdiff_t)fov_type_size(s->type) : 0;
  const ptrdiff_t down = last > 0 ? d->stride[last - 1] * (ptrdiff_t)fov_type_size(d->type) : 0;
  while (at < end) {
    ptrdiff_t m = width - index[last] < end - at ? width - index[last] : end - at;
    loop(from, s->stride[last], to, d->stride[last], m);
    at += m;
    bool whole = index[last] == 0;
    index[last] = 0;
    int k = last - 1;
    while (k >= 0 && ++index[k] == s->shape[k]) index[k--] = 0;
    if (whole && k == last - 1) from += up, to += down;
    else from = fov_at(s, index), to = fov_at(d, index);
  }
  return FOV_OK;
}

/* One TILE of rows along i, the whole of j, for one place in the other
 * dimensions; tiles keep both sides' cache lines while they are used. */
static fov_Status tiles (void *arg, ptrdiff_t task) {
  const Copy *c = arg;
  const fov_Tensor *s = &c->src, *d = &c->dst;
  fov_Loop *loop = fov_cast(s->type, d->type);
  ptrdiff_t ni = s->shape[c->i], nj = s->shape[c->j], bands = (ni + TILE - 1) / TILE;
  ptrdiff_t index[FOV_MAXDIM] = { 0 }, place = task / bands, i0 = task % bands * TILE;
  ptrdiff_t mi = ni - i0 < TILE ? ni - i0 : TILE;
  for (int k = s->ndim - 1; k >= 0; k--)
    if (k != c->i && k != c->j) {
      index[k] = place % s->shape[k];
      place /= s->shape[k];
    }
  index[c->i] = i0;
  for (ptrdiff_t j0 = 0; j0 < nj; j0 += TILE)
    for (ptrdiff_t j = j0; j < j0 + TILE && j < nj; j++) {
      index[c->j] = j;
      loop(fov_at(s, index), s->stride[c->i], fov_at(d, index), 1, mi);
    }
  return FOV_OK;
}

/* The dimension longer than TILE/2 that 't' steps through by 1, or -1. */
static int unit (const fov_Tensor *t) {
  for (int k = t->ndim - 1; k >= 0; k--)
    if (t->stride[k] == 1 && t->shape[k] > TILE / 2) return k;
  return -1;
}

fov_Status fov_copy (const fov_Tensor *src, const fov_Tensor *dst) {
  Copy c = { .src = fov_expand(src, dst->ndim, dst->shape), .dst = *dst };
  c.n = fov_numel(dst);
  if (c.n == 0) return FOV_OK;
  squash2(&c.src, &c.dst);
  c.i = unit(&c.dst);
  c.j = unit(&c.src);
  if (c.i >= 0 && c.j >= 0 && c.i != c.j && c.src.stride[c.i] != 0) {
    ptrdiff_t bands = (c.src.shape[c.i] + TILE - 1) / TILE;
    ptrdiff_t tasks = c.n / (c.src.shape[c.i] * c.src.shape[c.j]) * bands;
    if (c.n > 2 * GRAIN) return fov_parallel(tasks, tiles, &c);
    for (ptrdiff_t t = 0; t < tasks; t++) tiles(&c, t);
    return FOV_OK;
  }
  ptrdiff_t tasks = (c.n + GRAIN - 1) / GRAIN;
  if (tasks > 2) return fov_parallel(tasks, rows, &c);
  for (ptrdiff_t t = 0; t < tasks; t++) rows(&c, t);
  return FOV_OK;
}

fov_Status fov_shield (fov_Tensor *t, const fov_Tensor *out) {
  if (fov_same(t, out) || !fov_overlap(t, out)) return FOV_OK;
  void *copy = fov_scratch((size_t)fov_numel(t), fov_type_size(t->type));
  if (!copy) return fov_fail(FOV_NOMEM, "not enough memory");
  fov_Tensor own = fov_view(copy, t->type, t->ndim, t->shape);
  fov_Status s = fov_copy(t, &own);
  *t = own;
  return s;
}

fov_Status fov_move (const fov_Tensor *src, const fov_Tensor *dst) {
  fov_Mark mark = fov_mark();
  fov_Tensor from = *src;
  fov_Status s = fov_shield(&from, dst);
  if (s == FOV_OK) s = fov_copy(&from, dst);
  fov_release(mark);
  return s;
}
