/* gaussian.c -- the Gaussian kernel's Gram matrix.
 *
 *   K_ij = exp(-u / 2),  u = scale^2 |x_i - y_j|^2,   dk/du = -k / 2
 *
 * Time O(nmd) and nm exps; tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

static void values (const gram *g, real xx, const real *yy, real *u, ptrdiff_t w) {
  (void)xx, (void)yy, (void)g;
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(u + c, vexp_neg(vload(u + c) * (real)-0.5));
}

static void slopes (const gram *g, real xx, const real *yy, const real *u, real *du, real *dxx,
                    ptrdiff_t w) {
  (void)xx, (void)yy, (void)g, (void)dxx;
  for (ptrdiff_t c = 0; c < w; c += VL) 
    vstore(du + c, vexp_neg(vload(u + c) * (real)-0.5) * (real)-0.5);
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_DISTANCE, .f = (real)(c->opt[0] * c->opt[0]),
                 .values = values, .slopes = slopes };
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + 4 * n * m + 2 * (n + m) * d;
  r->exps = n * m;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(gaussian) = {
  .name = "gaussian",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The Gaussian kernel exp(-scale^2 |x-y|^2 / 2) between the rows of x and y.\n"
         "Without y: of x with itself, exactly symmetric, half the work. |x-y|^2 is\n"
         "|x|^2 + |y|^2 - 2 x.y, or summed from the differences where that would cancel. Memory:\n"
         "the result and packed y; the backward pass makes tiles anew.",
  .ref = "Scholkopf & Smola 2002, Learning with Kernels, ch. 2",
  .caps = "nonneg",
  .opt = {
    { "scale", 'n', 1, 1e-150, 1e150, "1/scale is the length scale", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
