/* map.h -- a file's bytes in memory.
 *
 * The mapping is private and copy-on-write: stores into it never reach the
 * file.  If the file shrinks while it is mapped, its lost pages turn into
 * zeros when they are touched, one line on standard error says so, and
 * fov_map_torn() is true from then on; the process lives. */
#ifndef FOV_MAP_H
#define FOV_MAP_H

#include "base/base.h"

#include <stdbool.h>

typedef struct fov_Map {
  char *x;                      /* NULL: nothing mapped */
  size_t n;                     /* bytes */
  struct fov_Region *region;
} fov_Map;

/* Maps a regular file of at least one byte. */
fov_Status fov_map (const char *path, fov_Map *m);
void fov_unmap (fov_Map *m);
bool fov_map_torn (const fov_Map *m);

#endif
