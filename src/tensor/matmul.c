/* matmul.c -- batched matrix products; see matmul.h.
 *
 * Both operands are brought to (batch..., m, k) and (batch..., k, n) as views
 * and the product is cut into tiles by its sizes alone: batch elements,
 * columns, rows, and long k when there are few of those (partial products,
 * added in order).  Large matrices go panel by panel (panel.h), which reads any
 * strides and packs no element twice; the others to BLAS, which is given what
 * has a unit stride and a distance it accepts as it lies, else a packed copy.
 *
 * Time 2 m n k per matrix; scratch: packed operands, partial products. */
#include "tensor/matmul.h"

#include "base/pool.h"
#include "tensor/blas.h"
#include "tensor/panel.h"

#include <stdio.h>
#include <string.h>

/* A tile should have this many flops, or touch this many elements, and there
 * are at most so many tiles. */
#define TILE_FLOPS 4e6
#define TILE_ELEMENTS 262144.0
enum { MAXTILES = 32, MINCOLS = 128, MINROWS = 64, MINDEPTH = 1024 };

/* Panels pay from this many rows and terms on, a packed left operand from this
 * many panels: later where its columns are contiguous, which share no sets. */
enum { PANELROWS = 96, PANELDEPTH = 32, PACKPANELS = 5, PACKCOLUMNS = 17 };

FOV_BUILDS(fov_Panel, fov_panel);
static const fov_Panel *const panels[2][FOV_NISA] = FOV_BUILD_LIST(fov_panel);

typedef struct Side {
  fov_Tensor t;       /* (batch..., rows, columns) */
  char op;            /* 'n', or 't': its memory holds the transpose */
  ptrdiff_t ld;
} Side;

typedef struct Job {
  Side A, B, C;
  int nb;                             /* batch dimensions */
  ptrdiff_t batch, m, n, k;
  ptrdiff_t group, pm, pn, pk;        /* batch elements a task; pieces of m, n, k */
  const fov_Panel *panel;             /* NULL: BLAS */
  char *left;                         /* A packed for panels; NULL: as it lies */
  ptrdiff_t padded;
  char *part;                         /* (batch, pk, m, n) when pk > 1 */
} Job;

