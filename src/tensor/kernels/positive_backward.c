/* positive_backward.c -- the gradients of attention from log-features; see
 * positive.h for the equations.
 *
 * The loss sees S, z and c only through S e^c and z e^c, so what an upstream
 * gradient has against c beyond that, res = dc_n - rowsum(S_n o dS_n) -
 * z_n dz_n (zero in any consistent use), belongs to the key whose logarithm c
 * took when it last rose, or to the first c. */
#include "tensor/positive_blocks.h"

typedef struct Back {
  Work w;
  real *dK, *dQ, *D;              /* a block of gradients of features; D(n) */
  real *R, *Rt, *T, *z, *h;       /* R, R', S' and the rows that go with them */
  real *rho;
  real *res;                      /* (f), NULL: zero */
  real *ws;                       /* sqrt(scale) w */
  const real *dO;
} Back;

static fov_Status allocate (Back *b, const fov_Positive *p) {
  fov_Status st = begin(&b->w, p);
  const ptrdiff_t f = b->w.f, e = b->w.e, ld = b->w.ld, r = b->w.F.r, d = p->d;
  if (st != FOV_OK) return st;
  b->dK = reals(BLOCK * ld);
  b->dQ = reals(BLOCK * ld);
  b->D = reals(p->n);
  b->R = reals(3 * f * e);
  b->z = reals(2 * f);
  b->rho = reals(ld);
  b->dO = p->dO;
  if (!b->dO) {
    real *none = reals(p->n * e);
    if (!none) return FOV_NOMEM;
    copy(none, NULL, p->n * e);
    b->dO = none;
  }
  if (p->dcn || p->dhs || p->dhz || p->dhc || p->dsn || p->dzn)
    if (!(b->res = reals(f))) return FOV_NOMEM;
  if (p->w) {
    if (!(b->ws = reals(r * d))) return FOV_NOMEM;
    for (ptrdiff_t i = 0; i < r * d; i++) b->ws[i] = p->w[i] * (real)sqrt((double)p->scale);
  }
  if (!b->dK || !b->dQ || !b->D || !b->R || !b->z || !b->rho) return FOV_NOMEM;
  b->Rt = b->R + f * e;
  b->T = b->Rt + f * e;
  b->h = b->z + f;
  return FOV_OK;
}

static void transpose_state (const Back *b, const real *s, real *t) {
  FOV_BUILD(fov_recur).transpose(b->w.f, b->w.e, s, t);
}

/* D of n queries from t */
static void read_gradient (const Back *b, ptrdiff_t t, ptrdiff_t n) {
  const fov_Positive *p = b->w.p;
  FOV_BUILD(fov_recur).dots(n, p->e, b->dO + t * p->e, p->o + t * p->e, b->D + t);
  for (ptrdiff_t i = t; i < t + n; i++) b->D[i] = (p->dlse ? p->dlse[i] : 0) - b->D[i];
}

/* res += dc - rowsum(S o dS) - z dz */
static void residual (const Back *b, const real *dc, const real *s, const real *ds, const real *z,
                      const real *dz) {
  const ptrdiff_t f = b->w.f, e = b->w.e;
  for (ptrdiff_t i = 0; b->res && i < f; i++) {
    real sum = dc ? dc[i] : 0;
    for (ptrdiff_t j = 0; ds && j < e; j++) sum -= s[i * e + j] * ds[i * e + j];
    if (dz) sum -= z[i] * dz[i];
    b->res[i] += sum;
  }
}

