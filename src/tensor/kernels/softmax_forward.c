/* softmax_forward.c -- exact attention in tiles; the n x m matrix never exists.
 *
 *   lse_i = ln(sum_j e^s_ij + e^sink),   P_ij = e^(s_ij - lse_i),   O = P V
 *
 * Online softmax over blocks of keys.  The running maximum M of a row is
 * rounded up to an integer, so that in units of log 2 its changes are exact
 * powers of two: l and o shrink by 2^(M_old - M_new), then take the block's
 * 2^(s - M).  Few queries and many keys: the keys are split, the parts merged.
 * Tiling: Dao et al. 2022, arXiv:2205.14135; Dao 2023, arXiv:2307.08691.
 * Time O(nm(d+e)).  Scratch: K transposed, md (and V padded when e is not a
 * multiple of the vector), or one block of them when n <= ALONE; tiles. */
#include "tensor/softmax.h"

#if FOV_REAL == 32
#define rceil ceilf
#define rlog2 log2f
#else
#define rceil ceil
#define rlog2 log2
#endif

/* Queries per softmax tile, keys per block and per pass over V; a row of a
 * tile is an odd number of cache lines, so that columns spread over all sets. */
#define BQ 24
#define BK ((ptrdiff_t)(1024 / sizeof(real)))
#define KC ((ptrdiff_t)(512 / sizeof(real)))
#define LDS (BK + (ptrdiff_t)(64 / sizeof(real)))
#define SPAN 96                /* queries that share a pass over the keys */
#define ALONE 192              /* up to so many form one span */
#define PACK (2 * BK)          /* keys packed by one task */

/* Rows of a span in the making: o is not yet divided by l. */
typedef struct Rows {
  real *q, *o, *S, *max, *sum;   /* (SPAN,dp) (SPAN,ep) (BQ,LDS) (SPAN) (SPAN,VL) */
} Rows;

typedef struct Forward {
  const Softmax *h;
  const real *panels, *values;   /* all keys packed; NULL: packed by the block */
  ptrdiff_t spans, span, splits, split;
  real *o, *max, *sum;           /* of each split, when there is more than one */
} Forward;

static real row_max (const real *x, ptrdiff_t w) {
  vec a = vload(x), b = a;
  ptrdiff_t c = VL;
  for (; c + VL < w; c += 2 * VL) a = vmax(vload(x + c), a), b = vmax(vload(x + c + VL), b);
  if (c < w) a = vmax(vload(x + c), a);
  return vmaxlane(vmax(a, b));
}

/* x := 2^(x - M); returns the sum by lanes. */
static vec row_exp (real *x, ptrdiff_t w, real M) {
  vec sum = vzero();
  if (!(M >= -EXP2_EXACT && M <= EXP2_EXACT)) {
    real by = M == -(real)INFINITY ? 0 : M;
    for (ptrdiff_t c = 0; c < w; c += VL) vstore(x + c, vload(x + c) - by);
    M = 0;
  }
  vec magic = vset(EXP2_MAGIC - M), low = vset(M + EXP2_LOW);
  UNROLL(2) for (ptrdiff_t c = 0; c < w; c += VL) {
    vec p = exp2_from(vload(x + c), magic, low);
    vstore(x + c, p);
    sum += p;
  }
  return sum;
}

static void rescale (real *o, ptrdiff_t w, real f) {
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(o + c, f * vload(o + c));
}

/* S(rows, lo..hi) of one tile to probabilities against the running maxima. */
static void soften (const Softmax *h, Rows *r, ptrdiff_t i0, ptrdiff_t at, ptrdiff_t rows,
                    ptrdiff_t j0, ptrdiff_t c0, ptrdiff_t c1) {
  for (ptrdiff_t i = 0; i < rows; i++) {
    real *x = r->S + i * LDS, *max = &r->max[at + i], *sum = r->sum + (at + i) * VL;
    ptrdiff_t lo = most(sees_from(&h->s, i0 + i) - j0, c0);
    ptrdiff_t hi = most(lo, least(sees_to(&h->s, i0 + i) - j0, c1));
    if (!h->s.plain)
      for (ptrdiff_t c = c0; c < c1; c += VL) {
        vec t, far;
        vstore(x + c, score(&h->s, i0 + i, j0 + c, vload(x + c), &t, &far));
      }
    fill(x, c0, least(lo, c1), -(real)INFINITY);
    fill(x, hi, c1, -(real)INFINITY);
    real top = row_max(x + c0, c1 - c0);
    if (top > *max) {
      real M = rceil(top), shrink = pow2_below(*max - M);
      *max = M;
      vstore(sum, shrink * vload(sum));
      rescale(r->o + (at + i) * h->ep, h->ep, shrink);
    }
    vstore(sum, vload(sum) + row_exp(x + c0, c1 - c0, *max));
  }
}

