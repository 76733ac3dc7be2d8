/* reduce.c -- reductions and functions of rows, as methods and functions. */
#include "tensor/reduce.h"

#include "bind/bind.h"

#include <math.h>
#include <string.h>

#define OVER "Over the dimensions named, or all; they vanish from the shape unless keepdim is true.\n"

static const struct Entry {
  const char *name;
  fov_Reduce r;
  const char *doc, *options;
} entries[] = {
  { "sum", FOV_SUM, "Sum.\n" OVER "Integers sum exactly (i64, wrapping); the sum of nothing is 0.", "" },
  { "mean", FOV_MEAN, "Arithmetic mean.\n" OVER "Integers give f32; the mean of nothing is NaN.", "" },
  { "prod", FOV_PROD, "Product.\n" OVER "The product of nothing is 1.", "" },
  { "var", FOV_VAR, "Variance: mean squared distance from the mean.\n" OVER
    "Divides by n - correction; correction is 1 (Bessel) unless given. NaN when n <= correction.", "correction=, " },
  { "std", FOV_STD, "Standard deviation, the root of the variance.\n" OVER
    "Divides by n - correction; correction is 1 (Bessel) unless given. NaN when n <= correction.", "correction=, " },
  { "norm", FOV_NORM2, "Vector norm of order p = 1, 2 (default) or math.huge.\n" OVER
    "Squares are summed in f64: f64 inputs beyond 1e154 overflow to inf.", "p=, " },
  { "logsumexp", FOV_LOGSUMEXP, "log(sum(exp(x))) without overflow.\n" OVER
    "-inf for nothing or when every element is -inf.", "" },
  { "max", FOV_MAX, "Largest element.\n" OVER "NaN wins; raises when there are no elements.", "" },
  { "min", FOV_MIN, "Smallest element.\n" OVER "NaN wins; raises when there are no elements.", "" },
  { "argmax", FOV_ARGMAX, "Place (from 1, i64) of the first largest element.\n" OVER
    "Over several dimensions, the place in their row-major order. NaN counts as largest.", "" },
  { "argmin", FOV_ARGMIN, "Place (from 1, i64) of the first smallest element.\n" OVER
    "Over several dimensions, the place in their row-major order. NaN counts as smallest.", "" },
  { "any", FOV_ANY, "1 if any element is not 0, else 0 (u8).\n" OVER, "" },
  { "all", FOV_ALL, "1 if no element is 0, else 0 (u8).\n" OVER, "" }
};

/* Reads dimensions from slot 2 on; returns their set and the slot after. */
static unsigned dimensions (lua_State *L, int ndim, int *next) {
  unsigned dims = 0;
  int arg = 2;
  for (; lua_type(L, arg) == LUA_TNUMBER; arg++) {
    unsigned bit = 1u << fov_checkdim(L, arg, ndim);
    luaL_argcheck(L, !(dims & bit), arg, "a dimension is named twice");
    dims |= bit;
  }
  *next = arg;
  return arg == 2 ? (1u << ndim) - 1 : dims;
}

static fov_Reduce norm (lua_State *L, int arg) {
  double p = 2;
  if (fov_option(L, arg, "p") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "norm: option 'p': expected a number");
    p = lua_tonumber(L, -1);
  }
  if (p != 1 && p != 2 && p != HUGE_VAL)
    luaL_error(L, "norm: option 'p': expected 1, 2 or math.huge, got %f", p);
  return p == 1 ? FOV_NORM1 : p == 2 ? FOV_NORM2 : FOV_NORMINF;
}

