/* lanes.h -- Philox blocks side by side in vector lanes, and what is made of
 * them; private to rng.c.  One build per instruction-set level, the same bits
 * from each. */
#ifndef FOV_LANES_H
#define FOV_LANES_H

#include "base/cpu.h"
#include "base/pool.h"
#include "base/rng.h"

#include <stdbool.h>

#define FOV_PHILOX_M0 0xD2511F53u
#define FOV_PHILOX_M1 0xCD9E8D57u
#define FOV_PHILOX_W0 0x9E3779B9u
#define FOV_PHILOX_W1 0xBB67AE85u

/* WORDS: 64-bit integers.  Four f32 or two 64-bit values to the block. */
typedef enum fov_Draw {
  FOV_WORDS, FOV_UNIFORM_F32, FOV_UNIFORM_F64, FOV_NORMAL_F32, FOV_NORMAL_F64, FOV_NDRAW
} fov_Draw;

/* Writes 'n' values to 'x' from block 'at' on. */
typedef void fov_Lanes (const fov_Stream *s, uint64_t at, ptrdiff_t n, void *x);

extern fov_Lanes *const fov_lanes[FOV_NISA][FOV_NDRAW];

#endif
