/* sweep_rule.h -- a whole head of a rule, forward and backward.
 *
 * Includer defines NS, the number of write streams (sweep_state.h).  Work is
 * cut into ranges of columns that never mix, by sizes and head count alone:
 *
 *   forward    ranges of value columns
 *   backward   (1) values along S || gradients of writes along dS
 *              (2) dq, dp along S' || dk, db along dS'   ranges of key columns
 *              (3) what is local to a token: dg, dbeta, sums
 *
 * The gate's gradient is a sum over later tokens, anchored at the end of each
 * segment by S . dS there, so that its rounding does not grow with n:
 *
 *   G_t = q.dq + p.dp - k.dk (- b.db) + [t ends a segment] sum_v S_t . dS_t
 *   dg_t = sum of G_i over t <= i in the segment (p's part: i > t if NS = 2) */
#ifndef FOV_SWEEP_RULE_H
#define FOV_SWEEP_RULE_H

#include "base/pool.h"
#include "tensor/sweep_dual.h"

typedef struct fov_Rule {
  ptrdiff_t n, d, e;
  int gate, T;                               /* T: tokens resolved at once */
  ptrdiff_t heads;                           /* problems like this one */
  const real *q, *k, *v, *p, *b, *beta, *g, *s;
  real *o, *sn;                              /* forward */
  const real *dO, *dsn;                      /* backward; dsn may be NULL */
  real *dq, *dk, *dv, *dp, *db, *dbeta, *dg, *ds;    /* NULL: not wanted */
  bool p_is_k;
  real *value, *X, *Send, *dSend;            /* scratch */
} fov_Rule;

/* The gate in use for the argument 'g'. */
static int rule_gate (const fov_Tensor *g) {
  return !g->x ? NO_GATE : g->ndim == 1 ? SCALAR_GATE : VECTOR_GATE;
}

/* Tokens resolved at once, for the options form ("auto|chunk|token") and
 * chunk: one where they say so or where there are not enough. */
static int rule_block (double form, double chunk, ptrdiff_t n) {
  const bool few = form == 0 && chunk == 0 && n < TB;
  return form == 2 || few || (chunk > 0 && chunk < TB) ? 1 : TB;
}

static fov_Status rule_check (const fov_Tensor *g) {
  const real *x = g->x;
  const ptrdiff_t size = x ? fov_numel(g) : 0, each = g->ndim == 2 ? g->shape[1] : 1;
  for (ptrdiff_t i = 0; i < size; i++)
    if (x[i] > 0)
      return fov_fail(FOV_VALUE, "g: log gates must be <= 0, got %g at token %td", (double)x[i],
                      i / each + 1);
  return FOV_OK;
}

enum { FORWARD, VALUES, REVERSE, DUAL_FORWARD, DUAL_REVERSE };
static const ptrdiff_t wide = NVEC * VL;

static ptrdiff_t segments (const fov_Rule *r) { return (r->n + SEGMENT - 1) / SEGMENT; }

/* Rows of whole vectors; one more where a power of two would put the rows of
 * a strip into few cache sets. */
static ptrdiff_t stride (ptrdiff_t cols) {
  ptrdiff_t ld = (cols + VL - 1) / VL * VL;
  return ld * (ptrdiff_t)sizeof(real) % 512 ? ld : ld + VL;
}

/* Ranges of columns for one head: as many as leave a few tasks in all. */
static ptrdiff_t pieces (const fov_Rule *r, ptrdiff_t cols) {
  const ptrdiff_t strips = (cols + wide - 1) / wide, heads = r->heads < 1 ? 1 : r->heads;
  const ptrdiff_t want = (3 + heads) / heads;
  return strips < want ? strips : want;
}
static void range (ptrdiff_t cols, ptrdiff_t k, ptrdiff_t i, ptrdiff_t *lo, ptrdiff_t *hi) {
  const ptrdiff_t strips = (cols + wide - 1) / wide;
  *lo = strips * i / k * wide;
  *hi = strips * (i + 1) / k * wide;
  if (*hi > cols) *hi = cols;
}

