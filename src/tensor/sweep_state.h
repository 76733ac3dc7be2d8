/* sweep_state.h -- rules with one or two write streams, along the state S(d,e).
 *
 *   NS = 1   u_t = beta_t (v_t - S' p_t)  with S already decayed,  S += k_t u_t'
 *   NS = 2   y_t = S' p_t  with S not yet decayed,  S := D_t S + k_t v_t' + b_t y_t'
 *
 * forward: o_t = S_t' q_t, or what a backward pass needs of the writes.
 * reverse: the gradients of the writes, against time, along dL/dS.  Value
 * columns never mix: any range of columns can be swept alone. */
#ifndef FOV_SWEEP_STATE_H
#define FOV_SWEEP_STATE_H

#include "tensor/sweep.h"

/* Row coefficients of a sweep: n tokens of d numbers. */
typedef struct fov_Rows {
  ptrdiff_t n, d;
  const real *q, *p, *k, *b, *beta, *g;
  int gate;                                  /* what the products carry */
} fov_Rows;

/* SEGMENT tokens of it, prepared.  'next': arrays whose rows the segment after
 * this one will want; they are asked for block by block, under its arithmetic. */
typedef struct fov_Segment {
  struct { const real *x; ptrdiff_t width; } next[6];
  int nexts;
  ptrdiff_t first_next, end_next;            /* its tokens */
  ptrdiff_t from, m, nb;
  fov_Block *block;
  real *alpha, *gamma, *qd, *pd, *kd, *bd, *pad;
  fov_Block none;                            /* writes nothing: comes before the first */
} fov_Segment;

static void want_next (fov_Segment *s, const real *x, ptrdiff_t width) {
  for (int i = 0; i < s->nexts; i++)
    if (s->next[i].x == x) return;
  if (!x) return;
  s->next[s->nexts].x = x;
  s->next[s->nexts++].width = width;
}

/* The two arrays that pass 'i' over a block asks for; 'here' if there are none. */
static void ask_next (const fov_Segment *s, ptrdiff_t block, ptrdiff_t T, ptrdiff_t i,
                      const real *here, const real **ask) {
  const ptrdiff_t from = s->first_next + block * T;
  for (int j = 0; j < 2; j++)
    ask[j] = from < s->end_next && 2 * i + j < s->nexts
           ? s->next[2 * i + j].x + from * s->next[2 * i + j].width : here;
}

static bool segment_alloc (const fov_Rows *r, fov_Segment *s) {
  const ptrdiff_t d = r->d, L = (r->n < SEGMENT ? r->n : SEGMENT) + TB;
  const ptrdiff_t wide = r->gate == VECTOR_GATE ? d : 1;
  const size_t z = sizeof(real);
  s->nexts = 0;
  want_next(s, r->q, d), want_next(s, r->k, d), want_next(s, r->p, d);
  if (NS == 2) want_next(s, r->b, d);
  if (!(s->block = fov_scratch((size_t)L, sizeof *s->block))) return false;
  if (!(s->pad = fov_scratch((size_t)(4 * TB * d), z))) return false;
  real *none = fov_scratch((size_t)((TB + 1) * d), z);
  if (!none) return false;
  memset(none, 0, (size_t)(TB * d) * z);
  s->none.q = s->none.p = s->none.k = s->none.b = none;
  s->none.gamma = none + TB * d;
  for (ptrdiff_t i = TB * d; i < (TB + 1) * d; i++) none[i] = 1;
  s->alpha = s->gamma = s->qd = s->pd = s->kd = s->bd = NULL;
  if (r->gate == NO_GATE) return true;
  if (!(s->alpha = fov_scratch((size_t)(L * wide), z))) return false;
  if (!(s->gamma = fov_scratch((size_t)(L * wide), z))) return false;
  if (r->gate == SCALAR_GATE) return true;
  if (!(s->qd = fov_scratch((size_t)(L * d), z))) return false;
  if (!(s->pd = fov_scratch((size_t)(L * d), z))) return false;
  if (!(s->kd = fov_scratch((size_t)(L * d), z))) return false;
  return NS == 1 || (s->bd = fov_scratch((size_t)(L * d), z)) != NULL;
}

/* The last block's rows, with zeros for tokens there are not. */
static const real *padded (const real *x, ptrdiff_t rows, ptrdiff_t d, real *pad) {
  memcpy(pad, x, (size_t)(rows * d) * sizeof *x);
  memset(pad + rows * d, 0, (size_t)((TB - rows) * d) * sizeof *x);
  return pad;
}

/* VECTOR_GATE: q_i, p_i times the decay from the block's start to token i
 * (before: p without its own), and the decay of the whole block. */
