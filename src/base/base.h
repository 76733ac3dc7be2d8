/* base.h -- status codes, error text, scratch memory, clock.
 *
 * Layer 0: includes libc and pthread, nothing else.  All state is per thread,
 * so workers never share any of it. */
#ifndef FOV_BASE_H
#define FOV_BASE_H

#include <stddef.h>
#include <stdint.h>

typedef enum fov_Status {
  FOV_OK,
  FOV_NOMEM,      /* memory ran out */
  FOV_NUMERIC,    /* the maths broke down: singular, no convergence */
  FOV_VALUE,      /* an argument's content is outside its contract */
  FOV_IO,         /* a file could not be read, written or believed */
  FOV_INTERRUPT   /* the user asked to stop */
} fov_Status;

/* Formats this thread's message (at most 511 bytes) and returns 's', so that
 * a kernel can 'return fov_fail(FOV_NUMERIC, ...)'. */
fov_Status fov_fail (fov_Status s, const char *fmt, ...)
  __attribute__((format(printf, 2, 3)));

/* Text of the last fov_fail on this thread; "" if there was none. */
const char *fov_message (void);

/* Uninitialised scratch of this thread, 64-byte aligned; NULL when memory
 * runs out or 'count * size' overflows.  Never freed by the one who asks. */
void *fov_scratch (size_t count, size_t size);

/* What was taken after a mark is given back by its release.  Whoever calls a
 * kernel brackets it; kernels need it only inside long loops. */
typedef struct fov_Mark { void *chunk; size_t used; } fov_Mark;
fov_Mark fov_mark (void);
void fov_release (fov_Mark m);

/* Fresh zeroless memory for large blocks: huge pages where the system has
 * them, recycled through size classes.  fov_big_free needs the same 'bytes'. */
void *fov_big_alloc (size_t bytes);
void fov_big_free (void *p, size_t bytes);

/* Seconds on a monotonic clock. */
double fov_clock (void);

#endif
