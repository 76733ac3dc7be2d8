/* support.c -- arguments, options, errors and documentation for bindings. */
#include "bind/bind.h"

#include <string.h>

/* core.docs[group][name] = { sig, doc, grad } */
static void document (lua_State *L, const char *group, const fov_Method *m) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "fovea.docs");
  luaL_getsubtable(L, -1, group);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, m->sig);
  lua_setfield(L, -2, "sig");
  lua_pushstring(L, m->doc);
  lua_setfield(L, -2, "doc");
  lua_pushstring(L, m->grad ? m->grad : "");
  lua_setfield(L, -2, "grad");
  lua_setfield(L, -2, m->name);
  lua_pop(L, 2);
}

/* A registered function that the tape may want to see. */
static int guarded (lua_State *L) {
  FOV_TAPED(L);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void fov_methods (lua_State *L, int index, const char *group, const fov_Method *m) {
  index = lua_absindex(L, index);
  for (; m->name; m++) {
    lua_pushcfunction(L, m->fn);
    if (!m->grad || m->grad[0] != 'n')   /* all but "none" */
      lua_pushcclosure(L, guarded, 1);
    lua_setfield(L, index, m->name);
    document(L, group, m);
  }
}

/* Edit distance of short words; anything long counts as far. */
static int distance (const char *a, const char *b) {
  enum { N = 40 };
  int d[N + 1], na = (int)strlen(a), nb = (int)strlen(b);
  if (na > N || nb > N) return N;
  for (int j = 0; j <= nb; j++) d[j] = j;
  for (int i = 1; i <= na; i++) {
    int diag = d[0];
    d[0] = i;
    for (int j = 1; j <= nb; j++) {
      int best = diag + (a[i - 1] != b[j - 1]);
      diag = d[j];
      if (d[j] + 1 < best) best = d[j] + 1;
      if (d[j - 1] + 1 < best) best = d[j - 1] + 1;
      d[j] = best;
    }
  }
  return d[nb];
}

const char *fov_nearest (const char *word, const char *const *names) {
  const char *best = NULL;
  int near = (int)strlen(word) / 3 + 2;
  for (; *names; names++) {
    int d = distance(word, *names);
    if (d < near) near = d, best = *names;
  }
  return best;
}

int fov_nomethod (lua_State *L, const char *what, int index, const char *name) {
  enum { MOST = 255 };
  const char *names[MOST + 1];
  int n = 0;
  for (lua_pushnil(L); n < MOST && lua_next(L, index); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) names[n++] = lua_tostring(L, -2);
  names[n] = NULL;
  const char *near = fov_nearest(name, names);
  if (near) luaL_error(L, "%s has no method '%s' (did you mean '%s'?)", what, name, near);
  return luaL_error(L, "%s has no method '%s'", what, name);
}

int fov_option (lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  return lua_getfield(L, arg, name);
}

void fov_checkoptions (lua_State *L, int arg, const char *fn, const char *const *names) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    int i = 0;
    while (key && names[i] && strcmp(names[i], key) != 0) i++;
    if (key && names[i]) continue;
    const char *near = key ? fov_nearest(key, names) : NULL;
    lua_pushvalue(L, -2);
    const char *shown = luaL_tolstring(L, -1, NULL);
    if (near) luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", fn, shown, near);
    luaL_error(L, "%s: unknown option '%s'", fn, shown);
  }
}

fov_Type fov_optdtype (lua_State *L, int arg, fov_Type def) {
  fov_Type type = def;
  int kind = fov_option(L, arg, "dtype");
  if (kind != LUA_TNIL && (kind != LUA_TSTRING || !fov_type_find(lua_tostring(L, -1), &type)))
    luaL_error(L, "option 'dtype': expected \"f32\", \"f64\", \"i64\" or \"u8\", got %s%s%s",
               kind == LUA_TSTRING ? "\"" : "", luaL_tolstring(L, -1, NULL),
               kind == LUA_TSTRING ? "\"" : "");
  lua_pop(L, 1);
  return type;
}

void fov_raise (lua_State *L, fov_Status s, const char *fn) {
  if (s == FOV_OK) return;
  if (s == FOV_INTERRUPT) {
    fov_interrupt_flag = 0;
    lua_sethook(L, NULL, 0, 0);   /* the launcher's handler also set a hook */
    luaL_error(L, "interrupted!");
  }
  const char *text = fov_message();
  if (s == FOV_NOMEM) luaL_error(L, "%s: not enough memory", fn);
  luaL_error(L, "%s: %s", fn, *text ? text : "failed");
}
