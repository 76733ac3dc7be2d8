/* solvers.c -- decompositions and linear equations in Lua. */
#include "bind/linalg.h"

#include "tensor/element.h"
#include "tensor/lapack.h"

#include <float.h>
#include <string.h>

/* ---- decompositions ---- */

/* Pushes a result: the leading dimensions of 'lead' without its last 'less',
 * then the core's. */
static fov_Tensor *result (lua_State *L, const fov_Tensor *lead, int less, fov_Type type,
                           int ndim, ptrdiff_t a, ptrdiff_t b) {
  ptrdiff_t shape[FOV_MAXDIM + 2];
  int n = lead->ndim - less;
  memcpy(shape, lead->shape, (size_t)n * sizeof *shape);
  shape[n] = a, shape[n + 1] = b;
  return fov_newtensor(L, type, n + ndim, shape);
}

static ptrdiff_t least (ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Ends a call: gives scratch back, raises for a failure. */
static int finish (lua_State *L, fov_Mark mark, fov_Status s, const char *fn, int nresults) {
  fov_release(mark);
  fov_raise(L, s, fn);
  return nresults;
}

static int qr (lua_State *L) {
  fov_Tensor *A = fov_checkreal(L, 1, "A", 2);
  ptrdiff_t m = A->shape[A->ndim - 2], n = A->shape[A->ndim - 1], r = least(m, n);
  fov_Tensor *Q = result(L, A, 2, A->type, 2, m, r), *R = result(L, A, 2, A->type, 2, r, n);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_qr(A, Q, R), "qr", 2);
}

static int svd (lua_State *L) {
  fov_Tensor *A = fov_checkreal(L, 1, "A", 2);
  ptrdiff_t m = A->shape[A->ndim - 2], n = A->shape[A->ndim - 1], r = least(m, n);
  fov_Tensor *U = result(L, A, 2, A->type, 2, m, r), *s = result(L, A, 2, A->type, 1, r, 0);
  fov_Tensor *Vt = result(L, A, 2, A->type, 2, r, n);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_svd(A, U, s, Vt), "svd", 3);
}

static int eigh (lua_State *L) {
  fov_Tensor *A = fov_checksquare(L, 1, "A");
  ptrdiff_t n = A->shape[A->ndim - 1];
  fov_Tensor *w = result(L, A, 2, A->type, 1, n, 0), *V = result(L, A, 2, A->type, 2, n, n);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_eigh(A, w, V), "eigh", 2);
}

static int cholesky (lua_State *L) {
  fov_Tensor *A = fov_checksquare(L, 1, "A"), *X = fov_newtensor(L, A->type, A->ndim, A->shape);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_cholesky(A, X), "cholesky", 1);
}

static int inv (lua_State *L) {
  fov_Tensor *A = fov_checksquare(L, 1, "A"), *X = fov_newtensor(L, A->type, A->ndim, A->shape);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_inv(A, X), "inv", 1);
}

static int det (lua_State *L) {
  fov_Tensor *A = fov_checksquare(L, 1, "A"), *d = result(L, A, 2, A->type, 0, 0, 0);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_det(A, d), "det", 1);
}

static int logdet (lua_State *L) {
  fov_Tensor *A = fov_checksquare(L, 1, "A");
  fov_Tensor *sign = result(L, A, 2, A->type, 0, 0, 0);
  fov_Tensor *logabs = result(L, A, 2, A->type, 0, 0, 0);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_logdet(A, sign, logabs), "logdet", 2);
}

/* Option rcond of the table at 'arg': by default what rounding leaves. */
static double rcond (lua_State *L, int arg, const fov_Tensor *A, const char *fn) {
  static const char *const names[] = { "rcond", NULL };
  ptrdiff_t m = A->shape[A->ndim - 2], n = A->shape[A->ndim - 1];
  double r = (double)(m > n ? m : n) * (A->type == FOV_F32 ? (double)FLT_EPSILON : DBL_EPSILON);
  fov_checkoptions(L, arg, fn, names);
  if (fov_option(L, arg, "rcond") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "%s: option 'rcond': expected a number, got %s", fn, luaL_typename(L, -1));
    r = lua_tonumber(L, -1);
    if (!(r >= 0 && r < 1))
      luaL_error(L, "%s: option 'rcond': %f is outside [0, 1)", fn, r);
  }
  lua_pop(L, 1);
  return r;
}

