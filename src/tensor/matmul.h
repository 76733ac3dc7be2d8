/* matmul.h -- batched matrix products of strided tensors. */
#ifndef FOV_MATMUL_H
#define FOV_MATMUL_H

#include "tensor/tensor.h"

/* The shape of A B by NumPy's rules: (..., m, k) (..., k, n) -> (..., m, n),
 * leading dimensions broadcast; a vector stands for a row on the left, a column
 * on the right, and loses that dimension again.  FOV_VALUE: they do not fit. */
fov_Status fov_matmul_shape (const fov_Tensor *A, const fov_Tensor *B, int *ndim,
                             ptrdiff_t *shape);

/* C = A B.  All f32 or all f64, C of that shape; any strides, C not
 * overlapping.  In parallel; the same bits at any thread count. */
fov_Status fov_matmul (const fov_Tensor *A, const fov_Tensor *B, const fov_Tensor *C);

#endif
