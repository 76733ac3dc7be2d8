/* lapack.c -- the only file that knows LAPACK; see lapack.h.  Each function is
 * a core for one problem (batch.h) and a call that runs it over the batch. */
#include "tensor/lapack.h"

#include "tensor/batch.h"
#include "tensor/blas.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Fortran: everything by address; lengths of strings follow the arguments. */
#define LEN size_t
void dgeqrf_ (const int *m, const int *n, double *A, const int *lda, double *tau,
              double *work, const int *lwork, int *info);
void dorgqr_ (const int *m, const int *n, const int *k, double *A, const int *lda,
              const double *tau, double *work, const int *lwork, int *info);
void dgesdd_ (const char *job, const int *m, const int *n, double *A, const int *lda,
              double *s, double *U, const int *ldu, double *Vt, const int *ldvt,
              double *work, const int *lwork, int *iwork, int *info, LEN);
void dgesvd_ (const char *jobu, const char *jobvt, const int *m, const int *n, double *A,
              const int *lda, double *s, double *U, const int *ldu, double *Vt,
              const int *ldvt, double *work, const int *lwork, int *info, LEN, LEN);
void dsyevd_ (const char *job, const char *uplo, const int *n, double *A, const int *lda,
              double *w, double *work, const int *lwork, int *iwork, const int *liwork,
              int *info, LEN, LEN);
void dpotrf_ (const char *uplo, const int *n, double *A, const int *lda, int *info, LEN);
void dgetrf_ (const int *m, const int *n, double *A, const int *lda, int *pivot, int *info);
void dgetrs_ (const char *trans, const int *n, const int *nrhs, const double *A,
              const int *lda, const int *pivot, double *B, const int *ldb, int *info, LEN);
void dgetri_ (const int *n, double *A, const int *lda, const int *pivot, double *work,
              const int *lwork, int *info);
void dtrtrs_ (const char *uplo, const char *trans, const char *diag, const int *n,
              const int *nrhs, const double *A, const int *lda, double *B, const int *ldb,
              int *info, LEN, LEN, LEN);
void dgelsd_ (const int *m, const int *n, const int *nrhs, double *A, const int *lda,
              double *B, const int *ldb, double *s, const double *rcond, int *rank,
              double *work, const int *lwork, int *iwork, int *info);

static double *reals (ptrdiff_t n) { return fov_scratch((size_t)n, sizeof(double)); }
static int *ints (ptrdiff_t n) { return fov_scratch((size_t)n, sizeof(int)); }
static int least (int a, int b) { return a < b ? a : b; }
static int most (int a, int b) { return a > b ? a : b; }

/* The workspace a query asked for. */
static fov_Status work (double asked, double **w, int *lwork) {
  if (!(asked < INT_MAX))
    return fov_fail(FOV_VALUE, "the matrix is too large for LAPACK's 32-bit workspace");
  *lwork = most(1, (int)asked);
  return (*w = reals(*lwork)) ? FOV_OK : FOV_NOMEM;
}

/* ---- A = Q R ---- */

static fov_Status qr (fov_Problem *p) {
  int m = p->m, n = p->n, r = least(m, n), ask = -1, lwork, info;
  double *A = p->in[0], *Q = p->out[0], *R = p->out[1], size[2], *w = NULL;
  double *tau = reals(2 * (ptrdiff_t)r), *sign = tau + r;
  if (!tau) return FOV_NOMEM;
  if (r == 0) return FOV_OK;
  dgeqrf_(&m, &n, A, &m, tau, &size[0], &ask, &info);
  dorgqr_(&m, &r, &r, A, &m, tau, &size[1], &ask, &info);
  fov_Status s = work(fmax(size[0], size[1]), &w, &lwork);
  if (s) return s;
  dgeqrf_(&m, &n, A, &m, tau, w, &lwork, &info);
  for (ptrdiff_t i = 0; i < r; i++) sign[i] = A[i + i * m] < 0 ? -1 : 1;
  for (ptrdiff_t j = 0; j < n; j++)
    for (ptrdiff_t i = 0; i < r; i++) R[i + j * r] = i <= j ? sign[i] * A[i + j * m] : 0;
  dorgqr_(&m, &r, &r, A, &m, tau, w, &lwork, &info);
  for (ptrdiff_t j = 0; j < r; j++)
    for (ptrdiff_t i = 0; i < m; i++) Q[i + j * m] = sign[j] * A[i + j * m];
  return FOV_OK;
}

