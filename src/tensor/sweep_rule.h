/* sweep_rule.h -- a whole head of a rule, forward; sweep_back.h goes back.
 *
 * Includer defines NS, the number of write streams (sweep_state.h).  Work is
 * cut into ranges of columns that never mix, by sizes and head count alone. */
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
  real *value;                               /* forward: kept if not NULL; backward: those in use */
  const real *kept, *dvalue;                 /* backward: kept ones and their gradients, or NULL */
  real *X;                                   /* scratch of the backward pass */
  bool scaled;                               /* X holds dv, no longer dL/du */
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

enum { FORWARD, VALUES, REVERSE, DUAL_FORWARD, DUAL_REVERSE };
enum { PIECES = 4 };                         /* ranges of columns at most */
static const ptrdiff_t wide = NVEC * VL;

/* Rows of whole vectors; one more where a power of two would put the rows of
 * a strip into few cache sets. */
static ptrdiff_t stride (ptrdiff_t cols) {
  ptrdiff_t ld = (cols + VL - 1) / VL * VL;
  return ld * (ptrdiff_t)sizeof(real) % 512 ? ld : ld + VL;
}

/* Ranges of columns for one head: as many as leave a few tasks in all. */
static ptrdiff_t pieces (const fov_Rule *r, ptrdiff_t cols) {
  const ptrdiff_t strips = (cols + wide - 1) / wide, heads = r->heads < 1 ? 1 : r->heads;
  const ptrdiff_t want = (PIECES - 1 + heads) / heads;
  return strips < want ? strips : want;
}
static void range (ptrdiff_t cols, ptrdiff_t k, ptrdiff_t i, ptrdiff_t *lo, ptrdiff_t *hi) {
  const ptrdiff_t strips = (cols + wide - 1) / wide;
  *lo = strips * i / k * wide;
  *hi = strips * (i + 1) / k * wide;
  if (*hi > cols) *hi = cols;
}

INLINE void strip (const int which, const int T, const int NV, int gate, const void *w,
                   const fov_Block *prev, const fov_Block *b, ptrdiff_t c, real *S, ptrdiff_t ld,
                   const real *const *ask) {
  if (which == FORWARD || which == VALUES)
    forward_strip(T, NV, gate, which == FORWARD, w, prev, b, c, S, ld, ask);
  else if (which == REVERSE) reverse_strip(NV, gate, w, prev, b, c, S, ld, ask);
  else if (which == DUAL_FORWARD) forward_dual(NV, gate, w, prev, b, c, S, ld, ask);
  else reverse_dual(NV, gate, w, prev, b, c, S, ld, ask);
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
                       back ? b->p : b->b, NULL, NULL, NULL, NULL, NULL };
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
      for (ptrdiff_t c = c0; c < c1; c += wide) {
        const real *ask[2];
        ask_next(s, i, T, c / wide, S, ask);
        if (cols - c > wide - VL) strip(which, T, NVEC, gate, w, prev, b, c, S, ld, ask);
        else strip(which, T, 1, gate, w, prev, b, c, S, ld, ask);
      }
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

/* A range [lo, hi) of value columns (FORWARD, VALUES, REVERSE) or of key
 * columns (DUAL_*), with its state on the way through the tokens. */
typedef struct fov_Piece {
  fov_Rule *r;
  int which;
  ptrdiff_t lo, hi, ld, from, to;
  real *S, *pend, *alpha;
  fov_Rows rows;
  fov_Segment s;
} fov_Piece;

static bool against_time (int which) { return which == REVERSE || which == DUAL_REVERSE; }

static fov_Status piece_open (fov_Rule *r, int which, ptrdiff_t k, ptrdiff_t i, fov_Piece *p) {
  const bool dual = which >= DUAL_FORWARD, back = against_time(which);
  const bool lanes = dual && r->gate == VECTOR_GATE;
  const ptrdiff_t d = r->d, e = r->e, m = dual ? e : d;
  p->r = r, p->which = which;
  range(dual ? d : e, k, i, &p->lo, &p->hi);
  const ptrdiff_t cols = p->hi - p->lo, ld = p->ld = stride(cols);
  if (dual)
    p->rows = (fov_Rows){ r->n, e, r->dO, r->X, NS == 1 ? r->value : r->v, r->value, r->beta,
                          lanes ? NULL : r->g, lanes ? NO_GATE : r->gate };
  else p->rows = (fov_Rows){ r->n, d, r->q, r->p, r->k, r->b, r->beta, r->g, r->gate };
  p->S = fov_scratch((size_t)(m * ld), sizeof *p->S);
  p->pend = fov_scratch((size_t)((2 * TB + 1) * ld), sizeof *p->pend);
  p->alpha = lanes ? fov_scratch((size_t)((SEGMENT + TB) * d), sizeof *p->alpha) : NULL;
  if (!p->S || !p->pend || (lanes && !p->alpha) || !segment_alloc(&p->rows, &p->s))
    return FOV_NOMEM;
  want_next(&p->s, dual ? back ? r->q : r->k : back ? r->dO : r->v, dual ? d : e);
  const real *first = back ? r->dsn : r->s;
  memset(p->S, 0, (size_t)(m * ld) * sizeof *p->S);
  for (ptrdiff_t a = 0; first && a < d; a++)
    if (!dual) memcpy(p->S + a * ld, first + a * e + p->lo, (size_t)cols * sizeof *first);
    else if (a < cols)
      for (ptrdiff_t j = 0; j < e; j++) p->S[j * ld + a] = first[(p->lo + a) * e + j];
  return FOV_OK;
}

