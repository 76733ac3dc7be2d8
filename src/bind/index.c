/* index.c -- gather, scatter, masks and one-hot codes. */
#include "bind/bind.h"
#include "tensor/element.h"
#include "tensor/index.h"
#include "tensor/mask.h"

#include <string.h>

/* The index tensor at 'arg'; a list of whole numbers there becomes one. */
static const fov_Tensor *checkindex (lua_State *L, int arg) {
  if (lua_istable(L, arg)) {
    ptrdiff_t n = (ptrdiff_t)lua_rawlen(L, arg);
    int64_t *x = fov_newtensor(L, FOV_I64, 1, &n)->x;
    for (ptrdiff_t i = 0; i < n; i++) {
      int whole;
      lua_rawgeti(L, arg, i + 1);
      x[i] = lua_tointegerx(L, -1, &whole);
      if (!whole)
        luaL_argerror(L, arg, lua_pushfstring(L, "index %I: expected a whole number, got %s",
                                              (LUAI_UACINT)i + 1, luaL_tolstring(L, -1, NULL)));
      lua_pop(L, 1);
    }
    lua_replace(L, arg);
  }
  const fov_Tensor *t = fov_checktensor(L, arg);
  if (t->type != FOV_I64)
    luaL_argerror(L, arg, lua_pushfstring(L, "index: expected dtype i64, got %s",
                                          fov_type_name(t->type)));
  return t;
}

static void misfit (lua_State *L, int arg, const char *name, const fov_Tensor *want,
                    const fov_Tensor *got) {
  const char *w = fov_pushshape(L, want);
  luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected %s, got %s", name, w,
                                        fov_pushshape(L, got)));
}

/* The index as i64 from 0 in scratch, row-major; NULL x: *s tells why. */
static fov_Tensor zero_based (const fov_Tensor *index, ptrdiff_t n, fov_Status *s) {
  int64_t *i = fov_scratch((size_t)fov_numel(index) + 1, sizeof *i);
  *s = i ? fov_index_read(index, n, i) : FOV_NOMEM;
  return fov_view(*s == FOV_OK ? i : NULL, FOV_I64, index->ndim, index->shape);
}

static int gather (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = fov_checkdim(L, 2, x->ndim);
  const fov_Tensor *index = checkindex(L, 3);
  ptrdiff_t shape[FOV_MAXDIM];
  bool fits = index->ndim == x->ndim;
  for (int k = 0; fits && k < x->ndim; k++) {
    ptrdiff_t a = x->shape[k], b = index->shape[k];
    shape[k] = k == dim || a == 1 ? b : a;
    fits = k == dim || a == b || a == 1 || b == 1;
  }
  if (!fits) {
    fov_Tensor want = *x;
    want.shape[dim] = index->ndim == x->ndim ? index->shape[dim] : 1;
    misfit(L, 3, "index", &want, index);
  }
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, shape);
  fov_Status s;
  fov_Mark mark = fov_mark();
  fov_Tensor i = zero_based(index, x->shape[dim], &s);
  if (s == FOV_OK) s = fov_gather(x, dim, &i, out);
  fov_release(mark);
  fov_raise(L, s, "gather");
  return 1;
}

/* Shape of x with 'dim' replaced by the index's dimensions. */
static fov_Tensor selected (lua_State *L, const fov_Tensor *x, int dim, const fov_Tensor *index) {
  fov_Tensor t = { .type = x->type, .ndim = x->ndim - 1 + index->ndim };
  if (t.ndim > FOV_MAXDIM)
    luaL_error(L, "index_select: %d dimensions, at most %d", t.ndim, FOV_MAXDIM);
  memcpy(t.shape, x->shape, (size_t)dim * sizeof *t.shape);
  memcpy(t.shape + dim, index->shape, (size_t)index->ndim * sizeof *t.shape);
  memcpy(t.shape + dim + index->ndim, x->shape + dim + 1,
         (size_t)(x->ndim - dim - 1) * sizeof *t.shape);
  return t;
}