/* o(rows) += P(rows, a..b) V.  Rows that see less than others of their tile
 * get their own ends one by one: what is hidden from a row never meets it. */
static void weigh (const Softmax *h, const Rows *r, ptrdiff_t i0, ptrdiff_t at, ptrdiff_t rows,
                   ptrdiff_t j0, ptrdiff_t a, ptrdiff_t b, const real *v, ptrdiff_t ldv) {
  const Scores *s = &h->s;
  ptrdiff_t ep = h->ep;
  real *o = r->o + at * ep;
  if (sees_from(s, i0 + rows - 1) - j0 <= a && sees_to(s, i0) - j0 >= b) {
    for (ptrdiff_t k = a; k < b; k += KC)
      product(true, rows, ep, least(KC, b - k), r->S + k, LDS, v + k * ldv, ldv, o, ep);
    return;
  }
  for (ptrdiff_t i = 0, R; i < rows; i += R) {
    R = tile_step(rows - i);
    ptrdiff_t lo = most(sees_from(s, i0 + i + R - 1) - j0, a);
    ptrdiff_t hi = least(sees_to(s, i0 + i) - j0, b);
    if (lo < hi)
      product(true, R, ep, hi - lo, r->S + i * LDS + lo, LDS, v + lo * ldv, ldv,
              o + i * ep, ep);
    else hi = lo;
    for (ptrdiff_t t = i; t < i + R; t++) {
      ptrdiff_t from = most(sees_from(s, i0 + t) - j0, a), to = least(sees_to(s, i0 + t) - j0, b);
      ptrdiff_t low = least(lo, to), high = most(hi, from);
      if (from < low)
        product(true, 1, ep, low - from, r->S + t * LDS + from, LDS, v + from * ldv, ldv,
                o + t * ep, ep);
      if (high < to)
        product(true, 1, ep, to - high, r->S + t * LDS + high, LDS, v + high * ldv, ldv,
                o + t * ep, ep);
    }
  }
}

/* Rows [i0,i1) meet keys [j0,j1) of one block, packed in 'panels' and 'v'. */
static void meet (const Softmax *h, Rows *r, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                  ptrdiff_t j1, const real *panels, const real *v, ptrdiff_t ldv) {
  for (ptrdiff_t i = i0; i < i1; i += BQ) {
    ptrdiff_t rows = least(BQ, i1 - i);
    ptrdiff_t lo = most(j0, sees_from(&h->s, i));
    ptrdiff_t hi = least(j1, sees_to(&h->s, i + rows - 1));
    if (lo >= hi || (h->s.bias && bias_hides(&h->s, i, i + rows, lo, hi))) continue;
    ptrdiff_t a = lo - j0, b = hi - j0, c0 = a / VL * VL, c1 = roundup(b, VL);
    score_tile(rows, c0, c1, h->d, r->q + (i - i0) * h->dp, h->dp, panels, r->S, LDS);
    soften(h, r, i, i - i0, rows, j0, c0, c1);
    weigh(h, r, i, i - i0, rows, j0, a, b, v, ldv);
  }
}

/* Row i of the results from its unnormalised o, maximum and sum. */
static void settle (const Softmax *h, ptrdiff_t i, const real *o, real max, real sum) {
  real *lse = h->lse + i;
  real shrink = 1;
  if (h->sink > -(real)INFINITY) {
    real M = rceil(h->sink);
    if (M > max) shrink = pow2_below(max - M), max = M;
    sum = sum * shrink + (real)exp2((double)(h->sink - max));
  }
  put_row(h->o + i * h->e, sum == 0 ? 0 : shrink / sum, o, h->e);
  *lse = sum == 0 ? -(real)INFINITY : (max + rlog2(sum)) * LN2;
}

