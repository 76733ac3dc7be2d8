/* additive_rule.c -- the additive fast-weight recurrence with decay.
 *
 *   S_t = Diag(e^{g_t}) S_{t-1} + k_t v_t',   o_t = S_t' q_t,          or
 *   exclusive:  o_t = S_{t-1}' q_t + (q_t'(u o k_t)) v_t
 *
 * Linear attention, RetNet, Mamba-2, GLA, HGRN-2 and (exclusive) RWKV-6 differ
 * only in their gates.  With R_t = dL/dS_t, which runs backwards as
 * R_{t-1} = Diag(e^{g_t}) R_t + q_{t-1} do_{t-1}' (exclusive: + q_t do_t'),
 *
 *   dq_t = S_t do_t (S_{t-1}),  dk_t = R_t v_t,  dv_t = R_t'k_t,  dS_0 = e^{g_1} o R_1 (R_0),
 *   dg_t = rowsum(S_n o dS_n) + sum_{i >= t} (q_i o dq_i - k_i o dk_i)
 *
 * (exclusive: the q part from t+1 on), summed over d for a scalar gate.  Where
 * e^{g_t} rounds to 0 dg_t is 0 and the sum starts anew.  The bonus adds, with
 * w_t = do_t'v_t, to dq w u o k, to dk w u o q, to du w q o k, to dv (q'(u o k)) do.
 *
 * Yang et al. 2024 (arXiv:2312.06635) for gates and chunks, Peng et al. 2024
 * (arXiv:2404.05892) for u.  The gates enter as factors, never as quotients, so
 * every g <= 0 is exact, -inf included; g = 0 multiplies by 1 and gives the
 * bits of no gate.
 *
 * Time 4nde flops (6nde with gates), backward three times that; no state is
 * stored.  Scratch de and the gates; backward n(d+e) more at most. */
#include "ops/op.h"
#include "tensor/chunked.h"

enum { EXCLUSIVE, CHUNK, FORM };
enum { Q, K, V, G, U, S0 };
enum { O, SN };
enum { AUTO, CHUNKS, TOKEN };
enum { ALONE = 1 << 20 };                  /* multiplications worth a task */

typedef struct Rule {
  ptrdiff_t n, d, e;
  ptrdiff_t side;                          /* gates of a token: 0, 1 or d */
  ptrdiff_t chunk;                         /* 0: token form */
  bool exclusive, spread;
  real *a;                                 /* e^g, (n+1, side), last row 1 */
} Rule;

static Rule rule (const fov_Call *c) {
  Rule p = { fov_dim(c, 'n'), fov_dim(c, 'd'), fov_dim(c, 'e'),
             .exclusive = c->opt[EXCLUSIVE] != 0 };
  if (c->in[G].x) p.side = c->in[G].ndim == 1 ? 1 : p.d;
  p.spread = c->heads == 1 && p.n * p.d > ALONE / (p.e + 1);
  /* a lone long head of one vector's width leaves nothing else to cut */
  const bool narrow = p.spread && p.e <= VL && p.n >= 4096;
  if (c->opt[FORM] == CHUNKS || (c->opt[FORM] == AUTO && narrow))
    p.chunk = c->opt[CHUNK] > 0 ? (ptrdiff_t)c->opt[CHUNK] : 256;
  return p;
}

static fov_Status check (const fov_Call *c) {
  const real *g = c->in[G].x;
  if (c->in[U].x && c->opt[EXCLUSIVE] == 0)
    return fov_fail(FOV_VALUE, "u: the bonus belongs to the exclusive read, set exclusive = true");
  const ptrdiff_t count = g ? fov_numel(&c->in[G]) : 0, side = c->in[G].ndim == 1 ? 1 : fov_dim(c, 'd');
  for (ptrdiff_t i = 0; i < count; i++)
    if (g[i] > 0)
      return fov_fail(FOV_VALUE, "g: log gates must be <= 0, got %g at token %td", (double)g[i],
                      i / side + 1);
  return FOV_OK;
}

static bool gates (const fov_Call *c, Rule *p) {
  const ptrdiff_t count = p->n * p->side;
  const real *g = c->in[G].x;
  if (!p->side) return true;
  if (!(p->a = fov_scratch((size_t)(count + p->side), sizeof *p->a))) return false;
  for (ptrdiff_t i = 0; i < count; i += VL) {
    const ptrdiff_t w = count - i;
    if (w >= VL) vstore(p->a + i, vexp(vload(g + i)));
    else vstore_n(p->a + i, vexp(vload_n(g + i, w, 0)), w);
  }
  for (ptrdiff_t i = 0; i < p->side; i++) p->a[count + i] = 1;
  return true;
}

