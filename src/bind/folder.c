/* folder.c -- folders: the names in one, for registries that list their
 * entries, and making one, for results. */
#include "bind/bind.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void shut (DIR **d) {
  if (*d) closedir(*d);
  *d = NULL;
}

/* The userdata that holds the listing closes it, whatever Lua raises. */
static int collect (lua_State *L) {
  shut(lua_touserdata(L, 1));
  return 0;
}

static int listdir (lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_newtable(L);
  DIR **d = lua_newuserdatauv(L, sizeof *d, 0);
  *d = NULL;
  luaL_setmetatable(L, "fovea.folder");
  *d = opendir(path);
  if (!*d && errno != ENOENT && errno != ENOTDIR)
    return luaL_error(L, "listdir: %s: %s", path, strerror(errno));
  lua_Integer n = 0;
  for (struct dirent *e; *d && (e = readdir(*d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    lua_pushstring(L, e->d_name);
    lua_rawseti(L, -3, ++n);
  }
  shut(d);
  lua_settop(L, 2);
  return 1;
}

/* Makes the folder and those above it that are missing. */
static int make (lua_State *L) {
  size_t n;
  const char *path = luaL_checklstring(L, 1, &n);
  char *part = lua_newuserdatauv(L, n + 1, 0);
  luaL_argcheck(L, n > 0, 1, "empty path");
  for (size_t i = 1; i <= n; i++) {
    if (i < n && path[i] != '/') continue;
    memcpy(part, path, i);
    part[i] = '\0';
    struct stat st;
    if (mkdir(part, 0777) != 0 && !(errno == EEXIST && stat(part, &st) == 0 && S_ISDIR(st.st_mode)))
      return luaL_error(L, "mkdir: %s: %s", part, strerror(errno));
  }
  return 0;
}

static const fov_Method functions[] = {
  { "mkdir", make, "fv.mkdir(path)",
    "Makes a folder and those above it; one that is there already is fine.\n"
    "Raises where it cannot be made.", "none" },
  { "listdir", listdir, "fv.listdir(path) -> table",
    "The names in a folder, in no order; an empty table where there is no such folder.\n"
    "Raises where it cannot be read.", "none" },
  { NULL, NULL, NULL, NULL, NULL }
};

void fov_open_folder (lua_State *L) {
  luaL_newmetatable(L, "fovea.folder");
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  fov_methods(L, -1, "fv", functions);
}
