/* rng.h -- counter-based random streams (Philox 4x32-10).
 *
 * Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as
 * 1, 2, 3".  A stream is keyed by (seed, purpose) and by nothing else; draw i
 * of a stream is a pure function of its key and position. */
#ifndef FOV_RNG_H
#define FOV_RNG_H

#include "base/base.h"

typedef struct fov_Stream {
  uint32_t key[2];
  uint64_t high;     /* upper counter half: tells substreams apart */
  uint64_t at;       /* next block of four words */
} fov_Stream;

fov_Stream fov_stream (uint64_t seed, const char *purpose);

/* A stream of its own for 'purpose' under 's'; 's' does not advance. */
fov_Stream fov_substream (const fov_Stream *s, const char *purpose);

/* A stream of its own named by the position of 's', which moves on by one
 * block: for a draw whose length is its own affair. */
fov_Stream fov_fork (fov_Stream *s);

/* One block: four words at counter (high, i). */
void fov_philox (const fov_Stream *s, uint64_t i, uint32_t out[4]);

/* Fill 'n' values and advance.  Uniform on (0,1): never 0 or 1.  Parallel
 * inside; same bits at any thread count. */
fov_Status fov_uniform_f32 (fov_Stream *s, ptrdiff_t n, float *x);
fov_Status fov_uniform_f64 (fov_Stream *s, ptrdiff_t n, double *x);
fov_Status fov_normal_f32 (fov_Stream *s, ptrdiff_t n, float *x);
fov_Status fov_normal_f64 (fov_Stream *s, ptrdiff_t n, double *x);

/* Integers uniform on [lo, hi], without modulo bias. */
fov_Status fov_integers (fov_Stream *s, ptrdiff_t n, int64_t lo, int64_t hi, int64_t *x);

/* A uniformly random order of 0 .. n-1. */
fov_Status fov_permutation (fov_Stream *s, ptrdiff_t n, int64_t *x);

#endif
