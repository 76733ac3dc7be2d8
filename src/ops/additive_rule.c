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
 * Time 4nde flops (6nde with gates), backward three times that.  The states
 * before windows of FOV_WINDOW tokens are kept for the backward pass, which
 * walks them in reverse.  Scratch de and a window's gates; backward 3de and a
 * window of 2(d+e). */
#include "ops/op.h"
#include "tensor/chunked.h"
#include "tensor/gates.h"
#include "tensor/tile.h"

enum { EXCLUSIVE, CHUNK, FORM };
enum { Q, K, V, G, U, S0 };
enum { O, SN, HS };
enum { AUTO, CHUNKS, TOKEN };
enum { ALONE = 1 << 20 };                  /* multiplications worth a task */

typedef struct Rule {
  ptrdiff_t n, d, e;
  ptrdiff_t side;                          /* gates of a token: 0, 1 or d */
  ptrdiff_t chunk;                         /* 0: token form */
  ptrdiff_t step;                          /* tokens at a time, while they are in cache */
  bool exclusive, spread;
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
  p.step = p.chunk ? p.n : p.spread && !c->dout[HS].x ? 8 * FOV_WINDOW : FOV_WINDOW;
  return p;
}

static fov_Status sizes (fov_Call *c) {
  c->dim['b' - 'a'] = fov_windows(fov_dim(c, 'n'));
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) {
  if (c->in[U].x && c->opt[EXCLUSIVE] == 0)
    return fov_fail(FOV_VALUE, "u: the bonus belongs to the exclusive read, set exclusive = true");
  return gates_check(&c->in[G]);
}

