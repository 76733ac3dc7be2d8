/* peak.h -- what this machine can do at most, measured.
 *
 * The rates that a kernel's time is held against: multiply-adds in registers,
 * elementary functions over memory that stays in L1, and a copy that does not
 * fit any cache. */
#ifndef FOV_PEAK_H
#define FOV_PEAK_H

#include "tensor/build.h"

typedef enum fov_Rate {
  FOV_RATE_FLOPS,   /* flops: independent chains a <- a b + c, 2 each */
  FOV_RATE_EXP,     /* values of exp(x), x <= 0, as softmax needs it */
  FOV_RATE_COS,     /* values of cos(x) */
  FOV_RATE_COPY,    /* bytes read and bytes written, both counted */
  FOV_NRATE
} fov_Rate;

/* The work of one task: 'rounds' rounds; returns how much was done. */
typedef double fov_Work (ptrdiff_t rounds);

typedef struct fov_Peak { fov_Work *work[FOV_RATE_COPY]; } fov_Peak;
FOV_BUILDS(fov_Peak, fov_peak);

/* The best rate per second of all threads together that 'seconds' of trying
 * shows, at the instruction-set level in use.  FOV_NOMEM: no room to copy. */
fov_Status fov_peak_rate (fov_Rate what, fov_Type real, double seconds, double *rate);

#endif
