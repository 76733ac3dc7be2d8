/* merge_attention.c -- one attention from two over disjoint sets of keys.
 *
 *   lse = ln(e^lse1 + e^lse2)      w_a = e^(lse_a - lse)      o = w_1 o_1 + w_2 o_2
 *
 *   do_a = w_a do        dlse_a = w_a (do.(o_a - o) + dlse)
 *
 * A part that saw no key has lse = -inf and weight 0, whatever its o; where
 * both saw none, o = 0 and lse = -inf.  Time O(ne), no scratch. */
#include "ops/op.h"
#include "tensor/simd.h"

enum { O1, LSE1, O2, LSE2 };

static real weight (real lse, real all) {
  return lse == -(real)INFINITY ? 0 : (real)exp((double)(lse - all));
}

static fov_Status fwd (fov_Call *c) {
  const real *o1 = c->in[O1].x, *l1 = c->in[LSE1].x, *o2 = c->in[O2].x, *l2 = c->in[LSE2].x;
  real *o = c->out[0].x, *lse = c->out[1].x;
  ptrdiff_t n = fov_dim(c, 'n'), e = fov_dim(c, 'e');
  for (ptrdiff_t i = 0; i < n; i++) {
    real top = l1[i] > l2[i] ? l1[i] : l2[i], low = l1[i] > l2[i] ? l2[i] : l1[i];
    lse[i] = top == -(real)INFINITY ? top : top + (real)log1p(exp((double)(low - top)));
    real w1 = weight(l1[i], lse[i]), w2 = weight(l2[i], lse[i]);
    for (ptrdiff_t j = i * e; j < (i + 1) * e; j++)
      o[j] = (w1 == 0 ? 0 : w1 * o1[j]) + (w2 == 0 ? 0 : w2 * o2[j]);
  }
  return FOV_OK;
}

static void part (const fov_Call *c, int a) {
  const real *oa = c->in[a].x, *la = c->in[a + 1].x, *o = c->out[0].x, *lse = c->out[1].x;
  const real *go = c->dout[0].x, *gl = c->dout[1].x;
  real *doa = c->din[a].x, *dla = c->din[a + 1].x;
  ptrdiff_t n = fov_dim(c, 'n'), e = fov_dim(c, 'e');
  for (ptrdiff_t i = 0; i < n; i++) {
    real w = weight(la[i], lse[i]), dot = gl ? gl[i] : 0;
    for (ptrdiff_t j = i * e; j < (i + 1) * e; j++) {
      if (doa) doa[j] = go ? w * go[j] : 0;
      if (go && w != 0) dot += go[j] * (oa[j] - o[j]);
    }
    if (dla) dla[i] = w == 0 ? 0 : w * dot;
  }
}

static fov_Status bwd (fov_Call *c) {
  if (c->din[O1].x || c->din[LSE1].x) part(c, O1);
  if (c->din[O2].x || c->din[LSE2].x) part(c, O2);
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  double n = (double)fov_dim(c, 'n'), e = (double)fov_dim(c, 'e');
  cost->flops = 3 * n * e;
  cost->exps = 3 * n;
  cost->bytes = 3 * sizeof(real) * n * (e + 1);
}

const fov_Op FOV_OP(merge_attention) = {
  .name = "merge_attention",
  .sig = "o1(n,e) lse1(n) o2(n,e) lse2(n) -> o(n,e) lse(n)",
  .doc =
    "Merges the results of attention over two disjoint sets of keys into that over both.\n"
    "o1, lse1 and o2, lse2 are what softmax_attention returns for the same queries; any\n"
    "partition of the keys, merged in any order, gives the one pass's result to rounding.\n"
    "Where both saw no key, o = 0 and lse = -inf.  Time O(ne).",
  .ref = "Milakov & Gimelshein 2018, arXiv:1805.02867",
  .fwd = fwd, .bwd = bwd, .cost = cost
};
