/* positive_forward.c -- the forward pass of attention from log-features; see
 * positive.h for the equations and the meaning of c. */
#include "tensor/positive_blocks.h"
#include "tensor/simd_math.h"

/* o and lse of n queries from t, from sums in o, tops in lse and den. */
static void finish (const Work *w, ptrdiff_t t, ptrdiff_t n, real *den) {
  const ptrdiff_t e = w->e;
  real *o = w->p->o + t * e, *lse = w->p->lse + t;
  for (ptrdiff_t i = 0; i < n; i++, o += e) {
    const real r = 1 / den[i];
    for (ptrdiff_t j = 0; j < e; j++) o[j] *= r;
  }
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t b = least(n - i, VL);
    vstore_n(lse + i, vload_n(lse + i, b, 0) + vlog(vload_n(den + i, b, 1)), b);
  }
}

/* Queries [t, t + count) of a state that does not change. */
static fov_Status read_only (const Work *w, ptrdiff_t t, ptrdiff_t count, const real *s, real *z) {
  const fov_Positive *p = w->p;
  const ptrdiff_t end = t + count;
  fov_Status st = FOV_OK;
  for (ptrdiff_t n; t < end && st == FOV_OK; t += n) {
    real den[BLOCK];
    n = least(end - t, BLOCK);
    if (t < w->at.unseen) {
      n = least(n, w->at.unseen - t);
      copy(p->o + t * w->e, NULL, n * w->e);
      for (ptrdiff_t i = 0; i < n; i++) p->lse[t + i] = -(real)INFINITY;
      continue;
    }
    st = FOV_BUILD(fov_features).queries(&w->F, n, p->q + t * w->width, w->c, true, p->lse + t, w->Q);
    if (st == FOV_OK) st = recall(w, n, w->Q, s, p->o + t * w->e);
    FOV_BUILD(fov_recur).normaliser(n, w->f, w->ld, w->Q, NULL, z, den);
    finish(w, t, n, den);
  }
  return st;
}

static fov_Status early (Work *w, real *s, real *z) {
  fov_Status st = FOV_OK;
  real *rho = reals(w->ld), *before = reals(w->ld);
  if (!rho || !before) return FOV_NOMEM;
  for (ptrdiff_t t = 0; t < w->at.early && st == FOV_OK; t += BLOCK) {
    const ptrdiff_t n = least(w->at.early - t, BLOCK);
    Segments g;
    fov_Mark m = fov_mark();
    copy(before, w->c, w->ld);
    st = segments(w, t, n, &g);
    for (int i = 0; i < g.count && st == FOV_OK; i++) {
      const ptrdiff_t a = g.start[i], b = g.start[i + 1];
      if (i > 0 || g.rose) {
        scales(w, i > 0 ? g.c + (i - 1) * w->ld : before, g.c + i * w->ld, rho);
        rescale_rows(w, rho, s, z);
      }
      st = absorb(w, b - a, w->K + a * w->ld, w->p->v + (t + a) * w->e, s);
      FOV_BUILD(fov_recur).normaliser(b - a, w->f, w->ld, NULL, w->K + a * w->ld, z, NULL);
    }
    fov_release(m);
  }
  return st;
}

static fov_Status pairs (Work *w, real *s, real *z) {
  const fov_Positive *p = w->p;
  const ptrdiff_t f = w->f, e = w->e, ld = w->ld;
  fov_Status st = FOV_OK;
  real *rho = reals(ld), *before = reals(ld);
  if (!rho || !before) return FOV_NOMEM;
  for (ptrdiff_t t = 0, h = 0; t < w->at.pairs && st == FOV_OK; t += BLOCK, h++) {
    const ptrdiff_t n = least(w->at.pairs - t, BLOCK), query = w->at.blind + t, key = w->at.key + t;
    real den[BLOCK];
    Segments g;
    fov_Mark m = fov_mark();
    copy(p->hs + h * f * e, s, f * e);
    copy(p->hz + h * f, z, f);
    store_c(w, p->hc + h * f);
    copy(before, w->c, ld);
    st = segments(w, key, n, &g);
    for (int i = 0; i < g.count && st == FOV_OK; i++) {
      const ptrdiff_t a = g.start[i], b = g.start[i + 1];
      if (i > 0 || g.rose) {
        scales(w, i > 0 ? g.c + (i - 1) * ld : before, g.c + i * ld, rho);
        rescale_rows(w, rho, s, z);
      }
      st = FOV_BUILD(fov_features).queries(&w->F, b - a, p->q + (query + a) * w->width,
                                           g.c + i * ld, true, p->lse + query + a, w->Q + a * ld);
      const fov_Recur r = { .n = b - a, .d = f, .e = e, .q = w->Q + a * ld, .ldq = ld,
                            .k = w->K + a * ld, .ldk = ld, .v = p->v + (key + a) * e, .ldv = e,
                            .o = p->o + (query + a) * e, .ldo = e, .s = s };
      if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(&r, 1, p->spread);
      FOV_BUILD(fov_recur).normaliser(b - a, f, ld, r.q, r.k, z, den + a);
    }
    finish(w, query, n, den);
    fov_release(m);
  }
  return st;
}

static fov_Status forward (const fov_Positive *p) {
  Work w;
  fov_Status st = begin(&w, p);
  if (st != FOV_OK) return st;
  copy(p->sn, p->s, w.f * w.e);
  copy(p->zn, p->z, w.f);
  load_c(&w, p->c);
  st = read_only(&w, 0, w.at.blind, p->sn, p->zn);
  if (st == FOV_OK) st = early(&w, p->sn, p->zn);
  if (st == FOV_OK) st = pairs(&w, p->sn, p->zn);
  if (st == FOV_OK) st = read_only(&w, w.at.after, w.at.late, p->sn, p->zn);
  store_c(&w, p->cn);
  /* blocks that key_length left out */
  const ptrdiff_t windows = fov_windows(least(p->n, p->m));
  for (ptrdiff_t h = (w.at.pairs + BLOCK - 1) / BLOCK; p->causal && h < windows; h++) {
    copy(p->hs + h * w.f * w.e, NULL, w.f * w.e);
    copy(p->hz + h * w.f, NULL, w.f);
    for (ptrdiff_t i = 0; i < w.f; i++) p->hc[h * w.f + i] = -(real)INFINITY;
  }
  return st;
}

const fov_PositivePass FOV_BUILD(fov_positive_forward) = { forward };
