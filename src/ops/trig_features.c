/* trig_features.c -- sine and cosine random features.
 *
 *   phi(x) = h(x) / sqrt(m) [sin(W x), cos(W x)]
 *   kernel=softmax   h = exp(|x|^2/2):  E[phi(x).phi(y)] = exp(x.y)    for w_r ~ N(0,I)
 *   kernel=gaussian  h = 1:             E[phi(x).phi(y)] = exp(-|x-y|^2 / 2)
 *
 *   phi = [S, C]:  G = dS o C - dC o S,  dX = G W + diag(dphi o phi 1) X,  dW = G' X
 *   (the second term of dX with kernel=softmax only)
 *
 * Rahimi & Recht 2007; as attention, Choromanski et al. 2021
 * (arXiv:2009.14794).  Exact at x = y.  NaN once h overflows.
 *
 * Time O(nmd); scratch nm + n, backward only. */
#include "ops/op.h"
#include "tensor/project.h"
#include "tensor/simd_math.h"

enum { GAUSSIAN };

static void rows (const project *p, ptrdiff_t i0, ptrdiff_t count) {
  const fov_Call *c = p->arg;
  double root = 1 / sqrt((double)p->m);
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *x = p->X + i * p->d;
    real *u = p->U + i * p->ldu, *v = u + p->m, h = (real)root;
    if (c->opt[GAUSSIAN] == 0)
      h = (real)(exp(0.5 * (double)project_dot(x, x, p->d)) * root);
    ptrdiff_t j = 0;
    for (; j + VL <= p->m; j += VL) {
      const vec a = vload(u + j);
      vstore(u + j, vsin(a) * h);
      vstore(v + j, vcos(a) * h);
    }
    if (j < p->m) {
      const vec a = vload_n(u + j, p->m - j, 0);
      vstore_n(u + j, vsin(a) * h, p->m - j);
      vstore_n(v + j, vcos(a) * h, p->m - j);
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
  for (ptrdiff_t i = i0; i < i0 + count; i++) {
    const real *S = phi + 2 * i * p->m, *C = S + p->m;
    const real *dS = dphi + 2 * i * p->m, *dC = dS + p->m;
    real *g = p->U + i * p->m;
    for (ptrdiff_t j = 0; j < p->m; j++) g[j] = dS[j] * C[j] - dC[j] * S[j];
    if (p->s) p->s[i] = project_dot(dS, S, 2 * p->m);
  }
}

static fov_Status bwd (fov_Call *c) {
  project p = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .m = fov_dim(c, 'm'),
                .X = c->in[0].x, .W = c->in[1].x, .dX = c->din[0].x, .dW = c->din[1].x,
                .rows = grad, .arg = c };
  if (c->opt[GAUSSIAN] == 0) {
    p.s = fov_scratch((size_t)p.n, sizeof *p.s);
    if (!p.s) return FOV_NOMEM;
  }
  return project_backward(&p);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), m = (double)fov_dim(c, 'm');
  r->flops = 2 * n * m * d + 2 * n * d + 2 * n * m;
  r->exps = 2 * n * m;
  r->bytes = (double)sizeof(real) * (n * d + m * d + 2 * n * m);
}

const fov_Op FOV_OP(trig_features) = {
  .name = "trig_features",
  .sig = "x(n,d) w(m,d) -> phi(n,f)",
  .doc = "Sine and cosine random features; f = 2m.\n"
         "E[phi(x).phi(y)] = exp(x.y) for rows of w ~ N(0,I) (kernel=gaussian:\n"
         "exp(-|x-y|^2/2)). Signed. Relative variance of one product:\n"
         "2 sinh(|x-y|^2 / 2)^2 / m, zero at x = y. For exp(q.k/sqrt(d)) give q and k\n"
         "times d^(-1/4). NaN where exp(|x|^2/2) overflows.",
  .ref = "Rahimi & Recht 2007; Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "unbiased",
  .opt = {
    { "kernel", 'e', 0, 0, 0, "what phi(x).phi(y) estimates: exp(x.y) or exp(-|x-y|^2/2)",
      "softmax|gaussian" }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
