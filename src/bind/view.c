/* view.c -- tensors that share their elements with another: no copy is made
 * but by contiguous, clone, to, and a reshape that strides cannot express. */
#include "bind/bind.h"

#include <string.h>

/* Pushes a contiguous copy of 't' as 'type'. */
static fov_Tensor *copied (lua_State *L, const fov_Tensor *t, fov_Type type, const char *fn) {
  fov_Tensor *c = fov_newtensor(L, type, t->ndim, t->shape);
  fov_raise(L, fov_copy(t, c), fn);
  return c;
}

static int contiguous (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  if (fov_contiguous(t)) lua_settop(L, 1);
  else copied(L, t, t->type, "contiguous");
  return 1;
}

static int clone (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  copied(L, t, t->type, "clone");
  return 1;
}

static int is_contiguous (lua_State *L) {
  lua_pushboolean(L, fov_contiguous(fov_checktensor(L, 1)));
  return 1;
}

static int strides (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  for (int i = 0; i < t->ndim; i++) lua_pushinteger(L, t->stride[i]);
  return t->ndim;
}

static int to (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  fov_Type type;
  if (!fov_type_find(luaL_checkstring(L, 2), &type))
    luaL_argerror(L, 2, lua_pushfstring(L, "expected \"f32\", \"f64\", \"i64\" or \"u8\", got \"%s\"",
                                        lua_tostring(L, 2)));
  if (type == t->type) lua_settop(L, 1);
  else copied(L, t, type, "to");
  return 1;
}

static void swap (fov_Tensor *v, int a, int b) {
  ptrdiff_t n = v->shape[a], s = v->stride[a];
  v->shape[a] = v->shape[b]; v->stride[a] = v->stride[b];
  v->shape[b] = n; v->stride[b] = s;
}

static int transpose (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  fov_Tensor v = *t;
  if (lua_gettop(L) == 1) {
    if (t->ndim < 2) return luaL_error(L, "transpose: expected at least two dimensions, got %s",
                                       fov_pushshape(L, t));
    swap(&v, t->ndim - 2, t->ndim - 1);
  } else swap(&v, fov_checkdim(L, 2, t->ndim), fov_checkdim(L, 3, t->ndim));
  fov_newview(L, 1, &v);
  return 1;
}

static int permute (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  fov_Tensor v = *t;
  unsigned seen = 0;
  if (lua_gettop(L) != 1 + t->ndim)
    return luaL_error(L, "permute: expected %d dimensions, got %d", t->ndim, lua_gettop(L) - 1);
  for (int i = 0; i < t->ndim; i++) {
    int d = fov_checkdim(L, 2 + i, t->ndim);
    luaL_argcheck(L, !(seen & 1u << d), 2 + i, "dimension named twice");
    seen |= 1u << d;
    v.shape[i] = t->shape[d];
    v.stride[i] = t->stride[d];
  }
  fov_newview(L, 1, &v);
  return 1;
}

/* Strides of 't' under a new shape with as many elements; false when no
 * strides do it.  Walks groups of dimensions whose products agree. */
static bool restride (const fov_Tensor *t, fov_Tensor *v) {
  int i = 0, j = 0;
  while (i < t->ndim || j < v->ndim) {
    ptrdiff_t a = i < t->ndim ? t->shape[i] : 1, b = j < v->ndim ? v->shape[j] : 1;
    int i1 = i < t->ndim ? i + 1 : i, j1 = j < v->ndim ? j + 1 : j;
    while (a != b) {
      if (a < b) a *= t->shape[i1++];
      else b *= v->shape[j1++];
    }
    while (i1 < t->ndim && t->shape[i1] == 1) i1++;
    while (j1 < v->ndim && v->shape[j1] == 1) j1++;
    ptrdiff_t step = 0, count = 1;      /* the group must be one run */
    bool first = true;
    for (int k = i1 - 1; k >= i; k--) {
      if (t->shape[k] == 1) continue;
      if (first) step = t->stride[k], first = false;
      else if (t->stride[k] != step * count) return false;
      count *= t->shape[k];
    }
    ptrdiff_t s = first ? 1 : step;
    for (int k = j1 - 1; k >= j; k--) {
      v->stride[k] = s;
      s *= v->shape[k];
    }
    i = i1;
    j = j1;
  }
  return true;
}

