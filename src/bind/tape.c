/* tape.c -- where calls meet the tape.
 *
 * While the tape is on, a call with a tracked tensor among its arguments (or
 * one level down in a table, as in cat{a, b}) goes to the rule for its
 * function, rules[f](f, args...), which computes with core.raw(f, args...) and
 * records how to differentiate.  While it is off this costs one test. */
#include "bind/bind.h"

#include <string.h>

bool fov_tape_on;

static bool raw;        /* the next guarded call is a rule's own */
static bool inside;     /* a rule's own call runs, or has raised an error */
static const char rules; /* its address keys their table in the registry */
static bool leaves;     /* there has been a leaf: outside of 'with' the tape is on */
static int depth;       /* of 'with' */

static bool tracked (lua_State *L, int i) {
  fov_Tensor *t = fov_totensor(L, i);
  return t && fov_box(t)->tracked;
}

static bool any_tracked (lua_State *L, int top) {
  for (int i = 1; i <= top; i++) {
    if (tracked(L, i)) return true;
    if (lua_type(L, i) != LUA_TTABLE) continue;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1))
      if (tracked(L, -1)) {
        lua_pop(L, 2);
        return true;
      }
  }
  return false;
}

int fov_tape (lua_State *L) {
  if (raw) {
    raw = false;
    return -1;
  }
  int top = lua_gettop(L);
  luaL_checkstack(L, top + 8, NULL);
  if (!any_tracked(L, top)) return -1;
  lua_Debug ar;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &rules);
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_pushvalue(L, -1);
  lua_gettable(L, -3);
  lua_insert(L, -2);
  for (int i = 1; i <= top; i++) lua_pushvalue(L, i);
  inside = false;
  if (lua_pcall(L, top + 1, LUA_MULTRET, 0) == LUA_OK) return lua_gettop(L) - top - 1;
  const char *text = lua_tostring(L, -1);
  bool own = inside;
  raw = inside = false;   /* also where an interrupt came before f took the flag */
  if (!own || (text && strstr(text, "interrupted!"))) lua_error(L);
  lua_settop(L, top);     /* once more as it stands, to raise its error where it belongs */
  return -1;
}

/* core.begin(): there is a leaf */
static int begin (lua_State *L) {
  (void)L;
  leaves = true;
  if (!depth) fov_tape_on = true;
  return 0;
}

/* core.rules(table): what 'rules' above are */
static int set_rules (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &rules);
  return 0;
}

/* core.with(on, f, args...) -> f(args...) with the tape on or off; here, where Ctrl-C cannot
 * come between. */
static int with (lua_State *L) {
  bool was = fov_tape_on;
  fov_tape_on = lua_toboolean(L, 1);
  depth++;
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  fov_tape_on = --depth ? was : leaves;
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L) - 1;
}

/* core.recording() -> whether the tape is on */
static int recording (lua_State *L) {
  lua_pushboolean(L, fov_tape_on);
  return 1;
}

/* core.raw(f, args...) -> f(args...) unseen by the tape; f is one it was given. */
static int call_raw (lua_State *L) {
  raw = fov_tape_on;
  inside = true;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  raw = false;            /* Ctrl-C can come before f begins */
  if (status != LUA_OK) return lua_error(L);
  inside = false;
  return lua_gettop(L);
}

/* core.track(x, node or nil) -> x */
static int track (lua_State *L) {
  fov_Tensor *t = fov_checktensor(L, 1);
  lua_settop(L, 2);
  fov_box(t)->tracked = !lua_isnil(L, 2);
  lua_setiuservalue(L, 1, 2);
  return 1;
}

/* core.node(x) -> what track stored, or nil */
static int node (lua_State *L) {
  if (!fov_totensor(L, 1)) lua_pushnil(L);
  else lua_getiuservalue(L, 1, 2);
  return 1;
}

/* core.same(x, y) -> whether y is a tensor of x's shape and dtype */
static int same (lua_State *L) {
  fov_Tensor *x = fov_checktensor(L, 1), *y = fov_totensor(L, 2);
  lua_pushboolean(L, y && x->type == y->type && fov_same_shape(x, y));
  return 1;
}

static const luaL_Reg functions[] = {
  { "rules", set_rules }, { "begin", begin }, { "with", with }, { "recording", recording }, { "raw", call_raw },
  { "track", track }, { "node", node }, { "same", same },
  { NULL, NULL }
};

void fov_open_tape (lua_State *L) {
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "taping");
}