/* Both with x's dimensions: the index along 'dim', the contiguous 't' with
 * its dimensions made one. */
static void align (const fov_Tensor *x, int dim, fov_Tensor *index, fov_Tensor *t) {
  ptrdiff_t shape[FOV_MAXDIM], n = fov_numel(index);
  for (int k = 0; k < x->ndim; k++) shape[k] = k == dim ? n : 1;
  *index = fov_view(index->x, FOV_I64, x->ndim, shape);
  for (int k = 0; k < x->ndim; k++) shape[k] = k == dim ? n : x->shape[k];
  *t = fov_view(t->x, t->type, x->ndim, shape);
}

static int index_select (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = fov_checkdim(L, 2, x->ndim);
  const fov_Tensor *index = checkindex(L, 3);
  fov_Tensor t = selected(L, x, dim, index), out = *fov_newtensor(L, x->type, t.ndim, t.shape);
  fov_Status s;
  fov_Mark mark = fov_mark();
  fov_Tensor i = zero_based(index, x->shape[dim], &s);
  align(x, dim, &i, &out);
  if (s == FOV_OK) s = fov_gather(x, dim, &i, &out);
  fov_release(mark);
  fov_raise(L, s, "index_select");
  return 1;
}

/* A copy of x on the stack, after the checks both additions share. */
static fov_Tensor *target (lua_State *L, const fov_Tensor *x, const fov_Tensor *want,
                           const char *fn) {
  const fov_Tensor *src = fov_checktensor(L, 4);
  if (src->type != x->type)
    luaL_argerror(L, 4, lua_pushfstring(L, "src: expected dtype %s, got %s",
                                        fov_type_name(x->type), fov_type_name(src->type)));
  if (!fov_same_shape(src, want)) misfit(L, 4, "src", want, src);
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, x->shape);
  fov_raise(L, fov_copy(x, out), fn);
  return out;
}

static int scatter_add (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = fov_checkdim(L, 2, x->ndim);
  const fov_Tensor *index = checkindex(L, 3), *src = fov_checktensor(L, 4);
  fov_Tensor want = *x;
  want.shape[dim] = src->ndim == x->ndim && index->ndim == x->ndim && index->shape[dim] == 1
                  ? src->shape[dim] : index->ndim == x->ndim ? index->shape[dim] : 1;
  bool fits = index->ndim == x->ndim;
  for (int k = 0; fits && k < x->ndim; k++)
    fits = k == dim || index->shape[k] == x->shape[k] || index->shape[k] == 1;
  if (!fits) misfit(L, 3, "index", &want, index);
  fov_Tensor *out = target(L, x, &want, "scatter_add");
  fov_Status s;
  fov_Mark mark = fov_mark();
  fov_Tensor i = zero_based(index, x->shape[dim], &s);
  if (s == FOV_OK) s = fov_scatter_add(src, dim, &i, out);
  fov_release(mark);
  fov_raise(L, s, "scatter_add");
  return 1;
}

static int index_add (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = fov_checkdim(L, 2, x->ndim);
  const fov_Tensor *index = checkindex(L, 3);
  fov_Tensor want = selected(L, x, dim, index), *out = target(L, x, &want, "index_add");
  fov_Tensor src = *fov_checktensor(L, 4);
  fov_Status s;
  fov_Mark mark = fov_mark();
  fov_Tensor i = zero_based(index, x->shape[dim], &s);
  if (s == FOV_OK && !fov_contiguous(&src)) {
    void *room = fov_scratch((size_t)fov_numel(&src), fov_type_size(src.type));
    fov_Tensor packed = fov_view(room, src.type, src.ndim, src.shape);
    s = room ? fov_copy(&src, &packed) : FOV_NOMEM;
    src = packed;
  }
  align(x, dim, &i, &src);
  if (s == FOV_OK) s = fov_scatter_add(&src, dim, &i, out);
  fov_release(mark);
  fov_raise(L, s, "index_add");
  return 1;
}