static int reshape (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  ptrdiff_t shape[FOV_MAXDIM], known = 1, n = fov_numel(t);
  int top = lua_gettop(L), hole = -1, ndim = 0;
  bool table = top == 2 && lua_istable(L, 2);
  lua_Integer count = table ? luaL_len(L, 2) : top - 1;
  if (count > FOV_MAXDIM) return luaL_error(L, "reshape: at most %d dimensions", FOV_MAXDIM);
  for (; ndim < count; ndim++) {
    int good;
    if (table) lua_geti(L, 2, ndim + 1);
    else lua_pushvalue(L, 2 + ndim);
    lua_Integer d = lua_tointegerx(L, -1, &good);
    lua_pop(L, 1);
    if (!good || d < -1 || (d == -1 && hole >= 0))
      return luaL_error(L, "reshape: size %d: expected a whole number, or -1 once", ndim + 1);
    if (d == -1) hole = ndim;
    else if (__builtin_mul_overflow(known, (ptrdiff_t)d, &known)) known = -1;
    shape[ndim] = (ptrdiff_t)d;
  }
  if (hole >= 0) shape[hole] = known > 0 ? n / known : 0;
  if (known < 0 || (hole >= 0 ? shape[hole] * known : known) != n) {
    fov_Tensor want = fov_view(NULL, t->type, ndim, shape);
    if (hole >= 0) want.shape[hole] = -1;
    return luaL_error(L, "reshape: %s does not hold the elements of %s",
                      fov_pushshape(L, &want), fov_pushshape(L, t));
  }
  fov_Tensor v = fov_view(t->x, t->type, ndim, shape);
  if (n == 0 || fov_contiguous(t) || restride(t, &v)) fov_newview(L, 1, &v);
  else {
    fov_Tensor *c = copied(L, t, t->type, "reshape");
    v = fov_view(c->x, t->type, ndim, shape);
    fov_newview(L, -1, &v);
  }
  return 1;
}

static int expand (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  ptrdiff_t shape[FOV_MAXDIM], both[FOV_MAXDIM];
  int ndim = fov_checkshape(L, 2, lua_gettop(L), shape), n;
  if (!fov_broadcast(t->ndim, t->shape, ndim, shape, &n, both) || n != ndim ||
      memcmp(both, shape, (size_t)n * sizeof *shape) != 0) {
    fov_Tensor want = fov_view(NULL, t->type, ndim, shape);
    return luaL_error(L, "expand: %s does not broadcast to %s", fov_pushshape(L, t),
                      fov_pushshape(L, &want));
  }
  fov_Tensor v = fov_expand(t, ndim, shape);
  fov_newview(L, 1, &v);
  return 1;
}

static int squeeze (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  fov_Tensor v = *t;
  int only = lua_isnoneornil(L, 2) ? -1 : fov_checkdim(L, 2, t->ndim);
  if (only >= 0 && t->shape[only] != 1)
    return luaL_error(L, "squeeze: dimension %d has size %I, not 1", only + 1,
                      (LUAI_UACINT)t->shape[only]);
  v.ndim = 0;
  for (int i = 0; i < t->ndim; i++) {
    if (t->shape[i] == 1 && (only < 0 || only == i)) continue;
    v.shape[v.ndim] = t->shape[i];
    v.stride[v.ndim++] = t->stride[i];
  }
  fov_newview(L, 1, &v);
  return 1;
}

