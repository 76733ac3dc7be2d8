/* iterative_inverse.c -- the pseudoinverse of small matrices by a few products.
 *
 *   Z_0 = A' / alpha,   Z <- Z (13 I - Y (15 I - Y (7 I - Y))) / 4,   Y = A Z
 *
 * alpha = max column sum times max row sum of |A|, so that no singular value of
 * A Z_0 exceeds 1.  With E = I - A Z a step gives (3 E^3 + E^4) / 4.
 *
 * Backward, the steps from the last, with P1 = 7 I - Y, P2 = 15 I - Y P1,
 * P3 = 13 I - Y P2 made again from Z_t and G = dZ_t+1:
 *   dZ = G P3' / 4,  dP3 = Z' G / 4,  dP2 = -Y' dP3,  dP1 = -Y' dP2,
 *   dY = -dP3 P2' - dP2 P1' - dP1,  dA += dY Z',  dZ += A' dY
 * and dA += dZ_0' / alpha, dalpha = -<dZ_0, A'> / alpha^2, which goes to the signs
 * of the largest column and of the largest row.
 *
 * Time 8 m^3 a step, backward three times that; scratch 5 m^2, backward
 * (iterations + 10) m^2. */
#include "ops/op.h"
#include "tensor/blas.h"
#include "tensor/tile.h"

enum { ITERATIONS };

typedef struct Work {
  ptrdiff_t m, w;              /* size; in whole vectors */
  real *A, *Y, *P, *T;         /* (w, w), zeros beyond m */
} Work;

static void times (const Work *k, const real *a, const real *b, real *c) {
  product(false, k->w, k->w, k->w, a, k->w, b, k->w, c, k->w);
}

/* x := s I - x */
static void minus (const Work *k, real s, real *x) {
  for (ptrdiff_t i = 0; i < k->w; i++, x += k->w) {
    for (ptrdiff_t j = 0; j < k->w; j += VL) vstore(x + j, -vload(x + j));
    x[i] += s;
  }
}

static void step (const Work *k, const real *Z, real *next) {
  const ptrdiff_t all = k->w * k->w;
  times(k, k->A, Z, k->Y);
  for (ptrdiff_t i = 0; i < all; i += VL) vstore(k->P + i, vload(k->Y + i));
  minus(k, 7, k->P);
  times(k, k->Y, k->P, k->T);
  minus(k, 15, k->T);
  times(k, k->Y, k->T, k->P);
  minus(k, 13, k->P);
  times(k, Z, k->P, next);
  for (ptrdiff_t i = 0; i < all; i += VL) vstore(next + i, vload(next + i) * (real)0.25);
}

/* The largest sum of |A| over a column and over a row, and where. */
static void norms (const real *A, ptrdiff_t m, real *col, ptrdiff_t *j0, real *row, ptrdiff_t *i0) {
  *col = *row = 0, *i0 = *j0 = 0;
  for (ptrdiff_t i = 0; i < m; i++) {
    real r = 0, c = 0;
    for (ptrdiff_t j = 0; j < m; j++) {
      r += (real)fabs((double)A[i * m + j]);
      c += (real)fabs((double)A[j * m + i]);
    }
    if (!(r <= *row)) *row = r, *i0 = i;
    if (!(c <= *col)) *col = c, *j0 = i;
  }
}

static real alpha (const fov_Call *c) {
  real col, row;
  ptrdiff_t i, j;
  if (c->in[1].x) return *(const real *)c->in[1].x;
  norms(c->in[0].x, fov_dim(c, 'm'), &col, &j, &row, &i);
  return col * row;
}

static fov_Status ready (const fov_Call *c, Work *k) {
  k->m = fov_dim(c, 'm'), k->w = roundup(k->m, VL);
  const size_t all = (size_t)(k->w * k->w);
  k->A = fov_scratch(4 * all, sizeof(real));
  if (!k->A) return FOV_NOMEM;
  k->Y = k->A + all, k->P = k->Y + all, k->T = k->P + all;
  memset(k->A, 0, all * sizeof(real));
  pack_rows(1, k->m, k->m, c->in[0].x, k->m, k->A, k->w);
  return FOV_OK;
}

/* Z(w,w) = A' / a */
static void start (const Work *k, real a, real *Z) {
  memset(Z, 0, (size_t)(k->w * k->w) * sizeof *Z);
  for (ptrdiff_t i = 0; i < k->m; i++)
    for (ptrdiff_t j = 0; j < k->m; j++) Z[j * k->w + i] = k->A[i * k->w + j] / a;
}

static fov_Status fwd (fov_Call *c) {
  Work k;
  fov_Status s = ready(c, &k);
  if (s != FOV_OK) return s;
  const size_t all = (size_t)(k.w * k.w);
  real *Z = fov_scratch(2 * all, sizeof *Z), *next = Z + all, *out = c->out[0].x;
  if (!Z) return FOV_NOMEM;
  start(&k, alpha(c), Z);
  for (int t = 0; t < (int)c->opt[ITERATIONS]; t++) {
    step(&k, Z, next);
    real *swap = Z;
    Z = next, next = swap;
  }
  for (ptrdiff_t i = 0; i < k.m; i++)
    memcpy(out + i * k.m, Z + i * k.w, (size_t)k.m * sizeof *out);
  return FOV_OK;
}

