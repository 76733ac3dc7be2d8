/* join.c -- tensors put together, moved along a dimension, cut by place. */
#include "bind/bind.h"
#include "tensor/element.h"
#include "tensor/join.h"
#include "tensor/mask.h"

#include <string.h>

/* The tensors of the list at 1, as headers on a userdata it pushes, and the
 * dtype they meet in. */
static fov_Tensor *list (lua_State *L, const char *fn, int *n, fov_Type *type) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Unsigned len = lua_rawlen(L, 1);
  luaL_argcheck(L, len >= 1 && len < 1 << 24, 1, "expected a list of at least one tensor");
  fov_Tensor *x = lua_newuserdatauv(L, (size_t)len * sizeof *x, 0);
  for (lua_Unsigned i = 0; i < len; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    const fov_Tensor *t = fov_totensor(L, -1);
    if (!t)
      luaL_error(L, "%s: entry %I: expected a tensor, got %s", fn, (LUAI_UACINT)i + 1,
                 luaL_typename(L, -1));
    x[i] = *t;
    *type = i == 0 || *type == t->type ? t->type : fov_promote(*type, t->type);
    lua_pop(L, 1);
  }
  *n = (int)len;
  return x;
}

/* Concatenates; every entry must have the first one's shape but for 'dim'. */
static int concat (lua_State *L, const char *fn, fov_Tensor *x, int n, int dim, fov_Type type) {
  const fov_Tensor **each = lua_newuserdatauv(L, (size_t)n * sizeof *each, 0);
  fov_Tensor shape = x[0];
  for (int i = 0; i < n; i++) {
    fov_Tensor want = x[0];
    if (x[i].ndim == want.ndim) want.shape[dim] = x[i].shape[dim];
    if (!fov_same_shape(&want, &x[i])) {
      const char *w = fov_pushshape(L, &x[0]);
      return luaL_error(L, "%s: entry %d: expected %s but for dimension %d, got %s", fn, i + 1, w,
                        dim + 1, fov_pushshape(L, &x[i]));
    }
    if (i && __builtin_add_overflow(shape.shape[dim], x[i].shape[dim], &shape.shape[dim]))
      return luaL_error(L, "%s: size overflows", fn);
    each[i] = &x[i];
  }
  fov_Tensor *out = fov_newtensor(L, type, shape.ndim, shape.shape);
  fov_raise(L, fov_cat(n, each, dim, out), fn);
  return 1;
}

static int cat (lua_State *L) {
  fov_Type type;
  int n;
  lua_settop(L, 2);
  fov_Tensor *x = list(L, "cat", &n, &type);
  if (x->ndim == 0) return luaL_error(L, "cat: entry 1 has no dimensions (stack gives it one)");
  int dim = lua_isnil(L, 2) ? 0 : fov_checkdim(L, 2, x->ndim);
  return concat(L, "cat", x, n, dim, type);
}

static int stack (lua_State *L) {
  fov_Type type;
  int n;
  lua_settop(L, 2);
  fov_Tensor *x = list(L, "stack", &n, &type), first = *x;
  if (x->ndim == FOV_MAXDIM) return luaL_error(L, "stack: at most %d dimensions", FOV_MAXDIM);
  int dim = lua_isnil(L, 2) ? 0 : fov_checkdim(L, 2, x->ndim + 1);
  for (int i = 0; i < n; i++) {
    if (!fov_same_shape(&first, &x[i])) {
      const char *w = fov_pushshape(L, &first);
      return luaL_error(L, "stack: entry %d: expected %s, got %s", i + 1, w,
                        fov_pushshape(L, &x[i]));
    }
    size_t rest = (size_t)(x[i].ndim - dim) * sizeof *x->shape;
    memmove(x[i].shape + dim + 1, x[i].shape + dim, rest);
    memmove(x[i].stride + dim + 1, x[i].stride + dim, rest);
    x[i].shape[dim] = 1;
    x[i].stride[dim] = 0;
    x[i].ndim++;
  }
  return concat(L, "stack", x, n, dim, type);
}

