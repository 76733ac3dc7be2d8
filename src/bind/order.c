/* order.c -- sorting, the largest elements, searching. */
#include "bind/bind.h"
#include "tensor/element.h"
#include "tensor/sort.h"

/* The boolean option 'name' of the table at 'arg', its only one. */
static bool flag (lua_State *L, int arg, const char *fn, const char *name, bool def) {
  fov_checkoptions(L, arg, fn, (const char *const[]){ name, NULL });
  int type = fov_option(L, arg, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "%s: option '%s': expected a boolean, got %s", fn, name, luaL_typename(L, -1));
  bool v = type == LUA_TNIL ? def : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

static int lastdim (lua_State *L, int arg, const fov_Tensor *x, const char *fn) {
  if (x->ndim == 0) luaL_error(L, "%s: a tensor without dimensions", fn);
  return lua_isnoneornil(L, arg) ? x->ndim - 1 : fov_checkdim(L, arg, x->ndim);
}

/* Pushes values (unless 'bare') and indices of the first k along dim. */
static int order (lua_State *L, const char *fn, const fov_Tensor *x, int dim, ptrdiff_t k,
                  bool descending, bool bare) {
  fov_Tensor shape = *x, none = { 0 };
  shape.shape[dim] = k;
  fov_Tensor *values = bare ? &none : fov_newtensor(L, x->type, x->ndim, shape.shape);
  fov_Tensor *indices = fov_newtensor(L, FOV_I64, x->ndim, shape.shape);
  fov_raise(L, fov_sort(x, dim, descending, values, indices), fn);
  return bare ? 1 : 2;
}

static int sort (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = lastdim(L, 2, x, "sort");
  bool down = flag(L, 3, "sort", "descending", false);
  return order(L, "sort", x, dim, x->shape[dim], down, false);
}

static int argsort (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = lastdim(L, 2, x, "argsort");
  bool down = flag(L, 3, "argsort", "descending", false);
  return order(L, "argsort", x, dim, x->shape[dim], down, true);
}

static int topk (lua_State *L) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  lua_Integer k = luaL_checkinteger(L, 2);
  int dim = lastdim(L, 3, x, "topk");
  if (k < 0 || k > x->shape[dim])
    luaL_argerror(L, 2, lua_pushfstring(L, "k: expected 0 to %I, got %I",
                                        (LUAI_UACINT)x->shape[dim], (LUAI_UACINT)k));
  bool down = flag(L, 4, "topk", "largest", true);
  return order(L, "topk", x, dim, (ptrdiff_t)k, down, false);
}

static int searchsorted (lua_State *L) {
  const fov_Tensor *s = fov_checktensor(L, 1), *v = fov_totensor(L, 2);
  luaL_argcheck(L, s->ndim == 1, 1, "sorted: expected one dimension");
  bool right = flag(L, 3, "searchsorted", "right", false);
  double value;
  fov_Tensor one = { .x = &value, .type = FOV_F64 };
  if (!v) value = luaL_checknumber(L, 2), v = &one;
  fov_Type type = s->type == v->type ? s->type : fov_promote(s->type, v->type);
  fov_Tensor *out = fov_newtensor(L, FOV_I64, v->ndim, v->shape);
  fov_Mark mark = fov_mark();
  fov_Status status = fov_searchsorted(s, v, type, right, out);
  fov_release(mark);
  fov_raise(L, status, "searchsorted");
  if (v == &one) fov_pushelement(L, FOV_I64, out->x);
  return 1;
}

#define ORDER "Equal elements keep their order (-0 equals 0); NaN comes last either way.\n"

static const fov_Method methods[] = {
  { "sort", sort, "x:sort(dim?, {descending=}) -> values, indices",
    "The elements in order along dim (the last), and where they were (i64, from 1).\n" ORDER
    "Radix sort: time O(n).", "" },
  { "argsort", argsort, "x:argsort(dim?, {descending=}) -> tensor",
    "Where the elements in order along dim (the last) are: i64, from 1.\n" ORDER, "none" },
  { "topk", topk, "x:topk(k, dim?, {largest=}) -> values, indices",
    "The k largest elements along dim (the last), in order, and where they are (i64, from 1).\n"
    "{largest=false}: the k smallest. " ORDER, "" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method functions[] = {
  { "searchsorted", searchsorted, "fv.searchsorted(sorted, v, {right=}) -> tensor | integer",
    "For each element of v the first place of the 1-d sorted that is not less (i64, from 1).\n"
    "{right=true}: the first that is greater. Size + 1 when there is none. NaN counts as the\n"
    "greatest. Raises when sorted is not in ascending order.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_order (lua_State *L) {
  fov_methods(L, -1, "fv", functions);
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pop(L, 2);
}
