/* join.h -- tensors put together from parts of others. */
#ifndef FOV_JOIN_H
#define FOV_JOIN_H

#include "tensor/tensor.h"

/* Places from .. from+n-1 of 'dim'. */
fov_Tensor fov_part (const fov_Tensor *t, int dim, ptrdiff_t from, ptrdiff_t n);

/* The tensors one after the other along 'dim', cast to out's dtype. */
fov_Status fov_cat (int n, const fov_Tensor *const x[], int dim, const fov_Tensor *out);

/* out[(i + shift) mod n] := x[i] along 'dim'. */
fov_Status fov_roll (const fov_Tensor *x, int dim, ptrdiff_t shift, const fov_Tensor *out);

/* 'x' at 'before' places from the front of each dimension, 'value' (0-d)
 * around it. */
fov_Status fov_pad (const fov_Tensor *x, const ptrdiff_t *before, const fov_Tensor *value,
                    const fov_Tensor *out);

/* out[i] := x[i mod n] in every dimension; both have as many. */
fov_Status fov_tile (const fov_Tensor *x, const fov_Tensor *out);

#endif
