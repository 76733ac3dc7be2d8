/* mask.h -- choosing elements by condition or by place. */
#ifndef FOV_MASK_H
#define FOV_MASK_H

#include "tensor/tensor.h"

/* out[i] := mask[i] ? a[i] : b[i]; 'mask' is u8; all broadcast to the
 * contiguous 'out', whose dtype a and b are cast to. */
fov_Status fov_where (const fov_Tensor *mask, const fov_Tensor *a, const fov_Tensor *b,
                      const fov_Tensor *out);

/* How many elements are not 0 (NaN is not), in blocks of FOV_NONZERO for
 * fov_nonzero; 'count' holds a number per block. */
#define FOV_NONZERO 32768
fov_Status fov_count_nonzero (const fov_Tensor *x, ptrdiff_t *count);

/* Their positions, counted from 1, as the rows of the contiguous i64 'out'. */
fov_Status fov_nonzero (const fov_Tensor *x, const ptrdiff_t *count, const fov_Tensor *out);

/* Zeros what lies above (lower) or below (upper) diagonal 'k' of the last two
 * dimensions of the contiguous 't'. */
void fov_triangle (const fov_Tensor *t, ptrdiff_t k, bool lower);

#endif
