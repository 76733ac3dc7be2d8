/* softmax_case.h -- one case of exact attention, its definition as a double
 * loop in f64 with its gradients, and the operator's run of it. */
#include "ops/op.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Q, K, V, BIAS, LENGTH, SLOPES, SINK, NIN };
enum { CAUSAL, ALIGN, SCALE, WINDOW, LEFT, RIGHT, ALIBI, SOFTCAP, NOPT };
enum { O, LSE, NOUT };

typedef struct Case {
  ptrdiff_t n, m, d, e, head, heads;
  double opt[NOPT];
  bool has[NIN];
  int64_t length;
  double *x[NIN], *g[NOUT];               /* inputs; dL/do, dL/dlse */
  double *y[NOUT], *dx[NIN];              /* the definition's results */
} Case;

static uint64_t seed = 1;
static double uniform (void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 11) * 0x1p-53;
}
static ptrdiff_t below (ptrdiff_t n) { return (ptrdiff_t)(uniform() * (double)n); }
static double normal (void) {
  double s = -6;
  for (int i = 0; i < 12; i++) s += uniform();
  return s;
}

static ptrdiff_t size_in (const Case *c, int i) {
  const ptrdiff_t size[] = { c->n * c->d, c->m * c->d, c->m * c->e, c->n * c->m, 0, 1, 1 };
  return size[i];
}
static ptrdiff_t size_out (const Case *c, int i) { return i == O ? c->n * c->e : c->n; }

static double *draw (ptrdiff_t n, double by) {
  double *x = malloc(((size_t)n + 1) * sizeof *x);
  for (ptrdiff_t i = 0; i < n; i++) x[i] = (double)(float)(by * normal());
  return x;
}

static void fill_case (Case *c, double by) {
  const double amount[] = { by, 1, 1, 1, 0, 0.3, 1 };
  for (int i = 0; i < NIN; i++)
    if (i != LENGTH) c->x[i] = draw(size_in(c, i), amount[i]), c->dx[i] = draw(size_in(c, i), 0);
  for (int i = 0; i < NOUT; i++) c->g[i] = draw(size_out(c, i), 1), c->y[i] = draw(size_out(c, i), 0);
  if (c->has[BIAS])                       /* some pairs, some tiles hidden by the bias */
    for (ptrdiff_t i = 0; i < c->n; i++)
      for (ptrdiff_t j = 0; j < c->m; j++)
        if (uniform() < 0.1 || (j >= 64 && j < 320 && c->head == 1)) c->x[BIAS][i * c->m + j] = -INFINITY;
}

static void free_case (Case *c) {
  for (int i = 0; i < NIN; i++) free(c->x[i]), free(c->dx[i]);
  for (int i = 0; i < NOUT; i++) free(c->g[i]), free(c->y[i]);
}

static double slope (const Case *c) {
  if (c->has[SLOPES]) return c->x[SLOPES][0];
  if (c->opt[ALIBI] == 0) return 0;
  int H2 = 1, h = (int)c->head + 1;
  while (2 * H2 <= c->heads) H2 *= 2;
  return h <= H2 ? pow(pow(2, -8.0 / H2), h) : pow(pow(2, -4.0 / H2), 2 * (h - H2) - 1);
}