static fov_Status bwd (fov_Call *c) {
  Work k;
  fov_Status s = ready(c, &k);
  if (s != FOV_OK) return s;
  const int steps = (int)c->opt[ITERATIONS];
  const ptrdiff_t m = k.m, w = k.w, all = w * w;
  const real a = alpha(c);
  real *Z = fov_scratch((size_t)(steps + 1) * (size_t)all, sizeof *Z);
  real *G = fov_scratch(6 * (size_t)all, sizeof *G);
  if (!Z || !G) return FOV_NOMEM;
  real *dZ = G + all, *dP = dZ + all, *dQ = dP + all, *dY = dQ + all, *dA = dY + all;
  start(&k, a, Z);
  for (int t = 0; t < steps; t++) step(&k, Z + t * all, Z + (t + 1) * all);
  memset(G, 0, (size_t)all * sizeof *G);
  memset(dA, 0, (size_t)all * sizeof *dA);
  pack_rows(1, m, m, c->dout[0].x, m, G, w);
  for (int t = steps - 1; t >= 0; t--) {
    const real *Zt = Z + t * all;
    real *P1 = k.P, *P2 = k.T, *P3 = dQ;        /* dQ is free until P3 has been used */
    times(&k, k.A, Zt, k.Y);
    memcpy(P1, k.Y, (size_t)all * sizeof *P1);
    minus(&k, 7, P1);
    times(&k, k.Y, P1, P2);
    minus(&k, 15, P2);
    times(&k, k.Y, P2, P3);
    minus(&k, 13, P3);
    gemm('n', 't', w, w, w, (real)0.25, G, w, P3, w, 0, dZ, w);
    gemm('t', 'n', w, w, w, (real)0.25, Zt, w, G, w, 0, dP, w);
    gemm('n', 't', w, w, w, -1, dP, w, P2, w, 0, dY, w);
    gemm('t', 'n', w, w, w, -1, k.Y, w, dP, w, 0, dQ, w);
    gemm('n', 't', w, w, w, -1, dQ, w, P1, w, 1, dY, w);
    gemm('t', 'n', w, w, w, -1, k.Y, w, dQ, w, 0, dP, w);
    for (ptrdiff_t i = 0; i < all; i++) dY[i] -= dP[i];
    gemm('n', 't', w, w, w, 1, dY, w, Zt, w, 1, dA, w);
    gemm('t', 'n', w, w, w, 1, k.A, w, dY, w, 1, dZ, w);
    memcpy(G, dZ, (size_t)all * sizeof *G);
  }
  real dalpha = 0;
  for (ptrdiff_t i = 0; i < m; i++)
    for (ptrdiff_t j = 0; j < m; j++) {
      dA[i * w + j] += G[j * w + i] / a;
      dalpha -= G[j * w + i] * k.A[i * w + j];
    }
  dalpha = dalpha / a / a;
  if (c->din[1].x) *(real *)c->din[1].x = dalpha;
  if (!c->din[0].x) return FOV_OK;
  if (!c->in[1].x) {
    real col, row;
    ptrdiff_t i0, j0;
    norms(c->in[0].x, m, &col, &j0, &row, &i0);
    for (ptrdiff_t i = 0; i < m; i++) {
      real x = k.A[i * w + j0], y = k.A[i0 * w + i];
      dA[i * w + j0] += dalpha * row * (real)((x > 0) - (x < 0));
      dA[i0 * w + i] += dalpha * col * (real)((y > 0) - (y < 0));
    }
  }
  for (ptrdiff_t i = 0; i < m; i++)
    memcpy((real *)c->din[0].x + i * m, dA + i * w, (size_t)m * sizeof *dA);
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double m = (double)fov_dim(c, 'm');
  r->flops = 8 * m * m * m * c->opt[ITERATIONS];
  r->exps = 0;
  r->bytes = 2 * sizeof(real) * m * m;
}

const fov_Op FOV_OP(iterative_inverse) = {
  .name = "iterative_inverse",
  .sig = "a(m,m) alpha?() -> z(m,m)",
  .doc = "Approximate pseudoinverse: steps of z <- z (13 I - az (15 I - az (7 I - az))) / 4 from\n"
         "a' / alpha, alpha the largest column sum times the largest row sum of |a| unless given.\n"
         "Singular values below about sqrt(alpha 3.25^-iterations) are not inverted yet: the\n"
         "number of steps acts as a ridge. A matrix of zeros gives NaN.",
  .ref = "Xiong et al. 2021, arXiv:2102.03902; Razavi et al. 2014",
  .opt = { { "iterations", 'i', 6, 0, 1000, "steps", NULL } },
  .fwd = fwd, .bwd = bwd, .cost = cost
};
