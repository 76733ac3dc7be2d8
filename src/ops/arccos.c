/* arccos.c -- the arc-cosine kernels' Gram matrix, orders 0, 1, 2.
 *
 *   P = |x|^2 |y|^2,  u = x.y,  s = sqrt(P - u^2) = |x||y| sin t,  t the angle
 *   order 0:  pi k = pi - t                          pi dk/du = 1 / s
 *   order 1:  pi k = s + (pi - t) u                  pi dk/du = pi - t
 *   order 2:  pi k = 3 s u + (pi - t) (P + 2 u^2)    pi dk/du = 4 (s + (pi - t) u)
 *   pi dk/d|x|^2 = -u / (2 |x|^2 s),   s / (2 |x|^2),   (u s + (pi - t) P) / |x|^2
 *
 * where |x|^2 and u carry the factor scale^2, and t = pi/2 if x or y is 0.
 *
 * Time O(nmd) and nm arc tangents; tiles of gram.h. */
#include "ops/op.h"
#include "tensor/gram_call.h"

static const real PI = (real)3.14159265358979323846;

/* s, and what is left of pi; P is set. */
static inline vec angle (real xx, vec yy, vec u, vec *P, vec *rest) {
  *P = xx * yy;
  vec p = vsqrt(*P), s = vsqrt(vmax(vzero(), (p - u) * (p + u)));
  *rest = vselect((ivec)(p == 0), vset(PI / 2), PI - vatan2(s, u));
  return s;
}

static void values (const gram *g, real xx, const real *yy, real *to, ptrdiff_t w) {
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vec u = vload(to + c), P, rest, s = angle(xx, vload(yy + c), u, &P, &rest);
    vec k = g->p == 0 ? rest : g->p == 1 ? s + rest * u : 3 * s * u + rest * (P + 2 * u * u);
    vstore(to + c, k * (1 / PI));
  }
}

static void slopes (const gram *g, real xx, const real *yy, const real *from, real *du, real *dxx,
                    ptrdiff_t w) {
  const real by = xx > 0 ? 1 / (PI * xx) : 0;
  for (ptrdiff_t c = 0; c < w; c += VL) {
    vec u = vload(from + c), P, rest, s = angle(xx, vload(yy + c), u, &P, &rest);
    vec inverse = vselect((ivec)(s == 0), vzero(), 1 / s);
    vec a = g->p == 0 ? inverse : g->p == 1 ? rest : 4 * (s + rest * u);
    vec b = g->p == 0 ? (real)-0.5 * u * inverse : g->p == 1 ? (real)0.5 * s : u * s + rest * P;
    vstore(du + c, a * (1 / PI));
    vstore(dxx + c, b * by);
  }
}

static gram kernel (const fov_Call *c) {
  return (gram){ .kind = GRAM_PRODUCT, .f = (real)(c->opt[1] * c->opt[1]), .p = (int)c->opt[0],
                 .values = values, .slopes = slopes };
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  r->flops = 2 * n * m * d + 30 * n * m + 2 * (n + m) * d;
  r->exps = 0;
  r->bytes = sizeof(real) * (n * m + (n + m) * d);
}

const fov_Op FOV_OP(arccos) = {
  .name = "arccos",
  .kind = FOV_KERNEL,
  .sig = "x(n,d) y?(m,d) -> k(n,m)",
  .doc = "The arc-cosine kernel |x|^n |y|^n J_n(t) / pi of order n, t the angle of x and y.\n"
         "J_0 = pi - t, J_1 = sin t + (pi - t) cos t, J_2 = 3 sin t cos t + (pi - t)(1 + 2 cos^2 t).\n"
         "It is 2 E f(w.x) f(w.y), w ~ N(0, I), for f the step, relu and relu squared; a zero\n"
         "vector is at right angles to all. Near parallel vectors t is good to the square root of\n"
         "rounding. Order 0 has no derivative at parallel vectors; it is taken as 0.\n"
         "Without y: of x with itself, exactly symmetric, half the work. Memory: the result and\n"
         "packed y; the backward pass makes tiles anew.",
  .ref = "Cho & Saul 2009, Kernel Methods for Deep Learning",
  .caps = "nonneg",
  .opt = {
    { "order", 'i', 1, 0, 2, "0, 1 or 2", NULL },
    { "scale", 'n', 1, 1e-150, 1e150, "the inputs are multiplied by it first", NULL }
  },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
