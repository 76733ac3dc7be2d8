/* gaussian.c -- the Gaussian kernel's Gram matrix.
 *
 *   K_ij = exp(-c |x_i - y_j|^2),  c = scale^2 / 2
 *   with G = -2 c dK o K:   dX = diag(G 1) X - G Y,   dY = diag(G' 1) Y - G' X
 *
 * |x-y|^2 is taken as |x|^2 + |y|^2 - 2 x.y and never below 0, so that its
 * absolute error grows with the squared norms; without y the matrix is that of
 * x with itself, symmetric to the bit and 1 on the diagonal.
 *
 * Time O(nmd) and nm exps; scratch n + m, backward nm. */
#include "ops/op.h"
#include "tensor/blas.h"
#include "tensor/simd.h"

enum { ROWS = 128 };

typedef struct Gram {
  const real *X, *Y;
  real *K, *xx, *yy;
  ptrdiff_t n, m, d;
  real c;
} Gram;

static void squares (const real *X, ptrdiff_t n, ptrdiff_t d, real *xx) {
  for (ptrdiff_t i = 0; i < n; i++) {
    vec s = vzero();
    ptrdiff_t j = 0;
    for (; j + VL <= d; j += VL) s += vload(X + i * d + j) * vload(X + i * d + j);
    vec last = vload_n(X + i * d + j, d - j, 0);
    xx[i] = vsum(s + last * last);
  }
}

/* ROWS rows of K. */
static fov_Status rows (void *arg, ptrdiff_t b) {
  const Gram *g = arg;
  ptrdiff_t m = g->m, first = b * ROWS, count = g->n - first < ROWS ? g->n - first : ROWS;
  real *K = g->K + first * m;
  gemm('n', 't', count, m, g->d, 1, g->X + first * g->d, g->d, g->Y, g->d, 0, K, m);
  for (ptrdiff_t i = 0; i < count; i++) {
    real *k = K + i * m, xx = g->xx[first + i];
    for (ptrdiff_t j = 0; j < m; j += VL) {
      ptrdiff_t left = m - j < VL ? m - j : VL;
      vec xy = left == VL ? vload(k + j) : vload_n(k + j, left, 0);
      vec yy = left == VL ? vload(g->yy + j) : vload_n(g->yy + j, left, 0);
      vec gap = xx + yy - 2 * xy;
      vec e = vexp(vmax(vzero(), gap) * -g->c);   /* NaN passes: vmax keeps its second */
      if (left == VL) vstore(k + j, e);
      else vstore_n(k + j, e, left);
    }
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  const fov_Tensor *x = &c->in[0], *y = c->in[1].x ? &c->in[1] : x;
  Gram g = { .X = x->x, .Y = y->x, .K = c->out[0].x, .n = x->shape[0], .m = y->shape[0],
             .d = x->shape[1], .c = (real)(c->opt[0] * c->opt[0] / 2) };
  g.xx = fov_scratch((size_t)g.n, sizeof(real));
  g.yy = fov_scratch((size_t)g.m, sizeof(real));
  if (!g.xx || !g.yy) return FOV_NOMEM;
  squares(g.X, g.n, g.d, g.xx);
  squares(g.Y, g.m, g.d, g.yy);
  fov_Status s = fov_parallel((g.n + ROWS - 1) / ROWS, rows, &g);
  if (s == FOV_OK && !c->in[1].x)
    for (ptrdiff_t i = 0; i < g.n; i++) {
      if (g.xx[i] == g.xx[i]) g.K[i * g.m + i] = 1;
      for (ptrdiff_t j = 0; j < i; j++) g.K[i * g.m + j] = g.K[j * g.m + i];
    }
  return s;
}

typedef struct Back {
  const real *X, *Y, *G;   /* dX = diag(G 1) X - G Y, G(n,m) or its transpose */
  real *dX;
  ptrdiff_t n, m, d;
  bool flip, add;
} Back;

static fov_Status pull (void *arg, ptrdiff_t b) {
  const Back *p = arg;
  ptrdiff_t d = p->d, first = b * ROWS, count = p->n - first < ROWS ? p->n - first : ROWS;
  for (ptrdiff_t i = first; i < first + count; i++) {
    real sum = 0;
    for (ptrdiff_t j = 0; j < p->m; j++) sum += p->flip ? p->G[j * p->n + i] : p->G[i * p->m + j];
    for (ptrdiff_t k = 0; k < d; k++) {
      real v = sum * p->X[i * d + k];
      p->dX[i * d + k] = p->add ? p->dX[i * d + k] + v : v;
    }
  }
  if (p->flip)
    gemm('t', 'n', count, d, p->m, -1, p->G + first, p->n, p->Y, d, 1, p->dX + first * d, d);
  else
    gemm('n', 'n', count, d, p->m, -1, p->G + first * p->m, p->m, p->Y, d, 1, p->dX + first * d, d);
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  const fov_Tensor *x = &c->in[0], *y = c->in[1].x ? &c->in[1] : x;
  ptrdiff_t n = x->shape[0], m = y->shape[0], d = x->shape[1];
  const real *K = c->out[0].x, *dK = c->dout[0].x;
  real *G = fov_scratch((size_t)n * (size_t)m, sizeof(real)), s = (real)(-c->opt[0] * c->opt[0]);
  if (!G) return FOV_NOMEM;
  for (ptrdiff_t i = 0; i < n * m; i++) G[i] = s * dK[i] * K[i];
  Back p = { .X = x->x, .Y = y->x, .G = G, .dX = c->din[0].x, .n = n, .m = m, .d = d };
  fov_Status st = FOV_OK;
  if (p.dX) st = fov_parallel((n + ROWS - 1) / ROWS, pull, &p);
  p = (Back){ .X = y->x, .Y = x->x, .G = G, .dX = c->in[1].x ? c->din[1].x : c->din[0].x,
              .n = m, .m = n, .d = d, .flip = true, .add = !c->in[1].x };
  if (st == FOV_OK && p.dX) st = fov_parallel((m + ROWS - 1) / ROWS, pull, &p);
  return st;
}

static fov_Status sizes (fov_Call *c) {   /* without y, as many columns as rows */
  if (c->dim['m' - 'a'] < 0) c->dim['m' - 'a'] = fov_dim(c, 'n');
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + 4 * n * m + 2 * (n + m) * d;
  r->exps = n * m;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(gaussian) = {
  .name = "gaussian",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The Gaussian kernel exp(-scale^2 |x-y|^2 / 2) between the rows of x and y.\n"
         "Without y: of x with itself, exactly symmetric. |x-y|^2 = |x|^2 + |y|^2 - 2 x.y, so\n"
         "its absolute error grows with the squared norms.",
  .ref = "Scholkopf & Smola 2002, Learning with Kernels, ch. 2",
  .caps = "nonneg",
  .opt = { { "scale", 'n', 1, 1e-150, 1e150, "1/scale is the length scale", NULL } },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
