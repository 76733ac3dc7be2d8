/* linalg.c -- matrix products and einsum in Lua. */
#include "bind/linalg.h"

#include "tensor/blas.h"
#include "tensor/einsum.h"
#include "tensor/element.h"
#include "tensor/matmul.h"

fov_Tensor *fov_checkreal (lua_State *L, int arg, const char *name, int ndim) {
  fov_Tensor *t = fov_checktensor(L, arg);
  if (!fov_is_real(t->type))
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected f32 or f64, got %s", name,
                                          fov_type_name(t->type)));
  if (t->ndim < ndim)
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected at least %d dimension%s, got %s",
                                          name, ndim, ndim > 1 ? "s" : "",
                                          fov_pushshape(L, t)));
  return t;
}

fov_Tensor *fov_checksquare (lua_State *L, int arg, const char *name) {
  fov_Tensor *t = fov_checkreal(L, arg, name, 2);
  if (t->shape[t->ndim - 2] != t->shape[t->ndim - 1])
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected (...,n,n), got %s", name,
                                          fov_pushshape(L, t)));
  return t;
}

/* 't' in 'type', cast into scratch if it is not. */
static fov_Status cast (fov_Tensor *t, fov_Type type) {
  if (t->type == type) return FOV_OK;
  void *x = fov_scratch((size_t)fov_numel(t), fov_type_size(type));
  if (!x) return FOV_NOMEM;
  fov_Tensor v = fov_view(x, type, t->ndim, t->shape);
  fov_Status s = fov_copy(t, &v);
  *t = v;
  return s;
}

/* Pushes x y; both are read in the dtype they meet in. */
static int product (lua_State *L, fov_Tensor x, fov_Tensor y, const char *fn) {
  int ndim;
  ptrdiff_t shape[FOV_MAXDIM];
  if (fov_matmul_shape(&x, &y, &ndim, shape)) luaL_argerror(L, 2, fov_message());
  fov_Type type = fov_promote(x.type, y.type);
  fov_Tensor *z = fov_newtensor(L, type, ndim, shape);
  fov_Mark mark = fov_mark();
  fov_Status s = cast(&x, type);
  if (s == FOV_OK) s = cast(&y, type);
  if (s == FOV_OK) s = fov_matmul(&x, &y, z);
  fov_release(mark);
  if (s) fov_raise(L, s, fn);
  return 1;
}

static int matmul (lua_State *L) {
  luaL_argcheck(L, lua_isnoneornil(L, 3), 3, "a product takes two tensors and no options");
  return product(L, *fov_checkreal(L, 1, "x", 1), *fov_checkreal(L, 2, "y", 1), "matmul");
}

static int dot (lua_State *L) {
  fov_Tensor *x = fov_checkreal(L, 1, "x", 1), *y = fov_checkreal(L, 2, "y", 1);
  if (x->ndim != 1)
    luaL_argerror(L, 1, lua_pushfstring(L, "x: expected a vector, got %s (matrices: matmul)",
                                        fov_pushshape(L, x)));
  if (!fov_same_shape(x, y)) {
    const char *want = fov_pushshape(L, x);
    luaL_argerror(L, 2, lua_pushfstring(L, "y: expected %s, got %s", want,
                                        fov_pushshape(L, y)));
  }
  return product(L, *x, *y, "dot");
}

fov_Tensor fov_as_matrix (fov_Tensor t, bool rows) {
  int at = rows ? t.ndim : t.ndim - 1;
  if (!rows) t.shape[t.ndim] = t.shape[at], t.stride[t.ndim] = t.stride[at];
  t.shape[at] = t.stride[at] = 1;
  t.ndim++;
  return t;
}

static int outer (lua_State *L) {
  fov_Tensor *x = fov_checkreal(L, 1, "x", 1), *y = fov_checkreal(L, 2, "y", 1);
  for (int i = 1; i <= 2; i++)
    if ((i == 1 ? x : y)->ndim == FOV_MAXDIM)
      luaL_argerror(L, i, "the result would have more than 6 dimensions");
  return product(L, fov_as_matrix(*x, true), fov_as_matrix(*y, false), "outer");
}