static void decay_reads (int T, bool before, ptrdiff_t d, const real *q,
                         const real *p, const real *alpha, real *qd, real *pd, real *gamma) {
  for (ptrdiff_t c = 0; c < d; c += VL) {
    const ptrdiff_t n = d - c < VL ? d - c : VL;
    const bool full = n == VL;
    vec g = vset(1);
    for (int i = 0; i < T; i++) {
      const ptrdiff_t o = i * d + c;
      if (before) store(full, pd + o, load(full, p + o, n) * g, n);
      g *= load(full, alpha + o, n);
      if (!before) store(full, pd + o, load(full, p + o, n) * g, n);
      store(full, qd + o, load(full, q + o, n) * g, n);
    }
    store(full, gamma + c, g, n);
  }
}

/* SCALAR_GATE: the same for one gate a token, and products times the decay
 * between their tokens. */
static void decay_block (int T, bool before, bool two, const real *alpha,
                         fov_Block *b, real *gamma) {
  real g = 1, left = 1;
  for (int i = 0; i < T; i++) {
    if (before) b->ps[i] *= g;
    g *= alpha[i];
    if (!before) b->ps[i] *= g;
    b->qs[i] *= g;
  }
  *gamma = g;
  for (int j = T - 1; j >= 0; left *= alpha[j], j--) {
    b->ks[j] *= left;
    real to = 1;
    for (int i = j + 1; i < T; i++) {
      const real own = to * alpha[i], pto = before ? to : own;
      b->with_k[PX(i, j)] *= pto;
      b->with_k[QX(i, j)] *= own;
      if (two) b->with_b[PX(i, j)] *= pto, b->with_b[QX(i, j)] *= own;
      to = own;
    }
  }
}

/* alpha = e^g with g clamped to [-60, 0]: e^-60 is below any rounding, and
 * -inf becomes a number. */
static inline void decays (const real *g, ptrdiff_t n, real *alpha) {
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t m = n - i < VL ? n - i : VL;
    store(m == VL, alpha + i, vexp(vmax(vset(-60), load(m == VL, g + i, m))), m);
  }
}

/* couple, built for the cases there are. */
static __attribute__((noinline)) void
products (int T, int gate, const fov_Block *b, const real *k, ptrdiff_t d, const real *alpha,
          real *kd, real *to) {
  const bool vector = gate == VECTOR_GATE;
  if (T == 1 && vector) couple(1, VECTOR_GATE, NS == 2, d, b->q, b->p, k, alpha, kd, to);
  else if (T == 1) couple(1, NO_GATE, NS == 2, d, b->q, b->p, k, alpha, kd, to);
  else if (vector) couple(TB, VECTOR_GATE, NS == 2, d, b->q, b->p, k, alpha, kd, to);
  else couple(TB, NO_GATE, NS == 2, d, b->q, b->p, k, alpha, kd, to);
}

/* The segment at 'from'; the one 'step' tokens on comes after it. */
static void prepare (int T, const fov_Rows *r, ptrdiff_t from, ptrdiff_t step, fov_Segment *s) {
  const ptrdiff_t d = r->d, wide = r->gate == VECTOR_GATE ? d : 1;
  const bool two = NS == 2;
  s->from = from;
  s->m = r->n - from < SEGMENT ? r->n - from : SEGMENT;
  s->nb = (s->m + T - 1) / T;
  s->first_next = from + step;
  s->end_next = s->first_next < 0 ? 0 : s->first_next + SEGMENT < r->n ? s->first_next + SEGMENT : r->n;
  if (r->gate != NO_GATE) {
    decays(r->g + from * wide, s->m * wide, s->alpha);
    for (ptrdiff_t i = s->m * wide; i < (s->m + T) * wide; i++) s->alpha[i] = 1;
  }
  for (ptrdiff_t c = 0; c < s->nb; c++) {
    fov_Block *b = &s->block[c];
    const ptrdiff_t in = c * T, t = from + in;
    b->at = t;
    b->rows = (int)(s->m - in < T ? s->m - in : T);
    b->q = r->q + t * d, b->p = r->p + t * d, b->k = r->k + t * d;
    b->b = two ? r->b + t * d : b->k;
    if (b->rows < T) {
      const ptrdiff_t z = TB * d;
      b->q = padded(b->q, b->rows, d, s->pad);
      b->p = padded(b->p, b->rows, d, s->pad + z);
      b->k = padded(b->k, b->rows, d, s->pad + 2 * z);
      if (two) b->b = padded(b->b, b->rows, d, s->pad + 3 * z);
    }
    for (int i = 0; i < T; i++) {
      b->qs[i] = b->ps[i] = b->ks[i] = 1;
      b->beta[i] = i >= b->rows ? 0 : r->beta ? r->beta[t + i] : 1;
    }
    const real *alpha = r->gate == NO_GATE ? NULL : s->alpha + in * wide;
    real *kd = r->gate == VECTOR_GATE ? s->kd + in * d : NULL;
    real *bd = r->gate == VECTOR_GATE && two ? s->bd + in * d : kd;
    products(T, r->gate, b, b->k, d, alpha, kd, b->with_k);
    if (two) products(T, r->gate, b, b->b, d, alpha, bd, b->with_b);
    b->gamma = r->gate == NO_GATE ? NULL : s->gamma + c * wide;
    if (r->gate == SCALAR_GATE) decay_block(T, two, two, alpha, b, s->gamma + c);
    if (r->gate == VECTOR_GATE) {
      decay_reads(T, two, d, b->q, b->p, alpha, s->qd + in * d, s->pd + in * d,
                  s->gamma + c * d);
      b->q = s->qd + in * d, b->p = s->pd + in * d, b->k = kd, b->b = bd;
    }
  }
}

