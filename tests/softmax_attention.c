/* Exact attention against its definition: a double loop in f64, at every
 * level, dtype and combination of options, at sizes around the tiles' edges.
 * The definition's own gradients are checked against central differences. */
#include "softmax_case.h"

/* Largest difference over max(1, largest |want|); inf when one is not finite
 * and the other is, or they differ in it. */
static double apart (const double *got, const double *want, ptrdiff_t n) {
  double err = 0, size = 1;
  for (ptrdiff_t i = 0; i < n; i++) {
    if (got[i] == want[i]) continue;
    if (!isfinite(got[i]) || !isfinite(want[i])) return INFINITY;
    err = fmax(err, fabs(got[i] - want[i]));
    size = fmax(size, fabs(want[i]));
  }
  return err / size;
}

/* The slope's gradient is one sum over all pairs, weighted by distances up to
 * 256, in which most cancels: twenty times the others' error. */
static double worst (const Case *c, const Run *r) {
  double err = 0;
  for (int i = 0; i < NOUT; i++) err = fmax(err, apart(r->y[i], c->y[i], size_out(c, i)));
  for (int i = 0; i < NIN; i++)
    if (r->dx[i]) err = fmax(err, apart(r->dx[i], c->dx[i], size_in(c, i)) / (i == SLOPES ? 20 : 1));
  return err;
}

static Case plain (ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, ptrdiff_t e) {
  Case c = { .n = n, .m = m, .d = d, .e = e, .head = 0, .heads = 1,
             .opt = { [SCALE] = NAN, [WINDOW] = -1, [LEFT] = NAN, [RIGHT] = NAN } };
  return c;
}

/* Any mixture of options and optional inputs. */
static Case mixture (ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, ptrdiff_t e) {
  Case c = plain(n, m, d, e);
  c.heads = 1 + below(12);
  c.head = below(c.heads);
  c.opt[CAUSAL] = (double)below(2);
  c.opt[ALIGN] = (double)below(2);
  if (below(2)) c.opt[SCALE] = normal();
  if (below(4) == 0) c.opt[WINDOW] = (double)below(m + 2);
  if (below(4) == 0) c.opt[LEFT] = (double)below(m + 2) - 1;
  if (below(4) == 0) c.opt[RIGHT] = (double)below(m + 2) - 1;
  c.opt[ALIBI] = (double)(below(3) == 0);
  c.opt[SOFTCAP] = below(3) ? 0 : 0.5 + 3 * uniform();
  c.has[BIAS] = below(3) == 0;
  c.has[LENGTH] = below(3) == 0;
  c.has[SLOPES] = below(4) == 0;
  c.has[SINK] = below(3) == 0;
  c.length = below(m + 1);
  return c;
}

static void spoil_padding (Case *c) {
  if (!c->has[LENGTH]) return;
  for (ptrdiff_t j = (ptrdiff_t)c->length; j < c->m; j++) {
    for (ptrdiff_t k = 0; k < c->d; k++) c->x[K][j * c->d + k] = NAN;
    for (ptrdiff_t k = 0; k < c->e; k++) c->x[V][j * c->e + k] = NAN;
    for (ptrdiff_t i = 0; c->has[BIAS] && i < c->n; i++) c->x[BIAS][i * c->m + j] = NAN;
  }
}

static void describe (const Case *c) {
  printf("# n %td m %td d %td e %td head %td/%td causal %g align %g scale %g window %g %g %g "
         "alibi %g softcap %g bias %d length %lld slopes %d sink %d\n", c->n, c->m, c->d, c->e,
         c->head, c->heads, c->opt[CAUSAL], c->opt[ALIGN], c->opt[SCALE], c->opt[WINDOW],
         c->opt[LEFT], c->opt[RIGHT], c->opt[ALIBI], c->opt[SOFTCAP], c->has[BIAS],
         c->has[LENGTH] ? (long long)c->length : -1, c->has[SLOPES], c->has[SINK]);
}

