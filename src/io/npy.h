/* npy.h -- the header that describes one array, in .npy files and in the
 * members of .npz ones. */
#ifndef FOV_NPY_H
#define FOV_NPY_H

#include "io/archive.h"

#define FOV_NPY_MOST 65536      /* bytes a header may take, its magic included */

/* Reads the header at the front of 'x' ('have' bytes at hand, at least all
 * of the first FOV_NPY_MOST) of a member of 'full' bytes. */
fov_Status fov_npy_parse (const char *x, size_t have, size_t full, fov_Array *a);

/* Writes the header for 't' into 'x'; returns its length, a multiple of 64. */
#define FOV_NPY_ROOM 320
size_t fov_npy_format (const fov_Tensor *t, char x[FOV_NPY_ROOM]);

#endif
