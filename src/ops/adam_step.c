/* adam_step.c -- one step of Adam, with decoupled weight decay.
 *
 *   m' = b1 m + (1-b1) g,   v' = b2 v + (1-b2) g^2
 *   p' = (1 - lr weight_decay) p - lr (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + eps)
 *
 * Kingma & Ba 2015 (arXiv:1412.6980), Loshchilov & Hutter 2019
 * (arXiv:1711.05101).  Time O(n), one pass; no scratch. */
#include "ops/op.h"
#include "tensor/byrow.h"

enum { LR, B1, B2, EPS, WEIGHT_DECAY, COUNT };

typedef struct Job {
  fov_Cut cut;
  const real *p, *g, *m, *v;
  real *to_p, *to_m, *to_v, b1, b2, c1, c2, keep, rate, root, eps;
} Job;

static fov_Status step (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t end = fov_cut_end(&a->cut, task);
  for (ptrdiff_t i = task * a->cut.each; i < end; i += VL) {
    vec g = vload_at(a->g, i, end);
    vec m = vload_at(a->m, i, end) * a->b1 + g * a->c1;
    vec v = vload_at(a->v, i, end) * a->b2 + g * g * a->c2;
    vstore_at(a->to_m, m, i, end);
    vstore_at(a->to_v, v, i, end);
    vec p = vload_at(a->p, i, end) * a->keep - m * a->rate / (vsqrt(v * a->root) + a->eps);
    vstore_at(a->to_p, p, i, end);
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  const double *o = c->opt;
  Job a = { .cut = fov_cut(fov_dim(c, 'n'), 1), .p = c->in[0].x, .g = c->in[1].x, .m = c->in[2].x,
            .v = c->in[3].x, .to_p = c->out[0].x, .to_m = c->out[1].x, .to_v = c->out[2].x,
            .b1 = (real)o[B1], .c1 = (real)(1 - o[B1]), .b2 = (real)o[B2], .c2 = (real)(1 - o[B2]),
            .keep = (real)(1 - o[LR] * o[WEIGHT_DECAY]), .rate = (real)(o[LR] / (1 - pow(o[B1], o[COUNT]))),
            .root = (real)(1 / (1 - pow(o[B2], o[COUNT]))), .eps = (real)o[EPS] };
  return fov_parallel(a.cut.tasks, step, &a);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  r->flops = 14 * (double)fov_dim(c, 'n');
  r->bytes = 7 * (double)sizeof(real) * (double)fov_dim(c, 'n');
}

const fov_Op FOV_OP(adam_step) = {
  .name = "adam_step",
  .sig = "p(n) g(n) m(n) v(n) -> p_next(n) m_next(n) v_next(n)",
  .doc = "One step of Adam with decoupled weight decay, in one pass.\n"
         "p_next = (1 - lr weight_decay) p - lr mh / (sqrt(vh) + eps), mh = m_next / (1 - beta1^step),\n"
         "vh likewise.",
  .ref = "Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101",
  .opt = { { "lr", 'n', 1e-3, 0, 1e30, "step size", NULL },
           { "beta1", 'n', 0.9, 0, 0.9999999, "of m", NULL },
           { "beta2", 'n', 0.999, 0, 0.9999999, "of v", NULL },
           { "eps", 'n', 1e-8, 0, 1e30, "added to the divisor", NULL },
           { "weight_decay", 'n', 0, 0, 1e30, "weight decay", NULL },
           { "step", 'i', 1, 1, 9e15, "count of steps, this one included", NULL } },
  .fwd = fwd, .cost = cost
};