/* Gradients of n rows of q or k from the gradients dX of their features X. */
static fov_Status emit (const Back *b, bool key, ptrdiff_t t, ptrdiff_t n, const real *X, real *dX) {
  const Work *w = &b->w;
  const fov_Positive *p = w->p;
  const ptrdiff_t f = w->f, ld = w->ld, r = w->F.r, d = p->d;
  const bool spread = p->spread;
  real *to = key ? p->dk : p->dq;
  if (!p->w) {
    for (ptrdiff_t i = 0; to && i < n; i++)
      for (ptrdiff_t j = 0; j < f; j++) to[(t + i) * f + j] = dX[i * ld + j] * X[i * ld + j];
    return FOV_OK;
  }
  const real *x = (key ? p->k : p->q) + t * d;
  real norm[BLOCK];
  for (ptrdiff_t i = 0; i < n; i++) {
    real *g = dX + i * ld;
    const real *xi = X + i * ld;
    vec sum = vzero();
    ptrdiff_t j = 0;
    for (; j + VL <= f; j += VL) {
      vstore(g + j, vload(g + j) * vload(xi + j));
      sum += vload(g + j);
    }
    norm[i] = vsum(sum);
    for (; j < f; j++) norm[i] += g[j] *= xi[j];
    for (j = 0; p->hyperbolic && j < r; j++) g[j] -= g[r + j];
  }
  fov_Status st = FOV_OK;
  if (p->dw)
    st = FOV_BUILD(fov_product).run(&(fov_Product){
      .m = r, .n = d, .k = n, .a = dX, .lda = ld, .ta = true, .b = x, .ldb = d, .c = p->dw, .ldc = d,
      .add = true }, spread);
  if (!to || st != FOV_OK) return st;
  to += t * d;
  st = FOV_BUILD(fov_product).run(&(fov_Product){
    .m = n, .n = d, .k = r, .a = dX, .lda = ld, .b = b->ws, .ldb = d, .c = to, .ldc = d }, spread);
  for (ptrdiff_t i = 0; key && i < n; i++)
    for (ptrdiff_t j = 0; j < d; j++) to[i * d + j] -= p->scale * norm[i] * x[i * d + j];
  return st;
}

/* Queries that read S and z (T = S') as they are, under w.c; their part of R, h. */
static fov_Status readers (Back *b, ptrdiff_t t, ptrdiff_t count, const real *z) {
  const Work *w = &b->w;
  const fov_Positive *p = w->p;
  const ptrdiff_t end = t + count, f = w->f, ld = w->ld;
  fov_Status st = FOV_OK;
  for (ptrdiff_t n; t < end && st == FOV_OK; t += n) {
    n = least(end - t, BLOCK);
    if (t < w->at.unseen) {
      n = least(n, w->at.unseen - t);
      if (p->dq) copy(p->dq + t * w->width, NULL, n * w->width);
      continue;
    }
    read_gradient(b, t, n);
    st = FOV_BUILD(fov_features).queries(&w->F, n, p->q + t * w->width, w->c, false, p->lse + t, w->Q);
    if (st == FOV_OK) st = adjoint(w, n, b->dO + t * w->e, b->T, b->dQ);
    if (st == FOV_OK) st = absorb(w, n, w->Q, b->dO + t * w->e, b->R);
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = 0; j < f; j++) {
        b->dQ[i * ld + j] += b->D[t + i] * z[j];
        b->h[j] += b->D[t + i] * w->Q[i * ld + j];
      }
    if (st == FOV_OK) st = emit(b, false, t, n, w->Q, b->dQ);
  }
  return st;
}

