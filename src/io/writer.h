/* writer.h -- a file that appears whole or not at all.
 *
 * Bytes go to '<path>.tmp-<pid>' beside the target; fov_commit makes them
 * durable and renames, or removes them. */
#ifndef FOV_WRITER_H
#define FOV_WRITER_H

#include "tensor/tensor.h"

typedef struct fov_Writer {
  int fd;
  char *path, *part;            /* the target, and its name until then */
  size_t n;                     /* bytes put so far */
  uint32_t crc;                 /* CRC-32 of what was put since its reset, if 'summed' */
  bool summed;
} fov_Writer;

/* After a failure there is nothing to commit. */
fov_Status fov_create (fov_Writer *w, const char *path);
fov_Status fov_put (fov_Writer *w, const void *x, size_t n);

/* The elements in row-major order, whatever the strides. */
fov_Status fov_put_tensor (fov_Writer *w, const fov_Tensor *t);

/* Overwrites bytes put before; leaves n and crc alone. */
fov_Status fov_put_at (fov_Writer *w, size_t at, const void *x, size_t n);

/* s == FOV_OK: the file takes its place.  Otherwise it is removed and 's'
 * comes back. */
fov_Status fov_commit (fov_Writer *w, fov_Status s);

#endif
