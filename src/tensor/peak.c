/* peak.c -- rates of all threads together; see peak.h. */
#include "tensor/peak.h"
#include "base/pool.h"

#include <string.h>

static const fov_Peak *const builds[2][FOV_NISA] = FOV_BUILD_LIST(fov_peak);

/* Tasks of a thread in one sample: few enough to be long, enough that a worker
 * that wakes late still finds some. */
enum { TASKS = 8, SLICE = 1 << 20 };
#define HALF ((size_t)128 << 20)   /* bytes copied: more than caches hold */

typedef struct Sample {
  fov_Work *work;
  ptrdiff_t rounds;
  double done;      /* of one task; every task writes the same */
  char *from, *to;
} Sample;

static fov_Status compute (void *arg, ptrdiff_t i) {
  Sample *s = arg;
  double done = s->work(s->rounds);
  if (i == 0) s->done = done;
  return FOV_OK;
}

static fov_Status copy (void *arg, ptrdiff_t i) {
  Sample *s = arg;
  memcpy(s->to + i * SLICE, s->from + i * SLICE, SLICE);
  return FOV_OK;
}

static fov_Status copied (double seconds, double *rate) {
  char *both = fov_big_alloc(2 * HALF);
  if (!both) return FOV_NOMEM;
  memset(both, 1, HALF);
  Sample s = { .from = both, .to = both + HALF };
  ptrdiff_t n = (ptrdiff_t)(HALF / SLICE);
  fov_Status status = fov_parallel(n, copy, &s);   /* first touch */
  *rate = 0;
  for (double start = fov_clock(), t = start; status == FOV_OK && (*rate == 0 || t - start < seconds);) {
    status = fov_parallel(n, copy, &s);
    double now = fov_clock(), r = 2.0 * (double)HALF / (now - t);
    if (r > *rate) *rate = r;
    t = now;
  }
  fov_big_free(both, 2 * HALF);
  return status;
}

fov_Status fov_peak_rate (fov_Rate what, fov_Type real, double seconds, double *rate) {
  if (what == FOV_RATE_COPY) return copied(seconds, rate);
  Sample s = { .work = builds[real][fov_isa()]->work[what], .rounds = 1 };
  double took = 0;
  while (took < 1e-4) {   /* one task: at least 0.1 ms */
    double t = fov_clock();
    s.work(s.rounds *= 2);
    took = fov_clock() - t;
  }
  ptrdiff_t n = (ptrdiff_t)TASKS * fov_threads();
  *rate = 0;
  for (double start = fov_clock(), t = start; *rate == 0 || t - start < seconds;) {
    fov_Status status = fov_parallel(n, compute, &s);
    if (status != FOV_OK) return status;
    double now = fov_clock(), r = s.done * (double)n / (now - t);
    if (r > *rate) *rate = r;
    t = now;
  }
  return FOV_OK;
}
