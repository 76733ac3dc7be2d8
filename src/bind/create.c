/* create.c -- tensors from sizes, ranges and Lua tables. */
#include "bind/bind.h"

#include <math.h>
#include <string.h>

static void fill (const fov_Tensor *t, double real, int64_t whole) {
  ptrdiff_t n = fov_numel(t);
  switch (t->type) {
    case FOV_F32: for (ptrdiff_t i = 0; i < n; i++) ((float *)t->x)[i] = (float)real; break;
    case FOV_F64: for (ptrdiff_t i = 0; i < n; i++) ((double *)t->x)[i] = real; break;
    case FOV_I64: for (ptrdiff_t i = 0; i < n; i++) ((int64_t *)t->x)[i] = whole; break;
    default: memset(t->x, (int)whole, (size_t)n); break;
  }
}

/* n, ..., [options] or {n, ...}, [options]: pushes an uninitialised tensor. */
static fov_Tensor *sized (lua_State *L, const char *fn, int from) {
  static const char *const names[] = { "dtype", NULL };
  ptrdiff_t shape[FOV_MAXDIM];
  int top = lua_gettop(L), last = top, opt = 0;
  if (top > from && lua_istable(L, top)) opt = top, last = top - 1;
  else if (top == from && lua_istable(L, top) && lua_getfield(L, top, "dtype") != LUA_TNIL)
    opt = top, last = top - 1;
  lua_settop(L, top);
  fov_checkoptions(L, opt ? opt : top + 1, fn, names);
  fov_Type type = fov_optdtype(L, opt ? opt : top + 1, FOV_F32);
  int n = fov_checkshape(L, from, last, shape);
  return fov_newtensor(L, type, n, shape);
}

static int zeros (lua_State *L) {
  fov_Tensor *t = sized(L, "zeros", 1);
  memset(t->x, 0, (size_t)fov_numel(t) * fov_type_size(t->type));   /* all-zero bits are 0 */
  return 1;
}

static int ones (lua_State *L) {
  fov_Tensor *t = sized(L, "ones", 1);
  fill(t, 1, 1);
  return 1;
}

static int empty (lua_State *L) {
  sized(L, "empty", 1);
  return 1;
}

/* fv.full({n, ...}, value, [options]) */
static int full (lua_State *L) {
  static const char *const names[] = { "dtype", NULL };
  ptrdiff_t shape[FOV_MAXDIM];
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checknumber(L, 2);
  fov_checkoptions(L, 3, "full", names);
  fov_Type type = fov_optdtype(L, 3, FOV_F32);
  int n = fov_checkshape(L, 1, 1, shape);
  fov_Tensor *t = fov_newtensor(L, type, n, shape);
  union { double d; float f; int64_t i; uint8_t u; } v;
  fov_setelement(L, type, &v, 2);
  fill(t, type == FOV_F32 ? (double)v.f : v.d, type == FOV_U8 ? v.u : v.i);
  return 1;
}

static int eye (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1), m = n;
  int opt = 2;
  if (lua_isnumber(L, 2)) m = luaL_checkinteger(L, 2), opt = 3;
  luaL_argcheck(L, n >= 0, 1, "negative size");
  luaL_argcheck(L, m >= 0, 2, "negative size");
  static const char *const names[] = { "dtype", NULL };
  fov_checkoptions(L, opt, "eye", names);
  fov_Tensor *t = fov_newtensor(L, fov_optdtype(L, opt, FOV_F32), 2, (ptrdiff_t[]){ n, m });
  fill(t, 0, 0);
  fov_Tensor diagonal = { .x = t->x, .type = t->type, .ndim = 1,
                          .shape = { n < m ? n : m }, .stride = { m + 1 } };
  double one = 1;
  fov_Tensor value = { .x = &one, .type = FOV_F64 };
  fov_raise(L, fov_copy(&value, &diagonal), "eye");
  return 1;
}

/* A real result in f64, then cast: f32 ranges carry one rounding only. */
static void ramp (lua_State *L, const char *fn, double first, double step, ptrdiff_t n,
                  fov_Type type) {
  fov_Tensor *t = fov_newtensor(L, type, 1, &n);
  for (ptrdiff_t i = 0; i < n; i++) {
    double v = first + (double)i * step;
    switch (type) {
      case FOV_F32: ((float *)t->x)[i] = (float)v; break;
      case FOV_F64: ((double *)t->x)[i] = v; break;
      case FOV_I64: ((int64_t *)t->x)[i] = (int64_t)v; break;
      default:
        if (v < 0 || v > 255) luaL_error(L, "%s: u8 holds 0 to 255, got %f", fn, v);
        ((uint8_t *)t->x)[i] = (uint8_t)v;
    }
  }
}

static int arange (lua_State *L) {
  int top = lua_gettop(L), opt = top + 1;
  if (top && lua_istable(L, top)) opt = top, top--;
  static const char *const names[] = { "dtype", NULL };
  fov_checkoptions(L, opt, "arange", names);
  bool whole = true;
  for (int i = 1; i <= top; i++) whole = whole && lua_isinteger(L, i);
  double last = luaL_checknumber(L, top >= 2 ? 2 : 1);
  double first = top >= 2 ? luaL_checknumber(L, 1) : 1;
  double step = top >= 3 ? luaL_checknumber(L, 3) : 1;
  luaL_argcheck(L, step != 0 && isfinite(step), 3, "the step must be finite and not 0");
  double n = floor((last - first) / step + 1e-9) + 1;
  luaL_argcheck(L, n < 9e15 && n == n, top >= 2 ? 2 : 1, "range too long");
  ramp(L, "arange", first, step, n > 0 ? (ptrdiff_t)n : 0,
       fov_optdtype(L, opt, whole ? FOV_I64 : FOV_F32));
  return 1;
}