/* The definition's gradients are the derivatives of its values. */
static void check_definition (void) {
  double err = 0;
  for (int t = 0; t < 60; t++) {
    Case c = mixture(1 + below(6), 1 + below(6), 1 + below(4), 1 + below(4));
    fill_case(&c, 1);
    define(&c, true);
    for (int i = 0; i < NIN; i++)
      for (int probe = 0; probe < 3 && size_in(&c, i) && (i <= V || c.has[i]); probe++) {
        ptrdiff_t k = below(size_in(&c, i));
        double x = c.x[i][k], h = 1e-5;
        if (x == -INFINITY) continue;
        c.x[i][k] = x + h;
        double up = define(&c, false);
        c.x[i][k] = x - h;
        double down = define(&c, false);
        c.x[i][k] = x;
        err = fmax(err, fabs((up - down) / (2 * h) - c.dx[i][k]) / fmax(1, fabs(c.dx[i][k])));
      }
    free_case(&c);
  }
  ok(err < 1e-7, "the definition's gradients are its central differences (%.2g)", err);
}

static const ptrdiff_t edges[] = { 1, 2, 7, 24, 31, 64, 65, 97, 193, 255, 256, 257 };
enum { NEDGES = sizeof edges / sizeof *edges };

/* Probabilities come from sums of up to d products of size |q||k|: in f32 an
 * error of a few 1e-6 in a score of size ~10, and as much relative in P. */
static double tolerance (fov_Type type) { return type == FOV_F32 ? 2e-5 : 1e-12; }

static void check_mixtures (fov_Type type, int count) {
  double err = 0;
  for (int t = 0; t < count; t++) {
    bool big = t % 4 == 0;
    Case c = mixture(edges[below(big ? NEDGES : 6)], edges[below(big ? NEDGES : 6)],
                     t % 3 ? 1 + below(9) : 16 * (1 + below(5)), t % 5 ? 1 + below(40) : 64);
    Run r;
    fill_case(&c, 0.7);
    spoil_padding(&c);
    define(&c, true);
    run(&c, type, true, &r);
    double e = worst(&c, &r);
    if (!(e <= tolerance(type))) {
      describe(&c);
      for (int i = 0; i < NOUT; i++) printf("# out %d: %g\n", i, apart(r.y[i], c.y[i], size_out(&c, i)));
      for (int i = 0; i < NIN; i++)
        if (r.dx[i]) printf("# in %d: %g\n", i, apart(r.dx[i], c.dx[i], size_in(&c, i)));
    }
    err = fmax(err, e);
    free_run(&r);
    free_case(&c);
  }
  ok(err <= tolerance(type), "%s %s: %d mixtures of options and sizes, values and gradients (%.2g)",
     fov_isa_name(fov_isa()), fov_type_name(type), count, err);
}

/* Queries few, keys many: the keys are split and the parts merged. */
static void check_splits (fov_Type type) {
  Case c = plain(3, 9000, 5, 6);
  Run r;
  c.opt[CAUSAL] = 1;
  fill_case(&c, 1);
  define(&c, true);
  run(&c, type, true, &r);
  double err = worst(&c, &r);
  ok(err <= tolerance(type), "%s %s: few queries, 9000 keys (%.2g)", fov_isa_name(fov_isa()),
     fov_type_name(type), err);
  free_run(&r);
  free_case(&c);
}

/* Scores of +-1e4 and of 1e8 stay finite; f64 keeps its digits. */
static void check_large (fov_Type type) {
  const double by[] = { 30, 3000 };
  bool finite = true;
  double err = 0;
  for (int t = 0; t < 2; t++) {
    Case c = plain(40, 300, 16, 8);
    Run r;
    c.opt[SCALE] = 1;
    fill_case(&c, by[t]);
    define(&c, true);
    run(&c, type, true, &r);
    for (ptrdiff_t i = 0; i < c.n * c.e; i++) finite &= isfinite(r.y[O][i]);
    for (ptrdiff_t i = 0; i < c.n; i++) finite &= isfinite(r.y[LSE][i]);
    for (ptrdiff_t i = 0; i < c.n * c.d; i++) finite &= isfinite(r.dx[Q][i]);
    for (ptrdiff_t i = 0; i < c.m * c.d; i++) finite &= isfinite(r.dx[K][i]);
    if (t == 0) err = apart(r.y[O], c.y[O], c.n * c.e);
    free_run(&r);
    free_case(&c);
  }
  ok(finite, "%s %s: scores up to 1e8 leave all finite", fov_isa_name(fov_isa()), fov_type_name(type));
  /* a score of 1e4 has 1e4 * 2^-24 * sqrt(d)-ish of rounding: 3e-3 relative in P */
  double tol = type == FOV_F32 ? 1e-2 : 1e-10;
  ok(err < tol, "%s %s: scores of 1e4 are right to their rounding (%.2g)", fov_isa_name(fov_isa()),
     fov_type_name(type), err);
}

