/* positive_features.c -- positive random features for exp(x.y): FAVOR+.
 *
 *   phi(x)_r = exp(w_r.x - c |x|^2) / sqrt(m)
 *   kernel=softmax   c = 1/2:  E[phi(x).phi(y)] = exp(x.y)            for w_r ~ N(0,I)
 *   kernel=gaussian  c = 1:    E[phi(x).phi(y)] = exp(-|x-y|^2 / 2)
 *   log=true returns log phi(x)_r = w_r.x - c |x|^2 - log(m)/2
 *
 *   G = dphi o phi  (log: G = dphi):   dX = G W - 2c diag(G 1) X,   dW = G' X
 *
 * Choromanski et al. 2021 (arXiv:2009.14794).  No maximum is subtracted: with
 * one the estimate would be biased.  exp overflows to inf for long w_r.x; the
 * logarithms do not.
 *
 * Time O(nmd); scratch nm + n, backward only. */
#include "ops/op.h"
#include "tensor/project.h"

enum { GAUSSIAN, LOG };

static void rows (const project *p, ptrdiff_t i0, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  real half = c->opt[GAUSSIAN] != 0 ? 1 : (real)0.5, scale = 1 / (real)sqrt((double)p->m);
  real shift = (real)(0.5 * log((double)p->m));
  bool logs = c->opt[LOG] != 0;
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *x = p->X + i * p->d;
    real *u = p->U + i * p->ldu, h = half * project_dot(x, x, p->d);
    ptrdiff_t j = 0;
    if (logs)
      for (; j < p->m; j++) u[j] = u[j] - (h + shift);
    for (; j + VL <= p->m; j += VL) vstore(u + j, vexp(vload(u + j) - h) * scale);
    if (j < p->m)
      vstore_n(u + j, vexp(vload_n(u + j, p->m - j, 0) - h) * scale, p->m - j);
  }
}

static fov_Status fwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = fov_dim(c, 'm'),
                .X = c->in[0].x, .W = c->in[1].x, .U = c->out[0].x, .rows = rows, .arg = c };
  p.ldu = p.m;
  return project_forward(&p);
}

static void grad (const project *p, ptrdiff_t i0, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  const real *phi = c->out[0].x, *dphi = c->dout[0].x;
  real twice = c->opt[GAUSSIAN] != 0 ? 2 : 1;
  bool logs = c->opt[LOG] != 0;
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *y = phi + i * p->m, *dy = dphi + i * p->m;
    real *g = p->U + i * p->m;
    for (ptrdiff_t j = 0; j < p->m; j++) g[j] = logs ? dy[j] : dy[j] * y[j];
    p->s[i] = -twice * project_sum(g, p->m);
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
  r->flops = 2 * n * m * d + 2 * n * d + 2 * n * m;
  r->exps = c->opt[LOG] != 0 ? 0 : n * m;
  r->bytes = (double)sizeof(real) * (n * d + m * d + n * m);
}

const fov_Op FOV_OP(positive_features) = {
  .name = "positive_features",
  .sig = "x(n,d) w(m,d) -> phi(n,m)",
  .doc = "Positive random features: E[phi(x).phi(y)] = exp(x.y) for rows of w ~ N(0,I).\n"
         "phi = exp(x w' - |x|^2/2) / sqrt(m), never negative. Relative variance of one\n"
         "product: (exp(|x+y|^2) - 1) / m. For exp(q.k/sqrt(d)) give q and k times d^(-1/4).\n"
         "inf where w.x overflows exp; log=true never does.",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "nonneg unbiased log_features",
  .opt = {
    { "kernel", 'e', 0, 0, 0, "what phi(x).phi(y) estimates: exp(x.y) or exp(-|x-y|^2/2)",
      "softmax|gaussian" },
    { "log", 'b', 0, 0, 0, "return log phi instead of phi", NULL }
  },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
