/* recurrence.h -- the erase-write recurrences by their definition, one token at
 * a time in double precision and as plainly as can be, and problems to try. */
#include "ops/op.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 7 };                    /* inputs */

/* One call of an operator: inputs, results and gradients in its dtype. */
typedef struct Problem {
  const fov_Op *op;
  fov_Type type;
  ptrdiff_t n, d, e, heads;
  double opt[FOV_MAXOPT];
  fov_Call c;
} Problem;

static uint32_t state = 1;
static double uniform (double lo, double hi) {
  state = state * 1664525u + 1013904223u;
  return lo + (hi - lo) * ((state >> 8) + 0.5) / 16777216.0;
}

static void set (const fov_Tensor *t, ptrdiff_t i, double x) {
  if (t->type == FOV_F32) ((float *)t->x)[i] = (float)x;
  else ((double *)t->x)[i] = x;
}
static double get (const fov_Tensor *t, ptrdiff_t i) {
  return t->type == FOV_F32 ? (double)((float *)t->x)[i] : ((double *)t->x)[i];
}

static fov_Tensor fresh (fov_Type type, int ndim, ptrdiff_t m, ptrdiff_t n) {
  const ptrdiff_t shape[2] = { m, n };
  fov_Tensor t = fov_view(NULL, type, ndim, shape);
  t.x = calloc((size_t)fov_numel(&t) + 1, fov_type_size(type));
  return t;
}

static const fov_Op *find (const char *name, fov_Type type) {
  for (int i = 0; i < fov_op_count; i++)
    if (strcmp(fov_op_get(i, type)->name, name) == 0) return fov_op_get(i, type);
  return NULL;
}

/* Which optional inputs there are; 'vector': a gate for each row. */
typedef struct Shape { bool dplr, p, beta, g, vector, s; double glo; } Shape;

enum { Q, K, V, P, BETA, G, S };                 /* erase_write_rule */
enum { A = 3, B = 4, DG = 5, DS = 6 };           /* dplr_rule */

static Problem problem (fov_Type type, ptrdiff_t n, ptrdiff_t d, ptrdiff_t e, Shape h) {
  Problem p = { .op = find(h.dplr ? "dplr_rule" : "erase_write_rule", type), .type = type,
                .n = n, .d = d, .e = e, .heads = 1 };
  fov_Tensor *in = p.c.in;
  in[Q] = fresh(type, 2, n, d), in[K] = fresh(type, 2, n, d), in[V] = fresh(type, 2, n, e);
  if (h.dplr) in[A] = fresh(type, 2, n, d), in[B] = fresh(type, 2, n, d);
  else {
    if (h.p) in[P] = fresh(type, 2, n, d);
    if (h.beta) in[BETA] = fresh(type, 1, n, 1);
  }
  if (h.g) in[G] = fresh(type, h.vector ? 2 : 1, n, d);
  if (h.s) in[S] = fresh(type, 2, d, e);
  for (int i = 0; i < MOST; i++) {
    const ptrdiff_t size = in[i].x ? fov_numel(&in[i]) : 0;
    for (ptrdiff_t j = 0; j < size; j++) {
      double x = uniform(-1, 1);
      if (i == G) x = uniform(h.glo, 0);
      else if (i == BETA && !h.dplr) x = uniform(0, 1);
      set(&in[i], j, x);
    }
  }
  /* Keys of length 1; what erases is near what writes, or the state would grow
   * without bound and so would the rounding of any algorithm. */
  for (int i = 0; i < 5; i++) {
    if (i == V || !in[i].x || in[i].ndim != 2) continue;
    for (ptrdiff_t t = 0; t < n; t++) {
      double z = 0;
      for (ptrdiff_t j = 0; j < d; j++) {
        const ptrdiff_t at = t * d + j;
        if (i == P && !h.dplr) set(&in[P], at, 0.3 * get(&in[P], at) / sqrt(d) + get(&in[K], at));
        z += get(&in[i], at) * get(&in[i], at);
      }
      for (ptrdiff_t j = 0; j < d; j++) {
        const ptrdiff_t at = t * d + j;
        set(&in[i], at, i == B && h.dplr ? -0.7 * get(&in[A], at) + 0.1 * get(&in[K], at)
                                         : get(&in[i], at) / sqrt(z));
      }
    }
  }
  p.c.out[0] = fresh(type, 2, n, e), p.c.out[1] = fresh(type, 2, d, e);
  return p;
}

static void leave (Problem *p) {
  for (int i = 0; i < FOV_MAXARG; i++) {
    free(p->c.in[i].x), free(p->c.out[i].x), free(p->c.din[i].x), free(p->c.dout[i].x);
    p->c.in[i].x = p->c.out[i].x = p->c.din[i].x = p->c.dout[i].x = NULL;
  }
}

static fov_Status run (Problem *p, fov_Status (*kernel) (fov_Call *c)) {
  p->c.opt = p->opt;
  p->c.dim['n' - 'a'] = p->n, p->c.dim['d' - 'a'] = p->d, p->c.dim['e' - 'a'] = p->e;
  p->c.heads = p->heads;
  fov_Mark m = fov_mark();
  fov_Status s = kernel(&p->c);
  fov_release(m);
  return s;
}

