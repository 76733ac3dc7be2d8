/* folder.c -- names in a folder, for registries that list their entries. */
#include "bind/bind.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

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

static const fov_Method functions[] = {
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
