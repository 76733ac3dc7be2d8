/* math.c -- elementwise functions as methods, functions and operators.
 *
 * Names, argument counts and documentation come from the table of
 * tensor/element.h; each function f appears as x:f(...), fv.f(x, ...) and,
 * unless its result is a mask, in place as x:f_(...). */
#include "bind/bind.h"
#include "tensor/element.h"
#include "tensor/flat.h"

#include <string.h>

/* Arguments 1 .. nin: tensors, and numbers that take the dtype of the tensors
 * they meet (a fractional number turns an integer tensor into f32). */
typedef struct Args {
  const fov_Tensor *in[FOV_MAXIN];
  fov_Tensor number[FOV_MAXIN];
  union { float f; double d; int64_t i; } value[FOV_MAXIN];
  fov_Type type;
  int ndim;
  ptrdiff_t shape[FOV_MAXDIM];
} Args;

static void number (lua_State *L, Args *a, int k) {
  fov_Tensor *t = &a->number[k];
  fov_Type type = a->type;
  if (!fov_is_real(type)) type = lua_isinteger(L, k + 1) ? FOV_I64 : FOV_F32;
  if (type == FOV_F32) a->value[k].f = (float)lua_tonumber(L, k + 1);
  else if (type == FOV_F64) a->value[k].d = lua_tonumber(L, k + 1);
  else a->value[k].i = lua_tointeger(L, k + 1);
  *t = (fov_Tensor){ .x = &a->value[k], .type = type };
  a->in[k] = t;
}

static void arguments (lua_State *L, Args *a, int nin) {
  int numbers = 0;
  a->type = FOV_U8;
  a->ndim = 0;
  for (int k = 0; k < nin; k++) {
    fov_Tensor *t = fov_totensor(L, k + 1);
    a->in[k] = t;
    if (!t) {
      if (lua_type(L, k + 1) != LUA_TNUMBER)
        luaL_typeerror(L, k + 1, nin > 1 ? "tensor or number" : "tensor");
      numbers++;
      continue;
    }
    a->type = nin == 1 ? t->type : fov_promote(a->type, t->type);
    bool alike = t->ndim == a->ndim &&
                 memcmp(t->shape, a->shape, (size_t)t->ndim * sizeof *t->shape) == 0;
    if (!alike && !fov_broadcast(a->ndim, a->shape, t->ndim, t->shape, &a->ndim, a->shape)) {
      fov_Tensor had = { .ndim = a->ndim };
      memcpy(had.shape, a->shape, sizeof had.shape);
      const char *x = fov_pushshape(L, &had);
      luaL_argerror(L, k + 1, lua_pushfstring(L, "%s does not broadcast with %s",
                                              fov_pushshape(L, t), x));
    }
  }
  if (numbers == nin) luaL_typeerror(L, 1, "tensor");
  for (int k = 0; k < nin; k++)
    if (!a->in[k]) number(L, a, k);
}

/* Checks that 't' can take a result of 'type' with the arguments' shape. */
static void target (lua_State *L, int arg, const char *what, const fov_Tensor *t,
                    const Args *a, fov_Type type) {
  bool fits = t->ndim == a->ndim &&
              memcmp(t->shape, a->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
  if (!fits) {
    fov_Tensor want = { .ndim = a->ndim };
    memcpy(want.shape, a->shape, sizeof want.shape);
    const char *shape = fov_pushshape(L, &want);
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected %s, got %s", what, shape,
                                          fov_pushshape(L, t)));
  }
  if (fov_is_real(type) && !fov_is_real(t->type))
    luaL_argerror(L, arg, lua_pushfstring(L, "%s: a result of dtype %s does not fit %s", what,
                                          fov_type_name(type), fov_type_name(t->type)));
}

static fov_Type made (int id, const fov_Element *e, const Args *a) {
  fov_Type type = a->type;
  for (int k = 0; k < e->nin; k++) type = fov_promote(type, a->in[k]->type);
  return e->test ? FOV_U8 : fov_compute_type(id, type);
}

/* The tensor of {out=} at 'arg', or NULL; leaves it on the stack. */
static fov_Tensor *option_out (lua_State *L, int arg, const char *fn) {
  static const char *const names[] = { "out", NULL };
  if (lua_isnoneornil(L, arg)) return NULL;
  fov_checkoptions(L, arg, fn, names);
  if (fov_option(L, arg, "out") == LUA_TNIL) return NULL;
  fov_Tensor *out = fov_totensor(L, -1);
  if (!out) luaL_error(L, "%s: option 'out': expected a tensor, got %s", fn, luaL_typename(L, -1));
  return out;
}

static int call (lua_State *L) {
  FOV_TAPED(L);
  int id = (int)lua_tointeger(L, lua_upvalueindex(1));
  const fov_Element *e = fov_element(id, FOV_F32);
  Args a;
  arguments(L, &a, e->nin);
  fov_Type type = made(id, e, &a);
  fov_Tensor *out = option_out(L, e->nin + 1, e->name);
  if (out) {
    target(L, e->nin + 1, "out", out, &a, type);
    fov_write(out);
  } else out = fov_newtensor(L, type, a.ndim, a.shape);
  fov_Status s = fov_apply(id, a.in, out);
  if (s != FOV_OK) fov_raise(L, s, e->name);
  return 1;
}