static double *copy (const fov_Tensor *t) {
  double *x = malloc((size_t)(fov_numel(t) + 1) * sizeof *x);
  for (ptrdiff_t i = 0; i < fov_numel(t); i++) x[i] = get(t, i);
  return x;
}

/* The definition; o (n,e) and s (d,e) in double precision. */
static void definition (const Problem *p, double *o, double *s) {
  const ptrdiff_t n = p->n, d = p->d, e = p->e;
  const bool dplr = p->op->name[0] == 'd', vector = p->c.in[dplr ? DG : G].ndim == 2;
  double *x[MOST] = { NULL }, *r = malloc((size_t)e * sizeof *r);
  for (int i = 0; i < MOST; i++)
    if (p->c.in[i].x) x[i] = copy(&p->c.in[i]);
  const double *read = dplr ? x[A] : x[P] ? x[P] : x[K], *g = x[dplr ? DG : G];
  const double *first = x[dplr ? DS : S], *beta = dplr ? NULL : x[BETA];
  for (ptrdiff_t i = 0; i < d * e; i++) s[i] = first ? first[i] : 0;
  for (ptrdiff_t t = 0; t < n; t++) {
    memset(r, 0, (size_t)e * sizeof *r);
    for (int half = 0; half < 2; half++)         /* a reads before the decay, p after */
      for (ptrdiff_t i = 0; i < d; i++) {
        const double a = g ? exp(fmax(g[vector ? t * d + i : t], -60)) : 1;
        for (ptrdiff_t j = 0; j < e; j++)
          if (half == dplr) s[i * e + j] *= a;
          else r[j] += s[i * e + j] * read[t * d + i];
      }
    memset(o + t * e, 0, (size_t)e * sizeof *o);
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j < e; j++) {
        const double k = x[K][t * d + i], v = x[V][t * e + j];
        if (dplr) s[i * e + j] += k * v + x[B][t * d + i] * r[j];
        else s[i * e + j] += k * (beta ? beta[t] : 1) * (v - r[j]);
        o[t * e + j] += s[i * e + j] * x[Q][t * d + i];
      }
  }
  for (int i = 0; i < MOST; i++) free(x[i]);
  free(r);
}

/* |x - y| / |y|; NaN and infinities come out as such.  Results are of order
 * one: |y| counts as at least a tenth of that, for sums that nearly cancel. */
static double relative (const fov_Tensor *x, const double *y) {
  double num = 0, den = 0.01 * (double)fov_numel(x);
  for (ptrdiff_t i = 0; i < fov_numel(x); i++) {
    num += (get(x, i) - y[i]) * (get(x, i) - y[i]);
    den += y[i] * y[i];
  }
  return den > 0 ? sqrt(num / den) : sqrt(num);
}

static double worse (double a, double b) { return isnan(a) || b <= a ? a : b; }

/* Largest relative gap of outputs and last state from the definition. */
static double gap (Problem *p) {
  double *o = malloc((size_t)(p->n * p->e + 1) * sizeof *o);
  double *s = malloc((size_t)(p->d * p->e + 1) * sizeof *s);
  definition(p, o, s);
  if (run(p, p->op->fwd) != FOV_OK) return HUGE_VAL;
  double r = worse(relative(&p->c.out[0], o), relative(&p->c.out[1], s));
  free(o), free(s);
  return r;
}

static bool same (const fov_Tensor *a, const fov_Tensor *b, ptrdiff_t n) {
  return memcmp(a->x, b->x, (size_t)n * fov_type_size(a->type)) == 0;
}

/* Loss sum w.o + z.s_n with random w, z; gradients of every input wanted. */
static void seeds (Problem *p) {
  p->c.dout[0] = fresh(p->type, 2, p->n, p->e), p->c.dout[1] = fresh(p->type, 2, p->d, p->e);
  for (ptrdiff_t i = 0; i < p->n * p->e; i++) set(&p->c.dout[0], i, uniform(-1, 1));
  for (ptrdiff_t i = 0; i < p->d * p->e; i++) set(&p->c.dout[1], i, uniform(-1, 1));
  for (int i = 0; i < MOST; i++)
    if (p->c.in[i].x) {
      const fov_Tensor *t = &p->c.in[i];
      p->c.din[i] = fresh(p->type, t->ndim, t->shape[0], t->ndim > 1 ? t->shape[1] : 1);
    }
}

static double loss (Problem *p) {
  double *o = malloc((size_t)(p->n * p->e) * sizeof *o), sum = 0;
  double *s = malloc((size_t)(p->d * p->e) * sizeof *s);
  definition(p, o, s);
  for (ptrdiff_t i = 0; i < p->n * p->e; i++) sum += o[i] * get(&p->c.dout[0], i);
  for (ptrdiff_t i = 0; i < p->d * p->e; i++) sum += s[i] * get(&p->c.dout[1], i);
  free(o), free(s);
  return sum;
}