static int einsum (lua_State *L) {
  const fov_Tensor *in[FOV_MAXTERM];
  fov_Tensor v[FOV_MAXTERM];
  const char *spec = luaL_checkstring(L, 1);
  int n = lua_gettop(L) - 1;
  if (n < 1 || n > FOV_MAXTERM)
    luaL_error(L, "einsum: expected 1 to %d tensors, got %d", FOV_MAXTERM, n);
  fov_Type type = FOV_F32;
  for (int i = 0; i < n; i++) {
    v[i] = *fov_checkreal(L, i + 2, "operand", 0);
    type = fov_promote(type, v[i].type);
    in[i] = &v[i];
  }
  fov_Einsum e;
  fov_raise(L, fov_einsum_plan(spec, n, in, &e), "einsum");
  fov_Tensor *out = fov_newtensor(L, type, e.ndim, e.shape);
  fov_Mark mark = fov_mark();
  fov_Status s = FOV_OK;
  for (int i = 0; i < n && s == FOV_OK; i++) s = cast(&v[i], type);
  if (s == FOV_OK) s = fov_einsum(&e, in, out);
  fov_release(mark);
  fov_raise(L, s, "einsum");
  return 1;
}

static int trace (lua_State *L) {
  fov_checksquare(L, 1, "A");
  lua_settop(L, 1);
  lua_pushliteral(L, "...ii->...");
  lua_insert(L, 1);
  return einsum(L);
}

static const fov_Method functions[] = {
  { "matmul", matmul, "fv.matmul(x, y) -> tensor",
    "Matrix product (..., m, k) (..., k, n) -> (..., m, n); x:matmul(y) is the same.\n"
    "Leading dimensions broadcast. A vector on the left is a row, on the right a column,\n"
    "and that dimension is dropped from the result: (n,d) (d) -> (n). f32 or f64; mixed\n"
    "gives f64. Transposed views are read as they lie. Cost: 2 m n k flops.", "" },
  { "dot", dot, "fv.dot(x, y) -> tensor",
    "Inner product of two vectors of one length, a tensor without dimensions.", "" },
  { "outer", outer, "fv.outer(x, y) -> tensor",
    "Outer product of vectors: (..., m) (..., n) -> (..., m, n).", "" },
  { "trace", trace, "fv.trace(A) -> tensor",
    "Sum of the diagonal of each matrix: (..., n, n) -> (...).", "" },
  { "einsum", einsum, "fv.einsum(spec, x, ...) -> tensor",
    "Sum of products by named dimensions: a letter for each dimension of each tensor.\n"
    "'bhnd,bhmd->bhnm' multiplies and sums over d, the letter the result leaves out. '...'\n"
    "stands for leading dimensions that broadcast; a letter twice in one tensor takes the\n"
    "diagonal; without '->' the result has the letters that occur once, in alphabetical\n"
    "order. At most 6 dimensions in any product. Several tensors are taken from left to\n"
    "right, each pair as one batched matrix product.\n"
    "Example: fv.einsum('nd,md->nm', q, k)", "" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method methods[] = {
  { "matmul", matmul, "x:matmul(y) -> tensor", "Matrix product; see fv.matmul.", "" },
  { "dot", dot, "x:dot(y) -> tensor",
    "Inner product of two vectors of one length, a tensor without dimensions.", "" },
  { "outer", outer, "x:outer(y) -> tensor", "Outer product; see fv.outer.", "" },
  { "trace", trace, "x:trace() -> tensor", "Sum of the diagonal of each matrix.", "" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_linalg (lua_State *L) {
  fov_blas_init();
  fov_methods(L, -1, "fv", functions);
  fov_open_solvers(L);
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pop(L, 2);
}