fov_Status fov_qr (const fov_Tensor *A, const fov_Tensor *Q, const fov_Tensor *R) {
  fov_Batch b = { .core = qr, .in = { *A }, .nin = 1, .out = { *Q, *R }, .nout = 2,
              .dims = { 2, 2 } };
  return fov_run_batch(&b);
}

/* ---- A = U diag(s) Vt ---- */

/* Divide and conquer; where that does not converge, or would overflow its
 * workspace, the QR iteration.  Destroys A. */
static fov_Status factor (int m, int n, double *A, double *U, double *s, double *Vt) {
  int r = least(m, n), ask = -1, lwork, info = 1;
  ptrdiff_t count = (ptrdiff_t)m * n;
  double size, *w = NULL, *kept = reals(count);
  int *iw = ints(8 * (ptrdiff_t)r);
  if (!kept || !iw) return FOV_NOMEM;
  if (r == 0) return FOV_OK;
  memcpy(kept, A, (size_t)count * sizeof *A);
  dgesdd_("S", &m, &n, A, &m, s, U, &m, Vt, &r, &size, &ask, iw, &info, 1);
  if (size < INT_MAX) {
    fov_Status st = work(size, &w, &lwork);
    if (st) return st;
    dgesdd_("S", &m, &n, A, &m, s, U, &m, Vt, &r, w, &lwork, iw, &info, 1);
    if (info == 0) return FOV_OK;
    memcpy(A, kept, (size_t)count * sizeof *A);
  }
  dgesvd_("S", "S", &m, &n, A, &m, s, U, &m, Vt, &r, &size, &ask, &info, 1, 1);
  fov_Status st = work(size, &w, &lwork);
  if (st) return st;
  dgesvd_("S", "S", &m, &n, A, &m, s, U, &m, Vt, &r, w, &lwork, &info, 1, 1);
  return info ? fov_fail(FOV_NUMERIC, "the singular values did not converge") : FOV_OK;
}

static fov_Status svd (fov_Problem *p) {
  return factor(p->m, p->n, p->in[0], p->out[0], p->out[1], p->out[2]);
}

fov_Status fov_svd (const fov_Tensor *A, const fov_Tensor *U, const fov_Tensor *s,
                    const fov_Tensor *Vt) {
  fov_Batch b = { .core = svd, .in = { *A }, .nin = 1, .out = { *U, *s, *Vt }, .nout = 3,
              .dims = { 2, 1, 2 } };
  return fov_run_batch(&b);
}

static fov_Status pinv (fov_Problem *p) {
  int m = p->m, n = p->n, r = least(m, n);
  double *U = reals((ptrdiff_t)m * r), *s = reals(r), *Vt = reals((ptrdiff_t)r * n);
  if (!U || !s || !Vt) return FOV_NOMEM;
  fov_Status st = factor(m, n, p->in[0], U, s, Vt);
  if (st) return st;
  double cut = r ? *(const double *)p->opt * s[0] : 0;
  for (ptrdiff_t j = 0; j < r; j++)
    for (ptrdiff_t i = 0; i < m; i++) U[i + j * m] = s[j] > cut ? U[i + j * m] / s[j] : 0;
  /* read by rows, the buffers of U / s, Vt and X hold their transposes */
  fov_gemm(FOV_F64, 't', 't', m, n, r, 1, U, m, Vt, r, 0, p->out[0], n);
  return FOV_OK;
}

fov_Status fov_pinv (const fov_Tensor *A, double rcond, const fov_Tensor *X) {
  fov_Batch b = { .core = pinv, .in = { *A }, .nin = 1, .out = { *X }, .nout = 1,
              .dims = { 2 }, .opt = &rcond };
  return fov_run_batch(&b);
}

/* ---- symmetric ---- */

