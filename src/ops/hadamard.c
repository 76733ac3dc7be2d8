/* hadamard.c -- the Walsh-Hadamard transform of rows.
 *
 *   y = c H [x, 0],   H_1 = 1, H_2p = [H H; H -H],   p = 2^ceil(log2 d)
 *
 * c = 1/sqrt(p) (normalize, H orthogonal and its own inverse) or 1.  A row is
 * padded with zeros to the next power of two; dx is the first d entries of
 * c H dy.  Sylvester's order of rows (natural).
 *
 * Time O(n p log p); scratch one panel of VL rows. */
#include "ops/op.h"
#include "tensor/hadamard.h"

enum { NORMALIZE };

typedef struct Job { const real *in; real *out; ptrdiff_t n, din, dout, p; real c; } Job;

static fov_Status panel (void *arg, ptrdiff_t b) {
  const Job *k = arg;
  ptrdiff_t i = b * VL, rows = k->n - i < VL ? k->n - i : VL;
  vec *T = fov_scratch((size_t)k->p, sizeof *T);
  if (!T) return FOV_NOMEM;
  hadamard_load(T, k->p, k->in + i * k->din, k->din, rows, k->din);
  hadamard_panel(T, k->p);
  hadamard_store(T, k->c, k->out + i * k->dout, k->dout, rows, k->dout);
  return FOV_OK;
}

static fov_Status run (const fov_Call *c, const real *in, real *out, char from, char to) {
  ptrdiff_t p = fov_dim(c, 'f'), n = fov_dim(c, 'n');
  Job k = { in, out, n, fov_dim(c, from), fov_dim(c, to), p,
            c->opt[NORMALIZE] != 0 ? (real)(1 / sqrt((double)p)) : 1 };
  return fov_parallel((n + VL - 1) / VL, panel, &k);
}

static fov_Status fwd (fov_Call *c) { return run(c, c->in[0].x, c->out[0].x, 'd', 'f'); }

static fov_Status bwd (fov_Call *c) {
  return c->din[0].x ? run(c, c->dout[0].x, c->din[0].x, 'f', 'd') : FOV_OK;
}

static fov_Status sizes (fov_Call *c) {
  ptrdiff_t d = fov_dim(c, 'd');
  if (d > (ptrdiff_t)1 << 40) return fov_fail(FOV_VALUE, "x: expected at most 2^40 columns, got %td", d);
  c->dim['f' - 'a'] = hadamard_size(d);
  return FOV_OK;
}

static void cost (const fov_Call *c, fov_Cost *r) {
  double n = (double)fov_dim(c, 'n'), d = (double)fov_dim(c, 'd');
  double p = (double)hadamard_size((ptrdiff_t)d);
  r->flops = n * p * (log2(p) + 1);
  r->bytes = (double)sizeof(real) * n * (d + p);
}

const fov_Op FOV_OP(hadamard) = {
  .name = "hadamard",
  .sig = "x(n,d) -> y(n,f)",
  .doc = "The fast Walsh-Hadamard transform of each row; f is the next power of two from d,\n"
         "and rows are padded with zeros to it. Rows of H in Sylvester's order. With normalize\n"
         "H is orthogonal and its own inverse. O(n f log f).",
  .ref = "Fino & Algazi 1976, \"Unified matrix treatment of the fast Walsh-Hadamard transform\"",
  .opt = { { "normalize", 'b', 1, 0, 0, "divide by sqrt(f)", NULL } },
  .sizes = sizes, .fwd = fwd, .bwd = bwd, .cost = cost
};