static int call (lua_State *L) {
  FOV_TAPED(L);
  static const char *const plain[] = { "keepdim", NULL };
  static const char *const moment[] = { "keepdim", "correction", NULL };
  static const char *const norms[] = { "keepdim", "p", NULL };
  const struct Entry *e = lua_touserdata(L, lua_upvalueindex(1));
  const fov_Tensor *x = fov_checktensor(L, 1);
  int opt, ndim = 0;
  unsigned dims = dimensions(L, x->ndim, &opt);
  fov_Reduce r = e->r;
  bool keep = false, moments = r == FOV_VAR || r == FOV_STD;
  double correction = 1;
  ptrdiff_t shape[FOV_MAXDIM];
  if (!lua_isnoneornil(L, opt)) {
    fov_checkoptions(L, opt, e->name, moments ? moment : r == FOV_NORM2 ? norms : plain);
    fov_option(L, opt, "keepdim");
    keep = lua_toboolean(L, -1);
    if (r == FOV_NORM2) r = norm(L, opt);
    if (moments && fov_option(L, opt, "correction") != LUA_TNIL) {
      if (lua_type(L, -1) != LUA_TNUMBER || !((correction = lua_tonumber(L, -1)) >= 0))
        luaL_error(L, "%s: option 'correction': expected a number from 0, got %s", e->name,
                   luaL_tolstring(L, -1, NULL));
    }
  }
  for (int d = 0; d < x->ndim; d++)
    if (!(dims >> d & 1)) shape[ndim++] = x->shape[d];
    else if (keep) shape[ndim++] = 1;
  fov_Tensor *y = fov_newtensor(L, fov_reduce_type(r, x->type), ndim, shape);
  fov_raise(L, fov_reduce(r, x, dims, correction, y), e->name);
  if (r == FOV_ARGMAX || r == FOV_ARGMIN)   /* Lua counts from 1 */
    for (ptrdiff_t i = 0, n = fov_numel(y); i < n; i++) ((int64_t *)y->x)[i]++;
  return 1;
}

static int rows (lua_State *L, fov_Row f, const char *name) {
  const fov_Tensor *x = fov_checktensor(L, 1);
  int dim = x->ndim - 1;
  luaL_argcheck(L, x->ndim > 0, 1, "expected at least one dimension, got ()");
  if (!lua_isnoneornil(L, 2)) dim = fov_checkdim(L, 2, x->ndim);
  else if (f == FOV_CUMSUM && x->ndim > 1) luaL_typeerror(L, 2, "dimension");
  fov_Type type = fov_is_real(x->type) ? x->type : f == FOV_CUMSUM ? FOV_I64 : FOV_F32;
  fov_Tensor *y = fov_newtensor(L, type, x->ndim, x->shape);
  fov_raise(L, fov_rows(f, x, dim, y), name);
  return 1;
}

static int softmax (lua_State *L) { return rows(L, FOV_SOFTMAX, "softmax"); }
static int log_softmax (lua_State *L) { return rows(L, FOV_LOG_SOFTMAX, "log_softmax"); }
static int cumsum (lua_State *L) { return rows(L, FOV_CUMSUM, "cumsum"); }

static const struct { const char *name; lua_CFunction fn; const char *args, *doc; } along[] = {
  { "softmax", softmax, "dim?",
    "exp(x) scaled to sum 1 along a dimension (the last unless named).\n"
    "Where all of a row is -inf the result is 0; NaN or +inf in a row makes it NaN." },
  { "log_softmax", log_softmax, "dim?",
    "log(softmax(x)) without cancellation, along a dimension (the last unless named).\n"
    "Where all of a row is -inf the result is -inf; NaN or +inf in a row makes it NaN." },
  { "cumsum", cumsum, "dim",
    "Running sums along a dimension (which a vector need not name).\n"
    "Reals accumulate in f64; integers give i64." }
};

/* Both faces of a function: fv.name(x, args) in the module at 'module', and
 * x:name(args) in the methods two slots above. */
static void expose (lua_State *L, int module, const char *name, lua_CFunction fn,
                    const void *entry, const char *args, const char *doc, const char *grad) {
  for (int method = 0; method < 2; method++) {
    fov_Method m[2] = { { .name = name, .fn = fn, .doc = doc,
                          .grad = grad } };
    m->sig = lua_pushfstring(L, method ? "x:%s(%s) -> tensor" : "fv.%s(x, %s) -> tensor",
                             name, args);
    int at = method ? module + 2 : module;
    fov_methods(L, at, method ? "tensor" : "fv", m);
    if (entry) {
      lua_pushlightuserdata(L, (void *)entry);
      lua_pushcclosure(L, fn, 1);
      lua_setfield(L, at, name);
    }
    lua_pop(L, 1);
  }
}

void fov_open_reduce (lua_State *L) {
  int module = lua_gettop(L);
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    const struct Entry *e = &entries[i];
    const char *args = lua_pushfstring(L, "dim..., {%skeepdim=}", e->options);
    expose(L, module, e->name, call, e, args, e->doc, e->r >= FOV_ARGMAX ? "none" : "");
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < sizeof along / sizeof *along; i++)
    expose(L, module, along[i].name, along[i].fn, NULL, along[i].args, along[i].doc, "");
  lua_pop(L, 2);
}