static fov_Status eigh (fov_Problem *p) {
  int n = p->n, ask = -1, lwork, liwork, info;
  double *A = p->in[0], size, *w = NULL;
  if (n == 0) return FOV_OK;
  dsyevd_("V", "L", &n, A, &n, p->out[0], &size, &ask, &liwork, &ask, &info, 1, 1);
  fov_Status s = work(n > 30000 ? INFINITY : size, &w, &lwork);   /* 2 n^2 is an int */
  if (s) return s;
  int *iw = ints(liwork);
  if (!iw) return FOV_NOMEM;
  dsyevd_("V", "L", &n, A, &n, p->out[0], w, &lwork, iw, &liwork, &info, 1, 1);
  if (info) return fov_fail(FOV_NUMERIC, "the eigenvalues did not converge");
  memcpy(p->out[1], A, (size_t)n * (size_t)n * sizeof *A);
  return FOV_OK;
}

fov_Status fov_eigh (const fov_Tensor *A, const fov_Tensor *w, const fov_Tensor *V) {
  fov_Batch b = { .core = eigh, .in = { *A }, .nin = 1, .out = { *w, *V }, .nout = 2,
              .dims = { 1, 2 } };
  return fov_run_batch(&b);
}

static fov_Status cholesky (fov_Problem *p) {
  int n = p->n, info;
  double *A = p->in[0], *L = p->out[0];
  if (n == 0) return FOV_OK;
  dpotrf_("L", &n, A, &n, &info, 1);
  if (info) return fov_fail(FOV_NUMERIC, "leading minor %d is not positive", info);
  for (ptrdiff_t j = 0; j < n; j++)
    for (ptrdiff_t i = 0; i < n; i++) L[i + j * n] = i >= j ? A[i + j * n] : 0;
  return FOV_OK;
}

fov_Status fov_cholesky (const fov_Tensor *A, const fov_Tensor *L) {
  fov_Batch b = { .core = cholesky, .in = { *A }, .nin = 1, .out = { *L }, .nout = 1,
              .dims = { 2 } };
  return fov_run_batch(&b);
}

/* ---- linear equations ---- */

static fov_Status solve (fov_Problem *p) {
  int n = p->n, r = p->r, info, *pivot = ints(n);
  if (!pivot) return FOV_NOMEM;
  if (n == 0 || r == 0) return FOV_OK;
  dgetrf_(&n, &n, p->in[0], &n, pivot, &info);
  if (info) return fov_fail(FOV_NUMERIC, "the matrix is singular: pivot %d is zero", info);
  dgetrs_("N", &n, &r, p->in[0], &n, pivot, p->in[1], &n, &info, 1);
  memcpy(p->out[0], p->in[1], (size_t)n * (size_t)r * sizeof(double));
  return FOV_OK;
}

fov_Status fov_solve (const fov_Tensor *A, const fov_Tensor *B, const fov_Tensor *X) {
  fov_Batch b = { .core = solve, .in = { *A, *B }, .nin = 2, .out = { *X }, .nout = 1,
              .dims = { 2 } };
  return fov_run_batch(&b);
}

static fov_Status triangular (fov_Problem *p) {
  const fov_Triangle *how = p->opt;
  int n = p->n, r = p->r, info;
  if (n == 0 || r == 0) return FOV_OK;
  dtrtrs_(how->upper ? "U" : "L", how->transpose ? "T" : "N", how->unit ? "U" : "N", &n, &r,
          p->in[0], &n, p->in[1], &n, &info, 1, 1, 1);
  if (info)
    return fov_fail(FOV_NUMERIC, "the matrix is singular: diagonal element %d is zero", info);
  memcpy(p->out[0], p->in[1], (size_t)n * (size_t)r * sizeof(double));
  return FOV_OK;
}

fov_Status fov_triangular_solve (const fov_Tensor *T, const fov_Tensor *B,
                                 const fov_Tensor *X, fov_Triangle how) {
  fov_Batch b = { .core = triangular, .in = { *T, *B }, .nin = 2, .out = { *X }, .nout = 1,
              .dims = { 2 }, .opt = &how };
  return fov_run_batch(&b);
}

