/* positive_attention.c -- attention with positive features given as logarithms.
 *
 *   o_t = sum_j w_tj v_j / sum_j w_tj,   w_tj = sum_i exp(lq_ti + lk_ji)
 *
 * Equations, stabilisers and gradients: tensor/positive.h.  Choromanski et al.
 * 2021 (arXiv:2009.14794) for the features; no epsilon, no global maximum: the
 * stabilisers cancel exactly and never look at later keys.
 *
 * Time O((n + m) f (e + 1)) and (n + m) f exps, backward three times that;
 * scratch 2 blocks of 192 f forward, and 4 and 3 f e backward. */
#include "ops/op.h"
#include "tensor/positive.h"
#include "tensor/tile.h"

enum { CAUSAL };
enum { Q, K, V, LENGTH, S0, Z0, C0 };
enum { O, SN, ZN, CN, LSE, HS, HZ, HC };
enum { ALONE = 1 << 21 };                  /* multiplications worth a task */

static fov_Positive problem (const fov_Call *c) {
  const fov_Tensor *in = c->in, *out = c->out, *dout = c->dout, *din = c->din;
  fov_Positive p = {
    .n = fov_dim(c, 'n'), .m = fov_dim(c, 'm'), .f = fov_dim(c, 'f'), .e = fov_dim(c, 'e'),
    .causal = c->opt[CAUSAL] != 0, .q = in[Q].x, .k = in[K].x, .v = in[V].x, .s = in[S0].x,
    .z = in[Z0].x, .c = in[C0].x, .o = out[O].x, .lse = out[LSE].x, .sn = out[SN].x, .zn = out[ZN].x,
    .cn = out[CN].x, .hs = out[HS].x, .hz = out[HZ].x, .hc = out[HC].x, .dO = dout[O].x,
    .dlse = dout[LSE].x, .dsn = dout[SN].x, .dzn = dout[ZN].x, .dcn = dout[CN].x, .dhs = dout[HS].x,
    .dhz = dout[HZ].x, .dhc = dout[HC].x, .dq = din[Q].x, .dk = din[K].x, .dv = din[V].x,
    .ds = din[S0].x, .dz = din[Z0].x, .dc = din[C0].x
  };
  p.length = in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)in[LENGTH].x : p.m;
  p.spread = c->heads == 1 && (p.n + p.m) * p.f > ALONE / (p.e + 1);
  return p;
}

static fov_Status fwd (fov_Call *c) {
  const fov_Positive p = problem(c);
  return FOV_BUILD(fov_positive_forward).run(&p);
}

static fov_Status bwd (fov_Call *c) {
  const fov_Positive p = problem(c);
  return FOV_BUILD(fov_positive_backward).run(&p);
}

static fov_Status sizes (fov_Call *c) {
  c->dim['b' - 'a'] = c->opt[CAUSAL] != 0 ? fov_windows(least(fov_dim(c, 'n'), fov_dim(c, 'm'))) : 0;
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) {
  const int64_t *len = c->in[LENGTH].x;
  const ptrdiff_t m = fov_dim(c, 'm');
  const real *z = c->in[Z0].x;
  const int given = (c->in[S0].x != NULL) + (c->in[Z0].x != NULL) + (c->in[C0].x != NULL);
  if (len && (*len < 0 || *len > m))
    return fov_fail(FOV_VALUE, "key_length: expected 0 .. m=%td, got %lld", m, (long long)*len);
  if (given != 0 && given != 3)
    return fov_fail(FOV_VALUE, "s, z and c are one state: give all three or none");
  for (ptrdiff_t i = 0; z && i < fov_dim(c, 'f'); i++)
    if (z[i] < 0) return fov_fail(FOV_VALUE, "z: sums of weights are >= 0, got %g", (double)z[i]);
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'),
               f = (double)fov_dim(c, 'f'), e = (double)fov_dim(c, 'e');
  cost->flops = 2 * (n + m) * f * (e + 1);
  cost->exps = (n + m) * f;
  cost->form = c->opt[CAUSAL] != 0 ? "token" : "sum";
  cost->chunk = FOV_WINDOW;
  cost->bytes = ((n + m) * (f + e) + 2 * f * (e + 2)) * (double)sizeof(real);
}

const fov_Op FOV_OP(positive_attention) = {
  .name = "positive_attention",
  .sig = "lq(n,f) lk(m,f) v(m,e) key_length?:i64(<) s?(f,e) z?(f) c?(f) -> "
         "o(n,e) s_n(f,e) z_n(f) c_n(f) | lse(n) hs(b,f,e) hz(b,f) hc(b,f)",
  .doc = "Attention in linear time from logarithms of positive features.\n"
         "o_t is the mean of v under weights w_tj = sum_i exp(lq_ti + lk_ji); lse_t the log of their\n"
         "sum.  Finite for finite logarithms of any size: features are scaled by maxima that cancel,\n"
         "with no epsilon, and when causal depend on no later key.  Returns o, then the state\n"
         "after the last key (sums s_n, z_n in units of exp(c_n)) which given back as s, z, c\n"
         "continues a causal sequence.  When causal the last query sees the last key.  Keys from\n"
         "key_length on are not read; a query that sees none gives zeros and lse = -inf.  A\n"
         "logarithm of -inf is a feature of 0; NaN where all weights of a query are 0.",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "causal streaming grouped linear_in_v rows_sum_to_one nonneg",
  .opt = { [CAUSAL] = { "causal", 'b', 0, 0, 0, "hide the keys after each query", NULL } },
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
