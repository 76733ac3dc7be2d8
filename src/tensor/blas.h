/* blas.h -- matrix products on raw row-major memory.
 *
 * Each call runs on its caller's thread alone, and any number of threads may
 * call at once.  Matrices are row-major; 'ld' is the distance of rows in
 * elements, at least a row's length.  op(X) is X for 'n', X' for 't'.  't' is
 * FOV_F32 or FOV_F64; alpha and beta are rounded to it.  Sizes beyond int are
 * split, distances beyond int take plain loops.  Zero sizes are fine: k = 0
 * gives C = beta C, and beta = 0 never reads C. */
#ifndef FOV_BLAS_H
#define FOV_BLAS_H

#include "tensor/tensor.h"

/* Picks the BLAS kernels for fov_isa() whatever OPENBLAS_CORETYPE says (unless
 * FOVEA_BLAS_CORETYPE=keep), and sets one thread per call.  Idempotent; the
 * first call must come before any other thread uses BLAS. */
void fov_blas_init (void);

/* The kernel set in use, e.g. "Cooperlake". */
const char *fov_blas_core (void);

/* How the library was built, as it tells it. */
const char *fov_blas_config (void);

/* False: the installed BLAS is a serial build, wrong under threads; calls
 * then wait for each other. */
bool fov_blas_concurrent (void);

/* Bracket for LAPACK calls: a lock, but only while !fov_blas_concurrent();
 * products may be called inside. */
void fov_blas_enter (void);
void fov_blas_leave (void);

/* C(m,n) = alpha op(A) op(B) + beta C;  op(A) is (m,k), op(B) is (k,n). */
void fov_gemm (fov_Type t, char ta, char tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
               double alpha, const void *A, ptrdiff_t lda, const void *B, ptrdiff_t ldb,
               double beta, void *C, ptrdiff_t ldc);

/* y = alpha op(A) x + beta y;  A is (m,n); x and y are contiguous. */
void fov_gemv (fov_Type t, char ta, ptrdiff_t m, ptrdiff_t n, double alpha, const void *A,
               ptrdiff_t lda, const void *x, double beta, void *y);

/* A(m,n) += alpha x y' */
void fov_ger (fov_Type t, ptrdiff_t m, ptrdiff_t n, double alpha, const void *x,
              const void *y, void *A, ptrdiff_t lda);

/* B(m,n) = alpha op(T)^-1 B (side 'l', T is (m,m)) or alpha B op(T)^-1 (side
 * 'r', T is (n,n)).  uplo 'l' or 'u': the triangle of T that is read; diag 'u':
 * its diagonal is ones and not read, otherwise 'n'. */
void fov_trsm (fov_Type t, char side, char uplo, char ta, char diag, ptrdiff_t m,
               ptrdiff_t n, double alpha, const void *T, ptrdiff_t ldt, void *B,
               ptrdiff_t ldb);

/* The four for files built per dtype. */
#ifdef FOV_REAL
#include "tensor/simd.h"

static inline void gemm (char ta, char tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                         real alpha, const real *A, ptrdiff_t lda, const real *B,
                         ptrdiff_t ldb, real beta, real *C, ptrdiff_t ldc) {
  fov_gemm(FOV_RTYPE, ta, tb, m, n, k, (double)alpha, A, lda, B, ldb, (double)beta, C, ldc);
}

static inline void gemv (char ta, ptrdiff_t m, ptrdiff_t n, real alpha, const real *A,
                         ptrdiff_t lda, const real *x, real beta, real *y) {
  fov_gemv(FOV_RTYPE, ta, m, n, (double)alpha, A, lda, x, (double)beta, y);
}

static inline void ger (ptrdiff_t m, ptrdiff_t n, real alpha, const real *x, const real *y,
                        real *A, ptrdiff_t lda) {
  fov_ger(FOV_RTYPE, m, n, (double)alpha, x, y, A, lda);
}

static inline void trsm (char side, char uplo, char ta, char diag, ptrdiff_t m, ptrdiff_t n,
                         real alpha, const real *T, ptrdiff_t ldt, real *B, ptrdiff_t ldb) {
  fov_trsm(FOV_RTYPE, side, uplo, ta, diag, m, n, (double)alpha, T, ldt, B, ldb);
}
#endif

#endif
