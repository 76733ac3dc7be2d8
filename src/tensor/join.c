/* join.c -- see join.h.  All of it is copies between views. */
#include "tensor/join.h"

fov_Tensor fov_part (const fov_Tensor *t, int dim, ptrdiff_t from, ptrdiff_t n) {
  fov_Tensor v = *t;
  v.x = (char *)t->x + from * t->stride[dim] * (ptrdiff_t)fov_type_size(t->type);
  v.shape[dim] = n;
  return v;
}

fov_Status fov_cat (int n, const fov_Tensor *const x[], int dim, const fov_Tensor *out) {
  ptrdiff_t at = 0;
  fov_Status s = FOV_OK;
  for (int i = 0; i < n && s == FOV_OK; i++) {
    fov_Tensor v = fov_part(out, dim, at, x[i]->shape[dim]);
    s = fov_copy(x[i], &v);
    at += x[i]->shape[dim];
  }
  return s;
}

fov_Status fov_roll (const fov_Tensor *x, int dim, ptrdiff_t shift, const fov_Tensor *out) {
  ptrdiff_t n = x->shape[dim], k = n ? (shift % n + n) % n : 0;
  fov_Tensor front = fov_part(x, dim, 0, n - k), back = fov_part(x, dim, n - k, k);
  return fov_cat(2, (const fov_Tensor *const[]){ &back, &front }, dim, out);
}

fov_Status fov_pad (const fov_Tensor *x, const ptrdiff_t *before, const fov_Tensor *value,
                    const fov_Tensor *out) {
  fov_Tensor core = *out;       /* shrinks dimension by dimension to x's place */
  fov_Status s = FOV_OK;
  for (int k = 0; k < x->ndim && s == FOV_OK; k++) {
    ptrdiff_t end = before[k] + x->shape[k];
    fov_Tensor front = fov_part(&core, k, 0, before[k]);
    fov_Tensor back = fov_part(&core, k, end, core.shape[k] - end);
    s = fov_copy(value, &front);
    if (s == FOV_OK) s = fov_copy(value, &back);
    core = fov_part(&core, k, before[k], x->shape[k]);
  }
  return s == FOV_OK ? fov_copy(x, &core) : s;
}

fov_Status fov_tile (const fov_Tensor *x, const fov_Tensor *out) {
  fov_Tensor done = *out;       /* grows from x's shape to out's, last dimension first */
  if (fov_numel(out) == 0) return FOV_OK;
  for (int k = 0; k < x->ndim; k++) done.shape[k] = x->shape[k];
  fov_Status s = fov_copy(x, &done);
  for (int k = x->ndim - 1; k >= 0; k--)
    for (ptrdiff_t have = x->shape[k], n; have < out->shape[k] && s == FOV_OK; have += n) {
      n = out->shape[k] - have < have ? out->shape[k] - have : have;
      fov_Tensor from = fov_part(&done, k, 0, n), to = fov_part(&done, k, have, n);
      s = fov_copy(&from, &to);
      done.shape[k] = have + n;
    }
  return s;
}
