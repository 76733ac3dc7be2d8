/* cross_entropy.c -- -log softmax(logits)[label] of each row.
 *
 *   lse = ln sum_j e^{x_j},  loss = lse - x_label;   rows labelled 'ignore' have loss 0
 *   dx_j = p_j (dloss + dlse) - [j = label] dloss,   p_j = e^{x_j - lse}
 *
 * Time O(nc); no scratch. */
#include "ops/op.h"
#include "tensor/byrow.h"

typedef struct Job {
  fov_Cut cut;
  ptrdiff_t c;
  int64_t ignore;
  const real *x, *dloss, *dlse;
  const int64_t *label;
  real *loss, *lse, *dx;
} Job;

static Job job (const fov_Call *c) {
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'c');
  return (Job){ .cut = fov_cut(n, d), .c = d, .ignore = (int64_t)c->opt[0], .x = c->in[0].x,
                .label = c->in[1].x, .loss = c->out[0].x, .lse = c->out[1].x };
}

static fov_Status check (const fov_Call *c) {
  const int64_t *label = c->in[1].x;
  for (ptrdiff_t i = 0; i < fov_dim(c, 'n'); i++)
    if ((label[i] < 1 || label[i] > fov_dim(c, 'c')) && (double)label[i] != c->opt[0])
      return fov_fail(FOV_VALUE, "labels: expected 1 .. %td or ignore = %.0f, got %lld in row %td",
                      fov_dim(c, 'c'), c->opt[0], (long long)label[i], i + 1);
  return FOV_OK;
}

static fov_Status forward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t c = a->c;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const real *x = a->x + i * c, low = -(real)INFINITY;
    vec m = vset(low), s = vzero();
    for (ptrdiff_t j = 0; j < c; j += VL)
      m = vmax(c - j < VL ? vload_n(x + j, c - j, low) : vload(x + j), m);
    real top = vmaxlane(m);
    if (!(top > low)) top = 0;                       /* all -inf, or none */
    for (ptrdiff_t j = 0; j < c; j += VL)
      s += vexp_neg((c - j < VL ? vload_n(x + j, c - j, low) : vload(x + j)) - top);
    a->lse[i] = top + (real)log((double)vsum(s));
    a->loss[i] = a->label[i] == a->ignore ? 0 : a->lse[i] - x[a->label[i] - 1];
  }
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  Job a = job(c);
  return fov_parallel(a.cut.tasks, forward, &a);
}

static fov_Status backward (void *arg, ptrdiff_t task) {
  const Job *a = arg;
  const ptrdiff_t c = a->c;
  for (ptrdiff_t i = task * a->cut.each; i < fov_cut_end(&a->cut, task); i++) {
    const bool counts = a->label[i] != a->ignore;
    const real d = counts && a->dloss ? a->dloss[i] : 0, all = d + (a->dlse ? a->dlse[i] : 0);
    const real *x = a->x + i * c;
    real *dx = a->dx + i * c;
    if (all == 0) memset(dx, 0, (size_t)c * sizeof *dx);
    else
      for (ptrdiff_t j = 0; j < c; j += VL)
        vstore_at(dx, vexp_neg(vload_at(x, j, c) - a->lse[i]) * all, j, c);
    if (counts) dx[a->label[i] - 1] -= d;
  }
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Job a = job(c);
  a.dloss = c->dout[0].x, a.dlse = c->dout[1].x, a.dx = c->din[0].x;
  return a.dx ? fov_parallel(a.cut.tasks, backward, &a) : FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double size = (double)fov_dim(c, 'n') * (double)fov_dim(c, 'c');
  r->flops = 2 * size;
  r->exps = size;
  r->bytes = (double)sizeof(real) * size;
}

const fov_Op FOV_OP(cross_entropy) = {
  .name = "cross_entropy",
  .sig = "logits(n,c) labels:i64(n) -> loss(n) | lse(n)",
  .doc = "-log softmax(logits)[label] of each row, in nats; 0 where the label is 'ignore'.\n"
         "Labels are 1 .. c. lse = ln sum exp(logits). fv.nn.cross_entropy is the mean of it.",
  .ref = "Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2",
  .opt = { { "ignore", 'i', -100, -9e15, 9e15, "the label of rows that count for nothing", NULL } },
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