INLINE void strip (const int which, const int T, const int NV, int gate, const void *w,
                   const fov_Block *prev, const fov_Block *b, ptrdiff_t c, real *S, ptrdiff_t ld) {
  if (which == FORWARD || which == VALUES)
    forward_strip(T, NV, gate, which == FORWARD, w, prev, b, c, S, ld);
  else if (which == REVERSE) reverse_strip(NV, gate, w, prev, b, c, S, ld);
  else if (which == DUAL_FORWARD) forward_dual(NV, gate, w, prev, b, c, S, ld);
  else reverse_dual(NV, gate, w, prev, b, c, S, ld);
}

/* The last block's writes reach the state. */
static void flush (int which, int T, int NV, int gate, const void *arg, const fov_Block *b,
                   ptrdiff_t c, real *S, ptrdiff_t ld) {
  const bool dual = which >= DUAL_FORWARD, back = which == REVERSE || which == DUAL_REVERSE;
  const fov_Sweep *w = arg;
  const fov_Dual *v = arg;
  const ptrdiff_t d = dual ? v->e : w->d, ldp = dual ? v->ldp : w->ldp;
  const real *pend = (dual ? v->pend : w->pend) + c;
  const fov_Pass p = { d, ld, ldp, S + c, b->gamma, pend, back ? b->q : b->k,
                       back ? b->p : b->b, NULL, NULL, NULL };
  (back ? flush_reverse : T == 1 ? flush_token : flush_forward)(NV, gate, &p);
}

/* A segment: groups of strips whose state stays in the first cache; strip by
 * strip inside a block, so that one's wait is another's work. */
INLINE void segment_run (const int which, const int T, int gate, const void *w,
                         const fov_Segment *s, ptrdiff_t rows, ptrdiff_t cols, real *S,
                         ptrdiff_t ld) {
  const bool back = which == REVERSE || which == DUAL_REVERSE;
  ptrdiff_t group = 32768 / (rows * wide * (ptrdiff_t)sizeof(real) + 1);
  group = (group < 2 ? 2 : group) * wide;
  for (ptrdiff_t c0 = 0; c0 < cols; c0 += group) {
    const ptrdiff_t c1 = c0 + group < cols ? c0 + group : cols;
    const fov_Block *prev = &s->none;
    for (ptrdiff_t i = 0; i < s->nb; i++) {
      const fov_Block *b = &s->block[back ? s->nb - 1 - i : i];
      for (ptrdiff_t c = c0; c < c1; c += wide)
        if (cols - c > wide - VL) strip(which, T, NVEC, gate, w, prev, b, c, S, ld);
        else strip(which, T, 1, gate, w, prev, b, c, S, ld);
      prev = b;
    }
    for (ptrdiff_t c = c0; c < c1; c += wide)
      flush(which, T, cols - c > wide - VL ? NVEC : 1, gate, w, prev, c, S, ld);
  }
}

static void run_segment (int which, int T, int gate, const void *w, const fov_Segment *s,
                         ptrdiff_t rows, ptrdiff_t cols, real *S, ptrdiff_t ld) {
  if (which == FORWARD && T == 1) segment_run(FORWARD, 1, gate, w, s, rows, cols, S, ld);
  else if (which == FORWARD) segment_run(FORWARD, TB, gate, w, s, rows, cols, S, ld);
  else if (which == VALUES) segment_run(VALUES, TB, gate, w, s, rows, cols, S, ld);
  else if (which == REVERSE) segment_run(REVERSE, TB, gate, w, s, rows, cols, S, ld);
  else if (which == DUAL_FORWARD) segment_run(DUAL_FORWARD, TB, gate, w, s, rows, cols, S, ld);
  else segment_run(DUAL_REVERSE, TB, gate, w, s, rows, cols, S, ld);
}

