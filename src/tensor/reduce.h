/* reduce.h -- sums, extremes and their kind over sets of dimensions; functions
 * of whole rows (softmax, running sums).
 *
 * The elements an output is made of are taken in row-major order, cut into
 * runs of FOV_RUN, and the runs' parts merged in order in double precision:
 * the same bits at any thread count. */
#ifndef FOV_REDUCE_H
#define FOV_REDUCE_H

#include "tensor/tensor.h"

#define FOV_RUN 1024

typedef enum fov_Reduce {
  FOV_SUM, FOV_MEAN, FOV_PROD, FOV_VAR, FOV_STD, FOV_NORM1, FOV_NORM2, FOV_NORMINF,
  FOV_LOGSUMEXP, FOV_MAX, FOV_MIN, FOV_ARGMAX, FOV_ARGMIN, FOV_ANY, FOV_ALL, FOV_NREDUCE
} fov_Reduce;

/* What is known of some elements: a, b, i mean what the reduction needs (see
 * kernels/reduce.c); v is an extreme among integers; n counts them. */
typedef struct fov_Part { double a, b; int64_t i, v, n; } fov_Part;

/* The part of n <= FOV_RUN contiguous elements. */
typedef void fov_Fold (const void *x, ptrdiff_t n, fov_Part *p);
typedef struct fov_Folds {
  fov_Fold *fold[FOV_NREDUCE];
  /* acc[j] += sum over r < rows of x[r*step + j], j < n */
  void (*sum_rows) (const void *x, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t n, double *acc);
} fov_Folds;

/* part.c: the part of no elements, p := p then q, the result of all. */
fov_Part fov_part_none (fov_Reduce r);
void fov_part_merge (fov_Reduce r, fov_Part *p, const fov_Part *q);
double fov_part_value (fov_Reduce r, const fov_Part *p, double correction);
extern fov_Fold *const fov_fold_i64[FOV_NREDUCE];   /* NULL: fold as f64 */

/* The dtype of the result for elements of dtype 't'. */
fov_Type fov_reduce_type (fov_Reduce r, fov_Type t);

/* out := r of x over the dimensions whose bit is set in 'dims'.  'out' is
 * contiguous, of the dtype above, and has a number of elements equal to the
 * product of the other sizes.  'correction': var and std divide by n minus
 * it.  FOV_VALUE: an extreme of no elements. */
fov_Status fov_reduce (fov_Reduce r, const fov_Tensor *x, unsigned dims, double correction,
                       const fov_Tensor *out);

typedef enum fov_Row { FOV_SOFTMAX, FOV_LOG_SOFTMAX, FOV_CUMSUM, FOV_NROW } fov_Row;

/* y := f(x) for one contiguous row; x and y may be the same. */
typedef void fov_Rowfn (const void *x, void *y, ptrdiff_t n);
typedef struct fov_Rowfns { fov_Rowfn *fn[FOV_NROW]; } fov_Rowfns;

/* y := f of each row of x along 'dim'; y has x's shape, is contiguous, and is
 * real, or i64 for the running sum of integers. */
fov_Status fov_rows (fov_Row f, const fov_Tensor *x, int dim, const fov_Tensor *y);

#endif
