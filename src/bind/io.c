/* io.c -- fv.load and fv.save.
 *
 * A file being read is a userdata whose __gc unmaps it; memory-mapped tensors
 * keep it as their owner (user value 1), so it lives as long as they and
 * their views do. */
#include "bind/bind.h"
#include "io/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPING "fovea.mapping"

static int unmap (lua_State *L) {
  fov_archive_close(luaL_checkudata(L, 1, MAPPING));
  return 0;
}

/* 'fv.load: 'path': message', with control characters made visible. */
static int complain (lua_State *L, const char *fn, const char *path, fov_Status s) {
  char text[512];
  snprintf(text, sizeof text, "%s", s == FOV_NOMEM ? "not enough memory" : fov_message());
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  return luaL_error(L, "fv.%s: '%s': %s", fn, path, text);
}

static const char *checkpath (lua_State *L, const fov_Format **f) {
  size_t n;
  const char *path = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, strlen(path) == n, 1, "the path holds a zero byte");
  *f = fov_format_of(path);
  luaL_argcheck(L, *f, 1, "expected a path that ends in .npy, .npz or .safetensors");
  return path;
}

/* Pushes the array as a tensor: into the mapping at stack index 'map', if
 * asked and possible, otherwise a copy. */
static fov_Status push (lua_State *L, int map, const fov_Member *m, bool mapped) {
  fov_Archive *file = lua_touserdata(L, map);
  fov_Array a;
  fov_Status s = file->format->describe(m, &a);
  if (s != FOV_OK) return s;
  if (a.fortran)
    for (int i = 0; i < a.ndim / 2; i++) {
      ptrdiff_t n = a.shape[i];
      a.shape[i] = a.shape[a.ndim - 1 - i];
      a.shape[a.ndim - 1 - i] = n;
    }
  fov_Type type = a.code->type;
  const char *x = m->x + a.at;
  fov_Tensor t;
  if (mapped && !a.code->decode && (uintptr_t)x % fov_type_size(type) == 0) {
    fov_Tensor v = fov_view((void *)(uintptr_t)x, type, a.ndim, a.shape);
    t = *fov_newview(L, map, &v);
  }
  else {
    t = *fov_newtensor(L, type, a.ndim, a.shape);
    s = fov_member_read(m, &a, t.x);
    if (s == FOV_OK && fov_map_torn(&file->map)) s = fov_fail(FOV_IO, "shrank while it was read");
    if (s != FOV_OK) return s;
  }
  if (a.fortran && a.ndim > 1) {
    fov_Tensor v = t;
    for (int i = 0; i < t.ndim; i++) {
      v.shape[i] = t.shape[t.ndim - 1 - i];
      v.stride[i] = t.stride[t.ndim - 1 - i];
    }
    fov_newview(L, -1, &v);
    lua_remove(L, -2);
  }
  return FOV_OK;
}

static const fov_Member *find (const fov_Archive *a, const char *name) {
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->member[i].name, name) == 0) return &a->member[i];
  return NULL;
}

static void pushmeta (lua_State *L, const fov_Archive *a) {
  lua_createtable(L, 0, (int)a->nmeta);
  for (size_t i = 0; i < a->nmeta; i++) {
    lua_pushstring(L, a->meta[i].value);
    lua_setfield(L, -2, a->meta[i].key);
  }
}

static int load (lua_State *L) {
  static const char *const options[] = { "name", "mmap", NULL };
  const fov_Format *f;
  const char *path = checkpath(L, &f), *name = NULL;
  bool mapped = false;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    fov_checkoptions(L, 2, "load", options);
    if (fov_option(L, 2, "name") != LUA_TNIL)   /* stays on the stack, pinned */
      name = lua_type(L, -1) == LUA_TSTRING
           ? lua_tostring(L, -1) : (luaL_argerror(L, 2, "name: expected a string"), NULL);
    if (fov_option(L, 2, "mmap") != LUA_TNIL && !lua_isboolean(L, -1))
      luaL_argerror(L, 2, "mmap: expected a boolean");
    mapped = lua_toboolean(L, -1);
  }
  luaL_argcheck(L, !name || f->many, 2, "name: a .npy file holds one array without a name");
  luaL_argcheck(L, !mapped || f->mappable, 2, "mmap: a .npz file cannot be mapped");
  fov_Archive *a = lua_newuserdatauv(L, sizeof *a, 0);
  memset(a, 0, sizeof *a);
  luaL_setmetatable(L, MAPPING);
  int map = lua_gettop(L);
  fov_Status s = fov_archive_open(a, f, path);
  if (s != FOV_OK) goto failed;
  if (name || !f->many) {
    const fov_Member *m = f->many ? find(a, name) : a->member;
    if (!m) {
      s = fov_fail(FOV_IO, "holds no '%.100s'", name);
      goto failed;
    }
    if ((s = push(L, map, m, mapped)) != FOV_OK) goto failed;
  }
  else {
    lua_createtable(L, 0, (int)(a->count < 4096 ? a->count : 4096));
    for (const fov_Member *m = a->member; m < a->member + a->count; m++) {
      if (lua_getfield(L, -1, m->name) != LUA_TNIL) {
        s = fov_fail(FOV_IO, "holds '%.100s' twice", m->name);
        goto failed;
      }
      lua_pop(L, 1);
      if ((s = push(L, map, m, mapped)) != FOV_OK) goto failed;
      lua_setfield(L, -2, m->name);
    }
  }
  if (f->meta) pushmeta(L, a);
  if (!mapped) fov_archive_close(a);
  return f->meta ? 2 : 1;
