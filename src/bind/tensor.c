/* tensor.c -- the fovea.tensor userdata: allocation, views, elements. */
#include "bind/bind.h"

#include <string.h>

#define ALIGN 64  /* elements start on a cache line */
#define LARGE ((size_t)1 << 20)
#define STEP ((size_t)1 << 18)  /* bytes of new tensors between two steps of the collector; */
#define WIDE ((size_t)1 << 23)  /* large ones: every second, up to here */

int fov_gc_step = STEP / 1024;

static const char tag;  /* its address marks a tensor, and keys the metatable */

static int allocate (lua_State *L) {
  lua_newuserdatauv(L, (size_t)lua_tointeger(L, 1), 2);
  return 1;
}

/* Lua's own words for a failed allocation do not say of what: large ones are
 * asked for under protection; false when there is no memory. */
static bool userdata (lua_State *L, size_t bytes) {
  if (bytes < LARGE) {
    lua_newuserdatauv(L, bytes, 2);
    return true;
  }
  lua_pushcfunction(L, allocate);
  lua_pushinteger(L, (lua_Integer)bytes);
  return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

static fov_Tensor *box (lua_State *L, size_t extra) {
  if (!userdata(L, sizeof(fov_Box) + extra)) return NULL;
  fov_Box *b = lua_touserdata(L, -1);
  b->tag = &tag;
  b->root = b;
  b->written = 0;
  b->tracked = false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tag);
  lua_setmetatable(L, -2);
  return &b->t;
}

/* Lua waits until its heap has grown by a share; beside live tensors of many
 * megabytes that leaves as many to dead ones, each on memory the caches have
 * never seen.  A step for so many bytes has their blocks recycled while warm.
 * After kernels that stream megabytes a step meets a cold heap and takes tens
 * of microseconds: not for every result then. */
static void collect (lua_State *L, size_t bytes) {
  static _Thread_local size_t since;
  since += bytes;
  if (since < STEP || since < (bytes < WIDE / 2 ? 2 * bytes : WIDE)) return;
  since = 0;
  if (lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCSTEP, fov_gc_step);
}

