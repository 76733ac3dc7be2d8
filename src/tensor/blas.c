/* blas.c -- the only file that knows OpenBLAS; see blas.h. */
#include "tensor/blas.h"

#include "base/cpu.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Exported by OpenBLAS builds that carry many kernel sets, though not public:
 * forget the set chosen at load, and choose again from the environment. */
void gotoblas_dynamic_quit (void) __attribute__((weak));
void gotoblas_dynamic_init (void) __attribute__((weak));
int blas_thread_shutdown_ (void) __attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static bool serial;

static bool wide (const char *core) {
  static const char *const names[] = { "SkylakeX", "Cooperlake", "SapphireRapids", "Zen5" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(core, names[i]) == 0) return true;
  return false;
}

/* Chooses again with OPENBLAS_CORETYPE = core (NULL: unset), and leaves the
 * environment as it was. */
static void choose (const char *core) {
  const char *was = getenv("OPENBLAS_CORETYPE");
  char *kept = was ? strdup(was) : NULL;
  if (was && !kept) return;
  if (core) setenv("OPENBLAS_CORETYPE", core, 1);
  else unsetenv("OPENBLAS_CORETYPE");
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  if (kept) setenv("OPENBLAS_CORETYPE", kept, 1);
  else unsetenv("OPENBLAS_CORETYPE");
  free(kept);
}

static void init (void) {
  /* below AVX2 the oldest set every x86-64 machine runs */
  static const char *const lower[FOV_NISA] = { "Prescott", "Haswell", NULL };
  const char *keep = getenv("FOVEA_BLAS_CORETYPE");
  if (gotoblas_dynamic_quit && gotoblas_dynamic_init && !(keep && !strcmp(keep, "keep"))) {
    if (fov_isa() < fov_isa_max()) choose(lower[fov_isa()]);
    else if (fov_isa() == FOV_ISA_V4 && getenv("OPENBLAS_CORETYPE") &&
             !wide(openblas_get_corename()))
      choose(NULL);
  }
  openblas_set_num_threads(1);
  serial = openblas_get_parallel() == 0;
  /* its own workers would never be used, yet spin for their first 25 ms */
  if (!serial && blas_thread_shutdown_) blas_thread_shutdown_();
}

void fov_blas_init (void) { pthread_once(&once, init); }
const char *fov_blas_core (void) { return openblas_get_corename(); }
const char *fov_blas_config (void) { return openblas_get_config(); }
bool fov_blas_concurrent (void) { return !serial; }

void fov_blas_enter (void) { if (serial) pthread_mutex_lock(&lock); }
void fov_blas_leave (void) { if (serial) pthread_mutex_unlock(&lock); }