/* A sweep along S: columns [0, cols) of v and of what it writes, S held in
 * rows of 'ld' with whole vectors. */
typedef struct fov_Sweep {
  ptrdiff_t d, cols, ldv, ldp;
  const real *v;                             /* v, or dL/do */
  real *o, *value, *value2;                  /* see the sweeps; NULL: not wanted */
  const real *seed;                          /* reverse: dL/dvalue from elsewhere, or NULL */
  real *pend;                                /* (NS or 2) * TB rows of ldp */
} fov_Sweep;

FOV_PASS(pass_forward, TB, NS, 2)
FOV_PASS(pass_token, 1, NS, 2)
FOV_PASS(pass_values, TB, NS, 1)
FOV_PASS(pass_reverse, TB, 2, NS)
FOV_PASS(flush_forward, TB, NS, 0)
FOV_PASS(flush_token, 1, NS, 0)
FOV_PASS(flush_reverse, TB, 2, 0)

INLINE void lanes_in (const int T, const int NV, const bool full, const real *x, ptrdiff_t ld,
                      int rows, ptrdiff_t n, vec *y) {
  FOV_UNROLL
  for (int t = 0; t < T; t++)
    FOV_UNROLL
    for (int j = 0; j < NV; j++)
      y[t * NV + j] = t >= rows ? vzero() : load(full || j < NV - 1, x + t * ld + j * VL,
                                                 n - (NV - 1) * VL);
}

INLINE void lanes_out (const int NV, const bool full, real *x, const vec *y, ptrdiff_t n) {
  FOV_UNROLL
  for (int j = 0; j < NV; j++)
    store(full || j < NV - 1, x + j * VL, y[j], n - (NV - 1) * VL);
}

/* One block on one strip of NV vectors at column c.  o: outputs; value: u
 * over beta (NS = 1), y (NS = 2). */
INLINE void forward_strip (const int T, const int NV, int gate, const bool wants,
                           const fov_Sweep *w, const fov_Block *prev,
                           const fov_Block *b, ptrdiff_t c, real *S, ptrdiff_t ld,
                           const real *const *ask) {
  const ptrdiff_t n = w->cols - c < NV * VL ? w->cols - c : NV * VL;
  const bool full = n == NV * VL;
  vec acc[2 * TB * NVEC], v[TB * NVEC], u[TB * NVEC], y[NVEC];
  const fov_Pass p = { w->d, ld, w->ldp, S + c, prev->gamma, w->pend + c,
                       prev->k, prev->b, b->p, b->q, acc, ask[0], ask[1] };
  (T == 1 ? pass_token : wants ? pass_forward : pass_values)(NV, gate, &p);
  lanes_in(T, NV, full, w->v + b->at * w->ldv + c, w->ldv, b->rows, n, v);
  FOV_UNROLL
  for (int i = 0; i < T; i++) {
    const vec ps = vset(NS == 1 ? -b->ps[i] : b->ps[i]), beta = vset(b->beta[i]);
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      vec r = acc[i * NV + j] * ps;
      if (NS == 1) r = vfma(acc[i * NV + j], ps, v[i * NV + j]);
      FOV_UNROLL
      for (int h = 0; h < i; h++) {
        const vec pk = vset(b->with_k[PX(i, h)]);
        if (NS == 1) r = vfma(-pk, u[h * NV + j], r);
        else {
          r = vfma(pk, v[h * NV + j], r);
          r = vfma(vset(b->with_b[PX(i, h)]), u[h * NV + j], r);
        }
      }
      u[i * NV + j] = NS == 1 ? r * beta : r;
      y[j] = r;
    }
    if (w->value && i < b->rows)
      lanes_out(NV, full, w->value + (b->at + i) * w->ldv + c, y, n);
  }
  if (wants)
    FOV_UNROLL
    for (int i = 0; i < T; i++) {
      vec o[NVEC];
      FOV_UNROLL
      for (int j = 0; j < NV; j++) {
        o[j] = acc[(T + i) * NV + j] * vset(b->qs[i]);
        FOV_UNROLL
        for (int h = 0; h <= i; h++) {
          o[j] = vfma(vset(b->with_k[QX(i, h)]), NS == 1 ? u[h * NV + j] : v[h * NV + j], o[j]);
          if (NS == 2) o[j] = vfma(vset(b->with_b[QX(i, h)]), u[h * NV + j], o[j]);
        }
      }
      if (i < b->rows) lanes_out(NV, full, w->o + (b->at + i) * w->ldv + c, o, n);
    }
  FOV_UNROLL
  for (int t = 0; t < T; t++)
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      real *to = w->pend + t * w->ldp + c + j * VL;
      const vec ks = vset(b->ks[t]);
      vstore(to, (NS == 1 ? u[t * NV + j] : v[t * NV + j]) * ks);
      if (NS == 2) vstore(to + T * w->ldp, u[t * NV + j] * ks);
    }
}

