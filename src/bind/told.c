/* told.c -- errors that Fovea raises for its user, apart from faults. */
#include "bind/bind.h"
#include "bind/plan.h"

#include <string.h>

bool fov_ours (const char *text) {
  return strstr(text, "/lua/fovea/") || strstr(text, "/lua/5.4/fovea/");
}

/* 'text' after a place in Fovea's own Lua that is on the stack from 'level' on. */
static const char *unplaced (lua_State *L, const char *text, int level) {
  lua_Debug ar;
  for (; lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0 || !fov_ours(ar.source)) continue;
    const char *at = lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    size_t n = strncmp(text, at, strlen(at)) ? 0 : strlen(at);
    lua_pop(L, 1);
    if (n > 0) return text + n;
  }
  return text;
}

/* Where Fovea's own Lua called error(text, level), that put a place at level 3 of here or
 * above; an operator's caller is at 2. */
bool fov_told (lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 2, &ar) || !lua_getinfo(L, "S", &ar) || !fov_ours(ar.source)) return false;
  lua_getstack(L, 1, &ar);
  lua_getinfo(L, "f", &ar);
  lua_getglobal(L, "error");
  int level = lua_rawequal(L, -1, -2) ? 3 : lua_tocfunction(L, -2) == fov_op_call ? 2 : 0;
  bool again = lua_tocfunction(L, -2) == fov_tape_with;
  lua_pop(L, 2);
  if (level) {
    lua_pushstring(L, unplaced(L, lua_tostring(L, -1), level));
    lua_replace(L, -2);
  }
  return level || again;
}

int fov_untold (lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_settop(L, 1);
    fov_told(L);
  }
  return 1;
}
