/* index.h -- elements chosen by tensors of positions.
 *
 * Index tensors hold i64 counted from 1; the functions below take them after
 * fov_index_read has checked them and made them count from 0. */
#ifndef FOV_INDEX_H
#define FOV_INDEX_H

#include "tensor/tensor.h"

/* out[i] := index[i] - 1 in row-major order.  FOV_VALUE when one is not in
 * 1 .. n; the message names it and n. */
fov_Status fov_index_read (const fov_Tensor *index, ptrdiff_t n, int64_t *out);

/* out[.., i, ..] := x[.., index[.., i, ..], ..] along 'dim'.  'x' (but for
 * 'dim') and 'index' broadcast to 'out', which is contiguous, of x's dtype.
 * Time O(numel(out)); where the index does not vary along the last dimensions
 * whole rows are copied. */
fov_Status fov_gather (const fov_Tensor *x, int dim, const fov_Tensor *index,
                       const fov_Tensor *out);

/* out[.., index[.., i, ..], ..] += src[.., i, ..], the adjoint of gather;
 * 'index' broadcasts to src's shape; 'out' has src's dtype.  Each element
 * takes its terms in the order of 'i', whatever the number of threads. */
fov_Status fov_scatter_add (const fov_Tensor *src, int dim, const fov_Tensor *index,
                            const fov_Tensor *out);

/* out[.., c] := c == index[..], for classes 0 .. n-1 in the last dimension of
 * the contiguous 'out'; 'index' holds what fov_index_read gave. */
fov_Status fov_one_hot (const int64_t *index, const fov_Tensor *out);

#endif