/* The definition.  Fills y, and dx when 'back'; returns L = go.o + glse.lse. */
static double define (Case *c, bool back) {
  ptrdiff_t n = c->n, m = c->m, d = c->d, e = c->e;
  ptrdiff_t off = c->opt[ALIGN] == 0 ? m - n : 0, end = c->has[LENGTH] ? (ptrdiff_t)c->length : m;
  double scale = isnan(c->opt[SCALE]) ? 1 / sqrt((double)d) : c->opt[SCALE], L = 0;
  double cap = c->opt[SOFTCAP], a = slope(c);
  double left = isnan(c->opt[LEFT]) ? c->opt[WINDOW] : c->opt[LEFT];
  double right = isnan(c->opt[RIGHT]) ? c->opt[WINDOW] : c->opt[RIGHT];
  double *s = malloc((size_t)m * sizeof *s + 8), *t = malloc((size_t)m * sizeof *t + 8);
  for (int i = 0; back && i < NIN; i++)
    if (c->dx[i]) memset(c->dx[i], 0, (size_t)size_in(c, i) * sizeof(double));
  for (ptrdiff_t i = 0; i < n; i++) {
    const double *q = c->x[Q] + i * d, *go = c->g[O] + i * e;
    double top = c->has[SINK] ? c->x[SINK][0] : -INFINITY, sum = 0, dot = 0;
    double *o = c->y[O] + i * e;
    for (ptrdiff_t j = 0; j < m; j++) {
      ptrdiff_t at = j - i - off;
      bool seen = j < end && !(c->opt[CAUSAL] != 0 && at > 0) && !(left >= 0 && (double)-at > left)
                  && !(right >= 0 && (double)at > right);
      s[j] = -INFINITY;
      if (!seen) continue;
      double x = 0;
      for (ptrdiff_t k = 0; k < d; k++) x += q[k] * c->x[K][j * d + k];
      x *= scale;
      t[j] = cap != 0 ? tanh(x / cap) : 0;
      s[j] = (cap != 0 ? cap * t[j] : x) - a * (double)labs(at)
             + (c->has[BIAS] ? c->x[BIAS][i * m + j] : 0);
      if (s[j] > top) top = s[j];
    }
    memset(o, 0, (size_t)e * sizeof *o);
    c->y[LSE][i] = -INFINITY;
    if (top == -INFINITY) continue;
    double sink = c->has[SINK] ? exp(c->x[SINK][0] - top) : 0;
    sum = sink;
    for (ptrdiff_t j = 0; j < m; j++) sum += exp(s[j] - top);
    for (ptrdiff_t j = 0; j < m; j++) {
      s[j] = exp(s[j] - top) / sum;
      for (ptrdiff_t k = 0; s[j] != 0 && k < e; k++) o[k] += s[j] * c->x[V][j * e + k];
    }
    c->y[LSE][i] = top + log(sum);
    for (ptrdiff_t k = 0; k < e; k++) dot += go[k] * o[k];
    L += dot + c->g[LSE][i] * c->y[LSE][i];
    if (!back) continue;
    double D = dot - c->g[LSE][i];
    c->dx[SINK][0] -= sink / sum * D;
    for (ptrdiff_t j = 0; j < m; j++) {
      if (s[j] == 0) continue;
      double dp = 0, ds, dx;
      for (ptrdiff_t k = 0; k < e; k++) {
        dp += go[k] * c->x[V][j * e + k];
        c->dx[V][j * e + k] += s[j] * go[k];
      }
      ds = s[j] * (dp - D);
      dx = scale * ds * (cap != 0 ? 1 - t[j] * t[j] : 1);
      c->dx[BIAS][i * m + j] = ds;
      c->dx[SLOPES][0] -= ds * (double)labs(j - i - off);
      for (ptrdiff_t k = 0; k < d; k++) {
        c->dx[Q][i * d + k] += dx * c->x[K][j * d + k];
        c->dx[K][j * d + k] += dx * q[k];
      }
    }
  }
  free(s);
  free(t);
  return L;
}

/* ---- the operator ------------------------------------------------------- */

typedef struct Run { fov_Call c; fov_Type type; double *y[NOUT], *dx[NIN]; } Run;

static const fov_Op *operator (fov_Type type) {
  for (int i = 0; i < fov_op_count; i++)
    if (strcmp(fov_op_get(i, type)->name, "softmax_attention") == 0) return fov_op_get(i, type);
  abort();
}

/* A block of exactly n reals, so that a sanitizer sees what lies beyond. */
static void *cast (const double *x, ptrdiff_t n, fov_Type type) {
  void *y = malloc((size_t)n * fov_type_size(type) + (n == 0));
  for (ptrdiff_t i = 0; i < n; i++)
    if (type == FOV_F32) ((float *)y)[i] = (float)x[i]; else ((double *)y)[i] = x[i];
  return y;
}
static double at (const void *x, ptrdiff_t i, fov_Type type) {
  return type == FOV_F32 ? ((const float *)x)[i] : ((const double *)x)[i];
}
static double *widen (void *x, ptrdiff_t n, fov_Type type) {
  double *y = malloc((size_t)n * sizeof *y + 8);
  for (ptrdiff_t i = 0; i < n; i++) y[i] = at(x, i, type);
  free(x);
  return y;
}

static void run (const Case *k, fov_Type type, bool back, Run *r) {
  const fov_Op *op = operator(type);
  fov_Call *c = &r->c;
  int64_t length = k->length;
  memset(r, 0, sizeof *r);
  c->opt = k->opt;
  c->dim['n' - 'a'] = k->n, c->dim['m' - 'a'] = k->m;
  c->dim['d' - 'a'] = k->d, c->dim['e' - 'a'] = k->e;
  c->head = k->head, c->heads = k->heads;
  for (int i = 0; i < NIN; i++)
    if (i <= V || k->has[i]) c->in[i].x = i == LENGTH ? &length : cast(k->x[i], size_in(k, i), type);
  for (int i = 0; i < NOUT; i++) c->out[i].x = cast(k->g[i], size_out(k, i), type);
  fov_Mark mark = fov_mark();
  if (op->fwd(c) != FOV_OK) abort();
  if (back) {
    for (int i = 0; i < NOUT; i++) c->dout[i].x = cast(k->g[i], size_out(k, i), type);
    for (int i = 0; i < NIN; i++)
      if (c->in[i].x && i != LENGTH) c->din[i].x = cast(k->x[i], size_in(k, i), type);
    if (op->bwd(c) != FOV_OK) abort();
  }
  fov_release(mark);
  for (int i = 0; i < NOUT; i++) {
    r->y[i] = widen(c->out[i].x, size_out(k, i), type);
    free(c->dout[i].x);
  }
  for (int i = 0; i < NIN; i++) {
    if (i != LENGTH) free(c->in[i].x);
    if (c->din[i].x) r->dx[i] = widen(c->din[i].x, size_in(k, i), type);
  }
}
static void free_run (Run *r) {
  for (int i = 0; i < NOUT; i++) free(r->y[i]);
  for (int i = 0; i < NIN; i++) free(r->dx[i]);
}