static int pinv (lua_State *L) {
  fov_Tensor *A = fov_checkreal(L, 1, "A", 2);
  double r = rcond(L, 2, A, "pinv");
  ptrdiff_t m = A->shape[A->ndim - 2], n = A->shape[A->ndim - 1];
  fov_Tensor *X = result(L, A, 2, A->type, 2, n, m);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_pinv(A, r, X), "pinv", 1);
}

/* ---- equations ---- */

typedef struct Equation {
  fov_Tensor *A, B, X;      /* B and X as matrices */
  fov_Type type;
  fov_Tensor lead;          /* its shape: the batch of the answer */
} Equation;

/* Reads A (..., m, n) and B (m) or (..., m, r), pushes X (..., n) or (..., n, r). */
static Equation equation (lua_State *L, fov_Tensor *A) {
  Equation q = { .A = A, .B = *fov_checkreal(L, 2, "B", 1) };
  ptrdiff_t m = A->shape[A->ndim - 2], n = A->shape[A->ndim - 1];
  bool vector = q.B.ndim == 1;
  if (vector) q.B = fov_as_matrix(q.B, true);
  if (q.B.shape[q.B.ndim - 2] != m) {
    lua_pushfstring(L, "B: expected (%I) or (...,%I,r), got %s", (LUAI_UACINT)m,
                    (LUAI_UACINT)m, fov_pushshape(L, fov_checktensor(L, 2)));
    luaL_argerror(L, 2, lua_tostring(L, -1));
  }
  if (!fov_broadcast(A->ndim - 2, A->shape, q.B.ndim - 2, q.B.shape, &q.lead.ndim,
                     q.lead.shape)) {
    const char *a = fov_pushshape(L, A);
    luaL_argerror(L, 2, lua_pushfstring(L, "B: batch of %s does not broadcast with that of %s",
                                        fov_pushshape(L, &q.B), a));
  }
  q.type = fov_promote(A->type, q.B.type);
  q.X = *result(L, &q.lead, 0, q.type, vector ? 1 : 2, n, q.B.shape[q.B.ndim - 1]);
  if (vector) q.X = fov_as_matrix(q.X, true);
  return q;
}

static int solve (lua_State *L) {
  Equation q = equation(L, fov_checksquare(L, 1, "A"));
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_solve(q.A, &q.B, &q.X), "solve", 1);
}

static int triangular_solve (lua_State *L) {
  static const char *const names[] = { "upper", "transpose", "unit", NULL };
  bool set[3];
  fov_checkoptions(L, 3, "triangular_solve", names);
  for (int i = 0; i < 3; i++) {
    int kind = fov_option(L, 3, names[i]);
    if (kind != LUA_TNIL && kind != LUA_TBOOLEAN)
      luaL_error(L, "triangular_solve: option '%s': expected a boolean, got %s", names[i],
                 luaL_typename(L, -1));
    set[i] = lua_toboolean(L, -1);
  }
  Equation q = equation(L, fov_checksquare(L, 1, "T"));
  fov_Triangle how = { .upper = set[0], .transpose = set[1], .unit = set[2] };
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_triangular_solve(q.A, &q.B, &q.X, how), "triangular_solve", 1);
}

static int lstsq (lua_State *L) {
  fov_Tensor *A = fov_checkreal(L, 1, "A", 2);
  double r = rcond(L, 3, A, "lstsq");
  Equation q = equation(L, A);
  fov_Tensor *rank = result(L, &q.lead, 0, FOV_I64, 0, 0, 0);
  fov_Tensor *s = result(L, &q.lead, 0, q.type, 1,
                         least(A->shape[A->ndim - 2], A->shape[A->ndim - 1]), 0);
  fov_Mark mark = fov_mark();
  return finish(L, mark, fov_lstsq(A, &q.B, r, &q.X, rank, s), "lstsq", 3);
}