/* Writes the columns of S(d,e) that a piece which is not dual has. */
static void piece_state (const fov_Piece *p, real *to) {
  for (ptrdiff_t i = 0; i < p->r->d; i++)
    memcpy(to + i * p->r->e + p->lo, p->S + i * p->ld, (size_t)(p->hi - p->lo) * sizeof *to);
}

static void along_state (fov_Piece *p) {
  const fov_Rule *r = p->r;
  const bool forth = p->which == FORWARD, back = p->which == REVERSE;
  const ptrdiff_t lo = p->lo;
  fov_Sweep w = { .d = r->d, .cols = p->hi - lo, .ldv = r->e, .ldp = p->ld, .pend = p->pend };
  w.v = (back ? r->dO : r->v) + lo;
  if (forth) w.o = r->o + lo, w.value = r->value ? r->value + lo : NULL;
  else w.value = (back ? r->X : r->value) + lo;
  if (NS == 2 && back && r->dv) w.value2 = r->dv + lo;
  if (back && r->dvalue) w.seed = r->dvalue + lo;
  run_segment(p->which, forth ? r->T : TB, r->gate, &w, &p->s, r->d, w.cols, p->S, p->ld);
}

static void along_dual (fov_Piece *p) {
  const fov_Rule *r = p->r;
  const ptrdiff_t lo = p->lo, d = r->d, from = p->s.from;
  fov_Dual w = { .e = r->e, .cols = p->hi - lo, .ld = d, .ldp = p->ld, .pend = p->pend };
  w.q = r->q + lo, w.p = r->p + lo, w.k = r->k + lo;
  if (NS == 2) w.b = r->b + lo;
  if (r->dq) w.dq = r->dq + lo;
  if (r->dp) w.dp = r->dp + lo;
  if (r->dk) w.dk = r->dk + lo;
  if (r->db) w.db = r->db + lo;
  for (ptrdiff_t c = 0; NS == 1 && c < p->s.nb; c++) weigh(&p->s.block[c], r->scaled);
  if (p->alpha) {
    decays(r->g + from * d, p->s.m * d, p->alpha);
    for (ptrdiff_t j = p->s.m * d; j < (p->s.m + TB) * d; j++) p->alpha[j] = 1;
    w.alpha = p->alpha + lo, w.from = from;
  }
  run_segment(p->which, TB, p->alpha ? LANE_GATE : r->gate, &w, &p->s, r->e, w.cols, p->S, p->ld);
}

/* Walks the piece through its tokens, segment by segment. */
static fov_Status piece_walk (void *arg, ptrdiff_t index) {
  fov_Piece *p = (fov_Piece *)arg + index;
  const bool back = against_time(p->which);
  const ptrdiff_t m = (p->to - p->from + SEGMENT - 1) / SEGMENT, ld = p->ld;
  for (ptrdiff_t i = 0; i < m; i++) {
    const ptrdiff_t at = p->from + (back ? m - 1 - i : i) * SEGMENT;
    const fov_Status st = fov_interrupted();
    if (st != FOV_OK) return st;
    prepare(p->which == FORWARD ? p->r->T : TB, &p->rows, at, back ? -SEGMENT : SEGMENT, &p->s);
    /* before the first block nothing is pending and nothing decays */
    memset(p->pend, 0, (size_t)(2 * TB * ld) * sizeof *p->pend);
    for (ptrdiff_t j = 2 * TB * ld; j < (2 * TB + 1) * ld; j++) p->pend[j] = 1;
    if (p->which >= DUAL_FORWARD) along_dual(p);
    else along_state(p);
  }
  return FOV_OK;
}

/* The pieces of one sweep, which go through the tokens together. */
typedef struct fov_Walk { ptrdiff_t k; fov_Piece piece[PIECES]; } fov_Walk;

static fov_Status walk_open (fov_Rule *r, int which, fov_Walk *w) {
  fov_Status st = FOV_OK;
  w->k = pieces(r, which >= DUAL_FORWARD ? r->d : r->e);
  for (ptrdiff_t i = 0; i < w->k && st == FOV_OK; i++)
    st = piece_open(r, which, w->k, i, &w->piece[i]);
  return st;
}

static fov_Status walk (fov_Walk *w, ptrdiff_t from, ptrdiff_t to) {
  for (ptrdiff_t i = 0; i < w->k; i++) w->piece[i].from = from, w->piece[i].to = to;
  return fov_parallel(w->k, piece_walk, w->piece);
}

static void walk_state (const fov_Walk *w, real *to) {
  for (ptrdiff_t i = 0; i < w->k; i++) piece_state(&w->piece[i], to);
}

static fov_Status forward (fov_Rule *r) {
  fov_Walk w;
  if (r->d == 0 || r->e == 0 || r->n == 0) {
    for (ptrdiff_t i = 0; i < r->d * r->e; i++) r->sn[i] = r->s ? r->s[i] : 0;
    memset(r->o, 0, (size_t)(r->n * r->e) * sizeof *r->o);
    if (r->value) memset(r->value, 0, (size_t)(r->n * r->e) * sizeof *r->value);
    return FOV_OK;
  }
  fov_Status st = walk_open(r, FORWARD, &w);
  if (st == FOV_OK) st = walk(&w, 0, r->n);
  if (st == FOV_OK) walk_state(&w, r->sn);
  return st;
}

#endif