static int roll (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  lua_Integer shift = luaL_checkinteger(L, 2);
  int dim = fov_checkdim(L, 3, x->ndim);
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, x->shape);
  fov_raise(L, fov_roll(x, dim, (ptrdiff_t)shift, out), "roll");
  return 1;
}

/* The size at position i of the list on top. */
static ptrdiff_t width (lua_State *L, lua_Integer i) {
  int whole;
  lua_rawgeti(L, -1, i);
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || v < 0)
    luaL_argerror(L, 2, lua_pushfstring(L, "expected whole numbers from 0, got %s",
                                        luaL_tolstring(L, -1, NULL)));
  lua_pop(L, 1);
  return (ptrdiff_t)v;
}

static int pad (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  ptrdiff_t before[FOV_MAXDIM], after[FOV_MAXDIM], shape[FOV_MAXDIM];
  union { double d; float f; int64_t i; uint8_t u; } v = { 0 };
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  bool nested = lua_rawgeti(L, 2, 1) == LUA_TTABLE;
  lua_pop(L, 1);
  lua_Integer want = nested ? x->ndim : 2 * x->ndim, n = (lua_Integer)lua_rawlen(L, 2);
  if (n != want)
    luaL_argerror(L, 2, lua_pushfstring(L, "expected %d %s for %d dimensions, got %I", (int)want,
                                        nested ? "pairs" : "numbers", x->ndim, (LUAI_UACINT)n));
  for (int k = 0; k < x->ndim; k++) {
    if (nested && lua_rawgeti(L, 2, k + 1) != LUA_TTABLE)
      luaL_argerror(L, 2, "expected a pair {before, after} per dimension");
    if (!nested) lua_pushvalue(L, 2);
    before[k] = width(L, nested ? 1 : 2 * k + 1);
    after[k] = width(L, nested ? 2 : 2 * k + 2);
    lua_pop(L, 1);
    if (__builtin_add_overflow(x->shape[k], before[k], &shape[k]) ||
        __builtin_add_overflow(shape[k], after[k], &shape[k]))
      return luaL_error(L, "pad: size overflows");
  }
  if (!lua_isnil(L, 3)) fov_setelement(L, x->type, &v, 3);
  fov_Tensor value = { .x = &v, .type = x->type };
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, shape);
  fov_raise(L, fov_pad(x, before, &value, out), "pad");
  return 1;
}

static int tile (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  ptrdiff_t times[FOV_MAXDIM], shape[FOV_MAXDIM];
  int n = fov_checkshape(L, 2, lua_gettop(L), times), ndim = n > x->ndim ? n : x->ndim;
  memcpy(shape, x->shape, sizeof shape);
  for (int k = 0; k < ndim; k++) shape[k] = k < ndim - x->ndim ? 1 : x->shape[k - ndim + x->ndim];
  fov_Tensor one = fov_expand(x, ndim, shape);
  for (int k = ndim - n; k < ndim; k++)
    if (__builtin_mul_overflow(shape[k], times[k - ndim + n], &shape[k]))
      return luaL_error(L, "tile: size overflows");
  fov_Tensor *out = fov_newtensor(L, x->type, ndim, shape);
  fov_raise(L, fov_tile(&one, out), "tile");
  return 1;
}

static int flip (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  fov_Tensor v = *x;
  int top = lua_gettop(L);
  luaL_checkinteger(L, 2);
  for (int arg = 2; arg <= top; arg++) {
    int k = fov_checkdim(L, arg, x->ndim);
    if (v.shape[k] == 0) continue;
    v.x = (char *)v.x + (v.shape[k] - 1) * v.stride[k] * (ptrdiff_t)fov_type_size(v.type);
    v.stride[k] = -v.stride[k];
  }
  fov_newview(L, 1, &v);
  return 1;
}