#define BATCH "\nLeading dimensions are batch, in parallel; computed in f64, rounded once.\n" \
              "A matrix with a NaN or an infinity gives NaN."

static const fov_Method functions[] = {
  { "qr", qr, "fv.qr(A) -> Q, R",
    "A = Q R: (..., m, n) -> Q (..., m, r), R (..., r, n), r = min(m, n).\n"
    "Q'Q = 1; R is upper triangular with diagonal >= 0, so that the factors of a matrix of\n"
    "full rank are unique and Q of a Gaussian matrix is uniform. Cost: O(m n r).\n"
    "Gradients: for full rank, of the first r columns where A is wide." BATCH, "" },
  { "svd", svd, "fv.svd(A) -> U, s, Vt",
    "A = U diag(s) Vt: (..., m, n) -> U (..., m, r), s (..., r), Vt (..., r, n).\n"
    "r = min(m, n); s falls and is >= 0. Raises when the iteration does not converge.\n"
    "Cost: O(m n r). Gradients: of s always; of U and Vt where all s differ, and are above 0\n"
    "unless A is square. NaN where two are equal, large where they are close." BATCH, "" },
  { "eigh", eigh, "fv.eigh(A) -> w, V",
    "A V = V diag(w) for symmetric A (..., n, n): w (..., n) rises, V (..., n, n), V'V = 1.\n"
    "Only the lower triangle is read. Cost: about 9 n^3 flops. Gradients: of w always; of V\n"
    "where all w differ. NaN where two are equal, large where they are close." BATCH, "" },
  { "cholesky", cholesky, "fv.cholesky(A) -> L",
    "A = L L' for symmetric positive definite A (..., n, n); L lower triangular.\n"
    "Only the lower triangle is read. Raises, naming the leading minor that is not\n"
    "positive. Cost: n^3 / 3 flops." BATCH, "" },
  { "solve", solve, "fv.solve(A, B) -> X",
    "X with A X = B: A (..., n, n), B (n) or (..., n, r); X like B, batches broadcast.\n"
    "Raises where a pivot is exactly zero. Cost: 2/3 n^3 + 2 n^2 r flops." BATCH, "" },
  { "triangular_solve", triangular_solve,
    "fv.triangular_solve(T, B, {upper=, transpose=, unit=}) -> X",
    "X with T X = B for triangular T (..., n, n), lower by default; B (n) or (..., n, r).\n"
    "upper=true: T is upper; transpose=true: T' X = B; unit=true: the diagonal counts as\n"
    "ones. The other triangle is not used. Raises where the diagonal has a zero.\n"
    "Cost: n^2 r flops." BATCH, "" },
  { "lstsq", lstsq, "fv.lstsq(A, B, {rcond=}) -> X, rank, s",
    "X of least norm that minimises |A X - B|: A (..., m, n), B (m) or (..., m, r).\n"
    "rank (...) is i64; s (..., min(m, n)) are A's singular values; those below rcond times\n"
    "the largest count as zero (default max(m, n) eps of A's dtype). Cost: O(m n r)." BATCH, "" },
  { "inv", inv, "fv.inv(A) -> tensor",
    "Inverse of each matrix (..., n, n); fv.solve is quicker and more accurate for A^-1 B.\n"
    "Raises where a pivot is exactly zero. Cost: 2 n^3 flops." BATCH, "" },
  { "pinv", pinv, "fv.pinv(A, {rcond=}) -> tensor",
    "Moore-Penrose inverse: (..., m, n) -> (..., n, m).\n"
    "Singular values up to rcond times the largest count as zero (default max(m, n) eps of\n"
    "A's dtype). Cost: that of svd." BATCH, "" },
  { "det", det, "fv.det(A) -> tensor",
    "Determinant of each matrix: (..., n, n) -> (...); can overflow, see logdet.\n"
    "Cost: 2/3 n^3 flops." BATCH, "" },
  { "logdet", logdet, "fv.logdet(A) -> sign, logabs",
    "det A = sign exp(logabs): (..., n, n) -> (...), (...); 0 and -inf when A is singular.\n"
    "Cost: 2/3 n^3 flops." BATCH, "" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_solvers (lua_State *L) { fov_methods(L, -1, "fv", functions); }