/* One block against time, 'prev' the block after it.  S is dL/dS, v is dL/do;
 * value: dL/du (NS = 1), dL/dy (NS = 2); value2: dL/dv (NS = 2).  A seed joins
 * dL/dy, or dL/dv = beta dL/du, which is then not all of it. */
INLINE void reverse_strip (const int NV, int gate, const fov_Sweep *w,
                           const fov_Block *prev, const fov_Block *b, ptrdiff_t c,
                           real *S, ptrdiff_t ld, const real *const *ask) {
  const int T = TB;
  const ptrdiff_t n = w->cols - c < NV * VL ? w->cols - c : NV * VL;
  const bool full = n == NV * VL;
  vec acc[2 * TB * NVEC], g[TB * NVEC], h[TB * NVEC];
  const fov_Pass p = { w->d, ld, w->ldp, S + c, prev->gamma, w->pend + c,
                       prev->q, prev->p, b->k, b->b, acc, ask[0], ask[1] };
  pass_reverse(NV, gate, &p);
  lanes_in(T, NV, full, w->v + b->at * w->ldv + c, w->ldv, b->rows, n, g);
  FOV_UNROLL
  for (int j = T - 1; j >= 0; j--) {
    const vec ks = vset(b->ks[j]);
    vec du[NVEC], dv[NVEC];
    FOV_UNROLL
    for (int l = 0; l < NV; l++) {
      du[l] = acc[((NS == 2 ? T : 0) + j) * NV + l] * ks;
      if (NS == 2) dv[l] = acc[j * NV + l] * ks;
      FOV_UNROLL
      for (int i = j; i < T; i++) {
        du[l] = vfma(vset(NS == 2 ? b->with_b[QX(i, j)] : b->with_k[QX(i, j)]), g[i * NV + l], du[l]);
        if (NS == 2) dv[l] = vfma(vset(b->with_k[QX(i, j)]), g[i * NV + l], dv[l]);
        if (i == j) continue;
        du[l] = vfma(vset(NS == 2 ? b->with_b[PX(i, j)] : -b->with_k[PX(i, j)]), h[i * NV + l], du[l]);
        if (NS == 2) dv[l] = vfma(vset(b->with_k[PX(i, j)]), h[i * NV + l], dv[l]);
      }
      h[j * NV + l] = NS == 1 ? du[l] * vset(b->beta[j]) : du[l];
    }
    if (w->seed && j < b->rows) {
      vec seed[NVEC];
      lanes_in(1, NV, full, w->seed + (b->at + j) * w->ldv + c, w->ldv, 1, n, seed);
      FOV_UNROLL
      for (int l = 0; l < NV; l++) {
        h[j * NV + l] += seed[l];
        if (NS == 2) du[l] += seed[l];
      }
    }
    if (j < b->rows) {
      lanes_out(NV, full, w->value + (b->at + j) * w->ldv + c, du, n);
      if (NS == 2 && w->value2)
        lanes_out(NV, full, w->value2 + (b->at + j) * w->ldv + c, dv, n);
    }
  }
  FOV_UNROLL
  for (int t = 0; t < T; t++)
    FOV_UNROLL
    for (int j = 0; j < NV; j++) {
      real *to = w->pend + t * w->ldp + c + j * VL;
      vstore(to, g[t * NV + j] * vset(b->qs[t]));
      vstore(to + T * w->ldp, h[t * NV + j] * vset(NS == 1 ? -b->ps[t] : b->ps[t]));
    }
}

#endif