static fov_Status run (const Rule *p, const fov_Recur *list, int count) {
  fov_Status s = FOV_OK;
  if (!p->chunk) return FOV_BUILD(fov_recur).run(list, count, p->spread);
  for (int i = 0; i < count && s == FOV_OK; i++) s = FOV_BUILD(fov_chunked).run(&list[i], p->chunk);
  return s;
}

static void start (real *x, const fov_Tensor *from, ptrdiff_t count) {
  if (from->x) memcpy(x, from->x, (size_t)count * sizeof *x);
  else memset(x, 0, (size_t)count * sizeof *x);
}

static fov_Status fwd (fov_Call *c) {
  Rule p = rule(c);
  const ptrdiff_t d = p.d, e = p.e;
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x, *u = c->in[U].x;
  real *o = c->out[O].x;
  if (!gates(c, &p)) return FOV_NOMEM;
  start(c->out[SN].x, &c->in[S0], d * e);
  for (ptrdiff_t t = 0; u && t < p.n; t++) {
    real b = 0;
    for (ptrdiff_t i = 0; i < d; i++) b += q[t * d + i] * u[i] * k[t * d + i];
    for (ptrdiff_t j = 0; j < e; j++) o[t * e + j] = b * v[t * e + j];
  }
  const fov_Recur r = {
    .n = p.n, .d = d, .e = e, .q = q, .k = k, .v = v, .ldq = d, .ldk = d, .ldv = e,
    .a = p.a, .lda = p.side, .each = p.side > 1, .gate = p.a ? FOV_ROWS : FOV_FREE,
    .exclusive = p.exclusive, .add = u != NULL, .o = o, .ldo = e, .s = c->out[SN].x
  };
  return run(&p, &r, 1);
}

/* dg of the header, from dq and dk without the bonus. */
static fov_Status gate_gradient (const fov_Call *c, const Rule *p, const real *dq, const real *dk) {
  const ptrdiff_t d = p->d, e = p->e, side = p->side;
  const real *q = c->in[Q].x, *k = c->in[K].x, *sn = c->out[SN].x, *dsn = c->dout[SN].x;
  real *dg = c->din[G].x;
  double *sum = fov_scratch((size_t)side, sizeof *sum);
  if (!sum) return FOV_NOMEM;
  memset(sum, 0, (size_t)side * sizeof *sum);
  for (ptrdiff_t i = 0; dsn && i < d; i++)
    for (ptrdiff_t j = 0; j < e; j++)
      sum[side > 1 ? i : 0] += (double)sn[i * e + j] * (double)dsn[i * e + j];
  for (ptrdiff_t t = p->n - 1; t >= 0; t--) {
    const real *qt = q + t * d, *kt = k + t * d, *dqt = dq + t * d, *dkt = dk + t * d;
    const real *a = p->a + t * side;
    real *out = dg + t * side;
    if (side == 1) {
      double x = 0, y = 0;
      for (ptrdiff_t i = 0; i < d; i++) x += (double)(qt[i] * dqt[i]), y += (double)(kt[i] * dkt[i]);
      *sum -= p->exclusive ? y : y - x;
      *out = (real)(*sum = *a == 0 ? 0 : *sum);
      if (p->exclusive) *sum += x;
    } else
      for (ptrdiff_t i = 0; i < d; i++) {
        const double x = (double)(qt[i] * dqt[i]), y = (double)(kt[i] * dkt[i]);
        const double s = sum[i] - (p->exclusive ? y : y - x), now = a[i] == 0 ? 0 : s;
        out[i] = (real)now;
        sum[i] = p->exclusive ? now + x : now;
      }
  }
  return FOV_OK;
}

static void bonus_gradient (const fov_Call *c, const Rule *p, real *dq, real *dk, real *dv) {
  const ptrdiff_t d = p->d, e = p->e;
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x, *u = c->in[U].x;
  const real *dO = c->dout[O].x;
  real *du = c->din[U].x;
  if (du) memset(du, 0, (size_t)d * sizeof *du);
  for (ptrdiff_t t = 0; dO && t < p->n; t++) {
    real w = 0, b = 0;
    for (ptrdiff_t j = 0; j < e; j++) w += dO[t * e + j] * v[t * e + j];
    for (ptrdiff_t i = t * d; i < (t + 1) * d; i++) {
      const real ui = u[i - t * d];
      b += q[i] * ui * k[i];
      dq[i] += w * ui * k[i];
      dk[i] += w * ui * q[i];
      if (du) du[i - t * d] += w * q[i] * k[i];
    }
    for (ptrdiff_t j = 0; j < e; j++) dv[t * e + j] += b * dO[t * e + j];
  }
}

