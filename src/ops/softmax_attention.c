/* softmax_attention.c -- exact attention: options, masks and biases.
 *
 *   s_ij = scale q_i.k_j, then softcap, alibi, bias; -inf where i may not see j
 *   lse_i = ln(sum_j e^s_ij + e^sink),   o_i = sum_j e^(s_ij - lse_i) v_j
 *
 * The tiles and both passes: tensor/softmax.h and the kernels it names, where
 * the equations of the gradients stand.  Query i stands at key i + m - n
 * (align = bottom_right) or i (top_left); causal, window and alibi measure
 * from there. */
#include "ops/op.h"
#include "tensor/softmax.h"

enum { Q, K, V, BIAS, LENGTH, SLOPES, SINK };
enum { CAUSAL, ALIGN, SCALE, WINDOW, LEFT, RIGHT, ALIBI, SOFTCAP };

static real slope_of_head (ptrdiff_t h, ptrdiff_t H) {
  ptrdiff_t H2 = 1;
  while (2 * H2 <= H) H2 *= 2;
  return (real)(h < H2 ? exp2(-8.0 * (double)(h + 1) / (double)H2)
                       : exp2(-4.0 * (double)(2 * (h - H2) + 1) / (double)H2));
}

static Softmax problem (const fov_Call *c) {
  const double *opt = c->opt;
  const ptrdiff_t far = PTRDIFF_MAX / 8;
  ptrdiff_t n = fov_dim(c, 'n'), m = fov_dim(c, 'm'), d = fov_dim(c, 'd'), e = fov_dim(c, 'e');
  double left = opt[LEFT] == opt[LEFT] ? opt[LEFT] : opt[WINDOW];
  double right = opt[RIGHT] == opt[RIGHT] ? opt[RIGHT] : opt[WINDOW];
  Softmax h = { .d = d, .e = e, .dp = roundup(d, VL), .ep = roundup(e, VL), .keys = m,
                .q = c->in[Q].x, .k = c->in[K].x, .v = c->in[V].x,
                .o = c->out[0].x, .lse = c->out[1].x, .sink = -(real)INFINITY };
  Scores *s = &h.s;
  s->n = n;
  s->off = opt[ALIGN] == 0 ? m - n : 0;
  s->m = c->in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)c->in[LENGTH].x : m;
  s->left = left < 0 || left > 1e15 ? far : (ptrdiff_t)left;
  s->right = right < 0 || right > 1e15 ? far : (ptrdiff_t)right;
  if (opt[CAUSAL] != 0) s->right = 0;
  h.scale = (real)(opt[SCALE] == opt[SCALE] ? opt[SCALE] : d ? 1 / sqrt((double)d) : 1);
  s->cap = (real)opt[SOFTCAP];
  s->factor = s->cap != 0 ? h.scale / s->cap : h.scale * LOG2E;
  if (c->in[SLOPES].x) s->slope = *(const real *)c->in[SLOPES].x;
  else if (opt[ALIBI] != 0) s->slope = slope_of_head(c->head, c->heads);
  s->bias = c->in[BIAS].x;
  s->ldbias = m;
  if (c->in[SINK].x) h.sink = *(const real *)c->in[SINK].x * LOG2E;
  h.dslope = c->din[SLOPES].x;
  h.dsink = c->din[SINK].x;
  h.dbias = c->din[BIAS].x;
  s->plain = s->cap == 0 && s->slope == 0 && !s->bias && !h.dslope;
  return h;
}

static fov_Status fwd (fov_Call *c) {
  Softmax h = problem(c);
  return FOV_BUILD(fov_softmax_forward).run(&h);
}

static fov_Status bwd (fov_Call *c) {
  Softmax h = problem(c);
  h.go = c->dout[0].x;
  h.glse = c->dout[1].x;
  h.dq = c->din[Q].x;
  h.dk = c->din[K].x;
  h.dv = c->din[V].x;
  return FOV_BUILD(fov_softmax_backward).run(&h);
}

static fov_Status check (const fov_Call *c) {
  ptrdiff_t m = fov_dim(c, 'm');
  if (!c->in[LENGTH].x) return FOV_OK;
  int64_t length = *(const int64_t *)c->in[LENGTH].x;
  return length >= 0 && length <= m ? FOV_OK
    : fov_fail(FOV_VALUE, "key_length: expected 0 .. m=%td, got %lld", m, (long long)length);
}

/* Pairs that see each other, counted row by row. */
static void cost (const fov_Call *c, fov_Cost *cost) {
  Softmax h = problem(c);
  double pairs = 0;
  for (ptrdiff_t i = 0; i < h.s.n; i++)
    pairs += (double)most(0, sees_to(&h.s, i) - sees_from(&h.s, i));
  double size = sizeof(real), n = (double)h.s.n, m = (double)h.s.m, w = (double)(h.d + h.e);
  cost->flops = 2 * pairs * w;
  cost->exps = pairs;
  cost->bytes = size * (w * (n + m) + n + (h.s.bias ? n * m : 0));
}

const fov_Op FOV_OP(softmax_attention) = {
  .name = "softmax_attention",
  .sig = "q(n,d) k(m,d) v(m,e) bias?(n,m) key_length?:i64(<) alibi_slopes?() sink?()"
         " -> o(n,e) | lse(n)",
  .doc =
    "Exact softmax attention, tiled: o = softmax(scale q k' + bias) v and lse.\n"
    "Each of these acts on the scores in turn: scale, softcap, alibi, bias; then causal, window\n"
    "and key_length hide keys.  A query that sees no key gets o = 0 and lse = -inf, and with a\n"
    "sink lse = sink.  Keys from key_length on may hold anything, NaN included.\n"
    "k, v, bias and key_length may have fewer heads than q, if they divide them.\n"
    "lse(n) = ln of the sum of exp(score) over the keys seen: two results over disjoint keys\n"
    "merge by merge_attention.  Differentiable in all but key_length, through o and lse.\n"
    "Memory beyond the results is O((n + m)(d + e)); time O(nm(d + e)), half when causal.",
  .ref = "Dao et al. 2022, arXiv:2205.14135; online softmax: Milakov & Gimelshein 2018, "
         "arXiv:1805.02867",
  .caps = "causal grouped linear_in_v order_equivariant rows_sum_to_one nonneg exact",
  .opt = {
    { "causal", 'b', 0, 0, 0, "query i sees keys up to i, placed as 'align' says", NULL },
    { "align", 'e', 0, 0, 0, "where n and m differ: the last query meets the last key, or the "
      "first the first", "bottom_right|top_left" },
    { "scale", 'n', NAN, 0, 0, "factor of q.k; default 1/sqrt(d)", NULL },
    { "window", 'i', -1, -1, 1e15, "keys seen to each side of the query's own; -1: all", NULL },
    { "window_left", 'i', NAN, -1, 1e15, "keys seen before it; default 'window'", NULL },
    { "window_right", 'i', NAN, -1, 1e15, "keys seen after it; default 'window'", NULL },
    { "alibi", 'b', 0, 0, 0, "subtract slope times distance, the standard slope of each head "
      "(of the last batch dimension); alibi_slopes gives others", NULL },
    { "softcap", 'n', 0, 0, 1e6, "c > 0: scores become c tanh(score / c)", NULL },
  },
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
