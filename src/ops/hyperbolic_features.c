/* hyperbolic_features.c -- positive features in antithetic pairs: FAVOR+ hyp.
 *
 *   phi(x) = exp(-c |x|^2) / sqrt(2m) [exp(W x), exp(-W x)]
 *   kernel=softmax   c = 1/2:  E[phi(x).phi(y)] = exp(x.y)            for w_r ~ N(0,I)
 *   kernel=gaussian  c = 1:    E[phi(x).phi(y)] = exp(-|x-y|^2 / 2)
 *   log=true returns log phi
 *
 *   A = dphi o phi  (log: A = dphi),  A = [P, N]:
 *   G = P - N:   dX = G W - 2c diag(A 1) X,   dW = G' X
 *
 * Choromanski et al. 2021 (arXiv:2009.14794): for the same number of features
 * its variance is below that of plain positive features.
 *
 * Time O(nmd); scratch nm + n, backward only. */
#include "ops/op.h"
#include "tensor/project.h"

enum { GAUSSIAN, LOG };

static void rows (const project *p, ptrdiff_t i0, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  real half = c->opt[GAUSSIAN] != 0 ? 1 : (real)0.5;
  real scale = 1 / (real)sqrt(2.0 * (double)p->m), shift = (real)(0.5 * log(2.0 * (double)p->m));
  bool logs = c->opt[LOG] != 0;
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *x = p->X + i * p->d;
    real *u = p->U + i * p->ldu, *v = u + p->m, h = half * project_dot(x, x, p->d);
    ptrdiff_t j = 0;
    if (logs)
      for (; j < p->m; j++) {
        v[j] = -u[j] - (h + shift);
        u[j] = u[j] - (h + shift);
      }
    for (; j + VL <= p->m; j += VL) {
      vec a = vload(u + j);
      vstore(u + j, vexp(a - h) * scale);
      vstore(v + j, vexp(-a - h) * scale);
    }
    if (j < p->m) {
      vec a = vload_n(u + j, p->m - j, 0);
      vstore_n(u + j, vexp(a - h) * scale, p->m - j);
      vstore_n(v + j, vexp(-a - h) * scale, p->m - j);
    }
  }
}

static fov_Status sizes (fov_Call *c) {
  c->dim['f' - 'a'] = 2 * fov_dim(c, 'm');
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = fov_dim(c, 'm'),
                .X = c->in[0].x, .W = c->in[1].x, .U = c->out[0].x, .rows = rows, .arg = c };
  p.ldu = 2 * p.m;
  return project_forward(&p);
}

static void grad (const project *p, ptrdiff_t i0, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  const real *phi = c->out[0].x, *dphi = c->dout[0].x;
  real twice = c->opt[GAUSSIAN] != 0 ? 2 : 1;
  bool logs = c->opt[LOG] != 0;
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *y = phi + 2 * i * p->m, *dy = dphi + 2 * i * p->m;
    real *g = p->U + i * p->m;
    if (logs)
      for (ptrdiff_t j = 0; j < p->m; j++) g[j] = dy[j] - dy[p->m + j];
    else
      for (ptrdiff_t j = 0; j < p->m; j++) g[j] = dy[j] * y[j] - dy[p->m + j] * y[p->m + j];
    p->s[i] = -twice * (logs ? project_sum(dy, 2 * p->m) : project_dot(dy, y, 2 * p->m));
  }
}

static fov_Status bwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = fov_dim(c, 'm'),
                .X = c->in[0].x, .W = c->in[1].x, .dX = c->din[0].x, .dW = c->din[1].x,
                .rows = grad, .arg = c };
  p.s = fov_scratch((size_t)p.n, sizeof *p.s);
  if (!p.s) return FOV_NOMEM;
  return project_backward(&p);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), m = (double)fov_dim(c, 'm');
  r->flops = 2 * n * m * d + 2 * n * d + 4 * n * m;
  r->exps = c->opt[LOG] != 0 ? 0 : 2 * n * m;
  r->bytes = (double)sizeof(real) * (n * d + m * d + 2 * n * m);
}

const fov_Op FOV_OP(hyperbolic_features) = {
  .name = "hyperbolic_features",
  .sig = "x(n,d) w(m,d) -> phi(n,f)",
  .doc = "Positive random features in pairs exp(w.x), exp(-w.x); f = 2m.\n"
         "E[phi(x).phi(y)] = exp(x.y) for rows of w ~ N(0,I), never negative. Relative\n"
         "variance of one product: 2 sinh(|x+y|^2 / 2)^2 / m, less than 2m plain positive\n"
         "features have. For exp(q.k/sqrt(d)) give q and k times d^(-1/4).",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "nonneg unbiased log_features",
  .opt = {
    { "kernel", 'e', 0, 0, 0, "what phi(x).phi(y) estimates: exp(x.y) or exp(-|x-y|^2/2)",
      "softmax|gaussian" },
    { "log", 'b', 0, 0, 0, "return log phi instead of phi", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
