/* favor_attention.c -- FAVOR+: softmax attention estimated by positive random
 * features, projected, exponentiated and summed a block at a time.
 *
 *   o_t = sum_j w_tj v_j / sum_j w_tj,   w_tj = sum_i exp(w_i'(x_t + y_j) - |y_j|^2 / 2),
 *   x = sqrt(scale) q,  y = sqrt(scale) k;   hyperbolic: also with -w_i
 *
 * which for rows of w ~ N(0, I) has mean exp(scale q_t'k_j) up to a factor of
 * the query alone.  Choromanski et al. 2021 (arXiv:2009.14794).  Equals
 * positive_attention on the log-features; equations: tensor/positive.h, and
 *
 *   dq_t = sqrt(scale) w'dlq_t,   dk_j = sqrt(scale) w'dlk_j - scale (sum_i dlk_ji) k_j,
 *   dw = sqrt(scale) (dlq'q + dlk'k)
 *
 * Time O((n + m) f (d + e)), f = r or 2r, and (n + m) f exps; scratch 2 blocks
 * of 192 f forward, and 4 and 3 f e backward. */
#include "ops/op.h"
#include "tensor/positive.h"
#include "tensor/tile.h"

enum { CAUSAL, HYPERBOLIC, SCALE };
enum { Q, K, V, W, LENGTH };
enum { O, LSE, SN, ZN, CN, HS, HZ, HC };
enum { ALONE = 1 << 21 };                  /* multiplications worth a task */

static ptrdiff_t features (const fov_Call *c) {
  return fov_dim(c, 'r') * (c->opt[HYPERBOLIC] != 0 ? 2 : 1);
}

static fov_Positive problem (const fov_Call *c) {
  const fov_Tensor *in = c->in, *out = c->out, *dout = c->dout, *din = c->din;
  fov_Positive p = {
    .n = fov_dim(c, 'n'), .m = fov_dim(c, 'm'), .f = features(c), .e = fov_dim(c, 'e'),
    .d = fov_dim(c, 'd'), .w = in[W].x, .hyperbolic = c->opt[HYPERBOLIC] != 0,
    .causal = c->opt[CAUSAL] != 0, .q = in[Q].x, .k = in[K].x, .v = in[V].x, .o = out[O].x,
    .lse = out[LSE].x, .sn = out[SN].x, .zn = out[ZN].x, .cn = out[CN].x, .hs = out[HS].x,
    .hz = out[HZ].x, .hc = out[HC].x, .dO = dout[O].x, .dlse = dout[LSE].x, .dsn = dout[SN].x,
    .dzn = dout[ZN].x, .dcn = dout[CN].x, .dhs = dout[HS].x, .dhz = dout[HZ].x, .dhc = dout[HC].x,
    .dq = din[Q].x, .dk = din[K].x, .dv = din[V].x, .dw = din[W].x
  };
  const double scale = c->opt[SCALE];
  p.scale = (real)(isnan(scale) ? 1 / sqrt((double)p.d) : scale);
  p.length = in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)in[LENGTH].x : p.m;
  p.spread = c->heads == 1 && (p.n + p.m) * p.f > ALONE / (p.e + p.d + 1);
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
  c->dim['f' - 'a'] = features(c);
  c->dim['b' - 'a'] = c->opt[CAUSAL] != 0 ? fov_windows(least(fov_dim(c, 'n'), fov_dim(c, 'm'))) : 0;
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) {
  const int64_t *len = c->in[LENGTH].x;
  const ptrdiff_t m = fov_dim(c, 'm');
  return !len || (*len >= 0 && *len <= m) ? FOV_OK
    : fov_fail(FOV_VALUE, "key_length: expected 0 .. m=%td, got %lld", m, (long long)*len);
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), f = (double)features(c),
               r = (double)fov_dim(c, 'r'), d = (double)fov_dim(c, 'd'), e = (double)fov_dim(c, 'e');
  cost->flops = 2 * (n + m) * (r * d + f * (e + 1));
  cost->exps = (n + m) * f;
  cost->form = c->opt[CAUSAL] != 0 ? "token" : "sum";
  cost->chunk = FOV_WINDOW;
  cost->bytes = ((n + m) * (d + e) + r * d + f * e) * (double)sizeof(real);
}

const fov_Op FOV_OP(favor_attention) = {
  .name = "favor_attention",
  .sig = "q(n,d) k(m,d) v(m,e) w(r,d) key_length?:i64(<) -> "
         "o(n,e) | lse(n) s(f,e) z(f) c(f) hs(b,f,e) hz(b,f) hc(b,f)",
  .doc = "FAVOR+: softmax attention estimated by positive random features, in linear time.\n"
         "w holds the projections, from a sampler; features exp(w x - |x|^2/2) of q and k times\n"
         "sqrt(scale) are formed a block at a time and never stored for the sequence.  Finite at\n"
         "any norm: scaled by maxima that cancel, no epsilon; when causal no output depends on a\n"
         "later key, and the last query sees the last key.  Keys from key_length on are not read;\n"
         "a query that sees none gives zeros.  Differentiable in q, k, v and w.",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "causal grouped linear_in_v rows_sum_to_one nonneg",
  .opt = { [CAUSAL] = { "causal", 'b', 0, 0, 0, "hide the keys after each query", NULL },
           [HYPERBOLIC] = { "hyperbolic", 'b', 0, 0, 0, "features exp(w x) and exp(-w x)", NULL },
           [SCALE] = { "scale", 'n', NAN, 0, INFINITY, "of q.k in the softmax; 1/sqrt(d) if absent", NULL } },
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