static ptrdiff_t least (ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t most (ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static ptrdiff_t ceil_div (ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

static const char *brackets (const fov_Tensor *t, char *s, size_t size) {
  size_t n = 0;
  s[0] = 0;
  for (int i = 0; i < t->ndim && n < size; i++)
    n += (size_t)snprintf(s + n, size - n, "%s%td", i ? "," : "", t->shape[i]);
  return s;
}

/* "(2,3) times (4,5)" and what is wrong with it. */
static fov_Status misfit (const fov_Tensor *A, const fov_Tensor *B, const char *what) {
  char a[128], b[128];
  return fov_fail(FOV_VALUE, "(%s) times (%s): %s", brackets(A, a, sizeof a),
                  brackets(B, b, sizeof b), what);
}

fov_Status fov_matmul_shape (const fov_Tensor *A, const fov_Tensor *B, int *ndim,
                             ptrdiff_t *shape) {
  if (A->ndim == 0 || B->ndim == 0) return misfit(A, B, "expected matrices or vectors");
  ptrdiff_t k = A->shape[A->ndim - 1], kb = B->shape[B->ndim - (B->ndim > 1 ? 2 : 1)];
  if (k != kb) {
    char what[64];
    snprintf(what, sizeof what, "%td columns meet %td rows", k, kb);
    return misfit(A, B, what);
  }
  int n;
  if (!fov_broadcast(A->ndim > 2 ? A->ndim - 2 : 0, A->shape, B->ndim > 2 ? B->ndim - 2 : 0,
                     B->shape, &n, shape))
    return misfit(A, B, "batch dimensions do not broadcast");
  if (A->ndim > 1) shape[n++] = A->shape[A->ndim - 2];
  if (B->ndim > 1) shape[n++] = B->shape[B->ndim - 1];
  *ndim = n;
  return FOV_OK;
}

/* 't' with a dimension of size 1 before dimension 'at'. */
static fov_Tensor insert (fov_Tensor t, int at) {
  for (int i = t.ndim++; i > at; i--) {
    t.shape[i] = t.shape[i - 1];
    t.stride[i] = t.stride[i - 1];
  }
  t.shape[at] = t.stride[at] = 1;
  return t;
}

static fov_Tensor transposed (fov_Tensor t) {
  int i = t.ndim - 1;
  ptrdiff_t n = t.shape[i], s = t.stride[i];
  t.shape[i] = t.shape[i - 1], t.stride[i] = t.stride[i - 1];
  t.shape[i - 1] = n, t.stride[i - 1] = s;
  return t;
}

/* How BLAS can read the matrices as they lie; 0: it cannot. */
static char orient (const fov_Tensor *t, ptrdiff_t *ld) {
  ptrdiff_t r = t->shape[t->ndim - 2], c = t->shape[t->ndim - 1];
  ptrdiff_t sr = t->stride[t->ndim - 2], sc = t->stride[t->ndim - 1];
  if (r <= 1 && c <= 1) return *ld = 1, 'n';
  if (c <= 1 ? sr >= 1 : sc == 1 && (r <= 1 || sr >= c)) return *ld = r <= 1 ? c : sr, 'n';
  if (r <= 1 ? sc >= 1 : sr == 1 && sc >= r) return *ld = sc, 't';
  return 0;
}

/* The side for 't', copied to scratch if need be; repeats are copied once. */
static fov_Status fit (const fov_Tensor *t, Side *s) {
  s->t = *t;
  if ((s->op = orient(t, &s->ld))) return FOV_OK;
  fov_Tensor once = *t;
  for (int i = 0; i < t->ndim - 2; i++)
    if (t->stride[i] == 0) once.shape[i] = 1;
  void *x = fov_scratch((size_t)fov_numel(&once), fov_type_size(t->type));
  if (!x) return FOV_NOMEM;
  fov_Tensor packed = fov_view(x, t->type, once.ndim, once.shape);
  fov_Status st = fov_copy(&once, &packed);
  if (st) return st;
  s->t = packed;
  for (int i = 0; i < t->ndim - 2; i++) {
    s->t.shape[i] = t->shape[i];
    if (t->stride[i] == 0) s->t.stride[i] = 0;
  }
  s->op = orient(&s->t, &s->ld);
  return FOV_OK;
}

/* Does dimension i continue dimension i + 1 in memory? */
static bool nested (const fov_Tensor *t, int i) {
  return t->stride[i] == t->shape[i + 1] * t->stride[i + 1];
}

/* (b, m, k) (k, n) is (b m, k) (k, n) where A's rows run on. */
static void merge (fov_Tensor *a, fov_Tensor *b, fov_Tensor *c) {
  while (a->ndim > 2) {
    int i = a->ndim - 3;
    bool one = a->shape[i] == 1;
    if (!one && !(b->stride[i] == 0 && nested(a, i) && nested(c, i))) return;
    fov_Tensor *all[3] = { a, b, c };
    for (int j = 0; j < 3; j++) {
      fov_Tensor *t = all[j];
      if (!one && t != b) t->shape[i + 1] *= t->shape[i];
      memmove(t->shape + i, t->shape + i + 1, 2 * sizeof *t->shape);
      memmove(t->stride + i, t->stride + i + 1, 2 * sizeof *t->stride);
      t->ndim--;
    }
  }
}

static void cut (Job *j) {
  double flops = 2.0 * (double)j->m * (double)j->n * (double)j->k;
  double words = (double)j->m * (double)j->k + (double)j->k * (double)j->n +
                 (double)j->m * (double)j->n;
  double tiles = flops / TILE_FLOPS;
  if (words / TILE_ELEMENTS > tiles) tiles = words / TILE_ELEMENTS;
  const fov_Panel *p = panels[j->C.t.type][fov_isa()];
  bool large = tiles >= 2 && j->m >= PANELROWS && j->n >= p->width && j->k >= PANELDEPTH;
  j->panel = large ? p : NULL;
  tiles *= (double)j->batch;
  ptrdiff_t want = tiles > MAXTILES ? MAXTILES : tiles < 1 ? 1 : (ptrdiff_t)tiles;
  j->group = j->pm = j->pn = j->pk = 1;
  if (j->batch >= want) {
    j->group = ceil_div(j->batch, want);
    return;
  }
  want = ceil_div(want, j->batch);
  j->pn = most(1, least(want, large ? ceil_div(j->n, p->width) : j->n / MINCOLS));
  /* each cut of the rows packs B's panels once more: only for want of columns */
  if (large) j->pm = most(1, least(ceil_div(least(want, 8), j->pn), j->m / (2 * PANELROWS)));
  else j->pm = most(1, least(ceil_div(want, j->pn), j->m / MINROWS));
  j->pk = most(1, least(want / (j->pn * j->pm), j->k / MINDEPTH));
}

/* Where piece i of p of a size n begins: at a multiple of 'unit'. */
static ptrdiff_t bound (ptrdiff_t n, ptrdiff_t p, ptrdiff_t i, ptrdiff_t unit) {
  return i == p ? n : ceil_div(n, unit) * i / p * unit;
}

static char *element (const Side *s, int nb, ptrdiff_t e) {
  ptrdiff_t o = 0;
  for (int i = nb - 1; i >= 0; i--) {
    o += e % s->t.shape[i] * s->t.stride[i];
    e /= s->t.shape[i];
  }
  return (char *)s->t.x + o * (ptrdiff_t)fov_type_size(s->t.type);
}

/* C[i.., j..] = A[i.., p..] B[p.., j..] for one tile. */
static fov_Status tile (const Job *J, ptrdiff_t e, ptrdiff_t i, ptrdiff_t m, ptrdiff_t j,
                  ptrdiff_t n, ptrdiff_t p, ptrdiff_t k, void *C, ptrdiff_t ldc) {
  const Side *A = &J->A, *B = &J->B;
  fov_Type t = A->t.type;
  ptrdiff_t size = (ptrdiff_t)fov_type_size(t);
  const char *a = element(A, J->nb, e), *b = element(B, J->nb, e);
  if (J->panel) {
    const ptrdiff_t *sa = A->t.stride + J->nb, *sb = B->t.stride + J->nb;
    fov_Left left = { a, sa[0], sa[1], J->left ? J->padded : 0 };
    if (J->left) left.x = J->left + e * J->padded * J->k * size;
    return J->panel->product(i, p, m, n, k, &left, b + (p * sb[0] + j * sb[1]) * size, sb[0],
                             sb[1], C, ldc);
  }
  a += (A->op == 'n' ? i * A->ld + p : p * A->ld + i) * size;
  b += (B->op == 'n' ? p * B->ld + j : j * B->ld + p) * size;
  if (n == 1 && ldc == 1 && (B->op == 't' || B->ld == 1)) {
    if (A->op == 'n') fov_gemv(t, 'n', m, k, 1, a, A->ld, b, 0, C);
    else fov_gemv(t, 't', k, m, 1, a, A->ld, b, 0, C);
  }
  else if (m == 1 && (A->op == 'n' || A->ld == 1)) {
    if (B->op == 't') fov_gemv(t, 'n', n, k, 1, b, B->ld, a, 0, C);
    else fov_gemv(t, 't', k, n, 1, b, B->ld, a, 0, C);
  }
  else fov_gemm(t, A->op, B->op, m, n, k, 1, a, A->ld, b, B->ld, 0, C, ldc);
  return FOV_OK;
}

static fov_Status task (void *arg, ptrdiff_t at) {
  const Job *J = arg;
  ptrdiff_t size = (ptrdiff_t)fov_type_size(J->C.t.type);
  ptrdiff_t in = at % J->pn, ik = at / J->pn % J->pk, im = at / (J->pn * J->pk) % J->pm;
  ptrdiff_t e = at / (J->pk * J->pn * J->pm) * J->group;
  ptrdiff_t w = J->panel ? J->panel->width : 16, d = J->panel ? J->panel->depth : 16;
  ptrdiff_t i = bound(J->m, J->pm, im, 48), m = bound(J->m, J->pm, im + 1, 48) - i;
  ptrdiff_t j = bound(J->n, J->pn, in, w), n = bound(J->n, J->pn, in + 1, w) - j;
  ptrdiff_t p = bound(J->k, J->pk, ik, d), k = bound(J->k, J->pk, ik + 1, d) - p;
  for (ptrdiff_t last = least(e + J->group, J->batch); e < last; e++) {
    char *C = element(&J->C, J->nb, e);
    ptrdiff_t ldc = J->C.ld;
    if (J->pk > 1) C = J->part + (e * J->pk + ik) * J->m * J->n * size, ldc = J->n;
    fov_Mark mark = fov_mark();
    fov_Status s = tile(J, e, i, m, j, n, p, k, C + (i * ldc + j) * size, ldc);
    if (s) return s;
    fov_release(mark);
  }
  return FOV_OK;
}

/* One task per 96 rows of A. */
enum { PACKROWS = 96 };
static fov_Status pack_left (void *arg, ptrdiff_t at) {
  const Job *J = arg;
  ptrdiff_t count = ceil_div(J->m, PACKROWS), e = at / count, i = at % count * PACKROWS;
  const ptrdiff_t *sa = J->A.t.stride + J->nb;
  fov_Left left = { element(&J->A, J->nb, e), sa[0], sa[1], 0 };
  size_t size = fov_type_size(J->A.t.type);
  J->panel->pack(i, least(i + PACKROWS, J->m), J->m, J->k, &left,
                 J->left + (size_t)(e * J->padded * J->k) * size);
  return FOV_OK;
}

/* C[e] = sum over pieces of k, in their order; one task per row. */
static fov_Status add_parts (void *arg, ptrdiff_t at) {
  const Job *J = arg;
  ptrdiff_t e = at / J->m, i = at % J->m, n = J->n, step = J->m * n;
  ptrdiff_t from = e * J->pk * step + i * n, to = i * J->C.ld;
  if (J->C.t.type == FOV_F32) {
    const float *x = (const float *)(void *)J->part + from;
    float *C = (float *)(void *)element(&J->C, J->nb, e) + to;
    for (ptrdiff_t j = 0; j < n; j++) C[j] = x[j] + x[j + step];
    for (ptrdiff_t q = 2; q < J->pk; q++)
      for (ptrdiff_t j = 0; j < n; j++) C[j] += x[j + q * step];
  } else {
    const double *x = (const double *)(void *)J->part + from;
    double *C = (double *)(void *)element(&J->C, J->nb, e) + to;
    for (ptrdiff_t j = 0; j < n; j++) C[j] = x[j] + x[j + step];
    for (ptrdiff_t q = 2; q < J->pk; q++)
      for (ptrdiff_t j = 0; j < n; j++) C[j] += x[j + q * step];
  }
  return FOV_OK;
}

fov_Status fov_matmul (const fov_Tensor *A, const fov_Tensor *B, const fov_Tensor *C) {
  if (fov_numel(C) == 0) return FOV_OK;
  if (A->shape[A->ndim - 1] == 0) {
    double zero = 0;
    fov_Tensor z = fov_view(&zero, FOV_F64, 0, NULL);
    z = fov_expand(&z, C->ndim, C->shape);
    return fov_copy(&z, C);
  }
  fov_Tensor a = A->ndim > 1 ? *A : insert(*A, 0), b = B->ndim > 1 ? *B : insert(*B, 1);
  fov_Tensor c = *C;
  if (B->ndim == 1) c = insert(c, c.ndim);
  if (A->ndim == 1) c = insert(c, c.ndim - 1);

  ptrdiff_t shape[FOV_MAXDIM];
  int nb = c.ndim - 2;
  memcpy(shape, c.shape, (size_t)nb * sizeof *shape);
  shape[nb] = a.shape[a.ndim - 2], shape[nb + 1] = a.shape[a.ndim - 1];
  a = fov_expand(&a, nb + 2, shape);
  shape[nb] = b.shape[b.ndim - 2], shape[nb + 1] = b.shape[b.ndim - 1];
  b = fov_expand(&b, nb + 2, shape);
  merge(&a, &b, &c);

  Job J = { .nb = c.ndim - 2 };
  fov_Status s = FOV_OK;
  fov_Tensor out = c;
  char way = orient(&c, &J.C.ld);
  if (way == 't') {                    /* C' = B' A' */
    fov_Tensor swap = transposed(a);
    a = transposed(b), b = swap, c = transposed(c);
    orient(&c, &J.C.ld);
  }
  if (way == 0) {
    void *x = fov_scratch((size_t)fov_numel(&c), fov_type_size(c.type));
    if (!x) return FOV_NOMEM;
    c = fov_view(x, c.type, c.ndim, c.shape);
    J.C.ld = c.shape[c.ndim - 1];
  }
  J.C.t = c;
  J.m = c.shape[J.nb], J.n = c.shape[J.nb + 1], J.k = a.shape[J.nb + 1];
  J.batch = 1;
  for (int i = 0; i < J.nb; i++) J.batch *= c.shape[i];
  cut(&J);
  if (J.panel) {
    J.A.t = a, J.B.t = b;
    J.padded = ceil_div(J.m, J.panel->rows) * J.panel->rows;
    const ptrdiff_t few = (a.stride[J.nb] == 1 ? PACKCOLUMNS : PACKPANELS) - 1;
    if (J.n > few * J.panel->width) {
      J.left = fov_scratch((size_t)(J.batch * J.padded * J.k), fov_type_size(c.type));
      if (!J.left) return FOV_NOMEM;
      s = fov_parallel(J.batch * ceil_div(J.m, PACKROWS), pack_left, &J);
      if (s) return s;
    }
  }
  else if ((s = fit(&a, &J.A)) || (s = fit(&b, &J.B))) return s;
  if (J.pk > 1) {
    J.part = fov_scratch((size_t)(J.batch * J.pk * J.m * J.n), fov_type_size(c.type));
    if (!J.part) return FOV_NOMEM;
  }
  ptrdiff_t tasks = ceil_div(J.batch, J.group) * J.pm * J.pn * J.pk;
  s = tasks == 1 ? task(&J, 0) : fov_parallel(tasks, task, &J);
  if (s == FOV_OK && J.pk > 1) s = fov_parallel(J.batch * J.m, add_parts, &J);
  return s == FOV_OK && way == 0 ? fov_copy(&c, &out) : s;
}