/* x:f_(...): the result replaces x's elements. */
static int call_in_place (lua_State *L) {
  FOV_TAPED(L);
  int id = (int)lua_tointeger(L, lua_upvalueindex(1));
  const fov_Element *e = fov_element(id, FOV_F32);
  Args a;
  fov_Tensor *x = fov_checktensor(L, 1);
  arguments(L, &a, e->nin);
  target(L, 1, "x", x, &a, made(id, e, &a));
  fov_write(x);
  fov_raise(L, fov_apply(id, a.in, x), e->name);
  lua_settop(L, 1);
  return 1;
}

/* The metamethods of a unary operator come with the operand twice. */
static int call_unm (lua_State *L) {
  lua_settop(L, 1);
  return call(L);
}

static int fill (lua_State *L) {
  fov_Tensor *x = fov_checktensor(L, 1);
  union { double d; int64_t i; } v;
  fov_setelement(L, x->type, &v, 2);
  fov_Tensor one = { .x = &v, .type = x->type };
  fov_write(x);
  fov_raise(L, fov_copy(&one, x), "fill");
  lua_settop(L, 1);
  return 1;
}

static int copy_ (lua_State *L) {
  fov_Tensor *x = fov_checktensor(L, 1);
  const fov_Tensor *y = fov_checktensor(L, 2);
  ptrdiff_t shape[FOV_MAXDIM];
  int ndim;
  if (!fov_broadcast(x->ndim, x->shape, y->ndim, y->shape, &ndim, shape) || ndim != x->ndim ||
      memcmp(shape, x->shape, (size_t)ndim * sizeof *shape) != 0) {
    const char *got = fov_pushshape(L, y);
    luaL_argerror(L, 2, lua_pushfstring(L, "%s does not broadcast to %s", got,
                                        fov_pushshape(L, x)));
  }
  fov_write(x);
  fov_raise(L, fov_move(y, x), "copy_");
  lua_settop(L, 1);
  return 1;
}

static const fov_Method methods[] = {
  { "fill", fill, "x:fill(value) -> x", "Stores one number in every element, in place.", "place" },
  { "copy_", copy_, "x:copy_(y) -> x",
    "Stores y, broadcast and cast to x's dtype, in place.\n"
    "Reals become integers by truncation; out of range they saturate, NaN becomes 0.", "place" },
  { NULL, NULL, NULL, NULL, NULL }
};

/* Field e->name .. suffix of the table on the stack's top: 'fn' of 'id'. */
static void expose (lua_State *L, const char *group, lua_CFunction fn, int id,
                    const fov_Element *e, const char *suffix) {
  static const char *const args[] = { "x", "x, y", "x, lo, hi" };
  const char *all = args[e->nin - 1];
  bool method = group[0] == 't', place = suffix[0];
  const char *rest = method ? e->nin > 1 ? all + 3 : "" : all;
  fov_Method m[2] = { { .fn = fn, .grad = place ? "place" : e->test ? "none" : "" } };
  m->name = lua_pushfstring(L, "%s%s", e->name, suffix);
  m->sig = lua_pushfstring(L, "%s%s(%s%s) -> %s", method ? "x:" : "fv.", m->name, rest,
                           place ? "" : *rest ? ", {out=}" : "{out=}", place ? "x" : "tensor");
  m->doc = place ? lua_pushfstring(L, "In place: %s", e->doc) : lua_pushstring(L, e->doc);
  fov_methods(L, -4, group, m);
  lua_pushinteger(L, id);
  lua_pushcclosure(L, fn, 1);
  lua_setfield(L, -5, m->name);
  lua_pop(L, 3);
}

void fov_open_math (lua_State *L) {
  static const char *const meta[][2] = {
    { "__add", "add" }, { "__sub", "sub" }, { "__mul", "mul" }, { "__div", "div" },
    { "__pow", "pow" }, { "__mod", "mod" }, { "__idiv", "floordiv" }
  };
  const fov_Element *e;
  for (int id = 0; (e = fov_element(id, FOV_F32)); id++) expose(L, "fv", call, id, e, "");
  luaL_getmetatable(L, FOV_TENSOR);
  for (size_t i = 0; i < sizeof meta / sizeof *meta; i++) {
    lua_pushinteger(L, fov_element_find(meta[i][1]));
    lua_pushcclosure(L, call, 1);
    lua_setfield(L, -2, meta[i][0]);
  }
  lua_pushinteger(L, fov_element_find("neg"));
  lua_pushcclosure(L, call_unm, 1);
  lua_setfield(L, -2, "__unm");
  lua_getfield(L, -1, "methods");
  fov_methods(L, -1, "tensor", methods);
  for (int id = 0; (e = fov_element(id, FOV_F32)); id++) {
    expose(L, "tensor", call, id, e, "");
    if (!e->test) expose(L, "tensor", call_in_place, id, e, "_");
  }
  lua_pop(L, 2);
  fov_open_reduce(L);
}