/* One block of pairs from token t, whose state before it is saved number h. */
static fov_Status pair_block (Back *b, ptrdiff_t t, ptrdiff_t n, ptrdiff_t h) {
  Work *w = &b->w;
  const fov_Positive *p = w->p;
  const ptrdiff_t f = w->f, e = w->e, ld = w->ld, query = w->at.blind + t, key = w->at.key + t;
  const real one = 1, *before = NULL;
  Segments g;
  real *c0 = reals(ld), *dv = p->dv ? p->dv + key * e : reals(n * e);
  if (!c0 || !dv) return FOV_NOMEM;
  load_c(w, p->hc + h * f);
  copy(c0, w->c, ld);
  transpose_state(b, p->hs + h * f * e, b->T);
  copy(b->z, p->hz + h * f, f);
  read_gradient(b, query, n);
  fov_Status st = segments(w, key, n, &g);
  for (int i = 0; i < g.count && st == FOV_OK; i++) {
    const ptrdiff_t a = g.start[i], count = g.start[i + 1] - a;
    const real *c = g.c + i * ld;
    if (i > 0 || g.rose) {
      scales(w, i > 0 ? c - ld : c0, c, b->rho);
      rescale_columns(w, b->rho, b->T);
      for (ptrdiff_t j = 0; j < f; j++) b->z[j] *= b->rho[j];
    }
    st = FOV_BUILD(fov_features).queries(&w->F, count, p->q + (query + a) * w->width, c, false,
                                         p->lse + query + a, w->Q + a * ld);
    const fov_Recur r = { .n = count, .d = e, .e = f, .q = b->dO + (query + a) * e, .ldq = e,
      .k = p->v + (key + a) * e, .ldk = e, .v = w->K + a * ld, .ldv = ld, .o = b->dQ + a * ld,
      .ldo = ld, .s = b->T };
    const fov_Recur rz = { .n = count, .d = 1, .e = f, .q = b->D + query + a, .ldq = 1, .k = &one,
      .v = r.v, .ldv = ld, .o = r.o, .ldo = ld, .s = b->z, .add = true };
    if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(&r, 1, p->spread);
    if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(&rz, 1, p->spread);
  }
  if (st == FOV_OK) st = emit(b, false, query, n, w->Q, b->dQ);
  for (int i = g.count - 1; i >= 0 && st == FOV_OK; i--) {
    const ptrdiff_t count = g.start[i + 1] - g.start[i], last = g.start[i + 1] - 1;
    const real *Q = w->Q + last * ld, *K = w->K + last * ld, *v = p->v + (key + last) * e;
    const real *dO = b->dO + (query + last) * e;
    const fov_Recur r[] = {
      { .n = count, .d = f, .e = e, .q = K, .ldq = -ld, .k = Q, .ldk = -ld, .v = dO, .ldv = -e,
        .o = dv + last * e, .ldo = -e, .s = b->R },
      { .n = count, .d = e, .e = f, .q = v, .ldq = -e, .k = dO, .ldk = -e, .v = Q, .ldv = -ld,
        .o = b->dK + last * ld, .ldo = -ld, .s = b->Rt } };
    const fov_Recur rz = { .n = count, .d = 1, .e = f, .q = &one, .k = b->D + query + last, .ldk = -1,
      .v = Q, .ldv = -ld, .o = b->dK + last * ld, .ldo = -ld, .s = b->h, .add = true };
    st = FOV_BUILD(fov_recur).run(r, 2, p->spread);
    if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(&rz, 1, p->spread);
    if (i == 0 && !g.rose) continue;
    const real *c = g.c + i * ld;
    before = i > 0 ? c - ld : c0;
    for (ptrdiff_t j = 0; b->res && j < f; j++)   /* at a rise K is exp(0) */
      if (c[j] > before[j]) b->dK[g.start[i] * ld + j] += b->res[j], b->res[j] = 0;
    scales(w, before, c, b->rho);
    rescale_rows(w, b->rho, b->R, b->h);
    rescale_columns(w, b->rho, b->Rt);
  }
  if (st == FOV_OK) st = emit(b, true, key, n, w->K, b->dK);
  residual(b, p->dhc ? p->dhc + h * f : NULL, p->hs + h * f * e, p->dhs ? p->dhs + h * f * e : NULL,
           p->hz + h * f, p->dhz ? p->dhz + h * f : NULL);
  for (ptrdiff_t i = 0; p->dhs && i < f * e; i++) b->R[i] += p->dhs[h * f * e + i];
  for (ptrdiff_t i = 0; p->dhz && i < f; i++) b->h[i] += p->dhz[h * f + i];
  if (p->dhs) transpose_state(b, b->R, b->Rt);
  return st;
}

/* Keys before the pairs: all of R is theirs.  w.c is their last c, under
 * which every one of them is in range. */
