/* coding.h -- how files write elements, and the dtype each becomes here. */
#ifndef FOV_CODING_H
#define FOV_CODING_H

#include "tensor/tensor.h"

typedef struct fov_Coding {
  const char *npy, *st;         /* names in .npy and .safetensors; NULL: not used there */
  size_t size;                  /* bytes of one element in the file */
  fov_Type type;
  /* out[i] := raw[i]; 'raw' has no alignment.  NULL: the bytes are the elements. */
  void (*decode) (const char *raw, ptrdiff_t n, void *out);
} fov_Coding;

/* NULL: unknown. */
const fov_Coding *fov_coding_npy (const char *name);
const fov_Coding *fov_coding_st (const char *name);

/* The coding each dtype is written in. */
const fov_Coding *fov_coding_of (fov_Type t);

/* An array as a file describes it. */
typedef struct fov_Array {
  const fov_Coding *code;
  int ndim;
  ptrdiff_t shape[FOV_MAXDIM];
  bool fortran;                 /* the first index runs fastest */
  size_t at, bytes;             /* where its elements are in the member, how many bytes */
} fov_Array;

#endif
