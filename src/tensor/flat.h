/* flat.h -- a strided tensor seen as one row-major sequence.
 *
 * What is elementwise works on contiguous runs only.  A view that is not
 * contiguous, or of another dtype, passes through a small buffer: fov_pull
 * fills it, fov_push empties it. */
#ifndef FOV_FLAT_H
#define FOV_FLAT_H

#include "tensor/tensor.h"

/* y[i*sy] := x[i*sx], i < n, cast; strides in elements.  Casts to integers
 * truncate and saturate, NaN becomes 0. */
typedef void fov_Loop (const void *x, ptrdiff_t sx, void *y, ptrdiff_t sy, ptrdiff_t n);
fov_Loop *fov_cast (fov_Type from, fov_Type to);

/* Casts between a real type and each type: kernels/cast.c. */
typedef struct fov_Casts { fov_Loop *from[FOV_NTYPE], *to[FOV_NTYPE]; } fov_Casts;

/* 't' with the fewest dimensions that give the same sequence, at least one:
 * sizes of 1 dropped, neighbours that step as one merged.  A contiguous
 * tensor gets one dimension of stride 1, a repeated element one of stride 0. */
fov_Tensor fov_squash (const fov_Tensor *t);

/* Elements i .. i+n-1 of the squashed 't', to and from a run of 'type'. */
void fov_pull (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Type type, void *run);
void fov_push (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t n, fov_Type type, const void *run);

/* May a store to one change the other? (By the range of their addresses.) */
bool fov_overlap (const fov_Tensor *a, const fov_Tensor *b);

/* The same elements in the same places. */
bool fov_same (const fov_Tensor *a, const fov_Tensor *b);

/* Replaces 't' by a copy in scratch if stores to 'out' could overwrite its
 * elements before they are read. */
fov_Status fov_shield (fov_Tensor *t, const fov_Tensor *out);

/* fov_copy for views that may overlap. */
fov_Status fov_move (const fov_Tensor *src, const fov_Tensor *dst);

#endif