/* a := e^g of tokens [t, t + n), and a last row of ones. */
static void gates (const fov_Call *c, const Rule *p, ptrdiff_t t, ptrdiff_t n, real *a) {
  const ptrdiff_t count = n * p->side;
  const real *g = (const real *)c->in[G].x + t * p->side;
  ptrdiff_t i = 0;
  for (; i + VL <= count; i += VL) vstore(a + i, vexp(vload(g + i)));
  if (i < count) vstore_n(a + i, vexp(vload_n(g + i, count - i, 0)), count - i);
  for (i = count; i < count + p->side; i++) a[i] = 1;
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

/* o := (q'(u o k)) v */
static void bonus (const fov_Call *c, const Rule *p, ptrdiff_t t0, ptrdiff_t n) {
  const ptrdiff_t d = p->d, e = p->e;
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x, *u = c->in[U].x;
  real *o = c->out[O].x;
  for (ptrdiff_t t = t0; t < t0 + n; t++) {
    real b = 0;
    for (ptrdiff_t i = 0; i < d; i++) b += q[t * d + i] * u[i] * k[t * d + i];
    for (ptrdiff_t j = 0; j < e; j++) o[t * e + j] = b * v[t * e + j];
  }
}

static fov_Status fwd (fov_Call *c) {
  const Rule p = rule(c);
  const ptrdiff_t d = p.d, e = p.e;
  real *a = p.side ? fov_scratch((size_t)((p.step + 1) * p.side), sizeof *a) : NULL;
  fov_Status s = FOV_OK;
  if (p.side && !a) return FOV_NOMEM;
  start(c->out[SN].x, &c->in[S0], d * e);
  if (p.chunk) {                           /* its backward pass takes the first alone */
    memset(c->out[HS].x, 0, (size_t)fov_numel(&c->out[HS]) * sizeof(real));
    if (p.n > 0) start(c->out[HS].x, &c->in[S0], d * e);
  }
  const fov_Recur all = {
    .d = d, .e = e, .q = c->in[Q].x, .k = c->in[K].x, .v = c->in[V].x, .ldq = d, .ldk = d, .ldv = e,
    .exclusive = p.exclusive, .add = c->in[U].x != NULL, .o = c->out[O].x, .ldo = e,
    .s = c->out[SN].x, .keep = p.chunk ? NULL : c->out[HS].x
  };
  for (ptrdiff_t t = 0; t < p.n && s == FOV_OK; t += p.step) {
    fov_Recur r = fov_recur_part(&all, t, least(p.n - t, p.step));
    if (a) {
      gates(c, &p, t, r.n, a);
      r.a = a, r.lda = p.side, r.each = p.side > 1, r.gate = FOV_ROWS;
    }
    if (r.add) bonus(c, &p, t, r.n);
    s = run(&p, &r, 1);
  }
  return s;
}

/* dg of the header for a window, from its dq and dk without the bonus. */
static void gate_gradient (const fov_Call *c, const Rule *p, ptrdiff_t t0, ptrdiff_t n, const real *a,
                           const real *dq, const real *dk, double *sum) {
  const ptrdiff_t d = p->d, side = p->side;
  const real *q = (const real *)c->in[Q].x + t0 * d, *k = (const real *)c->in[K].x + t0 * d;
  real *dg = (real *)c->din[G].x + t0 * side;
  for (ptrdiff_t t = n - 1; t >= 0; t--) {
    const real *qt = q + t * d, *kt = k + t * d, *dqt = dq + t * d, *dkt = dk + t * d;
    const real *at = a + t * side;
    real *out = dg + t * side;
    if (side == 1) {
      real x = 0, y = 0;
      for (ptrdiff_t i = 0; i < d; i++) x += qt[i] * dqt[i], y += kt[i] * dkt[i];
      *sum -= p->exclusive ? (double)y : (double)y - (double)x;
      *out = (real)(*sum = *at == 0 ? 0 : *sum);
      if (p->exclusive) *sum += (double)x;
    } else
      for (ptrdiff_t i = 0; i < d; i++) {
        const double x = (double)(qt[i] * dqt[i]), y = (double)(kt[i] * dkt[i]);
        const double s = sum[i] - (p->exclusive ? y : y - x), now = at[i] == 0 ? 0 : s;
        out[i] = (real)now;
        sum[i] = p->exclusive ? now + x : now;
      }
  }
}

/* sum := rowsum(S o R) */
static void gate_start (const Rule *p, const real *S, const real *R, double *sum) {
  memset(sum, 0, (size_t)p->side * sizeof *sum);
  for (ptrdiff_t i = 0; i < p->d; i++)
    for (ptrdiff_t j = 0; j < p->e; j++)
      sum[p->side > 1 ? i : 0] += (double)S[i * p->e + j] * (double)R[i * p->e + j];
}

static void bonus_gradient (const fov_Call *c, const Rule *p, ptrdiff_t t0, ptrdiff_t n, real *dq,
                            real *dk, real *dv) {
  const ptrdiff_t d = p->d, e = p->e;
  const real *q = (const real *)c->in[Q].x + t0 * d, *k = (const real *)c->in[K].x + t0 * d;
  const real *v = (const real *)c->in[V].x + t0 * e, *u = c->in[U].x;
  const real *dO = (const real *)c->dout[O].x + t0 * e;
  real *du = c->din[U].x;
  for (ptrdiff_t t = 0; t < n; t++) {
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

typedef struct Back {
  real *T, *R, *Rt;                        /* S', R and R' */
  real *a, *dq, *dk, *dv;                  /* a window each, where no result is wanted */
  const real *none;                        /* zeros for an absent do */
  double *sum;
} Back;

/* Tokens [t, t + n). */
static fov_Status window (const fov_Call *c, const Rule *p, const Back *b, ptrdiff_t t, ptrdiff_t n) {
  const ptrdiff_t d = p->d, e = p->e, side = p->side, last = n - 1, de = d * e;
  const real *q = (const real *)c->in[Q].x + t * d, *k = (const real *)c->in[K].x + t * d;
  const real *v = (const real *)c->in[V].x + t * e;
  const real *dO = c->dout[O].x ? (const real *)c->dout[O].x + t * e : b->none;
  const real *hs = (const real *)c->out[HS].x + t / FOV_WINDOW * de;
  real *dq = c->din[Q].x ? (real *)c->din[Q].x + t * d : b->dq;
  real *dk = c->din[K].x ? (real *)c->din[K].x + t * d : b->dk;
  real *dv = c->din[V].x ? (real *)c->din[V].x + t * e : b->dv;
  if (side) gates(c, p, t, n, b->a);
  FOV_BUILD(fov_recur).transpose(d, e, hs, b->T);
  /* Backwards the inclusive read comes before the decay of its own token: each
   * token decays by the next one's gate, the last by 1, and the first one's is
   * left for the end. */
  const fov_Gate rows = side ? FOV_ROWS : FOV_FREE, cols = side ? FOV_COLS : FOV_FREE;
  const real *a = side ? b->a + (p->exclusive ? last : n) * side : NULL;
  const bool each = side > 1;
  const fov_Recur list[] = {
    { .n = n, .d = e, .e = d, .q = dO, .ldq = e, .k = v, .ldk = e, .v = k, .ldv = d, .a = b->a,
      .lda = side, .each = each, .gate = cols, .exclusive = p->exclusive, .o = dq, .ldo = d, .s = b->T },
    { .n = n, .d = d, .e = e, .q = k + last * d, .ldq = -d, .k = q + last * d, .ldk = -d,
      .v = dO + last * e, .ldv = -e, .a = a, .lda = -side, .each = each, .gate = rows,
      .exclusive = p->exclusive, .o = dv + last * e, .ldo = -e, .s = b->R },
    { .n = n, .d = e, .e = d, .q = v + last * e, .ldq = -e, .k = dO + last * e, .ldk = -e,
      .v = q + last * d, .ldv = -d, .a = a, .lda = -side, .each = each, .gate = cols,
      .exclusive = p->exclusive, .o = dk + last * d, .ldo = -d, .s = b->Rt },
  };
  const fov_Status s = run(p, list, 3);
  const real *dhs = c->dout[HS].x;
  if (s != FOV_OK) return s;
  for (ptrdiff_t i = 0; side && !p->exclusive && i < d; i++)
    for (ptrdiff_t j = 0; j < e; j++) {
      b->R[i * e + j] *= b->a[each ? i : 0];
      b->Rt[j * d + i] *= b->a[each ? i : 0];
    }
  if (c->din[G].x) {
    gate_gradient(c, p, t, n, b->a, dq, dk, b->sum);
    gate_start(p, hs, b->R, b->sum);
  }
  if (c->in[U].x && c->dout[O].x) bonus_gradient(c, p, t, n, dq, dk, dv);
  if (dhs && (t == 0 || !p->chunk)) {      /* the states kept are outputs too */
    for (ptrdiff_t i = 0; i < de; i++) b->R[i] += dhs[t / FOV_WINDOW * de + i];
    FOV_BUILD(fov_recur).transpose(d, e, b->R, b->Rt);
  }
  return s;
}

static fov_Status bwd (fov_Call *c) {
  const Rule p = rule(c);
  const ptrdiff_t d = p.d, e = p.e, step = least(p.step, p.n);
  const size_t size = sizeof(real);
  Back b = { .T = fov_scratch((size_t)(3 * d * e), size) };
  real *w = fov_scratch((size_t)(step * (2 * d + 2 * e) + (step + 1) * p.side), size);
  b.sum = fov_scratch((size_t)p.side, sizeof *b.sum);
  if (!b.T || !w || !b.sum) return FOV_NOMEM;
  b.R = b.T + d * e;
  b.Rt = b.R + d * e;
  b.dq = w;
  b.dk = b.dq + step * d;
  b.dv = b.dk + step * d;
  memset(b.dv + step * e, 0, (size_t)(step * e) * size);
  b.none = b.dv + step * e;
  b.a = b.dv + 2 * step * e;
  start(b.R, &c->dout[SN], d * e);
  FOV_BUILD(fov_recur).transpose(d, e, b.R, b.Rt);
  if (c->din[U].x) memset(c->din[U].x, 0, (size_t)d * size);
  if (c->din[G].x) gate_start(&p, c->out[SN].x, b.R, b.sum);
  fov_Status s = FOV_OK;
  for (ptrdiff_t h = (p.n + p.step - 1) / (p.step > 0 ? p.step : 1) - 1; h >= 0 && s == FOV_OK; h--)
    s = window(c, &p, &b, h * p.step, least(p.n - h * p.step, p.step));
  if (c->din[S0].x) memcpy(c->din[S0].x, b.R, (size_t)(d * e) * size);
  return s;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'), e = (double)fov_dim(c, 'e');
  const Rule p = rule(c);
  cost->form = p.chunk ? "chunk" : "token";
  cost->chunk = p.chunk ? p.chunk : 1;
  cost->flops = (p.chunk ? 6 : 4) * n * d * e;
  cost->bytes = (n * (2 * d + 2 * e) + 2 * d * e) * (double)sizeof(real);
}

const fov_Op FOV_OP(additive_rule) = {
  .name = "additive_rule",
  .sig = "q(n,d) k(n,d) v(n,e) g?(n[d]) u?(d) s?(d,e) -> o(n,e) s_n(d,e) | hs(b,d,e)",
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
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
