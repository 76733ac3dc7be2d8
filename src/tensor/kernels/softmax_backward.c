/* softmax_backward.c -- gradients of exact attention, P recomputed by tiles.
 *
 *   P = e^(s - lse)         D_i = dO_i.O_i - dlse_i       dP = dO V'
 *   dS = P o (dP - D)       dX = dS, times 1 - tanh^2 under a softcap
 *   dV = P' dO              dQ = scale dX K               dK = scale dX' Q
 *   dbias = dS              dslope = -sum_ij dS_ij |i + off - j|
 *   dsink = -sum_i e^(sink - lse_i) D_i
 *
 * Blocks of keys are outer: each owns its dK and dV.  They are dealt to at
 * most PARTS tasks by their number, each task with a dQ of its own; the dQ
 * are added in order.  Time 2.5 times the forward pass's.  Scratch: n d for
 * each part but the first, and tiles; q, dO and dQ again where rows of theirs
 * are not whole vectors. */
#include "tensor/softmax.h"

#define BQ 24                                           /* rows of scores at a time */
#define QB 96                                           /* rows of a tile of P and dX */
#define KB ((ptrdiff_t)(768 / sizeof(real)))            /* keys of a tile: whole panels */
#define KC ((ptrdiff_t)(256 / sizeof(real)))            /* keys in one pass of dX K */
#define LDP (KB + (ptrdiff_t)(64 / sizeof(real)))       /* an odd number of cache lines */
#define PARTS 4

typedef struct Backward {
  const Softmax *h;
  const real *q, *go;            /* (n,dp) (n,ep) */
  real *lse, *D;                 /* (n) in units of log 2, +inf where nothing is seen */
  real *dq[PARTS];               /* (n,dp) each */
  double *dslope;                /* by block of keys */
  ptrdiff_t blocks, parts;
} Backward;

/* What one task works in. */
typedef struct Room {
  real *kt, *vt, *k;             /* panels (d,KB) (e,KB); rows (KB,dp) */
  real *P, *G;                   /* (QB,LDP): P and dX */
  real *dk, *dv;                 /* (KB,dp) (KB,ep), where a row is no whole vectors */
} Room;

static bool take_room (Room *r, const Softmax *h) {
  size_t row = (size_t)(2 * h->d + 2 * h->e + 2 * h->dp + h->ep);
  real *x = fov_scratch((size_t)KB, (row + 8) * sizeof(real));
  r->P = fov_scratch(2 * QB * LDP, sizeof(real));
  if (!x || !r->P) return false;
  r->kt = x;
  r->vt = x += KB * h->d;
  r->k = x += KB * h->e;
  r->dk = x += KB * h->dp;
  r->dv = x + KB * h->dp;
  r->G = r->P + QB * LDP;
  return true;
}

/* P and dX of one row from its scores x and dP, both at columns c0..c1. */
static void grade (const Backward *b, ptrdiff_t i, ptrdiff_t j0, ptrdiff_t c0, ptrdiff_t c1,
                   real *x, real *g, double *dslope) {
  const Softmax *h = b->h;
  ptrdiff_t lo = most(sees_from(&h->s, i) - j0, c0);
  ptrdiff_t hi = most(lo, least(sees_to(&h->s, i) - j0, c1));
  vec lse = vset(b->lse[i]), D = vset(b->D[i]), slope = vzero();
  if (h->s.plain) {
    UNROLL(2) for (ptrdiff_t c = c0; c < c1; c += VL) {
      vec p = exp2_below(vload(x + c) - lse);
      vstore(x + c, p);
      vstore(g + c, p * (vload(g + c) - D));
    }
  } else {
    for (ptrdiff_t c = c0; c < c1; c += VL) {
      vec one = vset(1), far = vzero(), s = score(&h->s, i, j0 + c, vload(x + c), &one, &far);
      vec at = lanes(c);
      ivec seen = (ivec)(at >= (real)lo) & (ivec)(at < (real)hi);
      vec p = exp2_below(s - lse), ds = (vec)((ivec)(p * (vload(g + c) - D)) & seen);
      slope += ds * far;
      vstore(x + c, p);
      vstore(g + c, ds * one);
      if (h->dbias) {
        ptrdiff_t w = least(VL, h->s.m - j0 - c);
        real *to_ = h->dbias + i * h->s.ldbias + j0 + c;
        if (w == VL) vstore(to_, ds);
        else vstore_n(to_, ds, w);
      }
    }
    *dslope -= (double)vsum(slope);
  }
  hide(x, c0, c1, lo, hi, 0);
  hide(g, c0, c1, lo, hi, 0);
}