/* Nothing a query may not see reaches it, NaN included: same bits before t. */
static void check_causal (fov_Type type) {
  Case c = plain(300, 300, 8, 8);
  Run a, b;
  bool same = true;
  c.opt[CAUSAL] = 1;
  fill_case(&c, 1);
  run(&c, type, false, &a);
  for (int probe = 0; probe < 8; probe++) {
    ptrdiff_t t = below(c.n);
    for (ptrdiff_t k = 0; k < 8; k++)
      c.x[K][t * 8 + k] = c.x[V][t * 8 + k] = c.x[Q][t * 8 + k] = NAN;
    run(&c, type, false, &b);
    same &= memcmp(a.y[O], b.y[O], (size_t)(t * 8) * sizeof(double)) == 0;
    same &= memcmp(a.y[LSE], b.y[LSE], (size_t)t * sizeof(double)) == 0;
    same &= isnan(b.y[O][t * 8]) != 0;
    memcpy(c.x[K] + t * 8, c.x[Q], 8 * sizeof(double));   /* anything finite again */
    memcpy(c.x[V] + t * 8, c.x[Q], 8 * sizeof(double));
    memcpy(c.x[Q] + t * 8, c.x[K], 8 * sizeof(double));
    free_run(&a);
    free_run(&b);
    run(&c, type, false, &a);
  }
  ok(same, "%s %s: a NaN at token t changes no bit before t", fov_isa_name(fov_isa()),
     fov_type_name(type));
  free_run(&a);
  free_case(&c);
}

/* The work is cut by the problem: one thread and two give the same bits. */
static void check_threads (fov_Type type) {
  Case c = plain(500, 700, 20, 33);
  Run a, b;
  c.opt[CAUSAL] = 1;
  c.has[SLOPES] = c.has[SINK] = true;
  fill_case(&c, 1);
  fov_set_threads(1);
  run(&c, type, true, &a);
  fov_set_threads(2);
  run(&c, type, true, &b);
  bool same = true;
  for (int i = 0; i < NOUT; i++)
    same &= memcmp(a.y[i], b.y[i], (size_t)size_out(&c, i) * sizeof(double)) == 0;
  for (int i = 0; i < NIN; i++)
    if (a.dx[i]) same &= memcmp(a.dx[i], b.dx[i], (size_t)size_in(&c, i) * sizeof(double)) == 0;
  ok(same, "%s %s: same bits on one thread and on two", fov_isa_name(fov_isa()), fov_type_name(type));
  free_run(&a);
  free_run(&b);
  free_case(&c);
}

/* A row's sums run in the order of the keys whatever rows stand beside it. */
static void check_tiles (fov_Type type) {
  Case c = plain(250, 130, 24, 40);
  Run a, b;
  bool same = true;
  fill_case(&c, 1);
  run(&c, type, false, &a);
  Case part = c;
  for (ptrdiff_t i = 0; i < 250; i += part.n) {
    part.n = i % 3 || i > 243 ? 1 : 7;
    part.x[Q] = c.x[Q] + i * c.d;
    run(&part, type, false, &b);
    same &= memcmp(b.y[O], a.y[O] + i * c.e, (size_t)(part.n * c.e) * sizeof(double)) == 0;
    free_run(&b);
  }
  ok(same, "%s %s: a row alone has the bits it has among others", fov_isa_name(fov_isa()),
     fov_type_name(type));
  free_run(&a);
  free_case(&c);
}

int main (void) {
  check_definition();
  for (int isa = 0; isa <= (int)fov_isa_max(); isa++)
    for (int type = FOV_F32; type <= FOV_F64; type++) {
      fov_set_isa((fov_Isa)isa);
      check_mixtures((fov_Type)type, 60);
      check_splits((fov_Type)type);
      check_large((fov_Type)type);
      check_causal((fov_Type)type);
      check_threads((fov_Type)type);
      check_tiles((fov_Type)type);
    }
  return done();
}
