/* system.c -- clock, threads, and what the machine and the build are. */
#include "base/cpu.h"
#include "base/pool.h"
#include "bind/bind.h"
#include "tensor/blas.h"
#include "tensor/peak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VERSION "0.1.0"

enum { MOST_THREADS = 256 };   /* as pool.c has it */

static int now (lua_State *L) {
  lua_pushnumber(L, fov_clock());
  return 1;
}

static int threads (lua_State *L) {
  lua_pushinteger(L, fov_threads());
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer n = luaL_checkinteger(L, 1);
    if (n < 1 || n > MOST_THREADS)
      luaL_argerror(L, 1, lua_pushfstring(L, "expected 1 to %d, got %I", MOST_THREADS,
                                          (LUAI_UACINT)n));
    fov_set_threads((int)n);
  }
  return 1;
}

static int isa (lua_State *L) {
  lua_pushstring(L, fov_isa_name(fov_isa()));
  if (lua_isnoneornil(L, 1)) return 1;
  const char *name = luaL_checkstring(L, 1);
  for (int i = 0; i <= (int)fov_isa_max(); i++)
    if (strcmp(name, fov_isa_name((fov_Isa)i)) == 0) {
      fov_set_isa((fov_Isa)i);
      return 1;
    }
  return luaL_argerror(L, 1, lua_pushfstring(L, "expected base to %s on this CPU, got %s",
                                             fov_isa_name(fov_isa_max()), name));
}

/* "madvise" of "always [madvise] never". */
static const char *hugepages (lua_State *L) {
  char line[128];
  FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
  const char *from = f && fgets(line, sizeof line, f) ? strchr(line, '[') : NULL;
  if (f) fclose(f);
  if (from) lua_pushlstring(L, from + 1, strcspn(from + 1, "]"));
  else lua_pushliteral(L, "unknown");
  return lua_tostring(L, -1);
}

static const char *const fields[] = { "version", "lua", "cpu", "isa", "isa_max", "threads",
                                      "huge_pages", "blas", "blas_config", NULL };

static int info_tostring (lua_State *L) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; fields[i]; i++) {
    if (lua_getfield(L, 1, fields[i]) == LUA_TNIL) {
      lua_pop(L, 1);
      continue;
    }
    char name[24];
    snprintf(name, sizeof name, "%s%-12s", i ? "\n" : "", fields[i]);
    lua_pushfstring(L, "%s%s", name, luaL_tolstring(L, -1, NULL));
    lua_replace(L, -3);
    lua_pop(L, 1);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}

static int info (lua_State *L) {
  fov_blas_init();
  lua_newtable(L);
  const char *text[][2] = {
    { "version", VERSION }, { "lua", LUA_VERSION }, { "cpu", fov_cpu_name() },
    { "isa", fov_isa_name(fov_isa()) }, { "isa_max", fov_isa_name(fov_isa_max()) },
    { "blas", fov_blas_core() }, { "blas_config", fov_blas_config() }
  };
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    lua_pushstring(L, text[i][1]);
    lua_setfield(L, -2, text[i][0]);
  }
  lua_pushinteger(L, fov_threads());
  lua_setfield(L, -2, "threads");
  hugepages(L);
  lua_setfield(L, -2, "huge_pages");
  luaL_setmetatable(L, "fovea.info");
  return 1;
}

static int terminal (lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  struct winsize size;
  lua_pushboolean(L, isatty(fd));
  if (ioctl(fd, TIOCGWINSZ, &size) || size.ws_col == 0) return 1;
  lua_pushinteger(L, size.ws_col);
  return 2;
}

static volatile sig_atomic_t came;

static void later (int signal) {
  (void)signal;
  came = 1;
}

/* Whoever handles SIGINT, the launcher or lua.c, gets it afterwards.  What came just before
 * is raised before f begins: by the handler's hook, or here where a coroutine has none. */
static int uninterrupted (lua_State *L) {
  struct sigaction wait = { .sa_handler = later, .sa_flags = SA_RESTART }, was;
  if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return luaL_error(L, "bad argument #1 to 'uninterrupted' (f: expected a function, got %s)", luaL_typename(L, 1));
  if (!lua_isfunction(L, 1)) lua_pop(L, 1);
  fov_raise(L, fov_interrupted(), "uninterrupted");
  sigaction(SIGINT, &wait, &was);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  sigaction(SIGINT, &was, NULL);
  if (came) {
    came = 0;
    raise(SIGINT);
  }
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L);
}

