/* lapack.h -- decompositions and solvers, batched over leading dimensions.
 *
 * Inputs are real tensors (..., m, n) of any strides; outputs are tensors of
 * the shapes given, batch dimensions broadcast, any strides, f32 or f64.  All
 * is computed in f64 and rounded once.  Matrices are independent tasks, each
 * done by one thread: the same bits at any thread count.  A matrix with a NaN
 * or an infinity gives results of NaN.  What has no answer fails with
 * FOV_NUMERIC and says why; the lowest failing matrix is the one named. */
#ifndef FOV_LAPACK_H
#define FOV_LAPACK_H

#include "tensor/tensor.h"

/* A = Q R;  r = min(m,n);  Q (..., m, r), Q'Q = 1;  R (..., r, n) upper, its
 * diagonal >= 0: the factorisation is unique where A has full rank, and Q of a
 * Gaussian matrix is uniform over orthogonal frames. */
fov_Status fov_qr (const fov_Tensor *A, const fov_Tensor *Q, const fov_Tensor *R);

/* A = U diag(s) Vt;  U (..., m, r), s (..., r) falling, Vt (..., r, n). */
fov_Status fov_svd (const fov_Tensor *A, const fov_Tensor *U, const fov_Tensor *s,
                    const fov_Tensor *Vt);

/* A V = V diag(w) for symmetric A, whose lower triangle is read; w rising. */
fov_Status fov_eigh (const fov_Tensor *A, const fov_Tensor *w, const fov_Tensor *V);

/* A = L L' for positive definite A, whose lower triangle is read. */
fov_Status fov_cholesky (const fov_Tensor *A, const fov_Tensor *L);

/* A X = B;  A (..., n, n), B and X (..., n, r). */
fov_Status fov_solve (const fov_Tensor *A, const fov_Tensor *B, const fov_Tensor *X);

/* op(T) X = B;  T (..., n, n) triangular, its other triangle not read. */
typedef struct fov_Triangle { bool upper, transpose, unit; } fov_Triangle;
fov_Status fov_triangular_solve (const fov_Tensor *T, const fov_Tensor *B,
                                 const fov_Tensor *X, fov_Triangle how);

/* X of least norm among those that minimise |A X - B|;  A (..., m, n), B
 * (..., m, r), X (..., n, r), rank (...), s (..., min(m,n)).  Singular values
 * below rcond times the largest count as zero. */
fov_Status fov_lstsq (const fov_Tensor *A, const fov_Tensor *B, double rcond,
                      const fov_Tensor *X, const fov_Tensor *rank, const fov_Tensor *s);

fov_Status fov_inv (const fov_Tensor *A, const fov_Tensor *X);

/* Moore-Penrose inverse X (..., n, m); rcond as above. */
fov_Status fov_pinv (const fov_Tensor *A, double rcond, const fov_Tensor *X);

/* det A = sign * exp(logabs); the determinant of a 0 x 0 matrix is 1. */
fov_Status fov_logdet (const fov_Tensor *A, const fov_Tensor *sign, const fov_Tensor *logabs);
fov_Status fov_det (const fov_Tensor *A, const fov_Tensor *det);

#endif
