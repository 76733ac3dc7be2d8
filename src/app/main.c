/* main.c -- the launcher: scripts, -e, run, and the prompt. */
#include "app/app.h"

#include "base/pool.h"
#include "bind/bind.h"

#include <lauxlib.h>
#include <lualib.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int luaopen_fovea_core (lua_State *L);

/* package.path: beside the executable, then where make install puts it. */
static void search (lua_State *L) {
  char exe[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  exe[n > 0 ? n : 0] = '\0';
  for (int i = 0; i < 2; i++) {        /* the folder above the executable's */
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
  }
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s/share/lua/5.4/?.lua;"
                  "%s/share/lua/5.4/?/init.lua;", exe, exe, exe, exe);
  lua_getfield(L, -2, "path");
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  luaL_getsubtable(L, -1, "preload");
  lua_pushcfunction(L, luaopen_fovea_core);
  lua_setfield(L, -2, "fovea.core");
  lua_pop(L, 2);
}

static lua_State *running;

static void stop (lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  fov_interrupt_flag = 0;
  luaL_error(L, "interrupted!");
}

static void on_interrupt (int signal) {
  (void)signal;
  fov_interrupt_flag = 1;
  lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* Whether the message names a line of code ("file:12: ..."). */
static bool placed (const char *text) {
  for (const char *p = strchr(text, ':'); p; p = strchr(p + 1, ':')) {
    size_t digits = strspn(p + 1, "0123456789");
    if (digits > 0 && p[1 + digits] == ':') return true;
  }
  return false;
}

/* Whether a function of the user's is running, not just the main chunk. */
static bool nested (lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++)
    if (lua_getinfo(L, "S", &ar) && strcmp(ar.what, "Lua") == 0 && !fov_ours(ar.source)) return true;
  return false;
}

/* Puts the user's line before a message, if anything of theirs runs. */
static void place (lua_State *L) {
  lua_Debug ar;
  for (int level = 3; lua_getstack(L, level, &ar); level++)
    if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0 && !fov_ours(ar.source)) {
      lua_pushfstring(L, "%s:%d: %s", ar.short_src, ar.currentline, lua_tostring(L, -1));
      return;
    }
}

/* The main chunk's line is in the message: only functions need a traceback. */
static int traceback (lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  bool told = fov_told(L);
  const char *text = lua_tostring(L, -1);
  if (told && !placed(text)) place(L);
  else if (placed(text) && (fov_ours(text) || nested(L))) luaL_traceback(L, L, text, 1);
  return 1;
}

int fov_protected (lua_State *L, int n) {
  int at = lua_gettop(L) - n;
  struct sigaction act = { .sa_handler = on_interrupt }, old;
  lua_pushcfunction(L, traceback);
  lua_insert(L, at);
  running = L;
  fov_interrupt_flag = 0;
  sigaction(SIGINT, &act, &old);
  int status = lua_pcall(L, n, LUA_MULTRET, at);
  sigaction(SIGINT, &old, NULL);
  lua_sethook(L, NULL, 0, 0);
  fov_interrupt_flag = 0;
  lua_remove(L, at);
  return status;
}

static const char usage[] =
  "usage: fovea [file.lua args...]   run a script; without one, a prompt\n"
  "       fovea -e 'code' [args...]  run a line\n"
  "       fovea run experiment [--name=value ...]\n"
  "       fovea --version | --help\n";

/* Pushes the function to run and its arguments; returns how many. */
static int chunk (lua_State *L, int argc, char **argv) {
  int status, first = 2;
  if (strcmp(argv[1], "-e") == 0) {
    if (argc < 3) return luaL_error(L, "-e: expected code after it");
    status = luaL_loadbufferx(L, argv[2], strlen(argv[2]), "=-e", "t");
    first = 3;
  } else if (strcmp(argv[1], "run") == 0) {
    lua_getglobal(L, "require");
    lua_pushstring(L, "fovea.run");
    lua_call(L, 1, 1);
    status = LUA_OK;
  } else status = luaL_loadfilex(L, strcmp(argv[1], "-") ? argv[1] : NULL, "t");
  if (status != LUA_OK) lua_error(L);
  luaL_checkstack(L, argc, "too many arguments");
  for (int i = first; i < argc; i++) lua_pushstring(L, argv[i]);
  return argc > first ? argc - first : 0;
}

static int body (lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  lua_settop(L, 0);
  luaL_openlibs(L);
  /* Loops drop temporaries young; an untouched megabyte keeps the collector
   * from running every few tensors while the heap is otherwise small. */
  lua_gc(L, LUA_GCGEN, 0, 0);
  fov_gc_step = INT_MAX;
  lua_newuserdatauv(L, 1 << 20, 0);
  luaL_ref(L, LUA_REGISTRYINDEX);
  search(L);
  lua_getglobal(L, "require");
  lua_pushstring(L, "fovea");
  lua_call(L, 1, 1);
  lua_setglobal(L, "fv");
  lua_createtable(L, argc, 1);
  int shift = argc > 2 && strcmp(argv[1], "-e") == 0 ? 2 : 1;
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - shift);
  }
  lua_setglobal(L, "arg");
  if (argc == 1 && isatty(STDIN_FILENO)) {
    fov_repl(L);
    lua_pushboolean(L, 1);
    return 1;
  }
  char dash[] = "-", *script[] = { argv[0], dash, NULL };
  int n = argc == 1 ? chunk(L, 2, script) : chunk(L, argc, argv);
  if (fov_protected(L, n) != LUA_OK) return lua_error(L);
  lua_pushboolean(L, 1);
  return 1;
}

int main (int argc, char **argv) {
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
    return fputs(usage, stdout) < 0;
  if (argc > 1 && strcmp(argv[1], "--version") == 0) return puts("Fovea 0.1.0") < 0;
  lua_State *L = lua_newstate(fov_lua_alloc, NULL);
  if (!L) return EXIT_FAILURE;
  lua_pushcfunction(L, body);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = lua_pcall(L, 2, 1, 0);
  if (status != LUA_OK) lua_writestringerror("fovea: %s\n", luaL_tolstring(L, -1, NULL));
  fflush(stdout);
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