/* Largest piece of a size, and largest distance, passed as int. */
enum { CUT = 1 << 30 };
static inline bool fits (ptrdiff_t n) { return n <= CUT; }
static inline ptrdiff_t least (ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* BLAS wants a distance of at least 1 and a row's length even where there are
 * no rows to be apart. */
static inline int dist (ptrdiff_t ld, ptrdiff_t cols) {
  return (int)(ld > cols ? ld : cols > 0 ? cols : 1);
}

static inline enum CBLAS_TRANSPOSE op (char t) { return t == 't' ? CblasTrans : CblasNoTrans; }

static inline double get (fov_Type t, const void *x, ptrdiff_t i) {
  return t == FOV_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static inline void put (fov_Type t, void *x, ptrdiff_t i, double v) {
  if (t == FOV_F32) ((float *)x)[i] = (float)v;
  else ((double *)x)[i] = v;
}
static inline const char *step (fov_Type t, const void *x, ptrdiff_t n) {
  return (const char *)x + n * (ptrdiff_t)fov_type_size(t);
}

/* For distances that BLAS cannot be told. */
static void plain (fov_Type t, char ta, char tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                   double alpha, const void *A, ptrdiff_t lda, const void *B, ptrdiff_t ldb,
                   double beta, void *C, ptrdiff_t ldc) {
  for (ptrdiff_t i = 0; i < m; i++)
    for (ptrdiff_t j = 0; j < n; j++) {
      double s = 0;
      for (ptrdiff_t p = 0; p < k; p++)
        s += get(t, A, ta == 't' ? p * lda + i : i * lda + p) *
             get(t, B, tb == 't' ? j * ldb + p : p * ldb + j);
      double c = beta == 0 ? 0 : beta * get(t, C, i * ldc + j);
      put(t, C, i * ldc + j, k > 0 ? alpha * s + c : c);
    }
}

void fov_gemm (fov_Type t, char ta, char tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
               double alpha, const void *A, ptrdiff_t lda, const void *B, ptrdiff_t ldb,
               double beta, void *C, ptrdiff_t ldc) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0 || !fits(lda) || !fits(ldb) || !fits(ldc)) {
    plain(t, ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
    return;
  }
  if (!fits(m) || !fits(n) || !fits(k)) {
    for (ptrdiff_t i = 0; i < m; i += CUT)
      for (ptrdiff_t j = 0; j < n; j += CUT)
        for (ptrdiff_t p = 0; p < k; p += CUT)
          fov_gemm(t, ta, tb, least(CUT, m - i), least(CUT, n - j), least(CUT, k - p), alpha,
                   step(t, A, ta == 't' ? p * lda + i : i * lda + p), lda,
                   step(t, B, tb == 't' ? j * ldb + p : p * ldb + j), ldb,
                   p ? 1 : beta, (void *)step(t, C, i * ldc + j), ldc);
    return;
  }
  int a = dist(lda, ta == 't' ? m : k), b = dist(ldb, tb == 't' ? k : n), c = dist(ldc, n);
  fov_blas_enter();
  if (t == FOV_F32)
    cblas_sgemm(CblasRowMajor, op(ta), op(tb), (int)m, (int)n, (int)k, (float)alpha, A, a,
                B, b, (float)beta, C, c);
  else
    cblas_dgemm(CblasRowMajor, op(ta), op(tb), (int)m, (int)n, (int)k, alpha, A, a, B, b,
                beta, C, c);
  fov_blas_leave();
}

void fov_gemv (fov_Type t, char ta, ptrdiff_t m, ptrdiff_t n, double alpha, const void *A,
               ptrdiff_t lda, const void *x, double beta, void *y) {
  if (!fits(m) || !fits(n) || !fits(lda) || m <= 0 || n <= 0) {
    if (ta == 't') fov_gemm(t, 't', 'n', n, 1, m, alpha, A, lda, x, 1, beta, y, 1);
    else fov_gemm(t, 'n', 'n', m, 1, n, alpha, A, lda, x, 1, beta, y, 1);
    return;
  }
  int a = dist(lda, n);
  fov_blas_enter();
  if (t == FOV_F32)
    cblas_sgemv(CblasRowMajor, op(ta), (int)m, (int)n, (float)alpha, A, a, x, 1,
                (float)beta, y, 1);
  else
    cblas_dgemv(CblasRowMajor, op(ta), (int)m, (int)n, alpha, A, a, x, 1, beta, y, 1);
  fov_blas_leave();
}

void fov_ger (fov_Type t, ptrdiff_t m, ptrdiff_t n, double alpha, const void *x,
              const void *y, void *A, ptrdiff_t lda) {
  if (m <= 0 || n <= 0) return;
  if (!fits(m) || !fits(n) || !fits(lda)) {
    fov_gemm(t, 'n', 'n', m, n, 1, alpha, x, 1, y, n, 1, A, lda);
    return;
  }
  int a = dist(lda, n);
  fov_blas_enter();
  if (t == FOV_F32)
    cblas_sger(CblasRowMajor, (int)m, (int)n, (float)alpha, x, 1, y, 1, A, a);
  else cblas_dger(CblasRowMajor, (int)m, (int)n, alpha, x, 1, y, 1, A, a);
  fov_blas_leave();
}

/* One equation after another, for distances that BLAS cannot be told. */
static void plain_trsm (fov_Type t, char side, char uplo, char ta, char diag, ptrdiff_t m,
                        ptrdiff_t n, double alpha, const void *T, ptrdiff_t ldt, void *B,
                        ptrdiff_t ldb) {
  /* B op(T)^-1 is the transpose of op(T)'^-1 B' */
  bool right = side == 'r', flip = (ta == 't') != right;
  ptrdiff_t r = right ? n : m, count = right ? m : n;
  ptrdiff_t bi = right ? 1 : ldb, bj = right ? ldb : 1;
  bool down = (uplo == 'l') != flip;
  for (ptrdiff_t j = 0; j < count; j++)
    for (ptrdiff_t q = 0; q < r; q++) {
      ptrdiff_t i = down ? q : r - 1 - q;
      double s = alpha * get(t, B, i * bi + j * bj);
      for (ptrdiff_t p = down ? 0 : i + 1; p < (down ? i : r); p++)
        s -= get(t, T, flip ? p * ldt + i : i * ldt + p) * get(t, B, p * bi + j * bj);
      put(t, B, i * bi + j * bj, diag == 'u' ? s : s / get(t, T, i * ldt + i));
    }
}

void fov_trsm (fov_Type t, char side, char uplo, char ta, char diag, ptrdiff_t m,
               ptrdiff_t n, double alpha, const void *T, ptrdiff_t ldt, void *B,
               ptrdiff_t ldb) {
  if (m <= 0 || n <= 0) return;
  if (!fits(m) || !fits(n) || !fits(ldt) || !fits(ldb)) {
    plain_trsm(t, side, uplo, ta, diag, m, n, alpha, T, ldt, B, ldb);
    return;
  }
  enum CBLAS_SIDE s = side == 'r' ? CblasRight : CblasLeft;
  enum CBLAS_UPLO u = uplo == 'u' ? CblasUpper : CblasLower;
  enum CBLAS_DIAG d = diag == 'u' ? CblasUnit : CblasNonUnit;
  int a = dist(ldt, side == 'r' ? n : m), b = dist(ldb, n);
  fov_blas_enter();
  if (t == FOV_F32)
    cblas_strsm(CblasRowMajor, s, u, op(ta), d, (int)m, (int)n, (float)alpha, T, a, B, b);
  else cblas_dtrsm(CblasRowMajor, s, u, op(ta), d, (int)m, (int)n, alpha, T, a, B, b);
  fov_blas_leave();
}
