/* chunked.h -- the additive recurrence cut along time, chunks in parallel.
 *
 * From the state S_h before chunk h, with P_t the product of the gates after t
 * inside the chunk and P the product of all of them,
 *
 *   S_{h+1} = P S_h + sum_t P_t k_t v_t'
 *
 * (i) the sums of all chunks in parallel, (ii) a serial scan over the chunks,
 * (iii) all outputs in parallel, each chunk from its own S_h.  Time 6nde flops
 * against 4nde of one pass; scratch de per chunk.  Products of gates are
 * formed by multiplication, never as a quotient, so any gate in [0,1] is safe. */
#ifndef FOV_CHUNKED_H
#define FOV_CHUNKED_H

#include "tensor/recur.h"

typedef struct fov_ChunkedKernels {
  fov_Status (*run) (const fov_Recur *r, ptrdiff_t chunk);
} fov_ChunkedKernels;

extern const fov_ChunkedKernels FOV_BUILD(fov_chunked);

#endif