static void rows_in (const real *x, ptrdiff_t ldx, ptrdiff_t rows, ptrdiff_t cols, real *S,
                     ptrdiff_t ld) {
  memset(S, 0, (size_t)(rows * ld) * sizeof *S);
  for (ptrdiff_t i = 0; x && i < rows; i++)
    memcpy(S + i * ld, x + i * ldx, (size_t)cols * sizeof *S);
}
static void rows_out (const real *S, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t cols, real *x,
                      ptrdiff_t ldx) {
  for (ptrdiff_t i = 0; i < rows; i++)
    memcpy(x + i * ldx, S + i * ld, (size_t)cols * sizeof *S);
}

/* Pending writes of the block there is not: none, and no decay. */
static void begin (real *pend, ptrdiff_t ld) {
  memset(pend, 0, (size_t)(2 * TB * ld) * sizeof *pend);
  for (ptrdiff_t i = 2 * TB * ld; i < (2 * TB + 1) * ld; i++) pend[i] = 1;
}

/* FORWARD, VALUES or REVERSE on value columns [lo, hi). */
static fov_Status along_state (const fov_Rule *r, int which, ptrdiff_t lo, ptrdiff_t hi) {
  const ptrdiff_t cols = hi - lo, ld = stride(cols), d = r->d, e = r->e;
  const bool back = which == REVERSE;
  const fov_Rows rows = { r->n, d, r->q, r->p, r->k, r->b, r->beta, r->g, r->gate };
  fov_Sweep w = { .d = d, .cols = cols, .ldv = e, .ldp = ld };
  fov_Segment s;
  w.v = (back ? r->dO : r->v) + lo;
  if (which == FORWARD) w.o = r->o + lo;
  else w.value = (back ? r->X : r->value) + lo;
  if (NS == 2 && back && r->dv) w.value2 = r->dv + lo;
  real *S = fov_scratch((size_t)(d * ld), sizeof *S);
  w.pend = fov_scratch((size_t)((2 * TB + 1) * ld), sizeof *w.pend);
  if (!S || !w.pend || !segment_alloc(&rows, &s)) return FOV_NOMEM;
  const real *first = back ? r->dsn : r->s;
  rows_in(first ? first + lo : NULL, e, d, cols, S, ld);
  const ptrdiff_t m = segments(r);
  for (ptrdiff_t i = 0; i < m; i++) {
    const ptrdiff_t at = back ? m - 1 - i : i;
    fov_Status st = fov_interrupted();
    if (st != FOV_OK) return st;
    if (back && r->dSend) rows_out(S, ld, d, cols, r->dSend + at * d * e + lo, e);
    prepare(which == FORWARD ? r->T : TB, &rows, at * SEGMENT, &s);
    begin(w.pend, ld);
    run_segment(which, which == FORWARD ? r->T : TB, r->gate, &w, &s, d, cols, S, ld);
    if (which == VALUES && r->Send) rows_out(S, ld, d, cols, r->Send + at * d * e + lo, e);
  }
  real *last = which == FORWARD ? r->sn : back ? r->ds : NULL;
  if (last) rows_out(S, ld, d, cols, last + lo, e);
  return FOV_OK;
}

