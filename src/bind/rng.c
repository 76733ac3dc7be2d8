/* rng.c -- random streams as userdata: fv.rng, streams, fv.randn, fv.uniform.
 *
 * Nothing is global: what is random names the stream it comes from. */
#include "bind/bind.h"

#include <math.h>
#include <string.h>

#define RNG "fovea.rng"
#define STREAM "fovea.stream"

typedef struct Rng {
  uint64_t seed;
  fov_Stream stream;       /* for those who pass the rng itself */
} Rng;

/* The payload of a stream; its name is kept for printing alone. */
typedef struct Named {
  fov_Stream s;
  uint64_t seed;
  char purpose[];
} Named;

static fov_Stream *self (lua_State *L) { return luaL_checkudata(L, 1, STREAM); }

fov_Stream *fov_checkstream (lua_State *L, int arg) {
  lua_Debug ar;
  const char *fn = NULL;
  if (fov_option(L, arg, "rng") == LUA_TUSERDATA) {
    fov_Stream *s = luaL_testudata(L, -1, STREAM);
    Rng *r = s ? NULL : luaL_testudata(L, -1, RNG);
    if (s || r) {
      lua_pop(L, 1);       /* the option table keeps it */
      return s ? s : &r->stream;
    }
  }
  if (lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && ar.name) fn = ar.name;
  luaL_error(L, "%s%soption 'rng': expected a stream, got %s (there is no global generator: "
             "write {rng = fv.rng(1):stream(\"x\")})", fn ? fn : "", fn ? ": " : "",
             luaL_typename(L, -1));
  return NULL;
}

static const char *purpose (lua_State *L, int arg) {
  size_t n;
  const char *p = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, strlen(p) == n, arg, "a purpose holds no zero byte");
  return p;
}

static void pushstream (lua_State *L, fov_Stream s, uint64_t seed, const char *name) {
  size_t n = strlen(name) + 1;
  Named *u = lua_newuserdatauv(L, sizeof *u + n, 0);
  u->s = s;
  u->seed = seed;
  memcpy(u->purpose, name, n);
  luaL_setmetatable(L, STREAM);
}

static int rng (lua_State *L) {
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 1);
  Rng *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (Rng){ seed, fov_stream(seed, "default") };
  luaL_setmetatable(L, RNG);
  return 1;
}

static int rng_stream (lua_State *L) {
  const Rng *r = luaL_checkudata(L, 1, RNG);
  const char *name = purpose(L, 2);
  pushstream(L, fov_stream(r->seed, name), r->seed, name);
  return 1;
}

static int rng_tostring (lua_State *L) {
  const Rng *r = luaL_checkudata(L, 1, RNG);
  lua_pushfstring(L, "rng: seed %I", (LUAI_UACINT)r->seed);
  return 1;
}

static int substream (lua_State *L) {
  const Named *u = luaL_checkudata(L, 1, STREAM);
  const char *name = purpose(L, 2);
  fov_Stream s = fov_substream(&u->s, name);
  pushstream(L, s, u->seed, lua_pushfstring(L, "%s/%s", u->purpose, name));
  return 1;
}

static int stream_tostring (lua_State *L) {
  const Named *u = luaL_checkudata(L, 1, STREAM);
  lua_pushfstring(L, "stream: seed %I, purpose \"%s\", position %I", (LUAI_UACINT)u->seed,
                  u->purpose, (LUAI_UACINT)u->s.at);
  return 1;
}

static int position (lua_State *L) {
  fov_Stream *s = self(L);
  lua_pushinteger(L, (lua_Integer)s->at);
  if (!lua_isnoneornil(L, 2)) s->at = (uint64_t)luaL_checkinteger(L, 2);
  return 1;
}

static double number_of (fov_Stream *s, bool normal) {
  double x;
  if (normal) fov_normal_f64(s, 1, &x);
  else fov_uniform_f64(s, 1, &x);
  return x;
}

/* Stack index of the option table among the arguments from 'from' on, or one
 * past the top.  A table of sizes is no option table. */
static int options (lua_State *L, int from, const char *fn, const char *const *names) {
  int top = lua_gettop(L), opt = top + 1;
  if (top >= from && lua_istable(L, top)) {
    bool sizes = top == from && lua_rawlen(L, top) > 0;
    if (!sizes) opt = top;
  }
  fov_checkoptions(L, opt, fn, names);
  return opt;
}

