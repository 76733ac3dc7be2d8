/* main.c -- the launcher: scripts, -e, run, and the prompt. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int luaopen_fovea_core (lua_State *L);

/* package.path: beside the executable, then where make install puts it. */
static void search (lua_State *L) {
  char exe[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  exe[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(exe, '/');
  if (slash) *slash = '\0';
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/../lua/?.lua;%s/../lua/?/init.lua;%s/../share/lua/5.4/?.lua;"
                  "%s/../share/lua/5.4/?/init.lua;", exe, exe, exe, exe);
  lua_getfield(L, -2, "path");
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  luaL_getsubtable(L, -1, "preload");
  lua_pushcfunction(L, luaopen_fovea_core);
  lua_setfield(L, -2, "fovea.core");
  lua_pop(L, 2);
}

static int traceback (lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static int body (lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  lua_settop(L, 0);
  luaL_openlibs(L);
  search(L);
  lua_getglobal(L, "require");
  lua_pushstring(L, "fovea");
  lua_call(L, 1, 1);
  lua_setglobal(L, "fv");
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  lua_settop(L, 0);
  lua_pushcfunction(L, traceback);
  int status = LUA_OK;
  if (argc > 2 && strcmp(argv[1], "-e") == 0)
    status = luaL_loadbufferx(L, argv[2], strlen(argv[2]), "=-e", "t");
  else if (argc > 1) status = luaL_loadfilex(L, argv[1], "t");
  else return luaL_error(L, "usage: fovea file.lua | -e code");
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, 1);
  if (status != LUA_OK) {
    lua_writestringerror("%s\n", lua_tostring(L, -1));
    lua_settop(L, 0);
  }
  lua_pushboolean(L, status == LUA_OK);
  return 1;
}

int main (int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L) return EXIT_FAILURE;
  lua_pushcfunction(L, body);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = lua_pcall(L, 2, 1, 0);
  if (status != LUA_OK) lua_writestringerror("fovea: %s\n", lua_tostring(L, -1));
  int good = status == LUA_OK && lua_toboolean(L, -1);
  lua_close(L);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
