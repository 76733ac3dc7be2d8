/* batch.h -- small dense problems, one per element of a batch.
 *
 * A 'core' sees one problem: its inputs as column-major f64 copies it may
 * overwrite, its outputs as column-major f64 buffers it fills.  The driver goes
 * over the batch in parallel, loads, answers NaN for what is not finite,
 * stores, and names the matrix in which the maths broke down. */
#ifndef FOV_BATCH_H
#define FOV_BATCH_H

#include "tensor/tensor.h"

enum { FOV_BATCH_IN = 2, FOV_BATCH_OUT = 3 };

/* A is (m,n); B has r columns, and room for n rows if it has fewer. */
typedef struct fov_Problem {
  int m, n, r;
  double *in[FOV_BATCH_IN], *out[FOV_BATCH_OUT];
  const void *opt;
} fov_Problem;

typedef fov_Status fov_Core (fov_Problem *p);

/* in: (..., m, n) and (..., _, r), broadcast over the batch of out[0]; out[i]:
 * the batch and dims[i] core dimensions.  nin and nout
 * of them are given. */
typedef struct fov_Batch {
  fov_Core *core;
  fov_Tensor in[FOV_BATCH_IN], out[FOV_BATCH_OUT];
  int nin, nout, dims[FOV_BATCH_OUT];
  const void *opt;
  int nb;                        /* set by the driver: batch dimensions ... */
  ptrdiff_t shape[FOV_MAXDIM];   /* ... and their sizes */
} fov_Batch;

fov_Status fov_run_batch (fov_Batch *b);

#endif
