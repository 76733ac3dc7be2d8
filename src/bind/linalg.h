/* linalg.h -- shared by linalg.c and solvers.c. */
#ifndef FOV_LINALG_H
#define FOV_LINALG_H

#include "bind/bind.h"

/* The f32 or f64 tensor at 'arg' with at least 'ndim' dimensions, square in
 * the last two where asked; 'name' stands in the error. */
fov_Tensor *fov_checkreal (lua_State *L, int arg, const char *name, int ndim);
fov_Tensor *fov_checksquare (lua_State *L, int arg, const char *name);

/* 't' with its last dimension seen as the rows, or the columns, of a matrix. */
fov_Tensor fov_as_matrix (fov_Tensor t, bool rows);

void fov_open_solvers (lua_State *L);

#endif