/* DUAL_FORWARD or DUAL_REVERSE on key columns [lo, hi). */
static fov_Status along_dual (const fov_Rule *r, int which, ptrdiff_t lo, ptrdiff_t hi) {
  const ptrdiff_t cols = hi - lo, ld = stride(cols), d = r->d, e = r->e;
  const bool back = which == DUAL_REVERSE, lanes = r->gate == VECTOR_GATE;
  const fov_Rows rows = { r->n, e, r->dO, r->X, NS == 1 ? r->value : r->v, r->value, r->beta,
                          lanes ? NULL : r->g, lanes ? NO_GATE : r->gate };
  fov_Dual w = { .e = e, .cols = cols, .ld = d, .ldp = ld };
  fov_Segment s;
  w.q = r->q + lo, w.p = r->p + lo, w.k = r->k + lo;
  if (NS == 2) w.b = r->b + lo;
  if (r->dq) w.dq = r->dq + lo;
  if (r->dp) w.dp = r->dp + lo;
  if (r->dk) w.dk = r->dk + lo;
  if (r->db) w.db = r->db + lo;
  real *S = fov_scratch((size_t)(e * ld), sizeof *S), *alpha = NULL;
  w.pend = fov_scratch((size_t)((2 * TB + 1) * ld), sizeof *w.pend);
  if (!S || !w.pend || !segment_alloc(&rows, &s)) return FOV_NOMEM;
  if (lanes && !(alpha = fov_scratch((size_t)((SEGMENT + TB) * d), sizeof *alpha)))
    return FOV_NOMEM;
  const real *first = back ? r->dsn : r->s;
  memset(S, 0, (size_t)(e * ld) * sizeof *S);
  for (ptrdiff_t i = 0; first && i < cols; i++)
    for (ptrdiff_t j = 0; j < e; j++) S[j * ld + i] = first[(lo + i) * e + j];
  const ptrdiff_t m = segments(r);
  for (ptrdiff_t i = 0; i < m; i++) {
    const ptrdiff_t at = (back ? m - 1 - i : i) * SEGMENT;
    fov_Status st = fov_interrupted();
    if (st != FOV_OK) return st;
    prepare(TB, &rows, at, &s);
    if (NS == 1)
      for (ptrdiff_t c = 0; c < s.nb; c++) weigh(&s.block[c]);
    if (lanes) {
      decays(r->g + at * d, s.m * d, alpha);
      for (ptrdiff_t j = s.m * d; j < (s.m + TB) * d; j++) alpha[j] = 1;
      w.alpha = alpha + lo, w.from = at;
    }
    begin(w.pend, ld);
    run_segment(which, TB, lanes ? LANE_GATE : r->gate, &w, &s, e, cols, S, ld);
  }
  return FOV_OK;
}

static fov_Status forward_task (void *arg, ptrdiff_t i) {
  const fov_Rule *r = arg;
  ptrdiff_t lo, hi;
  range(r->e, pieces(r, r->e), i, &lo, &hi);
  return along_state(r, FORWARD, lo, hi);
}

static fov_Status forward (const fov_Rule *r) {
  if (r->d == 0 || r->e == 0 || r->n == 0) {
    for (ptrdiff_t i = 0; i < r->d * r->e; i++) r->sn[i] = r->s ? r->s[i] : 0;
    memset(r->o, 0, (size_t)(r->n * r->e) * sizeof *r->o);
    return FOV_OK;
  }
  return fov_parallel(pieces(r, r->e), forward_task, (void *)r);
}

static fov_Status writes_task (void *arg, ptrdiff_t i) {
  const fov_Rule *r = arg;
  ptrdiff_t lo, hi;
  range(r->e, pieces(r, r->e), i / 2, &lo, &hi);
  return along_state(r, i % 2 ? VALUES : REVERSE, lo, hi);
}

static fov_Status reads_task (void *arg, ptrdiff_t i) {
  const fov_Rule *r = arg;
  ptrdiff_t lo, hi;
  range(r->d, pieces(r, r->d), i / 2, &lo, &hi);
  return along_dual(r, i % 2 ? DUAL_REVERSE : DUAL_FORWARD, lo, hi);
}

static real dot (ptrdiff_t n, const real *x, const real *y) {
  vec a = vzero();
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) a = vfma(vload(x + i), vload(y + i), a);
  if (i < n) a = vfma(vload_n(x + i, n - i, 0), vload_n(y + i, n - i, 0), a);
  return vsum(a);
}

/* One segment's gate gradient. */
static void gate_gradient (const fov_Rule *r, ptrdiff_t i, real *run) {
  const ptrdiff_t d = r->d, e = r->e, from = i * SEGMENT;
  const ptrdiff_t to = from + SEGMENT < r->n ? from + SEGMENT : r->n;
  real total = 0;
  for (ptrdiff_t j = 0; j < d; j++) {
    const real *S = r->Send + (i * d + j) * e, *dS = r->dSend + (i * d + j) * e;
    run[j] = dot(e, S, dS);
    total += run[j];
  }
  for (ptrdiff_t t = to - 1; t >= from; t--) {
    const ptrdiff_t o = t * d;
    if (r->gate == SCALAR_GATE) {
      const real a = dot(d, r->p + o, r->dp + o);
      total += dot(d, r->q + o, r->dq + o) - dot(d, r->k + o, r->dk + o);
      total += NS == 1 ? a : -dot(d, r->b + o, r->db + o);
      r->dg[t] = r->g[t] < -60 ? 0 : total;
      if (NS == 2) total += a;
      continue;
    }
    for (ptrdiff_t j = 0; j < d; j++) {
      const real a = r->p[o + j] * r->dp[o + j];
      run[j] += r->q[o + j] * r->dq[o + j] - r->k[o + j] * r->dk[o + j];
      run[j] += NS == 1 ? a : -(r->b[o + j] * r->db[o + j]);
      r->dg[o + j] = r->g[o + j] < -60 ? 0 : run[j];
      if (NS == 2) run[j] += a;
    }
  }
}

