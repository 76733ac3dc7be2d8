/* fit.h -- matching arguments with a signature; see fit.c. */
#ifndef FOV_FIT_H
#define FOV_FIT_H

#include "bind/plan.h"

/* Binds letters, dtype and batch from p->in; raises on a misfit. */
void fov_fit (lua_State *L, fov_Plan *p);

/* Reads the option table at stack index 'arg' (nil or none: defaults).  Names
 * of optional inputs and those in 'also' (ends at NULL, may be NULL) pass. */
void fov_options (lua_State *L, fov_Plan *p, int arg, const char *const *also);

#endif
