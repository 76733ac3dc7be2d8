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
#else
#define rceil ceil
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
#define FEWKEYS 96             /* keys per block of few queries */

/* Rows [i0, i0+n) in the making: o is not yet divided by l.  A tile of BQ
 * rows is fresh until it has met a key; its o is then still unwritten. */
typedef struct Rows {
  ptrdiff_t i0, n;
  real *o, *S, *max, *sum;       /* (n,ep) (BQ,LDS) (n) (n,VL) */
  bool fresh[ALONE / BQ];
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

/* S(rows, c0..c1) of the tile at row 'at' to probabilities against the running
 * maxima.  Two passes: exponentials need not wait for their row's maximum. */
static void soften (const Softmax *h, Rows *r, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t j0,
                    ptrdiff_t c0, ptrdiff_t c1) {
  for (ptrdiff_t i = 0; i < rows; i++) {
    real *x = r->S + i * LDS, *max = &r->max[at + i], *sum = r->sum + (at + i) * VL;
    ptrdiff_t q = r->i0 + at + i;
    ptrdiff_t lo = most(sees_from(&h->s, q) - j0, c0);
    ptrdiff_t hi = most(lo, least(sees_to(&h->s, q) - j0, c1));
    if (!h->s.plain)
      for (ptrdiff_t c = c0; c < c1; c += VL) {
        vec t, far;
        vstore(x + c, score(&h->s, q, j0 + c, vload(x + c), &t, &far));
      }
    hide(x, c0, c1, lo, hi, -(real)INFINITY);
    real top = row_max(x + c0, c1 - c0);
    if (top > *max) {
      real M = rceil(top), shrink = pow2_below(*max - M);
      *max = M;
      vstore(sum, shrink * vload(sum));
      if (!r->fresh[at / BQ]) rescale(r->o + (at + i) * h->ep, h->ep, shrink);
    }
  }
  for (ptrdiff_t i = 0; i < rows; i++) {
    real *sum = r->sum + (at + i) * VL;
    vstore(sum, vload(sum) + row_exp(r->S + i * LDS + c0, c1 - c0, r->max[at + i]));
  }
}

/* o(i .. i+rows) += P(rows, a..b) V.  Keys that all the rows see go at once,
 * the rest by fewer rows: what is hidden from a row never meets it. */
static void weigh (const Softmax *h, const Rows *r, bool add, ptrdiff_t i, ptrdiff_t rows,
                   ptrdiff_t j0, ptrdiff_t a, ptrdiff_t b, const real *v) {
  ptrdiff_t ep = h->ep, step = rows > TILE_ROWS ? TILE_ROWS : 1, q = r->i0 + i;
  ptrdiff_t lo = most(a, sees_from(&h->s, q + rows - 1) - j0);
  ptrdiff_t hi = least(b, sees_to(&h->s, q) - j0);
  const real *P = r->S + i % BQ * LDS;
  real *o = r->o + i * ep;
  bool left = lo > a;
  if (lo >= hi) lo = hi = a;
  for (ptrdiff_t k = lo, n; k < hi; k += n, add = true) {
    n = hi - k < 2 * KC ? hi - k : KC;
    product(add, rows, ep, n, P + k, LDS, v + k * ep, ep, o, ep);
  }
  if (!add) for (ptrdiff_t k = 0; k < rows * ep; k += VL) vstore(o + k, vzero());
  b = least(b, sees_to(&h->s, q + rows - 1) - j0);
  if (rows == TILE_ROWS && !left && b - hi == TILE_ROWS - 1) {
    tile_stairs(ep, P + hi, LDS, v + hi * ep, ep, o, ep);
    return;
  }
  for (ptrdiff_t t = 0; rows > 1 && t < rows && (a < lo || hi < b); t += step) {
    ptrdiff_t some = least(step, rows - t);
    if (a < lo) weigh(h, r, true, i + t, some, j0, a, lo, v);
    if (hi < b) weigh(h, r, true, i + t, some, j0, hi, b, v);
  }
}

/* The rows meet keys [j0,j1) of one block, packed in 'panels' and 'v'. */
static void meet (const Softmax *h, Rows *r, ptrdiff_t j0, ptrdiff_t j1, const real *panels,
                  const real *v) {
  for (ptrdiff_t i = 0; i < r->n; i += BQ) {
    ptrdiff_t rows = least(BQ, r->n - i), q = r->i0 + i;
    ptrdiff_t lo = most(j0, sees_from(&h->s, q)), hi = least(j1, sees_to(&h->s, q + rows - 1));
    if (lo >= hi || (h->s.bias && bias_hides(&h->s, q, q + rows, lo, hi))) continue;
    ptrdiff_t c0 = (lo - j0) / VL * VL, c1 = roundup(hi - j0, VL);
    score_tile(rows, c0, c1, h->d, h->q + q * h->d, h->d, panels, r->S, LDS);
    soften(h, r, i, rows, j0, c0, c1);
    weigh(h, r, !r->fresh[i / BQ], i, rows, j0, lo - j0, hi - j0, v);
    r->fresh[i / BQ] = false;
  }
}

/* Results of rows [i0, i0+n) from their unnormalised o, maxima and sums. */
static void settle (const Softmax *h, ptrdiff_t i0, ptrdiff_t n, const real *o,
                    const real *max, const real *sum) {
  real by[ALONE], lse[ALONE];
  const vec sink = vset(h->sink), least_max = vset(rceil(h->sink));
  for (ptrdiff_t i = 0; i < n; i += VL) {
    vec M = vload(max + i), l = vload(sum + i), shrink = vset(1);
    if (h->sink > -(real)INFINITY) {
      vec top = vmax(least_max, M);
      shrink = exp2_below(M - top);
      l = l * shrink + exp2_below(sink - top);
      M = top;
    }
    vstore(by + i, vselect((ivec)(l == vzero()), vzero(), shrink / l));
    vstore(lse + i, (M + vlog2(l)) * LN2);
  }
  memcpy(h->lse + i0, lse, (size_t)n * sizeof *lse);
  for (ptrdiff_t i = 0; i < n; i++)
    put_row(h->o + (i0 + i) * h->e, by[i], o + i * h->ep, h->e);
}

static fov_Status span_task (void *arg, ptrdiff_t t) {
  const Forward *f = arg;
  const Softmax *h = f->h;
  ptrdiff_t part = t % f->splits, d = h->d, e = h->e, ep = h->ep;
  bool inplace = e == ep;
  Rows r = { .i0 = (f->spans - 1 - t / f->splits) * f->span };
  r.n = least(h->s.n - r.i0, f->span);
  ptrdiff_t from = most(part * f->split, sees_from(&h->s, r.i0) / BK * BK);
  ptrdiff_t to = least((part + 1) * f->split, sees_to(&h->s, r.i0 + r.n - 1));
  ptrdiff_t np = roundup(r.n, VL), at = part * np;
  real *panels = f->panels ? NULL : fov_scratch((size_t)(d * BK + 1), sizeof(real));
  real *values = f->values || inplace ? NULL : fov_scratch((size_t)(ep * BK + 1), sizeof(real));
  r.S = fov_scratch((size_t)(BQ * LDS), sizeof(real));
  r.sum = fov_scratch((size_t)(r.n * VL + 2 * np), sizeof(real));
  r.o = f->o ? f->o + at * ep : inplace ? h->o + r.i0 * e
      : fov_scratch((size_t)(r.n * ep), sizeof(real));
  if (!r.S || !r.sum || (!r.o && ep) || (!f->panels && !panels) || (!f->values && !inplace && !values))
    return FOV_NOMEM;
  real *sum = f->sum ? f->sum + at : r.sum + r.n * VL;
  r.max = f->max ? f->max + at : r.sum + r.n * VL + np;
  memset(r.sum, 0, (size_t)(r.n * VL) * sizeof(real));
  for (ptrdiff_t i = 0; i < np; i++) r.max[i] = -(real)INFINITY, sum[i] = 0;
  memset(r.fresh, true, sizeof r.fresh);
  for (ptrdiff_t j = from; j < to; j += BK) {
    ptrdiff_t keys = least(BK, h->s.m - j);
    const real *p = panels, *v = inplace ? h->v + j * e : values;
    if (f->panels) p = f->panels + j * d;
    else pack_panels(h->s.factor, keys, d, h->k + j * d, d, panels);
    if (f->values) v = f->values + j * ep;
    else if (!inplace) pack_rows(1, keys, e, h->v + j * e, e, values, ep);
    meet(h, &r, j, least(to, j + BK), p, v);
  }
  for (ptrdiff_t i = 0; i < r.n; i += BQ)
    if (r.fresh[i / BQ]) memset(r.o + i * ep, 0, (size_t)(least(BQ, r.n - i) * ep) * sizeof(real));
  for (ptrdiff_t i = 0; i < r.n; i++) sum[i] = vsum(vload(r.sum + i * VL));
  if (!f->o) settle(h, r.i0, r.n, r.o, r.max, sum);
  return FOV_OK;
}

/* Every key of many is seen by all of a panel's width of queries: scores are made
 * as S' (keys, queries), so that keys are read as they lie, queries are packed
 * once, and maxima and sums go by lanes; not where they would fill less than a
 * quarter of a vector.  Where keys are not split a row has the
 * bits that it has among many rows, which this way would not give. */
static bool few (const Forward *f) {
  const Softmax *h = f->h;
  return f->splits > 1 && 4 * h->s.n > VL && h->s.n <= TILE_COLS && h->s.plain && !h->s.bias &&
         sees_from(&h->s, h->s.n - 1) == 0 && sees_to(&h->s, 0) == h->s.m;
}

/* One vector of columns of x(keys, TILE_COLS) to 2^(x - M), as row_exp does rows;
 * *max rises to M, *sum shrinks and grows; returns the shrinking. */
static vec column_exp (real *x, ptrdiff_t keys, real *max, real *sum) {
  vec old = vload(max), top = old, total = vzero(), shrink = vset(1), M = old;
  for (ptrdiff_t k = 0; k < keys; k++) top = vmax(vload(x + k * TILE_COLS), top);
  ivec rise = (ivec)(top > old);
  if (vany(rise)) {
    M = vselect(rise, vceil(top), old);
    shrink = vselect(rise, exp2_below(old - M), shrink);
    vstore(max, M);
  }
  if (vbeyond(M, EXP2_EXACT)) {
    vec by = vselect((ivec)(M == vset(-(real)INFINITY)), vzero(), M);
    for (ptrdiff_t k = 0; k < keys; k++) vstore(x + k * TILE_COLS, vload(x + k * TILE_COLS) - by);
    M = vzero();
  }
  vec magic = EXP2_MAGIC - M, low = M + EXP2_LOW;
  UNROLL(2) for (ptrdiff_t k = 0; k < keys; k++) {
    vec p = exp2_from(vload(x + k * TILE_COLS), magic, low);
    vstore(x + k * TILE_COLS, p);
    total += p;
  }
  vstore(sum, shrink * vload(sum) + total);
  return shrink;
}

static fov_Status few_task (void *arg, ptrdiff_t part) {
  const Forward *f = arg;
  const Softmax *h = f->h;
  const ptrdiff_t n = h->s.n, np = roundup(n, VL), d = h->d, e = h->e, ep = h->ep;
  const ptrdiff_t from = part * f->split, to = least(h->s.m, from + f->split);
  real by[TILE_COLS];
  real *max = f->max + part * np, *sum = f->sum + part * np, *o = f->o + part * np * ep;
  real *panel = fov_scratch((size_t)(d * TILE_COLS + 1), sizeof *panel);
  real *S = fov_scratch((size_t)(FEWKEYS * TILE_COLS), sizeof *S);
  real *values = e == ep ? NULL : fov_scratch((size_t)(FEWKEYS * ep), sizeof *values);
  if (!panel || !S || (e != ep && !values)) return FOV_NOMEM;
  for (ptrdiff_t i = 0; i < np; i++) max[i] = -(real)INFINITY, sum[i] = 0;
  pack_panels(h->s.factor, n, d, h->q, d, panel);
  for (ptrdiff_t j = from; j < to; j += FEWKEYS) {
    const ptrdiff_t keys = least(FEWKEYS, to - j);
    const real *v = h->v + j * e;
    bool shrunk = false;
    if (values) pack_rows(1, keys, e, v, e, values, ep), v = values;
    product(false, keys, np, d, h->k + j * d, d, panel, TILE_COLS, S, TILE_COLS);
    for (ptrdiff_t c = 0; c < np; c += VL) {
      vec shrink = column_exp(S + c, keys, max + c, sum + c);
      vstore(by + c, shrink);
      shrunk |= vany((ivec)(shrink != vset(1)));
    }
    for (ptrdiff_t i = 0; shrunk && j > from && i < n; i++)
      if (by[i] != 1) rescale(o + i * ep, ep, by[i]);
    for (ptrdiff_t c = 0; c < ep; c += TILE_COLS) {
      int R, V = (int)(least(ep - c, TILE_COLS) / VL);
      for (ptrdiff_t i = 0; i < n; i += R) {
        R = tile_step(n - i);
        tile_cols(R, V, j > from, keys, S + i, TILE_COLS, v + c, ep, o + i * ep + c, ep);
      }
    }
  }
  return FOV_OK;
}

/* Adds the splits of each row in order, into the first. */
static void merge (const Forward *f) {
  const Softmax *h = f->h;
  ptrdiff_t n = h->s.n, np = roundup(n, VL), ep = h->ep;
  for (ptrdiff_t i = 0; i < n; i++) {
    real max = f->max[i], sum = 0, *o = f->o + i * ep;
    for (ptrdiff_t t = 1; t < f->splits; t++)
      if (f->max[t * np + i] > max) max = f->max[t * np + i];
    for (ptrdiff_t t = 0; t < f->splits; t++) {
      ptrdiff_t at = t * np + i;
      real shrink = f->max[at] == max ? 1 : pow2_below(f->max[at] - max);
      sum += shrink * f->sum[at];
      for (ptrdiff_t c = 0; c < ep; c += VL) {
        vec x = shrink * vload(f->o + at * ep + c);
        vstore(o + c, t == 0 ? x : vload(o + c) + x);
      }
    }
    f->max[i] = max;
    f->sum[i] = sum;
  }
  settle(h, 0, n, f->o, f->max, f->sum);
}

typedef struct Packing { const Softmax *h; real *panels, *values; } Packing;

static fov_Status pack_task (void *arg, ptrdiff_t t) {
  const Packing *p = arg;
  const Softmax *h = p->h;
  ptrdiff_t j = t * PACK, keys = least(PACK, h->s.m - j);
  pack_panels(h->s.factor, keys, h->d, h->k + j * h->d, h->d, p->panels + j * h->d);
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
    Packing p = { h, fov_scratch((size_t)(roundup(m, TILE_COLS) * h->d + 1), sizeof(real)), NULL };
    if (!p.panels) return FOV_NOMEM;
    if (h->e != h->ep) {
      p.values = fov_scratch((size_t)(m * h->ep + 1), sizeof(real));
      if (!p.values) return FOV_NOMEM;
    }
    st = fov_parallel((m + PACK - 1) / PACK, pack_task, &p);
    f.panels = p.panels;
    f.values = p.values;
  } else if (m > 8 * BK) {
    f.split = roundup(most(4 * BK, m / 16), BK);
    f.splits = (m + f.split - 1) / f.split;
    ptrdiff_t rows = f.splits * roundup(n, VL);
    f.o = fov_scratch((size_t)(rows * h->ep), sizeof(real));
    f.max = fov_scratch((size_t)rows, 2 * sizeof(real));
    if (!f.o || !f.max) return FOV_NOMEM;
    f.sum = f.max + rows;
  }
  if (st == FOV_OK) st = fov_parallel(f.spans * f.splits, few(&f) ? few_task : span_task, &f);
  if (st == FOV_OK && f.splits > 1) merge(&f);
  return st;
}

const fov_SoftmaxPass FOV_BUILD(fov_softmax_forward) = { forward };