static fov_Status lstsq (fov_Problem *p) {
  int m = p->m, n = p->n, r = p->r, ld = most(m, n), ask = -1, lwork, liwork, rank = 0, info;
  double *X = p->out[0], size, *w = NULL;
  if (m > 0 && n > 0) {
    dgelsd_(&m, &n, &r, p->in[0], &m, p->in[1], &ld, p->out[2], p->opt, &rank, &size, &ask,
            &liwork, &info);
    fov_Status s = work(size, &w, &lwork);
    if (s) return s;
    int *iw = ints(most(1, liwork));
    if (!iw) return FOV_NOMEM;
    dgelsd_(&m, &n, &r, p->in[0], &m, p->in[1], &ld, p->out[2], p->opt, &rank, w, &lwork, iw,
            &info);
    if (info) return fov_fail(FOV_NUMERIC, "the singular values did not converge");
  }
  for (ptrdiff_t j = 0; j < r; j++)
    for (ptrdiff_t i = 0; i < n; i++) X[i + j * n] = m ? p->in[1][i + j * ld] : 0;
  *p->out[1] = rank;
  return FOV_OK;
}

fov_Status fov_lstsq (const fov_Tensor *A, const fov_Tensor *B, double rcond,
                      const fov_Tensor *X, const fov_Tensor *rank, const fov_Tensor *s) {
  fov_Batch b = { .core = lstsq, .in = { *A, *B }, .nin = 2, .out = { *X, *rank, *s },
              .nout = 3, .dims = { 2, 0, 1 }, .opt = &rcond };
  return fov_run_batch(&b);
}

static fov_Status inv (fov_Problem *p) {
  int n = p->n, ask = -1, lwork, info, *pivot = ints(n);
  double *A = p->in[0], size, *w = NULL;
  if (!pivot) return FOV_NOMEM;
  if (n == 0) return FOV_OK;
  dgetrf_(&n, &n, A, &n, pivot, &info);
  if (info) return fov_fail(FOV_NUMERIC, "the matrix is singular: pivot %d is zero", info);
  dgetri_(&n, A, &n, pivot, &size, &ask, &info);
  fov_Status s = work(size, &w, &lwork);
  if (s) return s;
  dgetri_(&n, A, &n, pivot, w, &lwork, &info);
  memcpy(p->out[0], A, (size_t)n * (size_t)n * sizeof *A);
  return FOV_OK;
}

fov_Status fov_inv (const fov_Tensor *A, const fov_Tensor *X) {
  fov_Batch b = { .core = inv, .in = { *A }, .nin = 1, .out = { *X }, .nout = 1, .dims = { 2 } };
  return fov_run_batch(&b);
}

static fov_Status logdet (fov_Problem *p) {
  int n = p->n, info, *pivot = ints(n);
  if (!pivot) return FOV_NOMEM;
  double sign = 1, sum = 0;
  if (n) dgetrf_(&n, &n, p->in[0], &n, pivot, &info);
  for (ptrdiff_t i = 0; i < n; i++) {
    double u = p->in[0][i + i * n];
    sum += log(fabs(u));
    sign *= (u > 0) - (u < 0);
    if (pivot[i] != i + 1) sign = -sign;
  }
  *p->out[0] = sign;
  *p->out[1] = sum;
  return FOV_OK;
}

fov_Status fov_logdet (const fov_Tensor *A, const fov_Tensor *sign,
                       const fov_Tensor *logabs) {
  fov_Batch b = { .core = logdet, .in = { *A }, .nin = 1, .out = { *sign, *logabs }, .nout = 2,
              .dims = { 0, 0 } };
  return fov_run_batch(&b);
}

static fov_Status det (fov_Problem *p) {
  int n = p->n, info, *pivot = ints(n);
  if (!pivot) return FOV_NOMEM;
  double product = 1;
  if (n) dgetrf_(&n, &n, p->in[0], &n, pivot, &info);
  for (ptrdiff_t i = 0; i < n; i++)
    product *= pivot[i] == i + 1 ? p->in[0][i + i * n] : -p->in[0][i + i * n];
  *p->out[0] = product;
  return FOV_OK;
}

fov_Status fov_det (const fov_Tensor *A, const fov_Tensor *d) {
  fov_Batch b = { .core = det, .in = { *A }, .nin = 1, .out = { *d }, .nout = 1, .dims = { 0 } };
  return fov_run_batch(&b);
}
