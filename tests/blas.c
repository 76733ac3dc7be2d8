/* blas.c -- products against the definition, from two threads at once, and the
 * choice of kernels against the environment. */
#include "base/cpu.h"
#include "tap.h"
#include "tensor/blas.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Small integers, so that every sum is exact in f32 too. */
static double small (ptrdiff_t i) { return (double)((i * 7 + 3) % 11 - 5); }

static void fill (fov_Type t, void *x, ptrdiff_t n, ptrdiff_t from) {
  for (ptrdiff_t i = 0; i < n; i++)
    if (t == FOV_F32) ((float *)x)[i] = (float)small(i + from);
    else ((double *)x)[i] = small(i + from);
}
static double at (fov_Type t, const void *x, ptrdiff_t i) {
  return t == FOV_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static int gemm_exact (fov_Type t, char ta, char tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                       double beta) {
  ptrdiff_t lda = (ta == 't' ? m : k) + 3, ldb = (tb == 't' ? k : n) + 2, ldc = n + 1;
  double *A = calloc((size_t)((ta == 't' ? k : m) * lda + 1), sizeof *A);
  double *B = calloc((size_t)((tb == 't' ? n : k) * ldb + 1), sizeof *B);
  double *C = calloc((size_t)(m * ldc + 1), sizeof *C), *D = calloc((size_t)(m * ldc + 1), 8);
  fill(t, A, (ta == 't' ? k : m) * lda, 0);
  fill(t, B, (tb == 't' ? n : k) * ldb, 5);
  fill(t, C, m * ldc, 2);
  memcpy(D, C, (size_t)(m * ldc) * 8);
  fov_gemm(t, ta, tb, m, n, k, 2, A, lda, B, ldb, beta, C, ldc);
  int good = 1;
  for (ptrdiff_t i = 0; i < m; i++) {
    for (ptrdiff_t j = 0; j < n; j++) {
      double s = 0;
      for (ptrdiff_t p = 0; p < k; p++)
        s += at(t, A, ta == 't' ? p * lda + i : i * lda + p) *
             at(t, B, tb == 't' ? j * ldb + p : p * ldb + j);
      good &= at(t, C, i * ldc + j) == 2 * s + beta * at(t, D, i * ldc + j);
    }
    good &= at(t, C, i * ldc + n) == at(t, D, i * ldc + n);  /* beyond the row */
  }
  free(A), free(B), free(C), free(D);
  return good;
}

/* |op(T) X - B| after X = solve(T, B); or X op(T) on the right. */
static double trsm_residual (fov_Type t, char side, char uplo, char ta, char diag) {
  enum { M = 7, N = 4 };
  ptrdiff_t r = side == 'r' ? N : M;
  double T[M * M], B[M * N], X[M * N], full[M * M] = { 0 }, worst = 0;
  fill(t, T, M * M, 1), fill(t, B, M * N, 4), fill(t, X, M * N, 4);
  for (ptrdiff_t i = 0; i < r; i++)          /* well conditioned: diagonal 6 .. 12 */
    if (t == FOV_F32) ((float *)T)[i * r + i] = (float)(6 + i);
    else T[i * r + i] = (double)(6 + i);
  for (ptrdiff_t i = 0; i < r; i++)
    for (ptrdiff_t j = 0; j < r; j++) {
      double v = i == j ? (diag == 'u' ? 1 : at(t, T, i * r + i))
                 : (uplo == 'u') == (j > i) ? at(t, T, i * r + j) / (diag == 'u' ? 16 : 1) : 0;
      full[ta == 't' ? j * r + i : i * r + j] = v;
      if (i != j && diag == 'u') {
        if (t == FOV_F32) ((float *)T)[i * r + j] /= 16;
        else T[i * r + j] /= 16;
      }
    }
  fov_trsm(t, side, uplo, ta, diag, M, N, 3, T, r, X, N);
  for (ptrdiff_t i = 0; i < M; i++)
    for (ptrdiff_t j = 0; j < N; j++) {
      double s = 0;
      for (ptrdiff_t p = 0; p < r; p++)
        s += side == 'r' ? at(t, X, i * N + p) * full[p * r + j]
                         : full[i * r + p] * at(t, X, p * N + j);
      worst = fmax(worst, fabs(s - 3 * at(t, B, i * N + j)));
    }
  return worst;
}

enum { SIDE = 61, ROUNDS = 4000 };
static float A[SIDE * SIDE], B[SIDE * SIDE], want[SIDE * SIDE];

static void *hammer (void *wrong) {
  float C[SIDE * SIDE];
  for (int i = 0; i < ROUNDS; i++) {
    fov_gemm(FOV_F32, 'n', 't', SIDE, SIDE, SIDE, 1, A, SIDE, B, SIDE, 0, C, SIDE);
    if (memcmp(C, want, sizeof C) != 0) ++*(int *)wrong;
  }
  return NULL;
}

static void threads (void) {
  for (int i = 0; i < SIDE * SIDE; i++) {
    A[i] = (float)sin(i);
    B[i] = (float)cos(i);
  }
  fov_gemm(FOV_F32, 'n', 't', SIDE, SIDE, SIDE, 1, A, SIDE, B, SIDE, 0, want, SIDE);
  int wrong[3] = { 0 };
  pthread_t id[3];
  for (int i = 0; i < 3; i++) pthread_create(&id[i], NULL, hammer, &wrong[i]);
  for (int i = 0; i < 3; i++) pthread_join(id[i], NULL);
  ok(wrong[0] + wrong[1] + wrong[2] == 0, "three threads at once give the bits of one");
}

/* Distances beyond int: two rows 2^31 + 5 elements apart, in untouched pages. */
static void far (void) {
  ptrdiff_t ld = ((ptrdiff_t)1 << 31) + 5;
  size_t bytes = (size_t)(ld + 4) * sizeof(float);
  float *F = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (F == MAP_FAILED) {
    ok(1, "distances beyond int # SKIP no address space");
    return;
  }
  float C[4] = { NAN, NAN, NAN, NAN }, one[4] = { 1, 2, 3, 4 };
  F[0] = 1, F[1] = 2, F[ld] = 3, F[ld + 1] = 4;
  fov_gemm(FOV_F32, 'n', 'n', 2, 2, 2, 1, F, ld, one, 2, 0, C, 2);
  ok(C[0] == 7 && C[1] == 10 && C[2] == 15 && C[3] == 22, "rows 2^31 apart multiply");
  fov_gemv(FOV_F32, 't', 2, 2, 1, F, ld, one, 0, C);
  ok(C[0] == 7 && C[1] == 10, "rows 2^31 apart times a vector");
  float X[2] = { 1, 11 };
  fov_trsm(FOV_F32, 'l', 'l', 'n', 'n', 2, 1, 1, F, ld, X, 1);
  ok(X[0] == 1 && X[1] == 2, "a triangle with rows 2^31 apart solves");
  munmap(F, bytes);
}

/* The core a fresh process picks with 'env' before it. */
static void core_with (const char *env, char *core, int size) {
  char cmd[256];
  snprintf(cmd, sizeof cmd, "env -u OPENBLAS_CORETYPE -u FOVEA_ISA %s /proc/%d/exe core", env,
           (int)getpid());
  FILE *f = popen(cmd, "r");
  if (!f || !fgets(core, size, f)) core[0] = 0;
  if (f) pclose(f);
  *strchrnul(core, '\n') = 0;
}

static void cores (void) {
  char own[64], told[64], kept[64], low[64];
  if (fov_isa_max() < FOV_ISA_V4) {
    ok(1, "OPENBLAS_CORETYPE # SKIP no AVX-512 here");
    return;
  }
  core_with("", own, sizeof own);
  core_with("OPENBLAS_CORETYPE=Haswell", told, sizeof told);
  core_with("OPENBLAS_CORETYPE=Haswell FOVEA_BLAS_CORETYPE=keep", kept, sizeof kept);
  core_with("FOVEA_ISA=v3", low, sizeof low);
  *strchrnul(own, ' ') = 0;
  ok(strstr(told, " Haswell") != NULL, "the environment is left as it was");
  *strchrnul(told, ' ') = 0;
  ok(own[0] && strcmp(own, told) == 0, "OPENBLAS_CORETYPE=Haswell is neutralised: %s", told);
  ok(strncmp(kept, "Haswell", 7) == 0, "FOVEA_BLAS_CORETYPE=keep keeps it: %s", kept);
  ok(strncmp(low, "Haswell", 7) == 0, "FOVEA_ISA=v3 lowers BLAS as well: %s", low);
  ok(strncmp(own, "Haswell", 7) != 0, "and without either it is wider: %s", own);
}

int main (int argc, char **argv) {
  fov_blas_init();
  if (argc > 1 && strcmp(argv[1], "core") == 0) {
    const char *env = getenv("OPENBLAS_CORETYPE");
    printf("%s %s\n", fov_blas_core(), env ? env : "-");
    return 0;
  }
  fov_blas_init();
  ok(fov_blas_concurrent(), "the installed BLAS may be called from several threads");
  for (fov_Type t = FOV_F32; t <= FOV_F64; t++) {
    static const ptrdiff_t sizes[][3] = { { 1, 1, 1 }, { 2, 3, 4 }, { 17, 5, 33 }, { 64, 64, 64 },
                                          { 3, 1, 130 }, { 1, 70, 2 }, { 0, 3, 2 }, { 3, 0, 2 },
                                          { 3, 4, 0 } };
    int good = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int f = 0; f < 8; f++)
        good &= gemm_exact(t, f & 1 ? 't' : 'n', f & 2 ? 't' : 'n', sizes[i][0], sizes[i][1],
                           sizes[i][2], f & 4 ? -3 : 0);
    ok(good, "%s products equal the definition, empty ones too", fov_type_name(t));

    double worst = 0;
    for (int f = 0; f < 16; f++)
      worst = fmax(worst, trsm_residual(t, f & 1 ? 'r' : 'l', f & 2 ? 'u' : 'l',
                                        f & 4 ? 't' : 'n', f & 8 ? 'u' : 'n'));
    /* entries up to 15 through 7 steps: some tens of roundings */
    ok(worst < (t == FOV_F32 ? 2e-5 : 4e-14), "%s triangular solves: residual %.1e",
       fov_type_name(t), worst);
  }
  float x[3] = { 1, 2, 3 }, y[2] = { 4, 5 }, M[6] = { 1, 1, 1, 1, 1, 1 }, z[3] = { 9, 9, 9 };
  fov_ger(FOV_F32, 3, 2, 2, x, y, M, 2);
  ok(M[0] == 9 && M[1] == 11 && M[4] == 25 && M[5] == 31, "a rank-one update");
  fov_gemv(FOV_F32, 'n', 3, 2, 1, M, 2, y, 1, z);
  ok(z[0] == 9 + 36 + 55 && z[2] == 9 + 100 + 155, "a matrix times a vector");
  fov_gemv(FOV_F32, 'n', 3, 0, 1, M, 2, y, 2, z);
  ok(z[0] == 200, "no columns: beta y is left");
  float C[1] = { NAN };
  fov_gemm(FOV_F32, 'n', 'n', 1, 1, 1, 1, x, 1, y, 1, 0, C, 1);
  ok(C[0] == 4, "beta = 0 does not read C");
  threads();
  far();
  cores();
  return done();
}
