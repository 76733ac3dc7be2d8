/* panel.h -- the product of large matrices, a panel of columns at a time. */
#ifndef FOV_PANEL_H
#define FOV_PANEL_H

#include "tensor/build.h"

/* The left operand: A[i,p] = x[i row + p col], or, where 'padded' > 0, what
 * 'pack' made of it: blocks of 'depth' terms, in each blocks of 'rows' rows
 * stored by columns. */
typedef struct fov_Left {
  const void *x;
  ptrdiff_t row, col, padded;
} fov_Left;

typedef struct fov_Panel {
  ptrdiff_t width, rows, depth;

  /* Rows [i, last) of A(m,k) into P, which has room for m rounded up to a
   * multiple of 'rows' times k; i is such a multiple. */
  void (*pack) (ptrdiff_t i, ptrdiff_t last, ptrdiff_t m, ptrdiff_t k, const fov_Left *A,
                void *P);

  /* C(m,n) = A[i.., p..] B;  B[p,j] = B[p rb + j cb] is (k,n), rows of C are
   * ldc apart.  i is a multiple of 'rows', p of 'depth'; p + k ends a block.
   * Packs each panel of B once: worth it from a hundred rows or so. */
  fov_Status (*product) (ptrdiff_t i, ptrdiff_t p, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                         const fov_Left *A, const void *B, ptrdiff_t rb, ptrdiff_t cb,
                         void *C, ptrdiff_t ldc);
} fov_Panel;

#endif
