/* repl.c -- the prompt: readline in front of fovea.session. */
#include "app/app.h"

#include <lauxlib.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <readline/history.h>
#include <readline/readline.h>

static lua_State *state;   /* readline's callbacks carry no argument */

/* Calls session.<name> with the 'n' values on top; leaves its results. */
static int ask (lua_State *L, const char *name, int n) {
  int base = lua_gettop(L) - n + 1;
  lua_getglobal(L, "require");
  lua_pushstring(L, "fovea.session");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_insert(L, base);
  lua_call(L, n, LUA_MULTRET);
  return lua_gettop(L) - base + 1;
}

static int asked (lua_State *L) {   /* complete(line) */
  return ask(L, "complete", 1);
}

static char *next_match (const char *text, int first) {
  static int i;
  (void)text;
  if (first == 0) i = 0;
  if (!lua_istable(state, -1) || lua_rawgeti(state, -1, ++i) == LUA_TNIL) {
    if (lua_istable(state, -2)) lua_pop(state, 1);
    return NULL;
  }
  char *s = strdup(lua_tostring(state, -1));
  lua_pop(state, 1);
  return s;
}

static char **complete (const char *text, int start, int end) {
  (void)start;
  int top = lua_gettop(state);
  lua_pushcfunction(state, asked);
  lua_pushlstring(state, rl_line_buffer, (size_t)end);
  char **matches = NULL;
  rl_attempted_completion_over = 1;
  rl_completion_suppress_append = 1;
  if (lua_pcall(state, 1, 1, 0) == LUA_OK && lua_istable(state, -1) && lua_rawlen(state, -1) > 0)
    matches = rl_completion_matches(text, next_match);
  else if (strchr("\"'", start > 0 ? rl_line_buffer[start - 1] : ' '))
    rl_attempted_completion_over = 0;   /* a file's name, perhaps */
  lua_settop(state, top);
  return matches;
}

static const char *history_file (void) {
  static char path[4096];
  const char *given = getenv("FOVEA_HISTORY"), *base = getenv("XDG_STATE_HOME");
  const char *home = getenv("HOME");
  if (given) return given;
  if (!home && !base) return NULL;
  snprintf(path, sizeof path, "%s%s", base ? base : home, base ? "" : "/.local/state");
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s%s/fovea_history", base ? base : home, base ? "" : "/.local/state");
  return path;
}

static int run (lua_State *L) {   /* compiled function -> text or nothing */
  int n = lua_gettop(L);
  bool mute = lua_toboolean(L, n);
  lua_settop(L, n - 1);
  lua_call(L, 0, LUA_MULTRET);
  int results = lua_gettop(L);
  if (mute || results == 0) return 0;
  luaL_checkstack(L, 4, "too many results to show");
  lua_pushinteger(L, results);
  lua_insert(L, 1);
  return ask(L, "results", results + 1);
}

/* One entry; returns false while it wants more lines. */
static bool entry (lua_State *L, const char *text) {
  int top = lua_gettop(L);
  lua_pushstring(L, text);
  int n = ask(L, "compile", 1);
  if (lua_isnil(L, -n)) {
    bool more = strcmp(luaL_checkstring(L, -1), "incomplete") == 0;
    if (!more) fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_settop(L, top);
    return !more;
  }
  lua_pushcfunction(L, run);
  lua_insert(L, top + 1);
  if (fov_protected(L, n) != LUA_OK)
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  else if (lua_gettop(L) > top && lua_isstring(L, -1)) printf("%s\n", lua_tostring(L, -1));
  fflush(stdout);
  lua_settop(L, top);
  return true;
}

void fov_repl (lua_State *L) {
  state = L;
  setlocale(LC_CTYPE, "");
  rl_readline_name = "fovea";
  rl_basic_word_break_characters = " \t\n\"'><=;|&{}()[]+-*/^%#,~";
  rl_attempted_completion_function = complete;
  rl_variable_bind("blink-matching-paren", "on");
  using_history();
  const char *file = history_file();
  if (file) read_history(file);
  printf("Fovea 0.1, a workbench for attention.  fv is the library; ?name helps, Ctrl-D leaves.\n");
  char *text = NULL, *line;
  while ((line = readline(text ? "\001\033[2m\002..>\001\033[0m\002 "
                               : "\001\033[1;36m\002fv>\001\033[0m\002 "))) {
    if (text) {
      size_t n = strlen(text) + strlen(line) + 2;
      char *both = realloc(text, n);
      if (!both) break;
      strcat(strcat(both, "\n"), line);
      free(line);
      text = both;
    } else text = line;
    bool blank = text[strspn(text, " \t\n")] == '\0';
    if (!blank && !entry(L, text)) continue;
    if (!blank) add_history(text);
    free(text);
    text = NULL;
  }
  free(text);
  printf("\n");
  if (file) {
    stifle_history(5000);
    write_history(file);
  }
}
