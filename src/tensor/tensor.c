/* tensor.c -- shapes, strides and broadcasting; see tensor.h. */
#include "tensor/tensor.h"

#include <string.h>

static const struct { const char *name; size_t size; } types[FOV_NTYPE] = {
  [FOV_F32] = { "f32", 4 }, [FOV_F64] = { "f64", 8 },
  [FOV_I64] = { "i64", 8 }, [FOV_U8] = { "u8", 1 }
};

size_t fov_type_size (fov_Type t) { return types[t].size; }
const char *fov_type_name (fov_Type t) { return types[t].name; }

bool fov_type_find (const char *name, fov_Type *t) {
  for (int i = 0; i < FOV_NTYPE; i++)
    if (strcmp(name, types[i].name) == 0) return *t = (fov_Type)i, true;
  return false;
}

fov_Tensor fov_view (void *x, fov_Type type, int ndim, const ptrdiff_t *shape) {
  fov_Tensor t = { .x = x, .type = type, .ndim = ndim };
  ptrdiff_t step = 1;
  for (int i = ndim - 1; i >= 0; i--) {
    t.shape[i] = shape[i];
    t.stride[i] = step;   /* of a shape too large to exist it may wrap */
    step = (ptrdiff_t)((size_t)step * (size_t)shape[i]);
  }
  return t;
}

ptrdiff_t fov_numel (const fov_Tensor *t) {
  ptrdiff_t n = 1;
  for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
  return n;
}

bool fov_contiguous (const fov_Tensor *t) {
  ptrdiff_t step = 1;
  for (int i = t->ndim - 1; i >= 0; i--) {
    if (t->shape[i] == 0) return true;
    if (t->shape[i] != 1 && t->stride[i] != step) return false;
    step *= t->shape[i];
  }
  return true;
}

bool fov_same_shape (const fov_Tensor *a, const fov_Tensor *b) {
  return a->ndim == b->ndim &&
         memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

bool fov_bytes (fov_Type type, int ndim, const ptrdiff_t *shape, size_t *bytes) {
  size_t n = types[type].size;
  bool empty = false;
  for (int i = 0; i < ndim; i++) {
    if (shape[i] < 0) return false;
    if (shape[i] == 0) empty = true;
    else if (__builtin_mul_overflow(n, (size_t)shape[i], &n)) return false;
  }
  if (n > (size_t)1 << 46) return false;   /* beyond any address space */
  *bytes = empty ? 0 : n;
  return true;
}

bool fov_broadcast (int na, const ptrdiff_t *a, int nb, const ptrdiff_t *b,
                    int *n, ptrdiff_t *shape) {
  *n = na > nb ? na : nb;
  for (int i = 1; i <= *n; i++) {
    ptrdiff_t x = i <= na ? a[na - i] : 1, y = i <= nb ? b[nb - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    shape[*n - i] = x == 1 ? y : x;
  }
  return true;
}

fov_Tensor fov_expand (const fov_Tensor *t, int ndim, const ptrdiff_t *shape) {
  fov_Tensor v = { .x = t->x, .type = t->type, .ndim = ndim };
  int lead = ndim - t->ndim;
  for (int i = 0; i < ndim; i++) {
    v.shape[i] = shape[i];
    bool repeats = i < lead || (t->shape[i - lead] == 1 && shape[i] != 1);
    v.stride[i] = repeats ? 0 : t->stride[i - lead];
  }
  return v;
}