fov_Tensor *fov_newtensor (lua_State *L, fov_Type type, int ndim, const ptrdiff_t *shape) {
  size_t bytes;
  fov_Tensor v = fov_view(NULL, type, ndim, shape);
  if (!fov_bytes(type, ndim, shape, &bytes)) {
    fov_pushshape(L, &v);
    luaL_error(L, "tensor too large: %s %s", fov_type_name(type), lua_tostring(L, -1));
  }
  collect(L, bytes);
  fov_Tensor *t = box(L, ALIGN + bytes);
  if (!t) {
    fov_pushshape(L, &v);
    luaL_error(L, "not enough memory for a tensor: %s %s", fov_type_name(type), lua_tostring(L, -1));
  }
  *t = v;
  t->x = (void *)(((uintptr_t)(fov_box(t) + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
  return t;
}

fov_Tensor *fov_newview (lua_State *L, int owner, const fov_Tensor *v) {
  owner = lua_absindex(L, owner);
  fov_Tensor *t = box(L, 0), *of = fov_totensor(L, owner);
  *t = *v;
  if (of) fov_box(t)->root = fov_box(of)->root;
  /* a view of a view pins the root */
  if (of && fov_box(of)->root != fov_box(of)) lua_getiuservalue(L, owner, 1);
  else lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
  return t;
}

fov_Tensor *fov_totensor (lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TUSERDATA || lua_rawlen(L, arg) < sizeof(fov_Box)) return NULL;
  fov_Box *b = lua_touserdata(L, arg);
  return b->tag == &tag ? &b->t : NULL;
}

fov_Tensor *fov_checktensor (lua_State *L, int arg) {
  fov_Tensor *t = fov_totensor(L, arg);
  if (!t) luaL_typeerror(L, arg, "tensor");
  return t;
}

int fov_checkdim (lua_State *L, int arg, int ndim) {
  lua_Integer d = luaL_checkinteger(L, arg);
  if (d < 0) d += ndim + 1;
  if (d < 1 || d > ndim)
    luaL_argerror(L, arg, lua_pushfstring(L, "dimension %I of a tensor with %d",
                                          (LUAI_UACINT)luaL_checkinteger(L, arg), ndim));
  return (int)d - 1;
}

int fov_checkshape (lua_State *L, int from, int to, ptrdiff_t *shape) {
  bool table = from == to && lua_istable(L, from);
  lua_Integer n = table ? luaL_len(L, from) : to - from + 1;
  if (n > FOV_MAXDIM)
    luaL_argerror(L, from, lua_pushfstring(L, "at most %d dimensions", FOV_MAXDIM));
  for (int i = 0; i < n; i++) {
    int arg = table ? from : from + i, good;
    if (table) lua_geti(L, from, i + 1);
    lua_Integer d = lua_tointegerx(L, table ? -1 : arg, &good);
    if (!good || d < 0)
      luaL_argerror(L, arg, lua_pushfstring(L, "size %d: expected a whole number from 0, got %s",
                                            i + 1, luaL_tolstring(L, table ? -1 : arg, NULL)));
    shape[i] = (ptrdiff_t)d;
    if (table) lua_pop(L, 1);
  }
  return n < 0 ? 0 : (int)n;
}

const char *fov_pushshape (lua_State *L, const fov_Tensor *t) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '(');
  for (int i = 0; i < t->ndim; i++) {
    lua_pushfstring(L, i ? ",%I" : "%I", (LUAI_UACINT)t->shape[i]);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, ')');
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

void fov_pushelement (lua_State *L, fov_Type type, const void *x) {
  switch (type) {
    case FOV_F32: lua_pushnumber(L, (lua_Number)*(const float *)x); break;
    case FOV_F64: lua_pushnumber(L, *(const double *)x); break;
    case FOV_I64: lua_pushinteger(L, *(const int64_t *)x); break;
    default: lua_pushinteger(L, *(const uint8_t *)x); break;
  }
}

const char *fov_toelement (lua_State *L, fov_Type type, void *x, int arg) {
  int number, whole = 0, truth = lua_isboolean(L, arg);
  lua_Number v = lua_tonumberx(L, arg, &number);
  lua_Integer i = truth ? lua_toboolean(L, arg) : lua_tointegerx(L, arg, &whole);
  if (!number && !(truth && !fov_is_real(type)))
    return lua_pushfstring(L, "expected a number, got %s", luaL_typename(L, arg));
  if (!fov_is_real(type) && !truth && !whole)
    return lua_pushfstring(L, "%s: expected a whole number, got %f", fov_type_name(type), v);
  switch (type) {
    case FOV_F32: *(float *)x = (float)v; break;
    case FOV_F64: *(double *)x = v; break;
    case FOV_I64: *(int64_t *)x = i; break;
    default:
      if (i < 0 || i > 255) return lua_pushfstring(L, "u8: expected 0 to 255, got %I", (LUAI_UACINT)i);
      *(uint8_t *)x = (uint8_t)i;
  }
  return NULL;
}

void fov_setelement (lua_State *L, fov_Type type, void *x, int arg) {
  const char *wrong = fov_toelement(L, type, x, arg);
  if (wrong) luaL_argerror(L, arg, wrong);
}

/* Element under 1-based indices at arg.., negative ones from the end. */
static void *element (lua_State *L, const fov_Tensor *t, int arg) {
  ptrdiff_t o = 0;
  for (int i = 0; i < t->ndim; i++) {
    lua_Integer j = luaL_checkinteger(L, arg + i), n = (lua_Integer)t->shape[i];
    if (j < 0) j += n + 1;
    if (j < 1 || j > n)
      luaL_argerror(L, arg + i, lua_pushfstring(L, "index %I of dimension %d, which has %I",
                    (LUAI_UACINT)luaL_checkinteger(L, arg + i), i + 1, (LUAI_UACINT)n));
    o += (ptrdiff_t)(j - 1) * t->stride[i];
  }
  return (char *)t->x + o * (ptrdiff_t)fov_type_size(t->type);
}

static int get (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  if (lua_gettop(L) != 1 + t->ndim)
    return luaL_error(L, "get: expected %d indices, got %d", t->ndim, lua_gettop(L) - 1);
  fov_pushelement(L, t->type, element(L, t, 2));
  return 1;
}

static int set (lua_State *L) {
  fov_Tensor *t = fov_checktensor(L, 1);
  if (lua_gettop(L) != 2 + t->ndim)
    return luaL_error(L, "set: expected %d indices and a value, got %d arguments",
                      t->ndim, lua_gettop(L) - 1);
  fov_setelement(L, t->type, element(L, t, 2), 2 + t->ndim);
  fov_write(t);
  lua_settop(L, 1);
  return 1;
}

static int item (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  if (fov_numel(t) != 1)
    return luaL_error(L, "item: expected one element, got %s", fov_pushshape(L, t));
  fov_pushelement(L, t->type, t->x);
  return 1;
}

static void totable_at (lua_State *L, const fov_Tensor *t, int dim, const char *x) {
  if (dim == t->ndim) {
    fov_pushelement(L, t->type, x);
    return;
  }
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, (int)(t->shape[dim] > INT32_MAX ? 0 : t->shape[dim]), 0);
  for (ptrdiff_t i = 0; i < t->shape[dim]; i++) {
    totable_at(L, t, dim + 1, x + i * t->stride[dim] * (ptrdiff_t)fov_type_size(t->type));
    lua_rawseti(L, -2, i + 1);
  }
}