/* n, ..., {dtype=}: pushes a tensor to be filled. */
static fov_Tensor *sized (lua_State *L, int from, int opt, const char *fn) {
  ptrdiff_t shape[FOV_MAXDIM];
  fov_Type type = fov_optdtype(L, opt, FOV_F32);
  if (!fov_is_real(type))
    luaL_error(L, "%s: option 'dtype': expected \"f32\" or \"f64\", got \"%s\"", fn,
               fov_type_name(type));
  int n = fov_checkshape(L, from, opt - 1, shape);
  return fov_newtensor(L, type, n, shape);
}

static int normals (lua_State *L, fov_Stream *s, int from, int opt, const char *fn) {
  fov_Tensor *t = sized(L, from, opt, fn);
  ptrdiff_t n = fov_numel(t);
  fov_raise(L, t->type == FOV_F32 ? fov_normal_f32(s, n, t->x) : fov_normal_f64(s, n, t->x), fn);
  return 1;
}

static double end (lua_State *L, int opt, const char *name, double def, const char *fn) {
  double x = def;
  int good = 1;
  if (fov_option(L, opt, name) != LUA_TNIL) x = lua_tonumberx(L, -1, &good);
  if (!good || !isfinite(x))
    luaL_error(L, "%s: option '%s': expected a finite number, got %s", fn, name,
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return x;
}

static int uniforms (lua_State *L, fov_Stream *s, int from, int opt, const char *fn) {
  double lo = end(L, opt, "lo", 0, fn), hi = end(L, opt, "hi", 1, fn);
  if (!(lo < hi)) return luaL_error(L, "%s: lo must be less than hi, got %f and %f", fn, lo, hi);
  fov_Tensor *t = sized(L, from, opt, fn);
  ptrdiff_t n = fov_numel(t);
  fov_raise(L, t->type == FOV_F32 ? fov_uniform_f32(s, n, t->x) : fov_uniform_f64(s, n, t->x), fn);
  if (lo == 0 && hi == 1) return 1;
  for (ptrdiff_t i = 0; i < n; i++) {
    double u = t->type == FOV_F32 ? (double)((float *)t->x)[i] : ((double *)t->x)[i];
    double v = lo * (1 - u) + hi * u;      /* hi - lo may overflow */
    if (t->type == FOV_F32) ((float *)t->x)[i] = (float)v;
    else ((double *)t->x)[i] = v;
  }
  return 1;
}

static const char *const normal_names[] = { "dtype", NULL };
static const char *const uniform_names[] = { "dtype", "lo", "hi", NULL };
static const char *const randn_names[] = { "rng", "dtype", NULL };
static const char *const fv_uniform_names[] = { "rng", "dtype", "lo", "hi", NULL };

static int normal (lua_State *L) {
  fov_Stream *s = self(L);
  if (lua_gettop(L) > 1)
    return normals(L, s, 2, options(L, 2, "normal", normal_names), "normal");
  lua_pushnumber(L, number_of(s, true));
  return 1;
}

static int uniform (lua_State *L) {
  fov_Stream *s = self(L);
  if (lua_gettop(L) > 1)
    return uniforms(L, s, 2, options(L, 2, "uniform", uniform_names), "uniform");
  lua_pushnumber(L, number_of(s, false));
  return 1;
}

static int number (lua_State *L) {
  lua_pushnumber(L, number_of(self(L), false));
  return 1;
}

static int integers (lua_State *L) {
  fov_Stream *s = self(L);
  lua_Integer lo = luaL_checkinteger(L, 2), hi = luaL_checkinteger(L, 3);
  if (lo > hi) return luaL_argerror(L, 3, lua_pushfstring(L, "hi must be at least lo = %I, got %I",
                                                          (LUAI_UACINT)lo, (LUAI_UACINT)hi));
  int top = lua_gettop(L);
  if (top == 3) {
    int64_t x;
    fov_integers(s, 1, lo, hi, &x);
    lua_pushinteger(L, x);
    return 1;
  }
  ptrdiff_t shape[FOV_MAXDIM];
  int n = fov_checkshape(L, 4, top, shape);
  fov_Tensor *t = fov_newtensor(L, FOV_I64, n, shape);
  fov_raise(L, fov_integers(s, fov_numel(t), lo, hi, t->x), "integers");
  return 1;
}

static int permutation (lua_State *L) {
  fov_Stream *s = self(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "negative size");
  fov_Tensor *t = fov_newtensor(L, FOV_I64, 1, (ptrdiff_t[]){ n });
  int64_t *x = t->x;
  fov_raise(L, fov_permutation(s, n, x), "permutation");
  for (lua_Integer i = 0; i < n; i++) x[i]++;
  return 1;
}

static int randn (lua_State *L) {
  int opt = options(L, 1, "randn", randn_names);
  return normals(L, fov_checkstream(L, opt), 1, opt, "randn");
}

static int fv_uniform (lua_State *L) {
  int opt = options(L, 1, "uniform", fv_uniform_names);
  return uniforms(L, fov_checkstream(L, opt), 1, opt, "uniform");
}

static const fov_Method functions[] = {
  { "rng", rng, "fv.rng(seed) -> rng",
    "A source of random streams, keyed by an integer seed.\n"
    "r:stream(\"purpose\") is a stream that depends on the seed and the purpose and on nothing\n"
    "else: what one part of a program draws never shifts what another part gets.\n"
    "Passed as rng= it stands for one stream of its own, \"default\", which advances.\n"
    "Philox 4x32-10 (Salmon et al. 2011): draw i is a function of key and position.", "none" },
  { "randn", randn, "fv.randn(n, ..., {rng=, dtype=}) -> tensor",
    "A tensor of standard normal draws from the stream (or rng) given as rng, which advances.\n"
    "Raises without rng: there is no global generator. dtype f32 (default) or f64.\n"
    "Example: fv.randn(2, 3, {rng = fv.rng(1):stream(\"x\")})", "none" },
  { "uniform", fv_uniform, "fv.uniform(n, ..., {rng=, lo=, hi=, dtype=}) -> tensor",
    "A tensor of uniform draws between lo (0) and hi (1) from the stream (or rng) given as rng.\n"
    "With the default ends 0 and 1 never occur; rounding can reach other ends.\n"
    "Raises without rng: there is no global generator. dtype f32 (default) or f64.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method rng_methods[] = {
  { "stream", rng_stream, "rng:stream(purpose) -> stream",
    "The stream of this seed for a purpose, at its beginning: the same name, the same draws.",
    "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

static const fov_Method stream_methods[] = {
  { "stream", substream, "s:stream(purpose) -> stream",
    "A stream of its own under this one, whatever this one's position; s does not advance.",
    "none" },
  { "normal", normal, "s:normal(n, ..., {dtype=}) -> tensor; s:normal() -> number",
    "Standard normal draws (Box-Muller): a tensor of these sizes, or without sizes one number.\n"
    "dtype f32 (default; |x| < 6.67) or f64 (|x| < 8.58). n draws take ceil(n/4) positions as\n"
    "f32, ceil(n/2) as f64. About 2 ns a draw and thread in f32.", "none" },
  { "uniform", uniform, "s:uniform(n, ..., {lo=, hi=, dtype=}) -> tensor; s:uniform() -> number",
    "Uniform draws between lo (0) and hi (1), ends excluded (rounding can reach ends other than\n"
    "0 and 1): a tensor of these sizes, or without sizes one number. dtype f32 (default, 2^23\n"
    "values) or f64 (2^52). Positions as in s:normal.", "none" },
  { "number", number, "s:number() -> number", "One uniform draw on (0,1); takes one position.",
    "none" },
  { "integers", integers, "s:integers(lo, hi, n, ...) -> tensor; s:integers(lo, hi) -> integer",
    "Integers uniform on lo .. hi, both included, without bias for any range: an i64 tensor of\n"
    "these sizes, or without sizes one Lua integer. n draws take ceil(n/2) positions.", "none" },
  { "permutation", permutation, "s:permutation(n) -> tensor",
    "A uniformly random order of 1 .. n as an i64 tensor; takes ceil(n/2) positions.", "none" },
  { "position", position, "s:position(new?) -> integer",
    "The position before the call; a new one is set if given: a stream can be saved and resumed.",
    "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

/* Upvalue 1 names the class; the table indexed holds its methods. */
static int unknown (lua_State *L) {
  return fov_nomethod(L, lua_tostring(L, lua_upvalueindex(1)), 1, luaL_tolstring(L, 2, NULL));
}

static void class (lua_State *L, const char *meta, const char *group, const fov_Method *m,
                   lua_CFunction tostring) {
  luaL_newmetatable(L, meta);
  lua_pushcfunction(L, tostring);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);
  fov_methods(L, -1, group, m);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, group);
  lua_pushcclosure(L, unknown, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void fov_open_rng (lua_State *L) {
  class(L, RNG, "rng", rng_methods, rng_tostring);
  class(L, STREAM, "stream", stream_methods, stream_tostring);
  fov_methods(L, -1, "fv", functions);
}