static int one_hot (lua_State *L) {
  static const char *const names[] = { "dtype", NULL };
  const fov_Tensor *ids = checkindex(L, 1);
  lua_Integer classes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, classes >= 0, 2, "classes: expected at least 0");
  luaL_argcheck(L, ids->ndim < FOV_MAXDIM, 1, "ids: no room for one more dimension");
  fov_checkoptions(L, 3, "one_hot", names);
  fov_Type type = fov_optdtype(L, 3, FOV_F32);
  ptrdiff_t shape[FOV_MAXDIM];
  memcpy(shape, ids->shape, (size_t)ids->ndim * sizeof *shape);
  shape[ids->ndim] = (ptrdiff_t)classes;
  fov_Tensor *out = fov_newtensor(L, type, ids->ndim + 1, shape);
  fov_Status s;
  fov_Mark mark = fov_mark();
  fov_Tensor i = zero_based(ids, (ptrdiff_t)classes, &s);
  if (s == FOV_OK) s = fov_one_hot(i.x, out);
  fov_release(mark);
  fov_raise(L, s, "one_hot");
  return 1;
}

/* A number at 'arg' as a tensor of 'type'. */
typedef struct Number {
  fov_Tensor t;
  union { double d; float f; int64_t i; uint8_t u; } v;
} Number;

static const fov_Tensor *number (lua_State *L, int arg, fov_Type type, Number *n) {
  fov_setelement(L, type, &n->v, arg);
  n->t = (fov_Tensor){ .x = &n->v, .type = type };
  return &n->t;
}

static const fov_Tensor *checkmask (lua_State *L, int arg) {
  const fov_Tensor *m = fov_checktensor(L, arg);
  if (m->type != FOV_U8)
    luaL_argerror(L, arg, lua_pushfstring(L, "mask: expected dtype u8, got %s",
                                          fov_type_name(m->type)));
  return m;
}

/* *shape broadcast with t's, or an error about 'arg'. */
static void widen (lua_State *L, int arg, const fov_Tensor *t, fov_Tensor *shape) {
  fov_Tensor had = *shape;
  if (fov_broadcast(had.ndim, had.shape, t->ndim, t->shape, &shape->ndim, shape->shape)) return;
  const char *x = fov_pushshape(L, t);
  luaL_argerror(L, arg, lua_pushfstring(L, "%s does not broadcast with %s", x,
                                        fov_pushshape(L, &had)));
}

/* Numbers take the dtype of the tensor they meet; a fractional one turns
 * integers into f32, a whole one u8 into i64 unless it fits. */
static int where (lua_State *L) {
  const fov_Tensor *mask = checkmask(L, 1), *in[2];
  fov_Tensor shape = *mask;
  bool any = false, real = false;
  fov_Type type = FOV_F32;
  for (int k = 0; k < 2; k++) {
    in[k] = fov_totensor(L, k + 2);
    if (!in[k]) {
      if (lua_type(L, k + 2) != LUA_TNUMBER) luaL_typeerror(L, k + 2, "tensor or number");
      real = real || !lua_isinteger(L, k + 2);
      continue;
    }
    widen(L, k + 2, in[k], &shape);
    type = !any || type == in[k]->type ? in[k]->type : fov_promote(type, in[k]->type);
    any = true;
  }
  if (!fov_is_real(type) && real) type = FOV_F32;
  for (int k = 0; k < 2 && type == FOV_U8; k++)
    if (!in[k] && (uint64_t)lua_tointeger(L, k + 2) > 255) type = FOV_I64;
  Number n[2];
  for (int k = 0; k < 2; k++)
    if (!in[k]) in[k] = number(L, k + 2, type, &n[k]);
  fov_Tensor *out = fov_newtensor(L, type, shape.ndim, shape.shape);
  fov_raise(L, fov_where(mask, in[0], in[1], out), "where");
  return 1;
}

