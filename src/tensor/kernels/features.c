/* features.c -- see features.h.  Rows go in groups that stay in L1 between the
 * projection and the exponential. */
#include "tensor/features.h"

#include "base/pool.h"
#include "tensor/tile.h"

enum { GROUP = 24 };

typedef enum Kind { LOGS, KEYS, QUERIES } Kind;

typedef struct Job {
  const fov_Features *p;
  Kind kind;
  bool key, find;
  ptrdiff_t n;
  const real *x, *c;
  real *top, *out;
  unsigned char *rose;            /* KEYS: one flag per group */
} Job;

static const real *pack (const fov_Features *p, const real *w) {
  const ptrdiff_t count = roundup(p->r, TILE_COLS) * p->d;
  real *panels = fov_scratch((size_t)count, sizeof *panels);
  const real s = (real)sqrt((double)p->scale);
  if (!panels) return NULL;
  pack_panels(s, p->r, p->d, w, p->d, panels);
  return panels;
}

/* Log-features of n <= GROUP rows. */
static void logs (const fov_Features *p, bool key, ptrdiff_t n, const real *x, real *out) {
  const ptrdiff_t f = p->f, ld = p->ld, r = p->r, d = p->d;
  if (!p->panels)
    for (ptrdiff_t t = 0; t < n; t++) memcpy(out + t * ld, x + t * f, (size_t)f * sizeof *out);
  else {
    const real *panel = p->panels;
    for (ptrdiff_t j = 0; j < r; j += TILE_COLS, panel += d * TILE_COLS) {
      int R;
      for (ptrdiff_t t = 0; t < n; t += R) {
        R = tile_step(n - t);
        tile_rows(R, (int)(roundup(least(r - j, TILE_COLS), VL) / VL), false, d, x + t * d, d, panel,
                  TILE_COLS, out + t * ld + j, ld);
      }
    }
    for (ptrdiff_t t = 0; t < n; t++) {
      real *l = out + t * ld, norm = 0;
      const real *xt = x + t * d;
      if (key) {
        vec sum = vzero();
        ptrdiff_t i = 0;
        for (; i + VL <= d; i += VL) sum += vload(xt + i) * vload(xt + i);
        norm = vsum(sum);
        for (; i < d; i++) norm += xt[i] * xt[i];
        norm *= p->scale / 2;
      }
      if (p->hyperbolic)
        for (ptrdiff_t i = 0; i < r; i++) l[r + i] = -l[i] - norm;
      for (ptrdiff_t i = 0; key && i < r; i++) l[i] -= norm;
    }
  }
  for (ptrdiff_t t = 0; t < n; t++)
    for (ptrdiff_t i = f; i < ld; i++) out[t * ld + i] = -(real)INFINITY;
}

static bool exceeds (const fov_Features *p, const real *row, const real *c) {
  ivec any = viset(0);
  for (ptrdiff_t i = 0; i < p->ld; i += VL) any |= (ivec)(vload(row + i) - vload(c + i) > FOV_RISE);
  rint_t lane[FOV_VBYTES / sizeof(real)], all = 0;
  memcpy(lane, &any, sizeof lane);
  for (ptrdiff_t i = 0; i < VL; i++) all |= lane[i];
  return all != 0;
}

static void raise_c (const fov_Features *p, const real *row, real *c) {
  for (ptrdiff_t i = 0; i < p->ld; i += VL) vstore(c + i, vmax(vload(row + i), vload(c + i)));
}

static void exps (const fov_Features *p, ptrdiff_t n, const real *c, real *x) {
  for (ptrdiff_t t = 0; t < n; t++, x += p->ld)
    for (ptrdiff_t i = 0; i < p->ld; i += VL) vstore(x + i, vexp_neg(vload(x + i) - vload(c + i)));
}

static void query_exps (const fov_Features *p, ptrdiff_t n, const real *c, bool find, real *top,
                        real *x) {
  const ptrdiff_t ld = p->ld;
  for (ptrdiff_t t = 0; t < n; t++, x += ld) {
    if (find) {
      vec m = vset(-(real)INFINITY);
      for (ptrdiff_t i = 0; i < ld; i += VL) m = vmax(vload(x + i) + vload(c + i), m);
      top[t] = vmaxlane(m);
    }
    const vec s = vset(top[t]);
    for (ptrdiff_t i = 0; i < ld; i += VL)
      vstore(x + i, vexp_neg(vload(x + i) + vload(c + i) - s));
  }
}

static fov_Status group (void *arg, ptrdiff_t g) {
  const Job *j = arg;
  const fov_Features *p = j->p;
  const ptrdiff_t t = g * GROUP, n = least(j->n - t, GROUP);
  real *out = j->out + t * p->ld;
  logs(p, j->key, n, j->x + t * (p->panels ? p->d : p->f), out);
  if (j->kind == KEYS) {
    vec excess = vset(-(real)INFINITY);
    for (ptrdiff_t i = 0; i < p->ld; i += VL) {
      vec m = vset(-(real)INFINITY);
      for (ptrdiff_t r = 0; r < n; r++) m = vmax(vload(out + r * p->ld + i), m);
      excess = vmax(m - vload(j->c + i), excess);
    }
    j->rose[g] = vmaxlane(excess) > FOV_RISE;
    if (!j->rose[g]) exps(p, n, j->c, out);
  } else if (j->kind == QUERIES) query_exps(p, n, j->c, j->find, j->top + t, out);
  return FOV_OK;
}

static fov_Status groups (const Job *j) {
  Job copy = *j;
  const ptrdiff_t count = (j->n + GROUP - 1) / GROUP;
  if (j->p->spread) return fov_parallel(count, group, &copy);
  for (ptrdiff_t g = 0; g < count; g++) group(&copy, g);
  return FOV_OK;
}

static fov_Status all_logs (const fov_Features *p, bool key, ptrdiff_t n, const real *x, real *out) {
  return groups(&(Job){ .p = p, .kind = LOGS, .key = key, .n = n, .x = x, .out = out });
}

static fov_Status keys (const fov_Features *p, ptrdiff_t n, const real *x, const real *c, real *out,
                        ptrdiff_t *good) {
  const ptrdiff_t count = (n + GROUP - 1) / GROUP;
  unsigned char *rose = fov_scratch((size_t)count, 1);
  if (!rose) return FOV_NOMEM;
  fov_Status s = groups(&(Job){ .p = p, .kind = KEYS, .key = true, .n = n, .x = x, .c = c,
                                .out = out, .rose = rose });
  *good = n;
  for (ptrdiff_t g = count - 1; s == FOV_OK && g >= 0; g--)
    if (rose[g]) *good = g * GROUP;
  return s;
}

static fov_Status queries (const fov_Features *p, ptrdiff_t n, const real *x, const real *c,
                           bool find, real *top, real *out) {
  return groups(&(Job){ .p = p, .kind = QUERIES, .find = find, .n = n, .x = x, .c = c, .top = top,
                        .out = out });
}

const fov_FeatureKernels FOV_BUILD(fov_features) = {
  pack, all_logs, keys, queries, exceeds, raise_c, exps
};
