/* einsum.h -- sums of products by named dimensions. */
#ifndef FOV_EINSUM_H
#define FOV_EINSUM_H

#include "tensor/tensor.h"

enum { FOV_MAXTERM = 16, FOV_LETTERS = 52 + FOV_MAXDIM };

/* Dimensions of one tensor as numbers: a-z 0.., A-Z 26.., the dimensions of
 * '...' 52.. counted from the last. */
typedef struct fov_Term {
  int n;
  unsigned char l[FOV_MAXDIM];
} fov_Term;

typedef struct fov_Einsum {
  int n;                               /* tensors */
  fov_Term in[FOV_MAXTERM], out;
  ptrdiff_t size[FOV_LETTERS];
  int ndim;                            /* of the result */
  ptrdiff_t shape[FOV_MAXDIM];
} fov_Einsum;

/* Reads 'spec' for these tensors.  FOV_VALUE names what does not fit. */
fov_Status fov_einsum_plan (const char *spec, int n, const fov_Tensor *const in[],
                            fov_Einsum *e);

/* out = the sum; all f32 or all f64, 'out' of the planned shape, not
 * overlapping.  Left to right, each pair as one batched matrix product; scratch
 * for the partial results and for operands whose dimensions do not group. */
fov_Status fov_einsum (const fov_Einsum *e, const fov_Tensor *const in[],
                       const fov_Tensor *out);

#endif