/* Diagonal k at 'arg', by default 0, cut to [-n, m]. */
static ptrdiff_t checkdiagonal (lua_State *L, int arg, const fov_Tensor *x, const char *fn) {
  if (x->ndim < 2)
    luaL_error(L, "%s: expected at least two dimensions, got %s", fn, fov_pushshape(L, x));
  lua_Integer k = luaL_optinteger(L, arg, 0);
  ptrdiff_t n = x->shape[x->ndim - 2], m = x->shape[x->ndim - 1];
  return k < -n ? -n : k > m ? m : (ptrdiff_t)k;
}

static int diagonal (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  ptrdiff_t k = checkdiagonal(L, 2, x, "diagonal");
  fov_Tensor v = *x;
  int i = x->ndim - 2, j = x->ndim - 1;
  ptrdiff_t n = x->shape[i] - (k < 0 ? -k : 0), m = x->shape[j] - (k > 0 ? k : 0);
  v.ndim = j;
  v.shape[i] = n < m ? n : m;
  v.stride[i] = x->stride[i] + x->stride[j];
  if (v.shape[i] > 0)
    v.x = (char *)x->x + (k > 0 ? k * x->stride[j] : -k * x->stride[i]) *
                         (ptrdiff_t)fov_type_size(x->type);
  fov_newview(L, 1, &v);
  return 1;
}

static int triangle (lua_State *L, const char *fn, bool lower) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  ptrdiff_t k = checkdiagonal(L, 2, x, fn);
  fov_Tensor *out = fov_newtensor(L, x->type, x->ndim, x->shape);
  fov_raise(L, fov_copy(x, out), fn);
  fov_triangle(out, k, lower);
  return 1;
}

static int tril (lua_State *L) { return triangle(L, "tril", true); }
static int triu (lua_State *L) { return triangle(L, "triu", false); }

#define TRIL "The lower triangle of the last two dimensions, 0 elsewhere.\n" \
             "Column j of row i stays if j <= i + k; k is 0 unless given."
#define TRIU "The upper triangle of the last two dimensions, 0 elsewhere.\n" \
             "Column j of row i stays if j >= i + k; k is 0 unless given."

static const fov_Method methods[] = {
  { "roll", roll, "x:roll(shift, dim) -> tensor",
    "Entries moved on by shift places along dim; what leaves one end enters at the other.", "" },
  { "pad", pad, "x:pad({before, after, ...}, value?) -> tensor",
    "A larger tensor with x inside and value (0) around it.\n"
    "Two whole numbers per dimension, from the first, flat or as pairs {{1, 0}, {2, 2}}.", "" },
  { "tile", tile, "x:tile(times, ...) -> tensor",
    "x repeated as blocks along its dimensions, the last count for the last dimension.\n"
    "More counts than dimensions add dimensions in front.", "" },
  { "flip", flip, "x:flip(dim, ...) -> tensor",
    "A view with the order along each dim reversed.", "view" },
  { "diagonal", diagonal, "x:diagonal(k?) -> tensor",
    "A view of diagonal k (0) of the last two dimensions; above the main one for k > 0.", "view" },
  { "tril", tril, "x:tril(k?) -> tensor", TRIL, "" },
  { "triu", triu, "x:triu(k?) -> tensor", TRIU, "" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method functions[] = {
  { "cat", cat, "fv.cat({x, y, ...}, dim?) -> tensor",
    "The tensors one after the other along dim (1).\n"
    "The other sizes must agree; dtypes promote as in arithmetic, equal ones stay.", "" },
  { "stack", stack, "fv.stack({x, y, ...}, dim?) -> tensor",
    "The tensors, all of one shape, along a new dimension that becomes number dim (1).", "" },
  { "tril", tril, "fv.tril(x, k?) -> tensor", TRIL, "" },
  { "triu", triu, "fv.triu(x, k?) -> tensor", TRIU, "" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_join (lua_State *L) {
  fov_methods(L, -1, "fv", functions);
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pop(L, 2);
}
