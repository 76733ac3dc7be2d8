/* laplacian.c -- the Laplacian kernel's Gram matrix.
 *
 *   K_ij = exp(-u),  u = scale |x_i - y_j|_1,   dk/du = -k
 *
 * Time O(nmd) and nm exps; tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

static void values (const gram *g, real xx, const real *yy, real *u, ptrdiff_t w) {
  (void)xx, (void)yy, (void)g;
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(u + c, vexp_neg(-vload(u + c)));
}

static void slopes (const gram *g, real xx, const real *yy, const real *u, real *du, real *dxx,
                    ptrdiff_t w) {
  (void)xx, (void)yy, (void)g, (void)dxx;
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(du + c, -vexp_neg(-vload(u + c)));
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_CITY, .f = (real)c->opt[0],
                 .values = values, .slopes = slopes };
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 3 * n * m * d + n * m;
  r->exps = n * m;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(laplacian) = {
  .name = "laplacian",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The Laplacian kernel exp(-scale sum_k |x_k - y_k|) between the rows of x and y.\n"
         "Without y: of x with itself, exactly symmetric, half the work. Memory: the result and\n"
         "packed y; the backward pass makes tiles anew."
         "\n"
         "The derivative of |x_k - y_k| is taken as 0 where they are equal.",
  .ref = "Rahimi & Recht 2007, Random Features for Large-Scale Kernel Machines",
  .caps = "nonneg",
  .opt = {
    { "scale", 'n', 1, 0, 1e150, "1/scale is the length scale", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
