/* tape.c -- where calls meet the tape.
 *
 * While the tape is on, a call with a tracked tensor among its arguments (or
 * one level down in a table, as in cat{a, b}) goes to the rule for its
 * function, rules[f](f, args...), which computes with core.raw(f, args...) and
 * records how to differentiate.  While it is off this costs one test.
 *
 * What a node { back, serial, a, b, ... } saved is a, b, and the tensors that
 * back closes over, one by one or in lists.  It is as it was if the last write
 * into its memory is older than the node. */
#include "bind/bind.h"

#include <string.h>

bool fov_tape_on;
lua_Integer fov_tape_time = 1, fov_last_write;

static bool raw;        /* the next guarded call is a rule's own */
static bool inside;     /* a rule's own call runs, or has raised an error */
static const char rules; /* its address keys their table in the registry */
static bool leaves;     /* there has been a leaf: outside of 'with' the tape is on */
static int depth;       /* of 'with' */
static lua_Integer since, until;  /* recorded calls refuse what was last written in [since, until) */

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
int fov_tape_with (lua_State *L) {
  luaL_checkany(L, 2);
  bool was = fov_tape_on;
  fov_tape_on = lua_toboolean(L, 1);
  depth++;
  lua_pushcfunction(L, fov_untold);
  lua_replace(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  fov_tape_on = --depth ? was : leaves;
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L) - 1;
}

/* core.recording() -> whether the tape is on */
static int recording (lua_State *L) {
  lua_pushboolean(L, fov_tape_on);
  return 1;
}

static bool written (fov_Tensor *t, lua_Integer from, lua_Integer to) {
  lua_Integer at = t ? fov_box(t)->root->written : 0;
  return at >= from && at < to;
}

/* Whether the value on top, a tensor or a list, was or has one that was written
 * from then on; that one is then on top, and *at its place in the list or 0. */
static bool overwritten (lua_State *L, lua_Integer from, lua_Integer *at) {
  int top = lua_gettop(L);
  lua_Integer n = lua_istable(L, top) ? (lua_Integer)lua_rawlen(L, top) : 0;
  for (*at = 0; *at <= n; lua_settop(L, top), ++*at) {
    if (*at > 0) lua_rawgeti(L, top, *at);
    if (written(fov_totensor(L, -1), from, LUA_MAXINTEGER)) return true;
  }
  return false;
}

/* core.stale(node) -> a tensor that it saved and that was written since, its
 * name and its place in a list of that name, if it is in one */
static int stale (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, 1, 2);
  lua_Integer serial = lua_tointeger(L, -1), at = 0;
  if (fov_last_write < serial) return 0;
  lua_settop(L, 1);
  lua_rawgeti(L, 1, 1);
  const char *name;
  for (int k = 1; (name = lua_getupvalue(L, 2, k)); lua_settop(L, 2), k++)
    if (overwritten(L, serial, &at)) goto found;
  for (int k = 0; k < 2; lua_settop(L, 2), k++) {
    lua_rawgeti(L, 1, k + 3);
    name = k == 0 ? "x" : "y";
    if (overwritten(L, serial, &at)) goto found;
  }
  return 0;
found:
  lua_pushstring(L, name);
  if (at > 0) lua_pushinteger(L, at);
  return at > 0 ? 3 : 2;
}

/* core.within(from, to, f, ...) -> results of f(...), in which recorded calls
 * refuse tensors last written in [from, to) */
static int within (lua_State *L) {
  lua_Integer was[2] = { since, until }, from = luaL_checkinteger(L, 1), to = luaL_checkinteger(L, 2);
  luaL_checkany(L, 3);
  since = from;
  until = to;
  int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
  since = was[0];
  until = was[1];
  return status == LUA_OK ? lua_gettop(L) - 2 : lua_error(L);
}

static void refuse (lua_State *L, fov_Tensor *t) {
  if (written(t, since, until))
    luaL_error(L, "checkpoint: %s %s was changed in place, but the function that uses it is called "
               "again for the gradient; call backward before the change, or change a clone",
               fov_type_name(t->type), fov_pushshape(L, t));
}

static void refuse_written (lua_State *L) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 4, NULL);
  for (int i = 2; i <= top; i++) {
    refuse(L, fov_totensor(L, i));
    if (!lua_istable(L, i)) continue;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) refuse(L, fov_totensor(L, -1));
  }
}

/* core.unseen(f, x, ...): f(x, ...), which writes into memory of x that nobody has read */
static int unseen (lua_State *L) {
  fov_Box *root = fov_box(fov_checktensor(L, 2))->root;
  lua_Integer last = fov_last_write, at = root->written;
  lua_pushvalue(L, 2);
  lua_insert(L, 1);     /* pins the root */
  lua_call(L, lua_gettop(L) - 2, 0);
  fov_last_write = last;
  root->written = at;
  return 0;
}

/* core.tick() -> the clock, moved on */
static int tick (lua_State *L) {
  lua_pushinteger(L, ++fov_tape_time);
  return 1;
}

/* core.raw(f, args...) -> f(args...) unseen by the tape; f is one it was given. */
static int call_raw (lua_State *L) {
  luaL_checkany(L, 1);
  if (until) refuse_written(L);
  raw = fov_tape_on;
  inside = true;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  raw = false;            /* Ctrl-C can come before f begins */
  if (status != LUA_OK) return lua_error(L);
  inside = false;
  return lua_gettop(L);
}

/* core.track(x, node or nil) -> x; node[2] becomes its serial number */
static int track (lua_State *L) {
  fov_Tensor *t = fov_checktensor(L, 1);
  lua_settop(L, 2);
  fov_box(t)->tracked = !lua_isnil(L, 2);
  if (lua_istable(L, 2)) {
    lua_pushinteger(L, ++fov_tape_time);
    lua_rawseti(L, 2, 2);
  }
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
  { "rules", set_rules }, { "begin", begin }, { "with", fov_tape_with }, { "recording", recording }, { "raw", call_raw },
  { "track", track }, { "node", node }, { "same", same }, { "tick", tick }, { "stale", stale },
  { "within", within }, { "unseen", unseen }, { "untold", fov_untold },
  { NULL, NULL }
};

void fov_open_tape (lua_State *L) {
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "taping");
}
