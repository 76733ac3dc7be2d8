/* matern.c -- the Matern kernels' Gram matrix, nu = 1/2, 3/2, 5/2.
 *
 *   r = scale |x_i - y_j|,  u = r^2
 *   nu = 1/2:  k = exp(-r),                               dk/du = -k / (2 r)
 *   nu = 3/2:  k = (1 + s) exp(-s),  s = sqrt(3) r,       dk/du = -3/2 exp(-s)
 *   nu = 5/2:  k = (1 + s + s^2/3) exp(-s),  s = sqrt(5) r,
 *                                                 dk/du = -5/6 (1 + s) exp(-s)
 *
 * Time O(nmd), nm exps and roots; tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

/* g->a = 2 nu, s = sqrt(2 nu u). */
static void values (const gram *g, real xx, const real *yy, real *u, ptrdiff_t w) {
  (void)xx, (void)yy;
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vec s = vsqrt(g->a * vload(u + c)), k = vexp_neg(-s);
    if (g->p == 3) k *= 1 + s;
    else if (g->p == 5) k *= 1 + s + s * s * (real)(1.0 / 3);
    vstore(u + c, k);
  }
}

static void slopes (const gram *g, real xx, const real *yy, const real *u, real *du, real *dxx,
                    ptrdiff_t w) {
  (void)xx, (void)yy, (void)dxx;
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vec s = vsqrt(g->a * vload(u + c)), k = vexp_neg(-s);
    vec slope = g->p == 3 ? (real)-1.5 * k : (real)(-5.0 / 6) * (1 + s) * k;
    if (g->p == 1) slope = vselect((ivec)(s == 0), vzero(), (real)-0.5 * k / s);
    vstore(du + c, slope);
  }
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_DISTANCE, .f = (real)(c->opt[1] * c->opt[1]),
                 .a = (real)(2 * c->opt[0]), .p = (int)(2 * c->opt[0]),
                 .values = values, .slopes = slopes };
}

static fov_Status smoothness (fov_Call *c) {
  const double nu = c->opt[0];
  if (nu != 0.5 && nu != 1.5 && nu != 2.5)
    return fov_fail(FOV_VALUE, "option 'nu': expected 0.5, 1.5 or 2.5, got %g", nu);
  return sizes(c);
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + 10 * n * m + 2 * (n + m) * d;
  r->exps = n * m;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(matern) = {
  .name = "matern",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The Matern kernel of smoothness nu between the rows of x and y.\n"
         "With r = scale |x-y|, nu = 0.5: exp(-r); 1.5: (1 + s) exp(-s), s = sqrt(3) r;\n"
         "2.5: (1 + s + s^2/3) exp(-s), s = sqrt(5) r. Functions drawn from it have derivatives\n"
         "up to order nu - 1/2. nu = 0.5 has no derivative where x = y; it is taken as 0.\n"
         "Without y: of x with itself, exactly symmetric, half the work. Memory: the result and\n"
         "packed y; the backward pass makes tiles anew.",
  .ref = "Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, ch. 4",
  .caps = "nonneg",
  .opt = {
    { "nu", 'n', 1.5, 0.5, 2.5, "smoothness: 0.5, 1.5 or 2.5", NULL },
    { "scale", 'n', 1, 1e-150, 1e150, "1/scale is the length scale", NULL }
  },
  .sizes = smoothness, .fwd = fwd, .bwd = bwd, .cost = cost
};
