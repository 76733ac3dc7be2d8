/* fwm_rule.c -- the fast weight memory: a delta rule whose memory is clipped.
 *
 *   r_t = S_{t-1}' k_t,   u_t = beta_t (v_t - r_t),   Z_t = S_{t-1} + k_t u_t'
 *   S_t = Z_t / max(1, |Z_t|_F),   o_t = S_t' q_t
 *
 * Schlag, Munkhdalai & Schmidhuber's memory as compared in Schlag, Irie &
 * Schmidhuber 2021 (arXiv:2102.11174).  The clip needs no pass of its own,
 * |Z|^2 = |S|^2 + 2 u.r + |k|^2 |u|^2; |S|^2 is summed afresh every sqrt(n)
 * tokens.
 *
 * Backward, c_t = 1 / max(1, |Z_t|_F):
 *   dS_t += q_t dO_t' before,   dq_t = S_t dO_t
 *   dZ_t = c_t (dS_t - [|Z_t| > 1] <S_t, dS_t> S_t),   dU = dZ_t' k_t
 *   dbeta_t = dU . (v_t - r_t),   dv_t = beta_t dU,   dr = -dv_t
 *   dk_t = dZ_t u_t + S_{t-1} dr,   dS_{t-1} = dZ_t + k_t dr'
 *
 * Not affine in S, so a scan over tokens: 6 n d e flops forward, 24 n d e
 * backward; scratch d e forward, 2 sqrt(n) d e backward. */
#include "ops/op.h"
#include "tensor/sweep.h"

enum { Q, K, V, BETA, S };

FOV_PASS(pass_token, 1, 1, 2)
FOV_PASS(flush_token, 1, 1, 0)

typedef struct Memory {
  ptrdiff_t n, d, e, ld, each;     /* each: tokens between fresh norms */
  const real *q, *k, *v, *beta;
  real *state, *pend, *r, *a;      /* pend: c u, and r: rows of ld */
  real c, norm;                    /* what the last write was scaled by, |S|^2 */
} Memory;

static real dot (ptrdiff_t n, const real *x, const real *y) {
  vec a = vzero();
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) a = vfma(vload(x + i), vload(y + i), a);
  if (i < n) a = vfma(vload_n(x + i, n - i, 0), vload_n(y + i, n - i, 0), a);
  return vsum(a);
}

static bool begin (const fov_Call *c, Memory *m) {
  m->n = fov_dim(c, 'n'), m->d = fov_dim(c, 'd'), m->e = fov_dim(c, 'e');
  m->q = c->in[Q].x, m->k = c->in[K].x, m->v = c->in[V].x, m->beta = c->in[BETA].x;
  m->ld = (m->e + VL - 1) / VL * VL;
  m->each = (ptrdiff_t)ceil(sqrt((double)m->n));
  const size_t size = (size_t)(m->d * m->ld);
  m->state = fov_scratch(size, sizeof(real));
  m->pend = fov_scratch((size_t)(3 * m->ld), sizeof(real));
  if (!m->state || !m->pend) return false;
  m->r = m->pend + m->ld, m->a = m->r + m->ld;
  memset(m->state, 0, size * sizeof(real));
  memset(m->pend, 0, (size_t)(3 * m->ld) * sizeof(real));
  const real *s = c->in[S].x;
  for (ptrdiff_t i = 0; s && i < m->d; i++)
    memcpy(m->state + i * m->ld, s + i * m->e, (size_t)m->e * sizeof(real));
  m->c = 1;
  return true;
}

/* The write of token t - 1 reaches the state; r = S' k_t, a = S' q_t. */
static void read_state (Memory *m, ptrdiff_t t, real *to_r, real *to_a) {
  vec acc[2 * TB * NVEC];
  const ptrdiff_t before = t > 0 ? t - 1 : 0;     /* at t = 0 what pends is 0 */
  for (ptrdiff_t j = 0; j < m->ld; j += NVEC * VL) {
    const int nv = m->ld - j < NVEC * VL ? 1 : NVEC;
    const real *k = m->k + t * m->d, *q = m->q + t * m->d, *x = m->k + before * m->d;
    const fov_Pass p = { m->d, m->ld, m->ld, m->state + j, &m->c, m->pend + j,
                         x, x, k, q, acc, k, q };
    pass_token(nv, SCALAR_GATE, &p);
    for (int i = 0; i < nv; i++) {
      vstore(to_r + j + i * VL, acc[i]);
      vstore(to_a + j + i * VL, acc[nv + i]);
    }
  }
}