static fov_Status span_task (void *arg, ptrdiff_t t) {
  const Forward *f = arg;
  const Softmax *h = f->h;
  ptrdiff_t part = t % f->splits, i0 = (f->spans - 1 - t / f->splits) * f->span;
  ptrdiff_t i1 = least(h->s.n, i0 + f->span), n = i1 - i0, d = h->d, e = h->e;
  ptrdiff_t from = most(part * f->split, sees_from(&h->s, i0) / BK * BK);
  ptrdiff_t to = least((part + 1) * f->split, sees_to(&h->s, i1 - 1));
  bool inplace = e == h->ep;
  real *qo = fov_scratch((size_t)(n * (h->dp + h->ep + VL + 1)), sizeof(real));
  Rows r = { .S = fov_scratch(BQ * LDS, sizeof(real)), .q = qo };
  real *panels = f->panels ? NULL : fov_scratch((size_t)(d * BK), sizeof(real));
  real *values = f->values || inplace ? NULL : fov_scratch((size_t)(h->ep * BK), sizeof(real));
  if (!qo || !r.S || (!f->panels && !panels) || (!f->values && !inplace && !values))
    return FOV_NOMEM;
  r.o = r.q + n * h->dp;
  r.sum = r.o + n * h->ep;
  r.max = r.sum + n * VL;
  memset(r.o, 0, (size_t)(n * (h->ep + VL)) * sizeof(real));
  for (ptrdiff_t i = 0; i < n; i++) r.max[i] = -(real)INFINITY;
  pack_rows(h->s.factor, n, d, h->q + i0 * d, d, r.q, h->dp);
  for (ptrdiff_t j = from; j < to; j += BK) {
    ptrdiff_t keys = least(BK, h->s.m - j);
    const real *p = panels, *v = inplace ? h->v + j * e : values;
    if (f->panels) p = f->panels + j * d;
    else pack_panels(keys, d, h->k + j * d, d, panels);
    if (f->values) v = f->values + j * h->ep;
    else if (!inplace) pack_rows(1, keys, e, h->v + j * e, e, values, h->ep);
    meet(h, &r, i0, i1, j, least(to, j + BK), p, v, h->ep);
  }
  for (ptrdiff_t i = 0; i < n; i++) {
    real sum = vsum(vload(r.sum + i * VL));
    ptrdiff_t at = part * h->s.n + i0 + i;
    if (f->splits == 1) settle(h, i0 + i, r.o + i * h->ep, r.max[i], sum);
    else {
      memcpy(f->o + at * h->ep, r.o + i * h->ep, (size_t)h->ep * sizeof(real));
      f->max[at] = r.max[i];
      f->sum[at] = sum;
    }
  }
  return FOV_OK;
}

/* Adds the splits of each row in order. */
static void merge (const Forward *f) {
  const Softmax *h = f->h;
  for (ptrdiff_t i = 0, n = h->s.n; i < n; i++) {
    real max = f->max[i], sum = 0, *o = f->o + i * h->ep;
    for (ptrdiff_t t = 1; t < f->splits; t++)
      if (f->max[t * n + i] > max) max = f->max[t * n + i];
    for (ptrdiff_t t = 0; t < f->splits; t++) {
      ptrdiff_t at = t * n + i;
      real shrink = f->max[at] == max ? 1 : pow2_below(f->max[at] - max);
      sum += shrink * f->sum[at];
      for (ptrdiff_t c = 0; c < h->ep; c += VL) {
        vec x = shrink * vload(f->o + at * h->ep + c);
        vstore(o + c, t == 0 ? x : vload(o + c) + x);
      }
    }
    settle(h, i, o, max, sum);
  }
}

typedef struct Packing { const Softmax *h; real *panels, *values; } Packing;

static fov_Status pack_task (void *arg, ptrdiff_t t) {
  const Packing *p = arg;
  const Softmax *h = p->h;
  ptrdiff_t j = t * PACK, keys = least(PACK, h->s.m - j);
  pack_panels(keys, h->d, h->k + j * h->d, h->d, p->panels + j * h->d);
  if (p->values)
    pack_rows(1, keys, h->e, h->v + j * h->e, h->e, p->values + j * h->ep, h->ep);
  return FOV_OK;
}

static fov_Status forward (const Softmax *h) {
  Forward f = { .h = h, .splits = 1 };
  ptrdiff_t n = h->s.n, m = h->s.m;
  if (n == 0) return FOV_OK;
  f.spans = n <= ALONE ? 1 : (n + SPAN - 1) / SPAN;
  f.span = n <= ALONE ? n : SPAN;
  f.split = m;
  fov_Status st = FOV_OK;
  if (f.spans > 1) {
    Packing p = { h, fov_scratch((size_t)(roundup(m, TILE_COLS) * h->d), sizeof(real)), NULL };
    if (!p.panels) return FOV_NOMEM;
    if (h->e != h->ep) {
      p.values = fov_scratch((size_t)(m * h->ep), sizeof(real));
      if (!p.values) return FOV_NOMEM;
    }
    st = fov_parallel((m + PACK - 1) / PACK, pack_task, &p);
    f.panels = p.panels;
    f.values = p.values;
  } else if (m > 8 * BK) {
    f.split = roundup(most(4 * BK, m / 16), BK);
    f.splits = (m + f.split - 1) / f.split;
    f.o = fov_scratch((size_t)(f.splits * n * h->ep), sizeof(real));
    f.max = fov_scratch((size_t)(f.splits * n), 2 * sizeof(real));
    if (!f.o || !f.max) return FOV_NOMEM;
    f.sum = f.max + f.splits * n;
  }
  if (st == FOV_OK) st = fov_parallel(f.spans * f.splits, span_task, &f);
  if (st == FOV_OK && f.splits > 1) merge(&f);
  return st;
}

const fov_SoftmaxPass FOV_BUILD(fov_softmax_forward) = { forward };
