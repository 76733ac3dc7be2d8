/* element.h -- functions applied element by element.
 *
 * A function is one line of a table in src/tensor/kernels (unary.c, binary.c)
 * and its kernel: name, number of arguments and documentation come from that
 * line, here and in Lua.  A line in integer.c gives it an exact i64 form. */
#ifndef FOV_ELEMENT_H
#define FOV_ELEMENT_H

#include "tensor/tensor.h"

#define FOV_MAXIN 3

/* y[i] := f(x0[i*s0], x1[i*s1], ..), i < n; each s is 1, or 0 for one value
 * against a run; a function of one argument always gets 1. */
typedef fov_Status fov_Kernel (const void *const x[], const ptrdiff_t s[], void *y,
                               ptrdiff_t n);

typedef struct fov_Element {
  const char *name;
  int nin;
  bool test;            /* the result is a mask (u8), not a number */
  bool heavy;           /* worth a thread from a few thousand elements on */
  fov_Kernel *fn;
  const char *doc;
} fov_Element;

/* One file's table. */
typedef struct fov_Elements { const fov_Element *list; int n; } fov_Elements;

/* Function number 'id' for 'real'; NULL past the last. */
const fov_Element *fov_element (int id, fov_Type real);
int fov_element_find (const char *name);   /* -1: there is none */

/* The dtype two arguments meet in: f64 before f32 before i64 (u8 counts as
 * i64). */
fov_Type fov_promote (fov_Type a, fov_Type b);

/* The dtype function 'id' computes in, given the promoted one of its
 * arguments: integers without an integer form compute in f32. */
fov_Type fov_compute_type (int id, fov_Type promoted);

/* out := f(in[0], ..): each broadcasts to out's shape; computed in the dtype
 * above, then cast to out's.  An input may share memory with 'out'. */
fov_Status fov_apply (int id, const fov_Tensor *const in[], const fov_Tensor *out);

/* The i64 form of the function called 'name', or NULL (integer.c). */
fov_Kernel *fov_integer (const char *name);

#endif