failed:
  fov_archive_close(a);
  return complain(L, "load", path, s);
}

static int by_name (const void *a, const void *b) {
  return strcmp(((const fov_Named *)a)->name, ((const fov_Named *)b)->name);
}

static int by_key (const void *a, const void *b) {
  return strcmp(((const fov_Pair *)a)->key, ((const fov_Pair *)b)->key);
}

static const char *checkkey (lua_State *L, int arg, const char *what) {
  size_t n;
  if (lua_type(L, -2) != LUA_TSTRING)
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected strings as names, got a %s", what,
                                          luaL_typename(L, -2)));
  const char *key = lua_tolstring(L, -2, &n);
  luaL_argcheck(L, strlen(key) == n, arg, "a name holds a zero byte");
  return key;
}

static size_t count (lua_State *L, int table) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
  return n;
}

/* The table at stack index 2 as a sorted list in a userdata it pushes. */
static fov_Named *tensors (lua_State *L, size_t *n) {
  *n = count(L, 2);
  fov_Named *x = lua_newuserdatauv(L, (*n + 1) * sizeof *x, 0), *at = x;
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    at->name = checkkey(L, 2, "x");
    at->t = fov_totensor(L, -1);
    if (!at->t)
      luaL_argerror(L, 2, lua_pushfstring(L, "%s: expected a tensor, got a %s", at->name,
                                          luaL_typename(L, -1)));
    at++;
  }
  qsort(x, *n, sizeof *x, by_name);
  return x;
}

static fov_Pair *pairs (lua_State *L, int table, size_t *n) {
  *n = count(L, table);
  fov_Pair *x = lua_newuserdatauv(L, (*n + 1) * sizeof *x, 0), *at = x;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    size_t len;
    at->key = checkkey(L, 3, "metadata");
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, 3, lua_pushfstring(L, "metadata: %s: expected a string, got a %s", at->key,
                                          luaL_typename(L, -1)));
    at->value = lua_tolstring(L, -1, &len);
    luaL_argcheck(L, strlen(at->value) == len, 3, "metadata: a value holds a zero byte");
    at++;
  }
  qsort(x, *n, sizeof *x, by_key);
  return x;
}

static int save (lua_State *L) {
  static const char *const options[] = { "metadata", NULL };
  const fov_Format *f;
  const char *path = checkpath(L, &f);
  size_t n = 1, nmeta = 0;
  fov_Named one = { 0 }, *x = &one;
  fov_Pair *meta = NULL;
  lua_settop(L, 3);
  one.t = fov_totensor(L, 2);
  if (f->many) {
    luaL_argcheck(L, lua_istable(L, 2), 2, "expected a table {name = tensor} for this format");
    x = tensors(L, &n);
  }
  else luaL_argcheck(L, one.t, 2, "expected one tensor for a .npy file");
  if (!lua_isnil(L, 3)) {
    fov_checkoptions(L, 3, "save", options);
    int type = fov_option(L, 3, "metadata");
    luaL_argcheck(L, type == LUA_TTABLE || type == LUA_TNIL, 3, "metadata: expected a table");
    if (type == LUA_TTABLE) {
      luaL_argcheck(L, f->meta, 3, "metadata: only .safetensors files keep it");
      meta = pairs(L, lua_gettop(L), &nmeta);
    }
  }
  fov_Writer w;
  fov_Status s = fov_create(&w, path);
  if (s == FOV_OK) s = fov_commit(&w, f->write(&w, n, x, nmeta, meta));
  return s == FOV_OK ? 0 : complain(L, "save", path, s);
}

static const fov_Method functions[] = {
  { "load", load, "fv.load(path, {name=, mmap=}) -> tensor | table, metadata",
    "Reads tensors from a .npy, .npz or .safetensors file.\n"
    "A .npy file gives one tensor; the others a table from name to tensor, or with {name=\"w\"}\n"
    "that tensor alone.  .safetensors gives its metadata (strings by name) as a second result.\n"
    "Dtypes: float32, float64, int64 and uint8 stay; booleans become u8; float16 and bfloat16\n"
    "become f32; int32, int16, int8, uint32 and uint16 become i64; all exactly.  A Fortran-order\n"
    "array comes as a transposed view.  Not read: big-endian, structured, string, complex and\n"
    "uint64 arrays, more than 6 dimensions.\n"
    "{mmap=true} (.npy, .safetensors): f32, f64, i64 and u8 tensors lie in the file, read when\n"
    "touched; what is written to them stays in memory.  Do not change the file in place while\n"
    "they live: their values change too; if it shrinks, what is missing reads as zero and a line\n"
    "on standard error says so.  Elements at odd offsets and the other dtypes are copied.\n"
    "Raises 'fv.load: path: ..' for a file that is missing, cut short, damaged (CRC-32 in .npz)\n"
    "or not what its name says.", "none" },
  { "save", save, "fv.save(path, x | {name = x}, {metadata=})",
    "Writes a tensor (.npy) or named tensors (.npz, .safetensors).\n"
    "The file appears whole or not at all: bytes go to path.tmp-<pid> in the same directory, are\n"
    "flushed to disk, then renamed; after an error nothing is left.  Views are written in\n"
    "row-major order.  The same tensors give the same bytes.  .npz members are stored, not\n"
    "compressed.  {metadata={key=\"text\"}} is kept by .safetensors alone; names and metadata\n"
    "there must be UTF-8.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_io (lua_State *L) {
  if (luaL_newmetatable(L, MAPPING)) {
    lua_pushcfunction(L, unmap);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_pop(L, 1);
  fov_methods(L, -1, "fv", functions);
}
