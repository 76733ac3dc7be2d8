/* softmax.c -- the softmax kernel's Gram matrix: attention before its rows are normalised.
 *
 *   K_ij = exp(u),  u = scale^2 x_i.y_j,   dk/du = k
 *
 * Time O(nmd) and nm exps; tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

static void values (const gram *g, real xx, const real *yy, real *u, ptrdiff_t w) {
  (void)xx, (void)yy, (void)g;
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(u + c, vexp(vload(u + c)));
}

static void slopes (const gram *g, real xx, const real *yy, const real *u, real *du, real *dxx,
                    ptrdiff_t w) {
  (void)xx, (void)yy, (void)g;
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vstore(du + c, vexp(vload(u + c)));
    vstore(dxx + c, vzero());
  }
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_PRODUCT, .f = (real)(c->opt[0] * c->opt[0]),
                 .values = values, .slopes = slopes };
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + n * m + 2 * (n + m) * d;
  r->exps = n * m;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(softmax) = {
  .name = "softmax",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The softmax (exponential) kernel exp(x.y) of the scaled inputs.\n"
         "Overflows to inf where x.y does. Without y: of x with itself, exactly symmetric, half\n"
         "the work. Memory: the result and packed y; the backward pass makes tiles anew.",
  .ref = "Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "nonneg",
  .opt = {
    { "scale", 'n', 1, -1e150, 1e150, "the inputs are multiplied by it first", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