static int masked_fill (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1), *mask = checkmask(L, 2);
  fov_Tensor shape = *x;
  widen(L, 2, mask, &shape);
  if (!fov_same_shape(&shape, x)) misfit(L, 2, "mask", x, mask);
  Number n;
  const fov_Tensor *v = number(L, 3, x->type, &n);
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, x->shape);
  fov_raise(L, fov_where(mask, v, x, out), "masked_fill");
  return 1;
}

static int nonzero (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  ptrdiff_t blocks = fov_numel(x) / FOV_NONZERO + 1, shape[2] = { 0, x->ndim };
  ptrdiff_t *count = lua_newuserdatauv(L, (size_t)blocks * sizeof *count, 0);
  memset(count, 0, (size_t)blocks * sizeof *count);
  fov_raise(L, fov_count_nonzero(x, count), "nonzero");
  for (ptrdiff_t i = 0; i < blocks; i++) shape[0] += count[i];
  fov_Tensor *out = fov_newtensor(L, FOV_I64, 2, shape);
  fov_raise(L, fov_nonzero(x, count, out), "nonzero");
  return 1;
}

static const fov_Method methods[] = {
  { "gather", gather, "x:gather(dim, index) -> tensor",
    "Elements of x at places of one dimension: out[i][j] = x[index[i][j]][j] for dim 1.\n"
    "index is i64, counts from 1 and has x's dimensions; sizes other than that of dim are\n"
    "equal or 1 on either side. The result has x's dtype. Raises for an index outside 1 .. size.\n"
    "The gradient is scatter_add.", "" },
  { "index_select", index_select, "x:index_select(dim, index) -> tensor",
    "Slices of x along one dimension, by an i64 tensor of any shape or a list {3, 1}.\n"
    "In the result index's dimensions stand in place of dim: a (V,d) table and (b,n) ids give\n"
    "(b,n,d). Whole rows are copied at memory speed. Raises for an index outside 1 .. size.\n"
    "The gradient is index_add.", "" },
  { "scatter_add", scatter_add, "x:scatter_add(dim, index, src) -> tensor",
    "A copy of x with src added: out[index[i][j]][j] += src[i][j] for dim 1.\n"
    "src has x's dtype and shape but for dim; index (i64, from 1) has src's shape or sizes 1.\n"
    "Sums are taken in order along dim: same bits at any thread count. Integers wrap.", "" },
  { "index_add", index_add, "x:index_add(dim, index, src) -> tensor",
    "A copy of x with slices added: out[index[i]] += src[i] for dim 1.\n"
    "src has the shape and dtype x:index_select(dim, index) would have; this is its adjoint.\n"
    "Sums are taken in order: same bits at any thread count.", "" },
  { "one_hot", one_hot, "x:one_hot(classes, {dtype=}) -> tensor",
    "A new last dimension with 1 at the class's place, else 0 (f32).\n"
    "x holds i64 classes 1 .. classes; any other raises.", "none" },
  { "masked_fill", masked_fill, "x:masked_fill(mask, value) -> tensor",
    "A copy of x with value where mask (u8) is not 0.\n"
    "mask broadcasts to x; the result has x's dtype.", "" },
  { "nonzero", nonzero, "x:nonzero() -> tensor",
    "Positions of the elements that are not 0, as an i64 tensor (count, dimensions).\n"
    "Positions count from 1, in row-major order; NaN is not 0.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method functions[] = {
  { "where", where, "fv.where(mask, a, b) -> tensor",
    "a where mask (u8) is not 0, else b; all three broadcast.\n"
    "a and b are tensors or numbers; dtypes promote as in arithmetic, equal ones stay.\n"
    "Gradients go to the side that was taken; what is left out gets 0 times its slope, which is\n"
    "NaN where that is infinite: mask its argument too.", "" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_index (lua_State *L) {
  fov_methods(L, -1, "fv", functions);
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pop(L, 2);
}