static int linspace (lua_State *L) {
  double first = luaL_checknumber(L, 1), last = luaL_checknumber(L, 2);
  lua_Integer n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 1, 3, "at least one point expected");
  static const char *const names[] = { "dtype", NULL };
  fov_checkoptions(L, 4, "linspace", names);
  ramp(L, "linspace", first, n > 1 ? (last - first) / (double)(n - 1) : 0, (ptrdiff_t)n,
       fov_optdtype(L, 4, FOV_F32));
  return 1;
}

/* Shape of the nested table on top; leaves it there. */
static int nested (lua_State *L, ptrdiff_t *shape) {
  int n = 0, top = lua_gettop(L);
  lua_pushvalue(L, -1);
  while (lua_istable(L, -1)) {
    if (n == FOV_MAXDIM) luaL_error(L, "tensor: more than %d levels of tables", FOV_MAXDIM);
    shape[n++] = (ptrdiff_t)luaL_len(L, -1);
    if (shape[n - 1] == 0) break;
    lua_geti(L, -1, 1);
    luaL_checkstack(L, 2, NULL);
  }
  lua_settop(L, top);
  return n;
}

/* Copies the table or number on top to x, row-major. */
static char *store (lua_State *L, const fov_Tensor *t, int dim, char *x) {
  if (dim == t->ndim) {
    const char *wrong = fov_toelement(L, t->type, x, lua_gettop(L));
    if (wrong) luaL_error(L, "tensor: element: %s", wrong);
    return x + fov_type_size(t->type);
  }
  if (!lua_istable(L, -1) || luaL_len(L, -1) != t->shape[dim])
    luaL_error(L, "tensor: ragged table: level %d: expected %I entries, got %s", dim + 1,
               (LUAI_UACINT)t->shape[dim], lua_istable(L, -1)
               ? lua_pushfstring(L, "%I", (LUAI_UACINT)luaL_len(L, -1)) : luaL_typename(L, -1));
  luaL_checkstack(L, 4, NULL);
  for (ptrdiff_t i = 1; i <= t->shape[dim]; i++) {
    lua_geti(L, -1, (lua_Integer)i);
    x = store(L, t, dim + 1, x);
    lua_pop(L, 1);
  }
  return x;
}

static int tensor (lua_State *L) {
  static const char *const names[] = { "dtype", NULL };
  ptrdiff_t shape[FOV_MAXDIM];
  fov_checkoptions(L, 2, "tensor", names);
  lua_settop(L, 2);
  const fov_Tensor *src = fov_totensor(L, 1);
  if (src) {
    fov_Tensor *t = fov_newtensor(L, fov_optdtype(L, 2, src->type), src->ndim, src->shape);
    fov_raise(L, fov_copy(src, t), "tensor");
    return 1;
  }
  if (!lua_istable(L, 1) && !lua_isboolean(L, 1)) luaL_checknumber(L, 1);
  fov_Type type = fov_optdtype(L, 2, FOV_F32);
  lua_pushvalue(L, 1);
  int n = nested(L, shape);
  fov_Tensor *t = fov_newtensor(L, type, n, shape);
  lua_pushvalue(L, 1);
  store(L, t, 0, t->x);
  lua_pop(L, 1);
  return 1;
}

static const fov_Method functions[] = {
  { "tensor", tensor, "fv.tensor(table|number|tensor, {dtype=}) -> tensor",
    "A tensor from nested tables of numbers (f32 unless dtype says), or a copy of a tensor.\n"
    "Example: fv.tensor({{1, 2}, {3, 4}}, {dtype = \"f64\"})", "" },
  { "zeros", zeros, "fv.zeros(n, ..., {dtype=}) -> tensor",
    "A tensor of zeros; sizes as numbers or as one table. f32 unless dtype says.", "none" },
  { "ones", ones, "fv.ones(n, ..., {dtype=}) -> tensor", "A tensor of ones.", "none" },
  { "empty", empty, "fv.empty(n, ..., {dtype=}) -> tensor",
    "A tensor whose elements are whatever the memory held: to be overwritten.", "none" },
  { "full", full, "fv.full({n, ...}, value, {dtype=}) -> tensor",
    "A tensor of one repeated value.", "none" },
  { "eye", eye, "fv.eye(n, m?, {dtype=}) -> tensor", "Ones on the diagonal of an (n,m) matrix.", "none" },
  { "arange", arange, "fv.arange(last) or fv.arange(first, last, step?, {dtype=}) -> tensor",
    "first, first + step, ... up to and including last; i64 when all are whole, else f32.\n"
    "Example: fv.arange(5) holds 1 2 3 4 5", "none" },
  { "linspace", linspace, "fv.linspace(first, last, n, {dtype=}) -> tensor",
    "n points at equal distances, both ends included.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_create (lua_State *L) {
  fov_methods(L, -1, "fv", functions);
}
