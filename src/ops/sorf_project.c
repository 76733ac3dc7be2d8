/* sorf_project.c -- projection by Hadamard matrices and diagonals, without forming W.
 *
 *   block b:  u = sqrt(p) Hn D_b1 Hn D_b2 .. Hn D_bt [x, 0],   Hn = H/sqrt(p)
 *
 * D_bi = diag(s_bi), usually signs: then the p rows of a block are orthogonal,
 * of norm sqrt(p).  The blocks lie side by side in u, cut to 'rows' columns.
 * With T_i = D_i Hn T_(i+1) and u = sqrt(p) Hn T_1:
 *   dT_1 = sqrt(p) Hn du,   ds_i = sum_rows dT_i o Hn T_(i+1),
 *   dT_(i+1) = Hn (s_i o dT_i),   dx = s_t o dT_t
 *
 * Yu et al. 2016 (arXiv:1610.09072) with t = 3.  Time O(n b t p log p) against
 * 2 n b p d of the product with W; scratch (t+2) panels of VL rows. */
#include "ops/op.h"
#include "tensor/hadamard.h"

enum { ROWS, GROUP = 4 };          /* panels a task */

typedef struct Job {
  ptrdiff_t n, d, b, t, p, m;
  const real *x, *s, *du;
  real *u, *dx, *ds;               /* ds: one (b,t,p) for each task */
  real scale;
} Job;

static inline real last (const Job *k) {    /* what is left of sqrt(p) p^(-t/2) */
  return (real)pow((double)k->p, 0.5 * (1 - (double)k->t));
}

/* Z := s o X */
static inline void sign (vec *Z, const vec *X, const real *s, ptrdiff_t p) {
  for (ptrdiff_t j = 0; j < p; j++) Z[j] = X[j] * s[j];
}

static inline ptrdiff_t width (const Job *k, ptrdiff_t b) {
  ptrdiff_t w = k->m - b * k->p;
  return w < k->p ? w : k->p;
}

static fov_Status forward (void *arg, ptrdiff_t g) {
  const Job *k = arg;
  vec *X = fov_scratch((size_t)(2 * k->p), sizeof *X), *Z = X + k->p;
  if (!X) return FOV_NOMEM;
  for (ptrdiff_t i = g * GROUP * VL; i < k->n && i < (g + 1) * GROUP * VL; i += VL) {
    ptrdiff_t rows = k->n - i < VL ? k->n - i : VL;
    hadamard_load(X, k->p, k->x + i * k->d, k->d, rows, k->d);
    for (ptrdiff_t b = 0; b * k->p < k->m; b++) {
      for (ptrdiff_t f = k->t - 1; f >= 0; f--) {
        sign(Z, f == k->t - 1 ? X : Z, k->s + (b * k->t + f) * k->p, k->p);
        hadamard_panel(Z, k->p);
      }
      hadamard_store(Z, k->scale, k->u + i * k->m + b * k->p, k->m, rows, width(k, b));
    }
  }
  return FOV_OK;
}

static fov_Status backward (void *arg, ptrdiff_t g) {
  const Job *k = arg;
  ptrdiff_t p = k->p, t = k->t;
  vec *X = fov_scratch((size_t)((t + 3) * p), sizeof *X), *G = X + p, *A = G + p, *V = A + p;
  if (!X) return FOV_NOMEM;
  real *ds = k->ds ? k->ds + g * k->b * t * p : NULL;
  if (ds) memset(ds, 0, (size_t)(k->b * t * p) * sizeof *ds);
  for (ptrdiff_t i = g * GROUP * VL; i < k->n && i < (g + 1) * GROUP * VL; i += VL) {
    ptrdiff_t rows = k->n - i < VL ? k->n - i : VL;
    hadamard_load(X, p, k->x + i * k->d, k->d, rows, k->d);
    memset(A, 0, (size_t)p * sizeof *A);
    for (ptrdiff_t b = 0; b * p < k->m; b++) {
      const real *s = k->s + b * t * p;
      /* V_f is what D_f multiplies */
      memcpy(V + (t - 1) * p, X, (size_t)p * sizeof *X);
      for (ptrdiff_t f = t - 1; f > 0; f--) {
        sign(V + (f - 1) * p, V + f * p, s + f * p, p);
        hadamard_panel(V + (f - 1) * p, p);
      }
      hadamard_load(G, p, k->du + i * k->m + b * p, k->m, rows, width(k, b));
      for (ptrdiff_t f = 0; f < t; f++) {
        hadamard_panel(G, p);
        if (ds)
          for (ptrdiff_t j = 0; j < p; j++)
            ds[(b * t + f) * p + j] += k->scale * vsum(G[j] * V[f * p + j]);
        sign(G, G, s + f * p, p);
      }
      for (ptrdiff_t j = 0; j < p; j++) A[j] += G[j];
    }
    if (k->dx) hadamard_store(A, k->scale, k->dx + i * k->d, k->d, rows, k->d);
  }
  return FOV_OK;
}

