/* init.c -- opens the module: each part adds its functions to one table. */
#include "bind/bind.h"

__attribute__((visibility("default"))) int luaopen_fovea_core (lua_State *L);

int luaopen_fovea_core (lua_State *L) {
  static void (*const parts[]) (lua_State *) = {
    fov_open_tensor, fov_open_create, fov_open_view, fov_open_ops, fov_open_tape, fov_open_rng,
    fov_open_math, fov_open_index, fov_open_join, fov_open_order, fov_open_linalg, fov_open_io,
    fov_open_system, fov_open_folder
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i]) parts[i](L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "fovea.docs");
  lua_setfield(L, -2, "docs");
  return 1;
}