static int unsqueeze (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  fov_Tensor v = *t;
  if (t->ndim == FOV_MAXDIM) return luaL_error(L, "unsqueeze: at most %d dimensions", FOV_MAXDIM);
  int d = fov_checkdim(L, 2, t->ndim + 1);
  memmove(v.shape + d + 1, v.shape + d, (size_t)(t->ndim - d) * sizeof *v.shape);
  memmove(v.stride + d + 1, v.stride + d, (size_t)(t->ndim - d) * sizeof *v.stride);
  v.shape[d] = 1;
  v.stride[d] = 1;
  v.ndim++;
  fov_newview(L, 1, &v);
  return 1;
}

/* 1-based index of a dimension of size n, negative from the end; raises. */
static ptrdiff_t position (lua_State *L, lua_Integer i, int dim, ptrdiff_t n, const char *fn) {
  lua_Integer j = i < 0 ? i + n + 1 : i;
  if (j < 1 || j > n)
    luaL_error(L, "%s: index %I of dimension %d, which has %I", fn, (LUAI_UACINT)i, dim + 1,
               (LUAI_UACINT)n);
  return (ptrdiff_t)j - 1;
}

/* x:slice(dim, from, to, step?): 1-based, both ends inclusive. */
static int slice (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  int d = fov_checkdim(L, 2, t->ndim);
  fov_Tensor v = *t;
  ptrdiff_t n = t->shape[d], size = (ptrdiff_t)fov_type_size(t->type);
  lua_Integer from = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, n);
  lua_Integer step = luaL_optinteger(L, 5, 1);
  luaL_argcheck(L, step > 0, 5, "the step must be positive");
  if (last < 0) last += n + 1;
  if (from < 0) from += n + 1;
  if (from == last + 1 && from >= 1 && from <= n + 1) {   /* an empty range */
    v.shape[d] = 0;
  } else {
    ptrdiff_t a = position(L, from, d, n, "slice"), b = position(L, last, d, n, "slice");
    luaL_argcheck(L, a <= b, 4, "the range ends before it starts");
    v.x = (char *)t->x + a * t->stride[d] * size;
    v.shape[d] = (b - a) / (ptrdiff_t)step + 1;
    v.stride[d] *= (ptrdiff_t)step;
  }
  fov_newview(L, 1, &v);
  return 1;
}

/* View of entry 'i' (Lua's) of the first dimension. */
static fov_Tensor entry (lua_State *L, const fov_Tensor *t, lua_Integer i) {
  fov_Tensor v = { .type = t->type, .ndim = t->ndim - 1 };
  if (t->ndim == 0) luaL_error(L, "index: a tensor without dimensions");
  v.x = (char *)t->x + position(L, i, 0, t->shape[0], "index") * t->stride[0] *
                       (ptrdiff_t)fov_type_size(t->type);
  memcpy(v.shape, t->shape + 1, (size_t)v.ndim * sizeof *v.shape);
  memcpy(v.stride, t->stride + 1, (size_t)v.ndim * sizeof *v.stride);
  return v;
}

/* Whether slot 2 is "grad", a field that the tape's node of x holds; the
 * node, nil without one, is then on top. */
static bool gradient (lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "grad") != 0) return false;
  fov_checktensor(L, 1);
  lua_getiuservalue(L, 1, 2);
  return true;
}

/* x[i]: a view; x.grad; x.name: a method (upvalue 1 holds them). */
static int index_ (lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_settop(L, 2);
    if (gradient(L)) {
      if (lua_istable(L, 3)) lua_getfield(L, 3, "grad");
      return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
      return fov_nomethod(L, "tensor", lua_upvalueindex(1), lua_tostring(L, 2));
    return 1;
  }
  FOV_TAPED(L);
  const fov_Tensor *t = fov_checktensor(L, 1);
  int good;
  lua_Integer i = lua_tointegerx(L, 2, &good);
  if (!good) return luaL_error(L, "index: expected a whole number or a method's name, got %s",
                               luaL_typename(L, 2));
  fov_Tensor v = entry(L, t, i);
  fov_newview(L, 1, &v);
  return 1;
}

