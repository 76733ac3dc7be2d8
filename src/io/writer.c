/* writer.c -- see writer.h. */
#include "io/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

fov_Status fov_create (fov_Writer *w, const char *path) {
  struct stat st;
  *w = (fov_Writer){ .fd = -1 };
  bool old = stat(path, &st) == 0;
  if (old && S_ISDIR(st.st_mode)) return fov_fail(FOV_IO, "is a directory");
  if (old && !S_ISREG(st.st_mode)) return fov_fail(FOV_IO, "is not a regular file");
  w->path = old ? realpath(path, NULL) : strdup(path);  /* write through links */
  if (w->path && asprintf(&w->part, "%s.tmp-%ld", w->path, (long)getpid()) < 0) w->part = NULL;
  if (!w->path || !w->part) {
    free(w->path);
    return FOV_NOMEM;
  }
  unlink(w->part);                        /* left by a process that died */
  w->fd = open(w->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (w->fd >= 0) {
    if (old) (void)!fchmod(w->fd, st.st_mode & 07777);
    return FOV_OK;
  }
  fov_fail(FOV_IO, "cannot be created: %s", strerror(errno));
  free(w->path);
  free(w->part);
  return FOV_IO;
}

/* Past a file size limit the system sends SIGXFSZ, which ends a process that
 * does not ignore it; with it ignored write() fails with EFBIG. */
static fov_Status emit (int fd, const char *x, size_t n, off_t at) {
  struct sigaction off = { .sa_handler = SIG_IGN }, was;
  sigaction(SIGXFSZ, &off, &was);
  fov_Status s = FOV_OK;
  while (n && s == FOV_OK) {
    size_t step = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
    ssize_t r = at < 0 ? write(fd, x, step) : pwrite(fd, x, step, at);
    if (r < 0 && errno == EINTR) continue;
    if (r <= 0) {
      s = fov_fail(FOV_IO, "cannot be written: %s", r ? strerror(errno) : "no progress");
      break;
    }
    x += r;
    n -= (size_t)r;
    if (at >= 0) at += r;
  }
  sigaction(SIGXFSZ, &was, NULL);
  return s;
}

fov_Status fov_put (fov_Writer *w, const void *x, size_t n) {
  if (w->summed) w->crc = (uint32_t)crc32_z(w->crc, x, n);
  w->n += n;
  return emit(w->fd, x, n, -1);
}

fov_Status fov_put_at (fov_Writer *w, size_t at, const void *x, size_t n) {
  return emit(w->fd, x, n, (off_t)at);
}

#define BLOCK (1 << 18)    /* bytes packed at a time */

/* 'room' holds BLOCK bytes. */
static fov_Status pack (fov_Writer *w, const fov_Tensor *t, void *room) {
  ptrdiff_t size = (ptrdiff_t)fov_type_size(t->type), n = fov_numel(t);
  if (fov_contiguous(t)) return fov_put(w, t->x, (size_t)(n * size));
  if (n * size <= BLOCK) {
    fov_Tensor v = fov_view(room, t->type, t->ndim, t->shape);
    fov_Status s = fov_copy(t, &v);
    return s != FOV_OK ? s : fov_put(w, room, (size_t)(n * size));
  }
  bool line = t->ndim == 1;               /* cut lines into blocks, else take rows */
  ptrdiff_t step = line ? BLOCK / size : 1;
  for (ptrdiff_t i = 0; i < t->shape[0]; i += step) {
    fov_Tensor v = *t;
    v.x = (char *)t->x + i * t->stride[0] * size;
    if (line) v.shape[0] = t->shape[0] - i < step ? t->shape[0] - i : step;
    else {
      v.ndim--;
      memmove(v.shape, t->shape + 1, sizeof *v.shape * (size_t)v.ndim);
      memmove(v.stride, t->stride + 1, sizeof *v.stride * (size_t)v.ndim);
    }
    fov_Status s = pack(w, &v, room);
    if (s != FOV_OK) return s;
  }
  return FOV_OK;
}

fov_Status fov_put_tensor (fov_Writer *w, const fov_Tensor *t) {
  fov_Mark m = fov_mark();
  void *room = fov_scratch(BLOCK, 1);
  fov_Status s = room ? pack(w, t, room) : FOV_NOMEM;
  fov_release(m);
  return s;
}

fov_Status fov_commit (fov_Writer *w, fov_Status s) {
  if (s == FOV_OK && fsync(w->fd) != 0)
    s = fov_fail(FOV_IO, "cannot be written: %s", strerror(errno));
  if (close(w->fd) != 0 && s == FOV_OK)
    s = fov_fail(FOV_IO, "cannot be written: %s", strerror(errno));
  if (s == FOV_OK && rename(w->part, w->path) != 0)
    s = fov_fail(FOV_IO, "cannot take its name: %s", strerror(errno));
  if (s != FOV_OK) unlink(w->part);
  free(w->part);
  free(w->path);
  return s;
}