static fov_Status early_keys (Back *b) {
  Work *w = &b->w;
  const fov_Positive *p = w->p;
  const ptrdiff_t f = w->f, e = w->e, ld = w->ld;
  ptrdiff_t good, *last = fov_scratch((size_t)f, sizeof *last);
  real *c = reals(ld);
  fov_Status st = FOV_OK;
  if (!last || !c) return FOV_NOMEM;
  copy(c, w->c, ld);
  for (ptrdiff_t j = 0; j < f; j++) last[j] = -1;
  if (b->res) {                   /* the key each c rose at last */
    load_c(w, p->c);
    for (ptrdiff_t t = 0; t < w->at.early && st == FOV_OK; t += BLOCK) {
      Segments g;
      fov_Mark m = fov_mark();
      real *before = reals(ld);
      if (!before) return FOV_NOMEM;
      copy(before, w->c, ld);
      st = segments(w, t, least(w->at.early - t, BLOCK), &g);
      for (int i = 0; i < g.count && st == FOV_OK; i++)
        for (ptrdiff_t j = 0; (i > 0 || g.rose) && j < f; j++)
          if (g.c[i * ld + j] > (i > 0 ? g.c[(i - 1) * ld + j] : before[j])) last[j] = t + g.start[i];
      fov_release(m);
    }
  }
  for (ptrdiff_t t = 0; t < w->at.early && st == FOV_OK; t += BLOCK) {
    const ptrdiff_t n = least(w->at.early - t, BLOCK);
    fov_Mark m = fov_mark();
    st = FOV_BUILD(fov_features).keys(&w->F, n, p->k + t * w->width, c, w->K, &good);
    if (p->dv && st == FOV_OK) st = recall(w, n, w->K, b->R, p->dv + t * e);
    if (st == FOV_OK) st = adjoint(w, n, p->v + t * e, b->Rt, b->dK);
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = 0; j < f; j++) b->dK[i * ld + j] += b->h[j];
    for (ptrdiff_t j = 0; j < f; j++)
      if (last[j] >= t && last[j] < t + n) {
        b->dK[(last[j] - t) * ld + j] += b->res[j];
        b->res[j] = 0;
      }
    if (st == FOV_OK) st = emit(b, true, t, n, w->K, b->dK);
    fov_release(m);
  }
  load_c(w, p->c);                /* on to the first state */
  scales(w, w->c, c, b->rho);
  rescale_rows(w, b->rho, b->R, b->h);
  return st;
}

static fov_Status backward (const fov_Positive *p) {
  Back b = { .res = NULL };
  Work *w = &b.w;
  fov_Status st = allocate(&b, p);
  if (st != FOV_OK) return st;
  const ptrdiff_t f = w->f, e = w->e;
  copy(b.R, p->dsn, f * e);
  copy(b.h, p->dzn, f);
  if (b.res) copy(b.res, NULL, f);
  residual(&b, p->dcn, p->sn, p->dsn, p->zn, p->dzn);
  if (p->dw) copy(p->dw, NULL, w->F.r * p->d);

  load_c(w, p->cn);
  transpose_state(&b, p->sn, b.T);
  st = readers(&b, w->at.after, w->at.late, p->zn);
  transpose_state(&b, b.R, b.Rt);
  for (ptrdiff_t h = (w->at.pairs + BLOCK - 1) / BLOCK - 1; h >= 0 && st == FOV_OK; h--) {
    fov_Mark m = fov_mark();
    st = pair_block(&b, h * BLOCK, least(w->at.pairs - h * BLOCK, BLOCK), h);
    fov_release(m);
  }
  if (st != FOV_OK) return st;
  load_c(w, w->at.pairs > 0 ? p->hc : p->cn);
  st = early_keys(&b);
  const ptrdiff_t used = w->at.used;
  if (p->dk) copy(p->dk + used * w->width, NULL, (p->m - used) * w->width);
  if (p->dv) copy(p->dv + used * e, NULL, (p->m - used) * e);

  real *s0 = b.Rt;                /* free from here on */
  copy(s0, p->s, f * e);
  copy(b.z, p->z, f);
  transpose_state(&b, s0, b.T);
  if (st == FOV_OK) st = readers(&b, 0, w->at.blind, b.z);
  if (p->ds) copy(p->ds, b.R, f * e);
  if (p->dz) copy(p->dz, b.h, f);
  for (ptrdiff_t i = 0; p->dc && i < f; i++) {
    real sum = (b.res ? b.res[i] : 0) + b.z[i] * b.h[i];
    for (ptrdiff_t j = 0; j < e; j++) sum += s0[i * e + j] * b.R[i * e + j];
    p->dc[i] = sum;
  }
  for (ptrdiff_t i = 0; p->dw && i < w->F.r * p->d; i++) p->dw[i] *= (real)sqrt((double)p->scale);
  return st;
}

const fov_PositivePass FOV_BUILD(fov_positive_backward) = { backward };