/* x[i] = tensor or number; x.grad = tensor or nil */
static int newindex (lua_State *L) {
  if (gradient(L)) {
    if (!lua_istable(L, 4)) return luaL_error(L, "grad: a tensor without requires_grad has none");
    if (!lua_isnil(L, 3)) {
      const fov_Tensor *x = fov_totensor(L, 1), *g = fov_totensor(L, 3);
      if (!g || g->type != x->type || !fov_same_shape(g, x)) {
        const char *want = fov_pushshape(L, x), *got = g ? fov_pushshape(L, g) : luaL_typename(L, 3);
        return luaL_error(L, "grad: expected nil or %s %s like the tensor, got %s %s",
                          fov_type_name(x->type), want, g ? fov_type_name(g->type) : "a", got);
      }
    }
    lua_pushvalue(L, 3);
    lua_setfield(L, 4, "grad");
    return 0;
  }
  if (!lua_isinteger(L, 2))
    return luaL_error(L, "tensors have no field '%s' to assign", luaL_tolstring(L, 2, NULL));
  FOV_TAPED(L);
  fov_Tensor *t = fov_checktensor(L, 1);
  fov_Tensor v = entry(L, t, lua_tointeger(L, 2)), one = { .type = v.type };
  const fov_Tensor *src = fov_totensor(L, 3);
  union { double d; float f; int64_t i; uint8_t u; } value;
  if (!src) {
    fov_setelement(L, v.type, &value, 3);
    one.x = &value;
    src = &one;
  }
  ptrdiff_t both[FOV_MAXDIM];
  int n;
  if (!fov_broadcast(src->ndim, src->shape, v.ndim, v.shape, &n, both) || n != v.ndim ||
      memcmp(both, v.shape, (size_t)n * sizeof *both) != 0)
    return luaL_error(L, "assignment: %s does not broadcast to %s", fov_pushshape(L, src),
                      fov_pushshape(L, &v));
  fov_write(t);
  fov_raise(L, fov_copy(src, &v), "assignment");
  return 0;
}

static const fov_Method methods[] = {
  { "contiguous", contiguous, "x:contiguous() -> tensor", "x itself when its elements lie in row-major order, else a copy that does.", "" },
  { "is_contiguous", is_contiguous, "x:is_contiguous() -> boolean", "Whether the elements lie in row-major order without gaps.", "none" },
  { "strides", strides, "x:strides() -> integer...", "Distance between neighbours of each dimension, in elements.", "none" },
  { "clone", clone, "x:clone() -> tensor", "A contiguous copy.", "" },
  { "to", to, "x:to(dtype) -> tensor", "x as \"f32\", \"f64\", \"i64\" or \"u8\"; x itself when it already is.\nReals become integers by truncation.", "" },
  { "transpose", transpose, "x:transpose(i?, j?) -> tensor", "A view with two dimensions exchanged, the last two unless named.", "view" },
  { "t", transpose, "x:t() -> tensor", "A view with the last two dimensions exchanged.", "view" },
  { "permute", permute, "x:permute(i, j, ...) -> tensor", "A view whose dimensions are x's in the given order.", "view" },
  { "reshape", reshape, "x:reshape(n, ...) -> tensor", "The elements in row-major order under new sizes; one may be -1. A view where strides allow, else a copy.", "view" },
  { "expand", expand, "x:expand(n, ...) -> tensor", "A view that repeats dimensions of size 1 (NumPy's broadcasting); no memory is used.", "view" },
  { "squeeze", squeeze, "x:squeeze(dim?) -> tensor", "A view without dimensions of size 1 (or without the named one).", "view" },
  { "unsqueeze", unsqueeze, "x:unsqueeze(dim) -> tensor", "A view with a new dimension of size 1 at 'dim'.", "view" },
  { "slice", slice, "x:slice(dim, from?, to?, step?) -> tensor", "A view of a range of one dimension: from 1, both ends inclusive, negative from the end.\nExample: x:slice(1, 2, 4) holds rows 2, 3, 4", "view" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_view (lua_State *L) {
  luaL_getmetatable(L, FOV_TENSOR);
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pushcclosure(L, index_, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pop(L, 1);
}
