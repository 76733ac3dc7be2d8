/* polynomial.c -- the polynomial kernel's Gram matrix.
 *
 *   K_ij = (u + offset)^p,  u = scale^2 x_i.y_j,   dk/du = p (u + offset)^(p-1)
 *
 * Time O(nmd + nm log p); tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

static inline vec power (vec x, int p) {
  vec y = vset(1);
  for (; p > 0; p >>= 1, x *= x)
    if (p & 1) y *= x;
  return y;
}

static void values (const gram *g, real xx, const real *yy, real *u, ptrdiff_t w) {
  (void)xx, (void)yy;
  for (ptrdiff_t c = 0; c < w; c += VL) vstore(u + c, power(vload(u + c) + g->a, g->p));
}

static void slopes (const gram *g, real xx, const real *yy, const real *u, real *du, real *dxx,
                    ptrdiff_t w) {
  (void)xx, (void)yy;
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vstore(du + c, (real)g->p * power(vload(u + c) + g->a, g->p - 1));
    vstore(dxx + c, vzero());
  }
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_PRODUCT, .f = (real)(c->opt[2] * c->opt[2]), .a = (real)c->opt[1],
                 .p = (int)c->opt[0],
                 .values = values, .slopes = slopes };
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + n * m * (2 + 2 * log2(c->opt[0]));
  r->exps = 0;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(polynomial) = {
  .name = "polynomial",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The polynomial kernel (scale^2 x.y + offset)^degree between the rows of x and y.\n"
         "Without y: of x with itself, exactly symmetric, half the work. Memory: the result and\n"
         "packed y; the backward pass makes tiles anew.",
  .ref = "Scholkopf & Smola 2002, Learning with Kernels, ch. 2",
  .opt = {
    { "degree", 'i', 3, 1, 64, "the power", NULL },
    { "offset", 'n', 1, 0, 1e150, "added to the product; 0 is the homogeneous kernel", NULL },
    { "scale", 'n', 1, -1e150, 1e150, "the inputs are multiplied by it first", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