static int totable (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  totable_at(L, t, 0, t->x);
  return 1;
}

static int shape (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  for (int i = 0; i < t->ndim; i++) lua_pushinteger(L, t->shape[i]);
  return t->ndim;
}

static int size (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  lua_pushinteger(L, t->shape[fov_checkdim(L, 2, t->ndim)]);
  return 1;
}

static int ndim (lua_State *L) {
  lua_pushinteger(L, fov_checktensor(L, 1)->ndim);
  return 1;
}

static int numel (lua_State *L) {
  lua_pushinteger(L, fov_numel(fov_checktensor(L, 1)));
  return 1;
}

static int dtype (lua_State *L) {
  lua_pushstring(L, fov_type_name(fov_checktensor(L, 1)->type));
  return 1;
}

static int tostring (lua_State *L) {
  fov_pushtext(L, fov_checktensor(L, 1));
  return 1;
}

static int len (lua_State *L) {
  const fov_Tensor *t = fov_checktensor(L, 1);
  if (t->ndim == 0) return luaL_error(L, "a tensor without dimensions has no length");
  lua_pushinteger(L, t->shape[0]);
  return 1;
}

static const fov_Method methods[] = {
  { "get", get, "x:get(i, j, ...) -> number", "One element. Indices count from 1, negative ones from the end.", "none" },
  { "set", set, "x:set(i, j, ..., value) -> x", "Stores one element in place.", "place" },
  { "item", item, "x:item() -> number", "The element of a tensor that has one.", "none" },
  { "totable", totable, "x:totable() -> table", "Nested Lua tables with the elements; a number for a 0-d tensor.", "none" },
  { "shape", shape, "x:shape() -> integer...", "The sizes of all dimensions, as separate results.", "none" },
  { "size", size, "x:size(dim) -> integer", "The size of one dimension; negative counts from the end.", "none" },
  { "ndim", ndim, "x:ndim() -> integer", "How many dimensions there are (at most 6).", "none" },
  { "numel", numel, "x:numel() -> integer", "How many elements there are.", "none" },
  { "dtype", dtype, "x:dtype() -> string", "\"f32\", \"f64\", \"i64\" or \"u8\".", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_tensor (lua_State *L) {
  luaL_newmetatable(L, FOV_TENSOR);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tag);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  fov_methods(L, -1, "tensor", methods);
  lua_pop(L, 1);
  lua_pushcfunction(L, tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, len);
  lua_setfield(L, -2, "__len");
  lua_pop(L, 1);
}
