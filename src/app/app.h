/* app.h -- the parts of the launcher. */
#ifndef FOV_APP_H
#define FOV_APP_H

#include <lua.h>


#include <stdbool.h>
#include <stddef.h>

void *fov_lua_alloc (void *ud, void *p, size_t old, size_t new);

/* Runs the function under 'n' arguments with Ctrl-C turned into a Lua error;
 * leaves results, or the error with its traceback.  Returns a Lua status. */
int fov_protected (lua_State *L, int n);

/* Reads and runs until the end of input.  fovea.session does the thinking. */
void fov_repl (lua_State *L);

#endif
