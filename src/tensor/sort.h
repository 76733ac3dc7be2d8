/* sort.h -- order along a dimension.
 *
 * One order for all dtypes: -0 equals 0, NaN comes last, ascending and
 * descending; equal elements keep their order. */
#ifndef FOV_SORT_H
#define FOV_SORT_H

#include "tensor/tensor.h"

/* The first k = indices->shape[dim] elements of x in order along 'dim' and
 * their positions, counted from 1.  Outputs are contiguous, x's shape but for
 * 'dim'; values->x may be NULL.  Radix sort: time O(n), scratch 32 n bytes
 * per line; for small k a heap: time O(n log k), scratch 16 k bytes. */
fov_Status fov_sort (const fov_Tensor *x, int dim, bool descending, const fov_Tensor *values,
                     const fov_Tensor *indices);

/* out[i] := 1 + how many elements of the 1-d 'sorted' are < v[i] (right: <=).
 * FOV_VALUE if 'sorted' is not.  Both are compared as 'type'; 'out' is a
 * contiguous i64 of v's shape. */
fov_Status fov_searchsorted (const fov_Tensor *sorted, const fov_Tensor *v, fov_Type type,
                             bool right, const fov_Tensor *out);

#endif
