/* element.c -- drives elementwise kernels over strided tensors.
 *
 * Work is cut into blocks of a fixed number of elements of the row-major
 * sequence.  In a block, an argument that is contiguous and of the right
 * dtype is read in place; any other goes through a buffer of CHUNK elements. */
#include "tensor/element.h"

#include "base/pool.h"
#include "tensor/build.h"
#include "tensor/flat.h"

#include <string.h>

enum { CHUNK = 512, LIGHT = 1 << 15, HEAVY = 1 << 12 };

FOV_BUILDS(fov_Elements, fov_unary);
FOV_BUILDS(fov_Elements, fov_binary);
static const fov_Elements *const tables[][2][FOV_NISA] = {
  FOV_BUILD_LIST(fov_unary), FOV_BUILD_LIST(fov_binary)
};
enum { NTABLE = sizeof tables / sizeof tables[0] };

const fov_Element *fov_element (int id, fov_Type real) {
  for (int t = 0; t < NTABLE; t++) {
    const fov_Elements *e = tables[t][real][fov_isa()];
    if (id < e->n) return &e->list[id];
    id -= e->n;
  }
  return NULL;
}

int fov_element_find (const char *name) {
  const fov_Element *e;
  for (int id = 0; (e = fov_element(id, FOV_F32)); id++)
    if (strcmp(e->name, name) == 0) return id;
  return -1;
}

fov_Type fov_promote (fov_Type a, fov_Type b) {
  if (a == FOV_F64 || b == FOV_F64) return FOV_F64;
  return a == FOV_F32 || b == FOV_F32 ? FOV_F32 : FOV_I64;
}

fov_Type fov_compute_type (int id, fov_Type promoted) {
  if (fov_is_real(promoted)) return promoted;
  return fov_integer(fov_element(id, FOV_F32)->name) ? FOV_I64 : FOV_F32;
}

typedef struct Job {
  fov_Kernel *fn;
  fov_Type type, made;          /* computed in; what the kernel stores */
  int nin;
  fov_Tensor in[FOV_MAXIN], out;   /* squashed */
  bool direct[FOV_MAXIN + 1];      /* the last is out's */
  ptrdiff_t step[FOV_MAXIN];
  double value[FOV_MAXIN];         /* the one value of a repeated input */
  ptrdiff_t n, grain;
} Job;

static fov_Status block (void *arg, ptrdiff_t task) {
  const Job *J = arg;
  _Alignas(64) double buffer[FOV_MAXIN + 1][CHUNK];
  ptrdiff_t i = task * J->grain, end = i + J->grain < J->n ? i + J->grain : J->n;
  ptrdiff_t size = (ptrdiff_t)fov_type_size(J->type), made = (ptrdiff_t)fov_type_size(J->made);
  bool direct = true;
  for (int k = 0; k <= J->nin; k++) direct = direct && J->direct[k];
  while (i < end) {
    ptrdiff_t n = direct || end - i < CHUNK ? end - i : CHUNK;
    const void *x[FOV_MAXIN];
    for (int k = 0; k < J->nin; k++) {
      if (J->step[k] == 0) x[k] = &J->value[k];
      else if (J->direct[k]) x[k] = (const char *)J->in[k].x + i * size;
      else fov_pull(&J->in[k], i, n, J->type, (void *)buffer[k]), x[k] = buffer[k];
    }
    void *y = J->direct[J->nin] ? (char *)J->out.x + i * made : (char *)buffer[FOV_MAXIN];
    fov_Status s = J->fn(x, J->step, y, n);
    if (s != FOV_OK) return s;
    if (!J->direct[J->nin]) fov_push(&J->out, i, n, J->made, y);
    i += n;
  }
  return FOV_OK;
}

static bool straight (const fov_Tensor *t, fov_Type type) {
  return t->type == type && t->ndim == 1 && (t->stride[0] == 1 || t->shape[0] == 1);
}

static fov_Status run (Job *J) {
  ptrdiff_t tasks = (J->n + J->grain - 1) / J->grain;
  if (tasks > 1) return fov_parallel(tasks, block, J);
  return block(J, 0);
}

/* Every input is a run like 'out' or one value, nothing is cast, and none
 * overlaps 'out' askew; then 'step' says which is which. */
static bool plain (const fov_Tensor *const in[], int nin, fov_Type type,
                   const fov_Tensor *out, fov_Type made, ptrdiff_t n, ptrdiff_t *step) {
  const char *y = out->x, *end = y + n * (ptrdiff_t)fov_type_size(made);
  ptrdiff_t size = (ptrdiff_t)fov_type_size(type);
  if (out->type != made || !fov_contiguous(out)) return false;
  for (int k = 0; k < nin; k++) {
    const char *x = in[k]->x;
    bool run = fov_same_shape(in[k], out) && fov_contiguous(in[k]);
    bool one = !run && in[k]->ndim == 0 && nin > 1;
    step[k] = run;
    if (in[k]->type != type || !(run || one)) return false;
    bool apart = end <= x || x + (run ? n : 1) * size <= y;
    if (!apart && !(run && x == y && type == made)) return false;
  }
  return true;
}

fov_Status fov_apply (int id, const fov_Tensor *const in[], const fov_Tensor *out) {
  fov_Type type = in[0]->type;
  int nin = fov_element(id, FOV_F32)->nin;
  for (int k = 1; k < nin; k++) type = fov_promote(type, in[k]->type);
  if (nin == 1 && type == FOV_U8) type = FOV_I64;
  type = fov_compute_type(id, type);
  const fov_Element *e = fov_element(id, fov_is_real(type) ? type : FOV_F32);
  fov_Type made = e->test ? FOV_U8 : type;
  ptrdiff_t n = fov_numel(out), grain = e->heavy ? HEAVY : LIGHT;
  if (n == 0) return FOV_OK;
  ptrdiff_t step[FOV_MAXIN];
  if (n <= grain && fov_is_real(type) && plain(in, nin, type, out, made, n, step)) {
    const void *x[FOV_MAXIN] = { in[0]->x, nin > 1 ? in[1]->x : NULL, nin > 2 ? in[2]->x : NULL };
    return e->fn(x, step, out->x, n);
  }
  Job J = { .fn = fov_is_real(type) ? e->fn : fov_integer(e->name), .type = type,
            .made = made, .nin = nin, .n = n, .grain = grain };
  fov_Mark mark = fov_mark();
  fov_Status s = FOV_OK;
  for (int k = 0; k < nin && s == FOV_OK; k++) {
    fov_Tensor t = fov_expand(in[k], out->ndim, out->shape);
    s = fov_shield(&t, out);
    J.in[k] = fov_squash(&t);
    J.direct[k] = straight(&J.in[k], type);
    J.step[k] = 1;
    if (nin > 1 && J.in[k].ndim == 1 && J.in[k].stride[0] == 0) {
      fov_pull(&J.in[k], 0, 1, type, &J.value[k]);
      J.step[k] = 0;
      J.direct[k] = true;
    }
  }
  J.out = fov_squash(out);
  J.direct[nin] = straight(&J.out, J.made);
  if (s == FOV_OK) s = run(&J);
  fov_release(mark);
  return s;
}