static Job job (const fov_Call *c) {
  Job k = { .n = fov_dim(c, 'n'), .d = fov_dim(c, 'd'), .b = fov_dim(c, 'b'), .t = fov_dim(c, 't'),
            .p = fov_dim(c, 'p'), .m = fov_dim(c, 'm'), .x = c->in[0].x, .s = c->in[1].x };
  k.scale = last(&k);
  return k;
}

static fov_Status fwd (fov_Call *c) {
  Job k = job(c);
  k.u = c->out[0].x;
  return fov_parallel((k.n + GROUP * VL - 1) / (GROUP * VL), forward, &k);
}

static fov_Status bwd (fov_Call *c) {
  Job k = job(c);
  ptrdiff_t groups = (k.n + GROUP * VL - 1) / (GROUP * VL), size = k.b * k.t * k.p;
  k.du = c->dout[0].x;
  k.dx = c->din[0].x;
  if (c->din[1].x && !(k.ds = fov_scratch((size_t)(groups * size), sizeof *k.ds))) return FOV_NOMEM;
  fov_Status e = fov_parallel(groups, backward, &k);
  if (e != FOV_OK || !k.ds) return e;
  real *ds = c->din[1].x;
  memset(ds, 0, (size_t)size * sizeof *ds);
  for (ptrdiff_t g = 0; g < groups; g++)
    for (ptrdiff_t j = 0; j < size; j++) ds[j] += k.ds[g * size + j];
  return FOV_OK;
}

static fov_Status sizes (fov_Call *c) {
  ptrdiff_t d = fov_dim(c, 'd'), b = fov_dim(c, 'b'), p = fov_dim(c, 'p'), m = (ptrdiff_t)c->opt[ROWS];
  if (fov_dim(c, 't') < 1) return fov_fail(FOV_VALUE, "s: expected at least one diagonal, got 0");
  if (p < 1 || p != hadamard_size(p) || p < d)
    return fov_fail(FOV_VALUE, "s: expected (b,t,p) with p a power of two from d = %td, got p = %td", d, p);
  if (m > b * p) return fov_fail(FOV_VALUE, "option rows: expected at most b p = %td, got %td", b * p, m);
  c->dim['m' - 'a'] = m > 0 ? m : b * p;
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), p = (double)fov_dim(c, 'p'), t = (double)fov_dim(c, 't');
  double b = (double)fov_dim(c, 'b'), d = (double)fov_dim(c, 'd');
  double m = c->opt[ROWS] > 0 ? c->opt[ROWS] : b * p;
  r->flops = n * b * p * (t * (log2(p) + 1) + 1);
  r->bytes = (double)sizeof(real) * (n * (d + m) + b * t * p);
}

const fov_Op FOV_OP(sorf_project) = {
  .name = "sorf_project",
  .sig = "x(n,d) s(b,t,p) -> u(n,m)",
  .doc = "Projections by products of Hadamard matrices and diagonals, W never formed:\n"
         "u_b = sqrt(p) (H D_b1) .. (H D_bt) x for the t diagonals s_b of each block b, H normalised,\n"
         "p a power of two; x is padded with zeros from d to p. With signs for s and t = 3, structured\n"
         "orthogonal random features (SORF). m = b p, or the first 'rows' of them. O(n m t log p).",
  .ref = "Yu et al. 2016, arXiv:1610.09072",
  .opt = { { "rows", 'i', 0, 0, 1e9, "how many projections; 0: all b p", NULL } },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