static fov_Status bwd (fov_Call *c) {
  Rule p = rule(c);
  const ptrdiff_t n = p.n, d = p.d, e = p.e, last = n - 1;
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x, *dO = c->dout[O].x;
  const size_t size = sizeof(real);
  real *dq = c->din[Q].x, *dk = c->din[K].x, *dv = c->din[V].x;
  real *T = fov_scratch((size_t)(3 * d * e), size);
  if (!dq) dq = fov_scratch((size_t)(n * d), size);
  if (!dk) dk = fov_scratch((size_t)(n * d), size);
  if (!dv) dv = fov_scratch((size_t)(n * e), size);
  if (!T || !dq || !dk || !dv || !gates(c, &p)) return FOV_NOMEM;
  if (!dO) {                               /* only the last state is wanted */
    real *none = fov_scratch((size_t)(n * e), size);
    if (!none) return FOV_NOMEM;
    memset(none, 0, (size_t)(n * e) * size);
    dO = none;
  }
  real *R = T + d * e, *Rt = R + d * e;    /* T: S_t', R: R_t, Rt: R_t' */
  start(R, &c->in[S0], d * e);
  FOV_BUILD(fov_recur).transpose(d, e, R, T);
  start(R, &c->dout[SN], d * e);
  FOV_BUILD(fov_recur).transpose(d, e, R, Rt);

  /* Backwards the inclusive read comes before the decay of its own token, so
   * each token decays by the next one's gate: row n of a is 1. */
  const fov_Gate rows = p.a ? FOV_ROWS : FOV_FREE, cols = p.a ? FOV_COLS : FOV_FREE;
  const real *a = p.a ? p.a + (p.exclusive ? last : n) * p.side : NULL;
  const fov_Recur list[] = {
    { .n = n, .d = e, .e = d, .q = dO, .ldq = e, .k = v, .ldk = e, .v = k, .ldv = d,
      .a = p.a, .lda = p.side, .each = p.side > 1, .gate = cols, .exclusive = p.exclusive,
      .o = dq, .ldo = d, .s = T },
    { .n = n, .d = d, .e = e, .q = k + last * d, .ldq = -d, .k = q + last * d, .ldk = -d,
      .v = dO + last * e, .ldv = -e, .a = a, .lda = -p.side, .each = p.side > 1, .gate = rows,
      .exclusive = p.exclusive, .o = dv + last * e, .ldo = -e, .s = R },
    { .n = n, .d = e, .e = d, .q = v + last * e, .ldq = -e, .k = dO + last * e, .ldk = -e,
      .v = q + last * d, .ldv = -d, .a = a, .lda = -p.side, .each = p.side > 1, .gate = cols,
      .exclusive = p.exclusive, .o = dk + last * d, .ldo = -d, .s = Rt },
  };
  fov_Status s = run(&p, list, 3);
  if (s != FOV_OK) return s;
  if (c->din[S0].x) {
    real *ds = c->din[S0].x;
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j < e; j++)
        ds[i * e + j] = R[i * e + j] *
          (p.a && !p.exclusive && n > 0 ? p.a[p.side > 1 ? i : 0] : 1);
  }
  if (c->din[G].x) s = gate_gradient(c, &p, dq, dk);
  if (c->in[U].x) bonus_gradient(c, &p, dq, dk, dv);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), e = (double)fov_dim(c, 'e');
  cost->flops = 4 * n * d * e;
  cost->bytes = (n * (2 * d + 2 * e) + 2 * d * e) * (double)sizeof(real);
}

const fov_Op FOV_OP(additive_rule) = {
  .name = "additive_rule",
  .sig = "q(n,d) k(n,d) v(n,e) g?(n[d]) u?(d) s?(d,e) -> o(n,e) s_n(d,e)",
  .doc = "Additive fast-weight memory with decay: linear attention, RetNet, Mamba-2, GLA, RWKV-6.\n"
         "S = exp(g_t) S + k_t v_t', o_t = S'q_t, or with exclusive o_t = S'q_t before the write\n"
         "plus (q_t.(u k_t)) v_t.  g holds log gates, one per token (n) or per token and row (n,d);\n"
         "all must be <= 0 (an error says which is not), -inf forgets everything, 0 gives the bits\n"
         "of no gate.  Returns o and the last state, which given back as s continues the sequence\n"
         "bit for bit.  form=chunk cuts time into chunks that run in parallel (6nde flops for\n"
         "4nde); form=token is one pass and the default but for a lone long head of few columns.",
  .ref = "Yang et al. 2024, arXiv:2312.06635; Peng et al. 2024, arXiv:2404.05892",
  .caps = "causal streaming linear_in_v",
  .opt = { [EXCLUSIVE] = { "exclusive", 'b', 0, 0, 0, "read before the write", NULL },
           [CHUNK] = { "chunk", 'i', 0, 0, 1e9, "tokens of a chunk in the chunk form; 0: 256", NULL },
           [FORM] = { "form", 'e', AUTO, 0, 0, "how it is computed", "auto|chunk|token" } },
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