static void flush (Memory *m, ptrdiff_t t) {
  for (ptrdiff_t j = 0; j < m->ld; j += NVEC * VL) {
    const real *x = m->k + t * m->d;
    const fov_Pass p = { m->d, m->ld, m->ld, m->state + j, &m->c, m->pend + j,
                         x, x, NULL, NULL, NULL, NULL, NULL };
    flush_token(m->ld - j < NVEC * VL ? 1 : NVEC, SCALAR_GATE, &p);
  }
  m->c = 1;
  memset(m->pend, 0, (size_t)m->ld * sizeof(real));
}

/* One token; its write pends.  Fresh norms need the state itself: flushed. */
static void step (Memory *m, ptrdiff_t t) {
  const ptrdiff_t e = m->e;
  if (t % m->each == 0) {
    if (t > 0) flush(m, t - 1);
    m->norm = dot(m->d * m->ld, m->state, m->state);
  }
  read_state(m, t, m->r, m->a);
  const real *k = m->k + t * m->d, *v = m->v + t * e, beta = m->beta ? m->beta[t] : 1;
  for (ptrdiff_t j = 0; j < e; j++) m->pend[j] = beta * (v[j] - m->r[j]);
  const real z = m->norm + 2 * dot(e, m->pend, m->r) + dot(m->d, k, k) * dot(e, m->pend, m->pend);
  m->c = z > 1 ? 1 / (real)sqrt((double)z) : 1;
  m->norm = z > 1 ? 1 : z;
  for (ptrdiff_t j = 0; j < e; j++) m->pend[j] *= m->c;
}

static fov_Status fwd (fov_Call *c) {
  Memory m;
  if (!begin(c, &m)) return FOV_NOMEM;
  real *o = c->out[0].x, *s_n = c->out[1].x;
  for (ptrdiff_t t = 0; t < m.n; t++) {
    if (t % m.each == 0) {
      const fov_Status st = fov_interrupted();
      if (st != FOV_OK) return st;
    }
    step(&m, t);
    const real qk = dot(m.d, m.q + t * m.d, m.k + t * m.d);
    for (ptrdiff_t j = 0; j < m.e; j++) o[t * m.e + j] = m.c * m.a[j] + qk * m.pend[j];
  }
  if (m.n > 0) flush(&m, m.n - 1);
  for (ptrdiff_t i = 0; i < m.d; i++)
    memcpy(s_n + i * m.e, m.state + i * m.ld, (size_t)m.e * sizeof(real));
  return FOV_OK;
}

/* One token back.  W1 is S_t, W0 is S_{t-1}, D is dS_t and becomes dS_{t-1};
 * u, r as in the forward pass, g: scratch of e. */
typedef struct Back { real *D, *u, *r, *g, *dq, *dk, *dv, *dbeta; const real *dO; } Back;

static void step_back (const Memory *m, ptrdiff_t t, const real *W0, const real *W1, real scale,
                       const Back *b) {
  const ptrdiff_t d = m->d, e = m->e, ld = m->ld;
  const real *q = m->q + t * d, *k = m->k + t * d, *v = m->v + t * e;
  const real beta = m->beta ? m->beta[t] : 1;
  real along = 0;
  for (ptrdiff_t i = 0; i < d; i++) {
    real *D = b->D + i * ld;
    if (b->dO) {
      const real *dO = b->dO + t * e;
      for (ptrdiff_t j = 0; j < e; j++) D[j] += q[i] * dO[j];
      if (b->dq) b->dq[t * d + i] = dot(e, W1 + i * ld, dO);
    }
    if (scale < 1) along += dot(e, W1 + i * ld, D);
  }
  if (b->dq && !b->dO) memset(b->dq + t * d, 0, (size_t)d * sizeof(real));
  memset(b->g, 0, (size_t)e * sizeof(real));
  for (ptrdiff_t i = 0; i < d; i++) {
    real *D = b->D + i * ld;
    const real *W = W1 + i * ld;
    for (ptrdiff_t j = 0; j < e; j++) {
      D[j] = scale * (D[j] - along * W[j]);
      b->g[j] += k[i] * D[j];
    }
  }
  if (b->dbeta) {
    for (ptrdiff_t j = 0; j < e; j++) b->r[j] = v[j] - b->r[j];
    b->dbeta[t] = dot(e, b->g, b->r);
  }
  for (ptrdiff_t j = 0; j < e; j++) b->g[j] *= beta;       /* dv, and -dr */
  if (b->dv) memcpy(b->dv + t * e, b->g, (size_t)e * sizeof(real));
  for (ptrdiff_t i = 0; i < d; i++) {
    real *D = b->D + i * ld;
    if (b->dk) b->dk[t * d + i] = dot(e, D, b->u) - dot(e, W0 + i * ld, b->g);
    for (ptrdiff_t j = 0; j < e; j++) D[j] -= k[i] * b->g[j];
  }
}

