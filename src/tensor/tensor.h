/* tensor.h -- strided views over memory somebody else owns.
 *
 * Layer 1: includes base only.  A fov_Tensor never owns its elements; in Lua
 * the userdata block does, and every view of it keeps that block alive. */
#ifndef FOV_TENSOR_H
#define FOV_TENSOR_H

#include "base/base.h"

#include <stdbool.h>

#define FOV_MAXDIM 6

typedef enum fov_Type { FOV_F32, FOV_F64, FOV_I64, FOV_U8, FOV_NTYPE } fov_Type;

typedef struct fov_Tensor {
  void *x;                       /* first element; NULL: an absent argument */
  fov_Type type;
  int ndim;
  ptrdiff_t shape[FOV_MAXDIM];
  ptrdiff_t stride[FOV_MAXDIM];  /* in elements; 0 repeats, negative reverses */
} fov_Tensor;

size_t fov_type_size (fov_Type t);
const char *fov_type_name (fov_Type t);              /* "f32" ... */
bool fov_type_find (const char *name, fov_Type *t);
static inline bool fov_is_real (fov_Type t) { return t <= FOV_F64; }

/* Row-major view of 'x'. */
fov_Tensor fov_view (void *x, fov_Type type, int ndim, const ptrdiff_t *shape);

ptrdiff_t fov_numel (const fov_Tensor *t);
bool fov_contiguous (const fov_Tensor *t);
bool fov_same_shape (const fov_Tensor *a, const fov_Tensor *b);

/* Bytes of a row-major tensor of this shape; false when they overflow. */
bool fov_bytes (fov_Type type, int ndim, const ptrdiff_t *shape, size_t *bytes);

/* NumPy's rule: trailing dimensions equal or 1.  False: they do not fit. */
bool fov_broadcast (int na, const ptrdiff_t *a, int nb, const ptrdiff_t *b,
                    int *n, ptrdiff_t *shape);

/* 't' seen with the larger 'shape' (stride 0 where it repeats). */
fov_Tensor fov_expand (const fov_Tensor *t, int ndim, const ptrdiff_t *shape);

/* dst := src, broadcast and cast; both of any strides, not overlapping. */
fov_Status fov_copy (const fov_Tensor *src, const fov_Tensor *dst);

/* Address of element (i,j,..). */
static inline char *fov_at (const fov_Tensor *t, const ptrdiff_t *index) {
  ptrdiff_t o = 0;
  for (int i = 0; i < t->ndim; i++) o += index[i] * t->stride[i];
  return (char *)t->x + o * (ptrdiff_t)fov_type_size(t->type);
}

#endif