/* P and dX of rows [i0,i1), keys [j0,j1); all columns up to j1's vector. */
static void recompute (const Backward *b, const Room *r, ptrdiff_t i0, ptrdiff_t i1,
                       ptrdiff_t j0, ptrdiff_t j1, double *dslope) {
  const Softmax *h = b->h;
  ptrdiff_t width = roundup(j1 - j0, VL);
  for (ptrdiff_t i = i0; i < i1; i += BQ) {
    ptrdiff_t rows = least(BQ, i1 - i);
    ptrdiff_t lo = most(j0, sees_from(&h->s, i));
    ptrdiff_t hi = least(j1, sees_to(&h->s, i + rows - 1));
    real *P = r->P + (i - i0) * LDP, *G = r->G + (i - i0) * LDP;
    bool none = lo >= hi || (h->s.bias && bias_hides(&h->s, i, i + rows, lo, hi));
    ptrdiff_t c0 = none ? width : (lo - j0) / VL * VL, c1 = none ? width : roundup(hi - j0, VL);
    if (!none) {
      score_tile(rows, c0, c1, h->d, b->q + i * h->dp, h->dp, r->kt, P, LDP);
      score_tile(rows, c0, c1, h->e, b->go + i * h->ep, h->ep, r->vt, G, LDP);
    }
    for (ptrdiff_t t = 0; t < rows; t++, P += LDP, G += LDP) {
      if (!none) grade(b, i + t, j0, c0, c1, P, G, dslope);
      hide(P, 0, width, c0, c1, 0);
      hide(G, 0, width, c0, c1, 0);
    }
  }
}

/* C(keys,w) += A' B over the queries [i0,i1) that see each group of keys;
 * A is a tile of P or dX, B has a row of w for each query. */
static void gather_keys (const Softmax *h, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                         ptrdiff_t keys, const real *a, const real *x, ptrdiff_t w, real *c) {
  const Scores *s = &h->s;
  for (ptrdiff_t col = 0; col < w; col += TILE_COLS) {
    int cols = (int)(least(w - col, TILE_COLS) / VL), R;
    for (ptrdiff_t j = 0; j < keys; j += R) {
      R = tile_step(keys - j);
      ptrdiff_t from = most(i0, j0 + j - s->off - s->right);
      ptrdiff_t to = least(i1, j0 + j + R - s->off + s->left);
      if (from < to)
        tile_cols(R, cols, true, to - from, a + (from - i0) * LDP + j, LDP,
                  x + from * w + col, w, c + j * w + col, w);
    }
  }
}

/* dq(rows) += dX K over the keys that each group of queries sees. */
static void gather_queries (const Softmax *h, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j0,
                            ptrdiff_t j1, const real *G, const real *k, real *dq) {
  ptrdiff_t dp = h->dp;
  for (ptrdiff_t j = j0; j < j1; j += KC)
    for (ptrdiff_t col = 0; col < dp; col += TILE_COLS) {
      int cols = (int)(least(dp - col, TILE_COLS) / VL), R;
      for (ptrdiff_t i = i0; i < i1; i += R) {
        R = tile_step(i1 - i);
        ptrdiff_t lo = most(j, sees_from(&h->s, i));
        ptrdiff_t hi = least(least(j1, j + KC), sees_to(&h->s, i + R - 1));
        if (lo < hi)
          tile_rows(R, cols, true, hi - lo, G + (i - i0) * LDP + lo - j0, LDP,
                    k + (lo - j0) * dp + col, dp, dq + i * dp + col, dp);
      }
    }
}

static void key_block (const Backward *b, const Room *r, ptrdiff_t block, real *dq) {
  const Softmax *h = b->h;
  const Scores *s = &h->s;
  ptrdiff_t j0 = block * KB, j1 = least(s->m, j0 + KB), keys = j1 - j0, d = h->d, e = h->e;
  ptrdiff_t first = most(0, j0 - s->off - s->right), last = least(s->n, j1 - s->off + s->left);
  const real *k = h->k + j0 * d;
  double dslope = 0;
  real *dk = d == h->dp ? h->dk + j0 * d : r->dk, *dv = e == h->ep ? h->dv + j0 * e : r->dv;
  pack_panels(s->factor, keys, d, k, d, r->kt);
  pack_panels(1, keys, e, h->v + j0 * e, e, r->vt);
  if (d != h->dp) pack_rows(1, keys, d, k, d, r->k, h->dp), k = r->k;
  if (h->dk) memset(dk, 0, (size_t)(keys * h->dp) * sizeof(real));
  if (h->dv) memset(dv, 0, (size_t)(keys * h->ep) * sizeof(real));
  for (ptrdiff_t i0 = first, i1; i0 < last; i0 = i1) {
    i1 = least(last, i0 + QB);
    recompute(b, r, i0, i1, j0, j1, &dslope);
    if (h->dv) gather_keys(h, i0, i1, j0, keys, r->P, b->go, h->ep, dv);
    if (h->dk) gather_keys(h, i0, i1, j0, keys, r->G, b->q, h->dp, dk);
    if (h->dq) gather_queries(h, i0, i1, j0, j1, r->G, k, dq);
  }
  b->dslope[block] = dslope;
  for (ptrdiff_t j = 0; j < keys; j++) {
    if (h->dk) put_row(h->dk + (j0 + j) * d, h->scale, dk + j * h->dp, d);
    if (h->dv && e != h->ep) put_row(h->dv + (j0 + j) * e, 1, dv + j * h->ep, e);
  }
}