static fov_Status bwd (fov_Call *c) {
  Memory m;
  if (!begin(c, &m)) return FOV_NOMEM;
  const ptrdiff_t d = m.d, e = m.e, ld = m.ld, L = m.each > 0 ? m.each : 1;
  const ptrdiff_t runs = (m.n + L - 1) / L, size = d * ld;
  real *first = fov_scratch((size_t)(runs * size), sizeof(real));
  real *W = fov_scratch((size_t)((L + 1) * size), sizeof(real));
  real *rows = fov_scratch((size_t)(2 * L * ld), sizeof(real));    /* u, r of a run */
  real *scale = fov_scratch((size_t)L, sizeof(real)), *g = fov_scratch((size_t)e, sizeof(real));
  Back b = { .D = fov_scratch((size_t)size, sizeof(real)), .g = g, .dq = c->din[Q].x,
             .dk = c->din[K].x, .dv = c->din[V].x, .dbeta = c->din[BETA].x, .dO = c->dout[0].x };
  if (!first || !W || !rows || !scale || !g || !b.D) return FOV_NOMEM;
  memset(b.D, 0, (size_t)size * sizeof(real));
  const real *ds_n = c->dout[1].x;
  for (ptrdiff_t i = 0; ds_n && i < d; i++)
    memcpy(b.D + i * ld, ds_n + i * e, (size_t)e * sizeof(real));
  for (ptrdiff_t t = 0; t < m.n; t++) {
    if (t % L == 0 && t > 0) flush(&m, t - 1);
    if (t % L == 0) memcpy(first + t / L * size, m.state, (size_t)size * sizeof(real));
    step(&m, t);
  }
  for (ptrdiff_t i = runs - 1; i >= 0; i--) {
    const ptrdiff_t from = i * L, to = from + L < m.n ? from + L : m.n;
    const fov_Status st = fov_interrupted();
    if (st != FOV_OK) return st;
    memcpy(W, first + i * size, (size_t)size * sizeof(real));
    memcpy(m.state, W, (size_t)size * sizeof(real));
    memset(m.pend, 0, (size_t)ld * sizeof(real));
    m.c = 1;
    for (ptrdiff_t t = from; t < to; t++) {
      real *u = rows + 2 * (t - from) * ld;
      step(&m, t);
      scale[t - from] = m.c;
      for (ptrdiff_t j = 0; j < e; j++) u[j] = m.pend[j] / m.c;
      memcpy(u + ld, m.r, (size_t)e * sizeof(real));
      flush(&m, t);
      memcpy(W + (t - from + 1) * size, m.state, (size_t)size * sizeof(real));
    }
    for (ptrdiff_t t = to - 1; t >= from; t--) {
      const real *W0 = W + (t - from) * size;
      b.u = rows + 2 * (t - from) * ld, b.r = b.u + ld;
      step_back(&m, t, W0, W0 + size, scale[t - from], &b);
    }
  }
  real *ds = c->din[S].x;
  for (ptrdiff_t i = 0; ds && i < d; i++)
    memcpy(ds + i * e, b.D + i * ld, (size_t)e * sizeof(real));
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *w) {
  const double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd'),
               e = (double)fov_dim(c, 'e');
  w->flops = 6 * n * d * e;
  w->form = "token", w->chunk = 1;
  w->bytes = (n * (2 * d + 2 * e) + d * e) * (double)sizeof(real);
  w->exps = 0;
}

const fov_Op FOV_OP(fwm_rule) = {
  .name = "fwm_rule",
  .sig = "q(n,d) k(n,d) v(n,e) beta?(n) s?(d,e) -> o(n,e) s_n(d,e)",
  .doc = "Fast weight memory: a delta rule whose state is clipped to Frobenius norm 1.\n"
         "Z = S_{t-1} + k (beta (v - S_{t-1}'k))';  S_t = Z / max(1, |Z|);  o_t = S_t' q_t.\n"
         "beta is 1, the first state s 0 when not given; s is not clipped itself.  o, then the\n"
         "last state, from which another call can go on.  Token by token, heads in parallel:\n"
         "time 6 n d e flops; memory one state, backward 2 sqrt(n) states.",
  .ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174",
  .caps = "causal streaming exact",
  .fwd = fwd, .bwd = bwd, .cost = cost
};
