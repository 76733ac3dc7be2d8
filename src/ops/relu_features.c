/* relu_features.c -- ReLU features, random or deterministic.
 *
 *   with w:     phi(x)_r = max(w_r.x, 0) / sqrt(m) + eps
 *   without w:  phi(x)_r = max(x_r, 0) + eps
 *
 *   G = dphi o [u > 0] / sqrt(m):   dX = G W,   dW = G' X,   u = W x
 *
 * With eps = 0 and w_r ~ N(0,I), E[phi(x).phi(y)] is the arc-cosine kernel of
 * order 1, |x||y| (sin t + (pi - t) cos t) / (2 pi), t the angle of x and y
 * (Cho & Saul 2009); the generalised attention of Choromanski et al. 2021
 * (arXiv:2009.14794).  eps > 0 adds eps (E f(x) + E f(y)) + eps^2.
 *
 * Time O(nmd); scratch nm, backward only. */
#include "ops/op.h"
#include "tensor/project.h"

enum { EPS };

/* Without w the letter m is not bound. */
static ptrdiff_t features (const fov_Call *c) {
  return fov_dim(c, 'm') < 0 ? fov_dim(c, 'd') : fov_dim(c, 'm');
}

static real scale (const project *p) {
  return p->W ? 1 / (real)sqrt((double)p->m) : 1;
}

static void rows (const project *p, ptrdiff_t i, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  real *u = p->U + i * p->m, a = scale(p), eps = (real)c->opt[EPS];
  /* not 'u > 0 ? u : 0': NaN stays NaN */
  for (ptrdiff_t j = 0; j < count * p->m; j++) u[j] = (u[j] < 0 ? 0 : u[j]) * a + eps;
}

static fov_Status sizes (fov_Call *c) {
  c->dim['f' - 'a'] = features(c);
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = features(c),
                .X = c->in[0].x, .W = c->in[1].x, .U = c->out[0].x, .rows = rows, .arg = c };
  p.ldu = p.m;
  return project_forward(&p);
}

/* phi cannot tell u > 0 once eps has absorbed a small u, so u is made again. */
static void grad (const project *p, ptrdiff_t i, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  const real *dphi = (const real *)c->dout[0].x + i * p->m, *X = p->X + i * p->d;
  real *g = p->U + i * p->m, a = scale(p);
  const real *u = X;
  if (p->W) {
    gemm('n', 't', count, p->m, p->d, 1, X, p->d, p->W, p->d, 0, g, p->m);
    u = g;
  }
  for (ptrdiff_t j = 0; j < count * p->m; j++) g[j] = u[j] > 0 ? dphi[j] * a : 0;
}

static fov_Status bwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = features(c),
                .X = c->in[0].x, .W = c->in[1].x, .dX = c->din[0].x, .dW = c->din[1].x,
                .rows = grad, .arg = c };
  return project_backward(&p);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), m = (double)features(c);
  double w = fov_dim(c, 'm') < 0 ? 0 : 1;
  r->flops = w * 2 * n * m * d + 3 * n * m;
  r->exps = 0;
  r->bytes = (double)sizeof(real) * (n * d + w * m * d + n * m);
}

const fov_Op FOV_OP(relu_features) = {
  .name = "relu_features",
  .sig = "x(n,d) w?(m,d) -> phi(n,f)",
  .doc = "ReLU features: max(x w', 0) / sqrt(m) + eps, or max(x, 0) + eps without w.\n"
         "f = m with w, d without. With eps = 0 and rows of w ~ N(0,I) the product\n"
         "estimates |x||y| (sin t + (pi - t) cos t) / (2 pi), t the angle between x and y.\n"
         "The derivative at 0 is taken as 0.",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794; Cho & Saul 2009",
  .caps = "nonneg",
  .opt = {
    { "eps", 'n', 1e-3, 0, 1e6, "added to every feature, so that no row of features is zero", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