static fov_Status tokens_task (void *arg, ptrdiff_t i) {
  const fov_Rule *r = arg;
  const ptrdiff_t d = r->d, e = r->e, from = i * SEGMENT;
  const ptrdiff_t to = from + SEGMENT < r->n ? from + SEGMENT : r->n;
  if (r->dg) {
    real *run = fov_scratch((size_t)d, sizeof *run);
    if (!run) return FOV_NOMEM;
    gate_gradient(r, i, run);
  }
  for (ptrdiff_t t = from; t < to; t++) {
    if (r->p_is_k && r->dk)
      for (ptrdiff_t j = 0; j < d; j++) r->dk[t * d + j] += r->dp[t * d + j];
    if (r->dbeta) r->dbeta[t] = dot(e, r->X + t * e, r->value + t * e);
    if (NS == 1 && r->dv && r->beta)
      for (ptrdiff_t j = 0; j < e; j++) r->dv[t * e + j] *= r->beta[t];
  }
  return FOV_OK;
}

static real *room (ptrdiff_t rows, ptrdiff_t cols) {
  return fov_scratch((size_t)(rows * cols), sizeof(real));
}

static fov_Status backward (fov_Rule *r) {
  const ptrdiff_t n = r->n, d = r->d, e = r->e, m = segments(r);
  if (d == 0 || e == 0 || n == 0) {
    real *out[] = { r->dq, r->dk, r->dv, r->dp, r->db, r->dbeta, r->dg, r->ds };
    const ptrdiff_t size[] = { n * d, n * d, n * e, n * d, n * d, n,
                               r->gate == VECTOR_GATE ? n * d : n, d * e };
    for (int i = 0; i < 8; i++)
      if (out[i]) memset(out[i], 0, (size_t)size[i] * sizeof(real));
    if (r->ds && r->dsn) memcpy(r->ds, r->dsn, (size_t)(d * e) * sizeof(real));
    return FOV_OK;
  }
  if (!r->dO) {
    real *zero = room(n, e);
    if (!zero) return FOV_NOMEM;
    r->dO = memset(zero, 0, (size_t)(n * e) * sizeof *zero);
  }
  if (!(r->value = room(n, e))) return FOV_NOMEM;
  if (!(r->X = NS == 1 && r->dv ? r->dv : room(n, e))) return FOV_NOMEM;
  r->Send = r->dSend = NULL;
  if (r->dg) {
    if (!(r->Send = room(m * d, e)) || !(r->dSend = room(m * d, e))) return FOV_NOMEM;
    if (!r->dq && !(r->dq = room(n, d))) return FOV_NOMEM;
    if (!r->dk && !(r->dk = room(n, d))) return FOV_NOMEM;
    if (NS == 2 && !r->db && !(r->db = room(n, d))) return FOV_NOMEM;
  }
  if (!r->dp && (r->dg || (r->p_is_k && r->dk)) && !(r->dp = room(n, d))) return FOV_NOMEM;
  fov_Status st = fov_parallel(2 * pieces(r, e), writes_task, r);
  if (st == FOV_OK && (r->dq || r->dk || r->dp || r->db))
    st = fov_parallel(2 * pieces(r, d), reads_task, r);
  if (st == FOV_OK) st = fov_parallel(m, tokens_task, r);
  return st;
}

#endif