static fov_Status part_task (void *arg, ptrdiff_t t) {
  const Backward *b = arg;
  const Softmax *h = b->h;
  real *dq = b->dq[t];
  Room r;
  if (!take_room(&r, h)) return FOV_NOMEM;
  if (dq) memset(dq, 0, (size_t)(h->s.n * h->dp) * sizeof(real));
  for (ptrdiff_t j = t; j < b->blocks; j += b->parts) {
    fov_Status st = fov_interrupted();
    if (st != FOV_OK) return st;
    key_block(b, &r, j, dq);
  }
  return FOV_OK;
}

/* lse, D and the sink's gradient. */
static void prepare (const Backward *b) {
  const Softmax *h = b->h;
  double dsink = 0;
  for (ptrdiff_t i = 0; i < h->s.n; i++) {
    const real *o = h->o + i * h->e, *go = b->go + i * h->ep;
    vec sum = vzero();
    ptrdiff_t c = 0;
    for (; c + VL <= h->e; c += VL) sum += vload(o + c) * vload(go + c);
    real D = vsum(sum), lse = h->lse[i];
    for (; c < h->e; c++) D += o[c] * go[c];
    if (h->glse) D -= h->glse[i];
    if (h->sink > -(real)INFINITY) dsink -= exp2((double)(h->sink - lse * LOG2E)) * (double)D;
    b->D[i] = D;
    b->lse[i] = lse == -(real)INFINITY ? -lse : lse * LOG2E;
  }
  if (h->dsink) *h->dsink = (real)dsink;
}

static fov_Status backward (const Softmax *h) {
  ptrdiff_t n = h->s.n, d = h->d, e = h->e, dp = h->dp, ep = h->ep, m = h->s.m;
  Backward b = { .h = h, .blocks = (m + KB - 1) / KB };
  b.parts = most(1, least(PARTS, b.blocks / 2));
  if (h->dbias) memset(h->dbias, 0, (size_t)(n * h->s.ldbias) * sizeof(real));
  if (h->dk) memset(h->dk + m * d, 0, (size_t)((h->keys - m) * d) * sizeof(real));
  if (h->dv) memset(h->dv + m * e, 0, (size_t)((h->keys - m) * e) * sizeof(real));
  real *q = NULL, *go = NULL;
  b.lse = fov_scratch((size_t)n, 2 * sizeof(real));
  b.dslope = fov_scratch((size_t)b.blocks, sizeof(double));
  if (!b.lse || !b.dslope) return FOV_NOMEM;
  b.D = b.lse + n;
  b.q = h->q;
  if (d != dp) {
    b.q = q = fov_scratch((size_t)(n * dp), sizeof(real));
    if (!q) return FOV_NOMEM;
    pack_rows(1, n, d, h->q, d, q, dp);
  }
  b.go = h->go;
  if (!h->go || e != ep) {
    b.go = go = fov_scratch((size_t)(n * ep), sizeof(real));
    if (!go) return FOV_NOMEM;
    if (h->go) pack_rows(1, n, e, h->go, e, go, ep);
    else memset(go, 0, (size_t)(n * ep) * sizeof(real));
  }
  for (ptrdiff_t t = 0; h->dq && t < b.parts; t++) {
    b.dq[t] = t == 0 && d == dp ? h->dq : fov_scratch((size_t)(n * dp), sizeof(real));
    if (!b.dq[t]) return FOV_NOMEM;
  }
  prepare(&b);
  fov_Status st = fov_parallel(b.parts, part_task, &b);
  if (st != FOV_OK) return st;
  if (h->dslope) {
    double sum = 0;
    for (ptrdiff_t j = 0; j < b.blocks; j++) sum += b.dslope[j];
    *h->dslope = (real)sum;
  }
  for (ptrdiff_t i = 0; h->dq && i < n; i++) {
    real *x = b.dq[0] + i * dp;
    for (ptrdiff_t t = 1; t < b.parts; t++)
      for (ptrdiff_t c = 0; c < dp; c += VL) vstore(x + c, vload(x + c) + vload(b.dq[t] + i * dp + c));
    put_row(h->dq + i * d, h->scale, x, d);
  }
  return FOV_OK;
}

const fov_SoftmaxPass FOV_BUILD(fov_softmax_backward) = { backward };
