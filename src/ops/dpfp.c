/* dpfp.c -- deterministic parameter-free projection.
 *
 *   r = [relu(x), relu(-x)], 2d long;   roll(r,j)_i = r_{(i-j) mod 2d}
 *   phi(x) = [r o roll(r,1), ..., r o roll(r,nu)],  2 d nu long
 *
 *   dr_i = sum_j dphi_{j,i} r_{i-j} + dphi_{j,i+j} r_{i+j}   (indices mod 2d)
 *   dx_i = [x_i > 0] dr_i - [x_i < 0] dr_{d+i}
 *
 * Schlag, Irie & Schmidhuber 2021 (arXiv:2102.11174), as in the authors' code;
 * the paper's indices roll the other way, which permutes the entries of phi and
 * leaves every product of two feature vectors alone.  phi(x) can be all zero,
 * e.g. nu = 1, x = (1,-2,3).
 *
 * Time O(n d nu); scratch 8d per row block. */
#include "ops/op.h"
#include "tensor/simd.h"

#define ROWS 64

enum { NU };

/* Fills r2 = [r, r], so that roll(r,j) is the 2d reals from r2 + 2d - j. */
static void doubled (const real *x, ptrdiff_t d, real *r2) {
  for (ptrdiff_t i = 0; i < d; i++) {
    r2[i] = r2[2 * d + i] = x[i] < 0 ? 0 : x[i];
    r2[d + i] = r2[3 * d + i] = x[i] > 0 ? 0 : -x[i];
  }
}

static fov_Status map (void *arg, ptrdiff_t b) {
  const fov_Call *c = arg;
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd'), D = 2 * d, nu = (ptrdiff_t)c->opt[NU];
  const real *X = c->in[0].x;
  real *r2 = fov_scratch((size_t)(4 * d), sizeof *r2);
  if (!r2) return FOV_NOMEM;
  for (ptrdiff_t i = b * ROWS; i < n && i < (b + 1) * ROWS; i++) {
    real *phi = (real *)c->out[0].x + i * D * nu;
    doubled(X + i * d, d, r2);
    for (ptrdiff_t j = 1; j <= nu; j++, phi += D) {
      const real *s = r2 + D - j;
      for (ptrdiff_t k = 0; k < D; k++) phi[k] = r2[k] * s[k];
    }
  }
  return FOV_OK;
}

static fov_Status back (void *arg, ptrdiff_t b) {
  const fov_Call *c = arg;
  ptrdiff_t n = fov_dim(c, 'n'), d = fov_dim(c, 'd'), D = 2 * d, nu = (ptrdiff_t)c->opt[NU];
  const real *X = c->in[0].x;
  real *r2 = fov_scratch((size_t)(8 * d), sizeof *r2), *dr2 = r2 + 4 * d;
  if (!r2) return FOV_NOMEM;
  for (ptrdiff_t i = b * ROWS; i < n && i < (b + 1) * ROWS; i++) {
    const real *x = X + i * d, *dphi = (const real *)c->dout[0].x + i * D * nu;
    real *dx = (real *)c->din[0].x + i * d;
    doubled(x, d, r2);
    memset(dr2, 0, (size_t)(4 * d) * sizeof *dr2);
    for (ptrdiff_t j = 1; j <= nu; j++, dphi += D) {
      const real *s = r2 + D - j;
      real *ds = dr2 + D - j;
      for (ptrdiff_t k = 0; k < D; k++) ds[k] += dphi[k] * r2[k];
      for (ptrdiff_t k = 0; k < D; k++) dr2[k] += dphi[k] * s[k];
    }
    for (ptrdiff_t k = 0; k < d; k++)
      dx[k] = x[k] > 0 ? dr2[k] + dr2[k + D] : x[k] < 0 ? -(dr2[k + d] + dr2[k + d + D]) : 0;
  }
  return FOV_OK;
}

static fov_Status sizes (fov_Call *c) {
  ptrdiff_t d = fov_dim(c, 'd'), nu = (ptrdiff_t)c->opt[NU];
  if (d > 0 && nu > 2 * d - 1)
    return fov_fail(FOV_VALUE, "option nu: expected 1 to 2d-1 = %td, got %td", 2 * d - 1, nu);
  if (__builtin_mul_overflow(2 * nu, d, &c->dim['f' - 'a']))
    return fov_fail(FOV_VALUE, "option nu: 2 d nu overflows");
  return FOV_OK;
}

static fov_Status fwd (fov_Call *c) {
  return fov_parallel((fov_dim(c, 'n') + ROWS - 1) / ROWS, map, c);
}

static fov_Status bwd (fov_Call *c) {
  if (!c->din[0].x) return FOV_OK;
  return fov_parallel((fov_dim(c, 'n') + ROWS - 1) / ROWS, back, c);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * d * c->opt[NU];
  r->exps = 0;
  r->bytes = (double)sizeof(real) * n * d * (1 + 2 * c->opt[NU]);
}

const fov_Op FOV_OP(dpfp) = {
  .name = "dpfp",
  .sig = "x(n,d) -> phi(n,f)",
  .doc = "Deterministic parameter-free projection; f = 2 d nu.\n"
         "r = [relu(x), relu(-x)]; phi = the products of r with r rolled by 1 .. nu. Never\n"
         "negative; can be all zero, so a normaliser needs a guard. Shift d is identically\n"
         "zero and shifts above d repeat, so nu <= d-1 is useful. The paper's map, which\n"
         "is not the one of libraries that take [relu(x), -relu(x)].",
  .ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174",
  .caps = "nonneg",
  .opt = { { "nu", 'i', 1, 1, 65535, "number of shifts, at most 2d-1", NULL } },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