static int peak (lua_State *L) {
  static const char *const words[] = { "flops", "exp", "cos", "copy", NULL };
  static const char *const known[] = { "dtype", "seconds", NULL };
  fov_Rate what = (fov_Rate)luaL_checkoption(L, 1, NULL, words);
  fov_checkoptions(L, 2, "peak", known);
  fov_Type type = fov_optdtype(L, 2, FOV_F32);
  if (!fov_is_real(type)) return luaL_error(L, "peak: option 'dtype': f32 or f64");
  double seconds = 0.1, rate;
  if (fov_option(L, 2, "seconds") != LUA_TNIL) {
    int good;
    seconds = lua_tonumberx(L, -1, &good);
    if (!good || !(seconds >= 0 && seconds <= 60))
      return luaL_error(L, "peak: option 'seconds': expected a number from 0 to 60, got %s",
                        luaL_tolstring(L, -1, NULL));
  }
  fov_raise(L, fov_peak_rate(what, type, seconds, &rate), "peak");
  lua_pushnumber(L, rate);
  return 1;
}

static const fov_Method functions[] = {
  { "isatty", terminal, "fv.isatty(fd) -> boolean, columns",
    "Whether file descriptor fd (1: standard output, 2: standard error) is a terminal, and its\n"
    "width where that is known.", "none" },
  { "clock", now, "fv.clock() -> number", "Seconds on a monotonic clock; differences are times.",
    "none" },
  { "threads", threads, "fv.threads(n?) -> integer",
    "The number of threads that compute; sets it to n (1 to 256) if given, returns the old one.\n"
    "Starts as FOVEA_THREADS, else the CPUs this process may use. Results never depend on it.",
    "none" },
  { "isa", isa, "fv.isa(name?) -> string",
    "The instruction-set level in use: base, v3 or v4; sets it if given and returns the old one.\n"
    "For tests. Starts as the highest this CPU has, or the lower one FOVEA_ISA names. BLAS keeps\n"
    "the kernels that suited the level at the start.", "none" },
  { "peak", peak, "fv.peak(what, {dtype=, seconds=}) -> number",
    "What this machine can do at most, per second: the limit that a kernel is held against.\n"
    "what: flops (multiply-adds in registers, 2 each), exp (of x <= 0, in L1), cos (in L1) or copy\n"
    "(bytes read and written, 256 MiB). Measured with the threads and the level in use: the best\n"
    "of 'seconds' (0.1) of samples.", "none" },
  { "uninterrupted", uninterrupted, "fv.uninterrupted(f, ...) -> results of f",
    "Calls f(...) and lets Ctrl-C wait until it returns: for changes that belong together, such as\n"
    "a step of an optimiser. Keep f short. Programs that f starts are not held back.", "none" },
  { "info", info, "fv.info() -> table",
    "What computes here: version, lua, cpu, isa, isa_max, threads, huge_pages, blas and\n"
    "blas_config.\n"
    "Prints as one line each.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

/* What the environment asks for is done or refused, never passed over; an
 * empty variable asks for nothing. */
static void environment (lua_State *L) {
  const char *threads = getenv("FOVEA_THREADS"), *isa = getenv("FOVEA_ISA");
  char *end;
  if (threads && *threads) {
    long n = strtol(threads, &end, 10);
    if (n < 1 || n > MOST_THREADS || *end)
      luaL_error(L, "FOVEA_THREADS: expected 1 to %d, got '%s'", MOST_THREADS, threads);
  }
  if (isa && *isa) {
    int i = 0, max = (int)fov_isa_max();
    while (i <= max && strcmp(isa, fov_isa_name((fov_Isa)i)) != 0) i++;
    if (i > max)
      luaL_error(L, "FOVEA_ISA: expected base to %s on this CPU, got '%s'",
                 fov_isa_name(fov_isa_max()), isa);
  }
}

void fov_open_system (lua_State *L) {
  environment(L);
  luaL_newmetatable(L, "fovea.info");
  lua_pushcfunction(L, info_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  fov_methods(L, -1, "fv", functions);
}
