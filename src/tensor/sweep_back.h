/* sweep_back.h -- the gradients of a whole head, in three walks.
 *
 *   1 against time   gradients X of the solved writes along dS; dv; first dS
 *   2 with time      dq, dp along S'; with it, unless they were kept, the
 *                    writes again along S; dbeta
 *   3 against time   dk, db along dS'; dg
 *
 * The gate's gradient is a sum over later tokens, anchored every ANCHOR of them
 * by S . dS there, so that its rounding does not grow with n:
 *
 *   G_t = q.dq + p.dp - k.dk (- b.db) + [t is before an anchor] sum_v S_t . dS_t
 *   dg_t = sum of G_i over t <= i up to the anchor (p's part: i > t if NS = 2) */
#ifndef FOV_SWEEP_BACK_H
#define FOV_SWEEP_BACK_H

#include "tensor/sweep_rule.h"

static real dot (ptrdiff_t n, const real *x, const real *y) {
  vec a = vzero();
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) a = vfma(vload(x + i), vload(y + i), a);
  if (i < n) a = vfma(vload_n(x + i, n - i, 0), vload_n(y + i, n - i, 0), a);
  return vsum(a);
}

/* dg of the tokens [from, to); run(d): S . dS behind the last of them. */
static void gate_gradient (const fov_Rule *r, ptrdiff_t from, ptrdiff_t to, real *run) {
  const ptrdiff_t d = r->d;
  real total = 0;
  for (ptrdiff_t j = 0; j < d; j++) total += run[j];
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

/* dbeta of the tokens [from, to), and X from dL/du to dv = beta dL/du, a seed added. */
static void rate_gradient (fov_Rule *r, ptrdiff_t from, ptrdiff_t to) {
  const ptrdiff_t e = r->e;
  for (ptrdiff_t t = from; NS == 1 && t < to && (r->beta || r->dvalue); t++) {
    real *X = r->X + t * e;
    const real beta = r->beta ? r->beta[t] : 1;
    if (r->dbeta) r->dbeta[t] = dot(e, X, r->value + t * e);
    for (ptrdiff_t j = 0; j < e; j++) X[j] *= beta;
    for (ptrdiff_t j = 0; r->dvalue && j < e; j++) X[j] += r->dvalue[t * e + j];
  }
}

/* to_j := sum_v S_j dS_j, from S' in the pieces of a walk along it. */
static void anchors (const fov_Walk *v, const real *dS, real *to) {
  for (ptrdiff_t i = 0; i < v->k; i++) {
    const fov_Piece *p = &v->piece[i];
    const ptrdiff_t e = p->r->e;
    for (ptrdiff_t j = p->lo; j < p->hi; j++) {
      real sum = 0;
      for (ptrdiff_t c = 0; c < e; c++) sum += p->S[c * p->ld + j - p->lo] * dS[j * e + c];
      to[j] = sum;
    }
  }
}

static real *room (ptrdiff_t rows, ptrdiff_t cols) {
  return fov_scratch((size_t)(rows * cols), sizeof(real));
}

/* Gradients where there is nothing to sweep. */
static fov_Status no_tokens (const fov_Rule *r) {
  const ptrdiff_t n = r->n, d = r->d, e = r->e;
  real *out[] = { r->dq, r->dk, r->dv, r->dp, r->db, r->dbeta, r->dg, r->ds };
  const ptrdiff_t size[] = { n * d, n * d, n * e, n * d, n * d, n,
                             r->gate == VECTOR_GATE ? n * d : n, d * e };
  for (int i = 0; i < 8; i++)
    if (out[i]) memset(out[i], 0, (size_t)size[i] * sizeof(real));
  if (r->ds && r->dsn) memcpy(r->ds, r->dsn, (size_t)(d * e) * sizeof(real));
  return FOV_OK;
}

static fov_Status backward (fov_Rule *r) {
  const ptrdiff_t n = r->n, d = r->d, e = r->e, m = (n + ANCHOR - 1) / ANCHOR;
  if (d == 0 || e == 0 || n == 0) return no_tokens(r);
  if (!r->dO) {
    real *zero = room(n, e);
    if (!zero) return FOV_NOMEM;
    r->dO = memset(zero, 0, (size_t)(n * e) * sizeof *zero);
  }
  r->value = (real *)r->kept;
  if (!r->value && !(r->value = room(n, e))) return FOV_NOMEM;
  if (!(r->X = NS == 1 && r->dv ? r->dv : room(n, e))) return FOV_NOMEM;
  real *dS = NULL, *anchor = NULL;
  if (r->dg) {
    if (!(dS = room(m * d, e)) || !(anchor = room(m, d))) return FOV_NOMEM;
    if (!r->dq && !(r->dq = room(n, d))) return FOV_NOMEM;
    if (!r->dk && !(r->dk = room(n, d))) return FOV_NOMEM;
    if (NS == 2 && !r->db && !(r->db = room(n, d))) return FOV_NOMEM;
  }
  if (!r->dp && (r->dg || (r->p_is_k && r->dk)) && !(r->dp = room(n, d))) return FOV_NOMEM;

  fov_Walk w, v;
  fov_Mark mark = fov_mark();
  fov_Status st = walk_open(r, REVERSE, &w);
  for (ptrdiff_t i = m - 1; i >= 0 && st == FOV_OK; i--) {
    if (r->dg) walk_state(&w, dS + i * d * e);
    st = walk(&w, i * ANCHOR, i == m - 1 ? n : (i + 1) * ANCHOR);
  }
  if (st == FOV_OK && r->ds) walk_state(&w, r->ds);
  fov_release(mark);
  const bool dual = r->dq || r->dk || r->dp || r->db;
  if (st != FOV_OK || !(dual || r->dbeta || ((r->beta || r->dvalue) && r->dv))) return st;

  if (r->kept) rate_gradient(r, 0, n), r->scaled = true;
  else st = walk_open(r, VALUES, &w);
  if (st == FOV_OK) st = walk_open(r, DUAL_FORWARD, &v);
  for (ptrdiff_t i = 0; i < m && st == FOV_OK; i++) {
    const ptrdiff_t from = i * ANCHOR, to = i == m - 1 ? n : from + ANCHOR;
    if (!r->kept) st = walk(&w, from, to);
    if (st == FOV_OK && dual) st = walk(&v, from, to);
    if (r->dg) anchors(&v, dS + i * d * e, anchor + i * d);
    if (!r->kept) rate_gradient(r, from, to);
  }
  fov_release(mark);
  r->scaled = true;
  if (st != FOV_OK || !(r->dk || r->db)) return st;

  st = walk_open(r, DUAL_REVERSE, &v);
  for (ptrdiff_t i = m - 1; i >= 0 && st == FOV_OK; i--) {
    const ptrdiff_t from = i * ANCHOR, to = i == m - 1 ? n : from + ANCHOR;
    st = walk(&v, from, to);
    if (r->dg) gate_gradient(r, from, to, anchor + i * d);
    for (ptrdiff_t j = from * d; j < to * d && r->p_is_k && r->dk; j++) r->dk[j] += r->dp[j];
  }
  fov_release(mark);
  return st;
}

#endif
