/* product.h -- products with our own register tile, for operands a BLAS is
 * slow on: a few dozen columns, a transposed left operand, one token. */
#ifndef FOV_PRODUCT_H
#define FOV_PRODUCT_H

#include "tensor/simd.h"

/* C(m,n) = A(m,k) B(k,n), or C += with 'add'.  A(i,p) is a[i lda + p], or with
 * 'ta' a[i + p lda]; distances of rows may be negative. */
typedef struct fov_Product {
  ptrdiff_t m, n, k;
  const real *a;
  ptrdiff_t lda;
  bool ta;
  const real *b;
  ptrdiff_t ldb;
  real *c;
  ptrdiff_t ldc;
  bool add;
} fov_Product;

typedef struct fov_ProductKernels {
  /* Each element is one sum over k in order.  spread: cut into tasks. */
  fov_Status (*run) (const fov_Product *p, bool spread);
} fov_ProductKernels;

extern const fov_ProductKernels FOV_BUILD(fov_product);

#endif
