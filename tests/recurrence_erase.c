/* What the erase-write recurrences must satisfy, against their definition. */
#include "recurrence.h"

#include <sys/resource.h>

/* Gap of the gradients from central differences of the definition's loss. */
static double gradient_gap (Problem *p) {
  double r = 0;
  if (run(p, p->op->bwd) != FOV_OK) return HUGE_VAL;
  for (int i = 0; i < MOST; i++) {
    const fov_Tensor *t = &p->c.in[i];
    if (!t->x) continue;
    double *want = copy(t);
    for (ptrdiff_t j = 0; j < fov_numel(t); j++) {
      const double at = get(t, j), h = 1e-5;
      set(t, j, at + h);
      const double up = loss(p);
      set(t, j, at - h);
      want[j] = (up - loss(p)) / (2 * h);
      set(t, j, at);
    }
    r = worse(r, relative(&p->c.din[i], want));
    free(want);
  }
  return r;
}

static const char *name (Shape h) {
  static char text[80];
  snprintf(text, sizeof text, "%s%s%s%s%s", h.dplr ? "dplr" : "erase-write", h.p ? " p" : "",
           h.beta ? " beta" : "", h.g ? h.vector ? " vector gate" : " scalar gate" : "",
           h.s ? " state" : "");
  return text;
}

static void sizes_and_forms (Shape h) {
  static const ptrdiff_t ns[] = { 1, 2, 15, 16, 17, 300 };
  static const ptrdiff_t widths[][2] = { { 5, 3 }, { 64, 64 }, { 16, 33 }, { 33, 80 } };
  double worst = 0, worst32 = 0;
  for (int w = 0; w < 4; w++)
    for (int i = 0; i < 6; i++)
      for (int form = 0; form < (i < 5 ? 3 : 1); form++)
        for (int chunk = 0; chunk < (w ? 1 : 7); chunk++) {
          Problem p = problem(FOV_F64, ns[i], widths[w][0], widths[w][1], h);
          p.opt[0] = chunk, p.opt[1] = form;
          worst = worse(worst, gap(&p));
          leave(&p);
          p = problem(FOV_F32, ns[i], widths[w][0], widths[w][1], h);
          p.opt[0] = chunk, p.opt[1] = form;
          worst32 = worse(worst32, gap(&p));
          leave(&p);
        }
  /* rounding of sums of up to 300 terms: 1e-16 and 6e-8 each, with room */
  ok(worst < 1e-12, "%s: every size, form and chunk is the definition (f64 off by %.1e)", name(h), worst);
  ok(worst32 < 1e-5, "%s: so in f32 (off by %.1e)", name(h), worst32);
}

static void gradients (Shape h) {
  double worst = 0;
  for (int w = 0; w < 3; w++) {
    static const ptrdiff_t size[][3] = { { 9, 3, 2 }, { 6, 17, 9 }, { 1, 2, 3 } };
    Problem p = problem(FOV_F64, size[w][0], size[w][1], size[w][2], h);
    seeds(&p);
    worst = worse(worst, gradient_gap(&p));
    leave(&p);
  }
  /* central differences with h = 1e-5 in double precision: about 1e-9 */
  ok(worst < 1e-7, "%s: gradients are those of the definition (off by %.1e)", name(h), worst);
}

/* What the forward pass may keep for the backward pass changes nothing. */
static void keeping (Shape h) {
  double worst = 0;
  for (int form = 0; form < 3; form++) {
    Problem p = problem(FOV_F64, 300, 20, 7, h);
    seeds(&p);
    p.opt[1] = form;
    p.c.out[2] = fresh(FOV_F64, 2, 300, 7);
    run(&p, p.op->fwd), run(&p, p.op->bwd);
    double *want[MOST];
    for (int i = 0; i < MOST; i++) want[i] = p.c.in[i].x ? copy(&p.c.din[i]) : NULL;
    free(p.c.out[2].x), p.c.out[2].x = NULL;
    run(&p, p.op->bwd);
    for (int i = 0; i < MOST; i++) {
      if (want[i]) worst = worse(worst, relative(&p.c.din[i], want[i]));
      free(want[i]);
    }
    leave(&p);
  }
  ok(worst < 1e-12, "%s: gradients with the reads kept or computed again (off by %.1e)", name(h), worst);
}

/* A problem with tokens [from, to) of 'p', its state and gradients its own. */
static Problem part (const Problem *p, ptrdiff_t from, ptrdiff_t to) {
  Problem x = { .op = p->op, .type = p->type, .n = to - from, .d = p->d, .e = p->e, .heads = 1 };
  for (int i = 0; i < MOST + 1; i++) {
    const fov_Tensor *t = i < MOST ? &p->c.in[i] : &p->c.dout[0];
    fov_Tensor *y = i < MOST ? &x.c.in[i] : &x.c.dout[0];
    if (!t->x || (i < MOST && i == (p->op->name[0] == 'd' ? DS : S))) continue;
    const ptrdiff_t w = t->ndim == 1 ? 1 : t->shape[1];
    *y = fresh(p->type, t->ndim, x.n, w);
    for (ptrdiff_t j = 0; j < x.n * w; j++) set(y, j, get(t, from * w + j));
    if (i < MOST) x.c.din[i] = fresh(p->type, t->ndim, x.n, w);
  }
  x.c.out[0] = fresh(p->type, 2, x.n, p->e), x.c.out[1] = fresh(p->type, 2, p->d, p->e);
  return x;
}

static void split (Shape h, ptrdiff_t n, ptrdiff_t cut) {
  const int s = h.dplr ? DS : S;
  double worst = 0;
  Problem p = problem(FOV_F64, n, 20, 7, h);
  seeds(&p);
  Problem one = part(&p, 0, cut), two = part(&p, cut, n);
  one.c.in[s] = p.c.in[s], two.c.in[s] = one.c.out[1];
  run(&p, p.op->fwd), run(&one, p.op->fwd), run(&two, p.op->fwd);
  two.c.dout[1] = p.c.dout[1];
  two.c.din[s] = fresh(FOV_F64, 2, p.d, p.e), one.c.din[s] = fresh(FOV_F64, 2, p.d, p.e);
  one.c.dout[1] = two.c.din[s];
  run(&p, p.op->bwd), run(&two, p.op->bwd), run(&one, p.op->bwd);
  for (int i = -1; i < MOST; i++) {
    const fov_Tensor *t = i < 0 ? &p.c.out[0] : &p.c.din[i];
    if (!t->x) continue;
    double *want = copy(t);
    if (i == s) worst = worse(worst, relative(&one.c.din[s], want));
    else {
      const ptrdiff_t w = t->ndim == 1 ? 1 : t->shape[1];
      worst = worse(worst, relative(i < 0 ? &one.c.out[0] : &one.c.din[i], want));
      worst = worse(worst, relative(i < 0 ? &two.c.out[0] : &two.c.din[i], want + cut * w));
    }
    free(want);
  }
  double *last = copy(&p.c.out[1]);
  worst = worse(worst, relative(&two.c.out[1], last));
  ok(worst < 1e-11, "%s: two calls with the state carried are one, gradients too (off by %.1e)",
     name(h), worst);
  free(last);
  one.c.in[s].x = two.c.in[s].x = two.c.dout[1].x = one.c.dout[1].x = NULL;
  leave(&one), leave(&two), leave(&p);
}

/* Gates of exactly 0: the bits of the ungated result. */
static void zero_gates (Shape h) {
  bool good = true;
  for (int form = 1; form < 3; form++)
    for (int vector = 0; vector < 2; vector++) {
      h.g = false, h.vector = vector;
      Problem p = problem(FOV_F32, 70, 40, 24, h);
      const int g = h.dplr ? DG : G;
      p.opt[1] = form;
      run(&p, p.op->fwd);
      fov_Tensor o = p.c.out[0], s = p.c.out[1];
      p.c.out[0] = fresh(FOV_F32, 2, 70, 24), p.c.out[1] = fresh(FOV_F32, 2, 40, 24);
      p.c.in[g] = fresh(FOV_F32, vector ? 2 : 1, 70, 40);
      run(&p, p.op->fwd);
      good = good && same(&o, &p.c.out[0], 70 * 24) && same(&s, &p.c.out[1], 40 * 24);
      free(o.x), free(s.x);
      leave(&p);
    }
  ok(good, "%s: gates of 0 give the bits of no gates", name(h));
}

static void equal_gates (Shape h) {
  h.g = true, h.vector = false, h.glo = -1;
  const int g = h.dplr ? DG : G;
  Problem p = problem(FOV_F64, 50, 12, 9, h);
  seeds(&p);
  run(&p, p.op->fwd), run(&p, p.op->bwd);
  double *o = copy(&p.c.out[0]), *dq = copy(&p.c.din[Q]), *dg = copy(&p.c.din[g]);
  fov_Tensor scalar = p.c.in[g];
  free(p.c.din[g].x);
  p.c.in[g] = fresh(FOV_F64, 2, 50, 12), p.c.din[g] = fresh(FOV_F64, 2, 50, 12);
  for (ptrdiff_t i = 0; i < 600; i++) set(&p.c.in[g], i, get(&scalar, i / 12));
  run(&p, p.op->fwd), run(&p, p.op->bwd);
  fov_Tensor sum = fresh(FOV_F64, 1, 50, 1);
  for (ptrdiff_t i = 0; i < 600; i++) set(&sum, i / 12, get(&sum, i / 12) + get(&p.c.din[g], i));
  const double r = worse(worse(relative(&p.c.out[0], o), relative(&p.c.din[Q], dq)), relative(&sum, dg));
  ok(r < 1e-12, "%s: equal gates in every row are one gate (off by %.1e)", name(h), r);
  free(o), free(dq), free(dg), free(scalar.x), free(sum.x);
  leave(&p);
}

/* Outputs and gradients stay finite and near the definition. */
static void stress (Shape h, double lo, double most, const char *what) {
  double worst = 0;
  bool finite = true;
  h.g = true;
  for (int vector = 0; vector < 2; vector++) {
    h.vector = vector, h.glo = lo;
    const int g = h.dplr ? DG : G;
    Problem p = problem(FOV_F32, 70, 64, 64, h);
    if (most < 0)
      for (ptrdiff_t i = 3; i < fov_numel(&p.c.in[g]); i += 7) set(&p.c.in[g], i, most);
    seeds(&p);
    worst = worse(worst, gap(&p));
    run(&p, p.op->bwd);
    for (int i = 0; i < MOST; i++)
      for (ptrdiff_t j = 0; p.c.din[i].x && j < fov_numel(&p.c.din[i]); j++)
        finite = finite && isfinite(get(&p.c.din[i], j));
    leave(&p);
  }
  ok(worst < 1e-5 && finite, "%s: %s: finite, and in f32 near the definition (off by %.1e)",
     h.dplr ? "dplr" : "erase-write", what, worst);
}

/* Bits that may not depend on the cut of the work or on later tokens. */
static void bits (Shape h) {
  Problem p = problem(FOV_F32, 300, 80, 72, h);
  seeds(&p);
  run(&p, p.op->fwd), run(&p, p.op->bwd);
  fov_Tensor o = p.c.out[0], dk = p.c.din[K];
  p.c.out[0] = fresh(FOV_F32, 2, 300, 72), p.c.din[K] = fresh(FOV_F32, 2, 300, 80);
  bool good = true;
  for (int threads = 1; threads <= 3; threads += 2)
    for (ptrdiff_t heads = 1; heads < 9; heads += 7) {
      fov_set_threads(threads);
      p.heads = heads;
      run(&p, p.op->fwd), run(&p, p.op->bwd);
      good = good && same(&o, &p.c.out[0], 300 * 72) && same(&dk, &p.c.din[K], 300 * 80);
    }
  fov_set_threads(2);
  ok(good, "%s: same bits at any thread count and any cut of the columns", name(h));
  good = true;
  for (ptrdiff_t t = 1; t < 300; t = t * 2 + 1) {
    for (int i = 0; i < MOST; i++) {
      const fov_Tensor *x = &p.c.in[i];
      if (!x->x || i == (h.dplr ? DS : S)) continue;
      const ptrdiff_t w = x->ndim == 1 ? 1 : x->shape[1];
      for (ptrdiff_t j = t * w; j < (t + 1) * w; j++)
        set(x, j, i == G && h.g ? -0.5 : i == V ? NAN : 0.25);
    }
    run(&p, p.op->fwd);
    good = good && same(&o, &p.c.out[0], t * 72);
    memcpy(o.x, p.c.out[0].x, 300 * 72 * sizeof(float));
  }
  ok(good, "%s: outputs before a changed token keep their bits, even from NaN", name(h));
  free(o.x), free(dk.x);
  leave(&p);
}

/* F2 is the diagonal-plus-rank-one rule with b = -k, a = e^g p. */
static void twins (void) {
  for (int vector = 0; vector < 2; vector++) {
    Shape h = { .p = true, .g = true, .s = true, .vector = vector, .glo = -1 };
    Problem p = problem(FOV_F64, 33, 10, 6, h);
    run(&p, p.op->fwd);
    Problem x = { .op = find("dplr_rule", FOV_F64), .type = FOV_F64, .n = 33, .d = 10, .e = 6,
                  .heads = 1, .c = p.c };
    x.c.in[A] = fresh(FOV_F64, 2, 33, 10), x.c.in[B] = fresh(FOV_F64, 2, 33, 10);
    x.c.in[DG] = p.c.in[G], x.c.in[DS] = p.c.in[S];
    for (ptrdiff_t i = 0; i < 330; i++) {
      set(&x.c.in[A], i, exp(get(&p.c.in[G], vector ? i : i / 10)) * get(&p.c.in[P], i));
      set(&x.c.in[B], i, -get(&p.c.in[K], i));
    }
    x.c.out[0] = fresh(FOV_F64, 2, 33, 6), x.c.out[1] = fresh(FOV_F64, 2, 10, 6);
    run(&x, x.op->fwd);
    double *o = copy(&p.c.out[0]);
    const double r = relative(&x.c.out[0], o);
    ok(r < 1e-13, "dplr with b = -k, a = e^g p is erase-write (%s gate, off by %.1e)",
       vector ? "vector" : "scalar", r);
    free(o), free(x.c.in[A].x), free(x.c.in[B].x), free(x.c.out[0].x), free(x.c.out[1].x);
    leave(&p);
  }
}

static void facts (void) {
  Problem p = problem(FOV_F32, 40, 16, 5, (Shape){ .p = true });
  memset(p.c.in[P].x, 0, 40 * 16 * sizeof(float));
  run(&p, p.op->fwd);
  double *want = calloc(40 * 5, sizeof *want);
  for (int t = 0; t < 40; t++)
    for (int i = 0; i <= t; i++) {
      double qk = 0;
      for (int j = 0; j < 16; j++) qk += get(&p.c.in[Q], t * 16 + j) * get(&p.c.in[K], i * 16 + j);
      for (int j = 0; j < 5; j++) want[t * 5 + j] += qk * get(&p.c.in[V], i * 5 + j);
    }
  ok(relative(&p.c.out[0], want) < 1e-6, "p = 0 erases nothing: additive linear attention");
  free(want);
  leave(&p);

  /* keys e_0 e_1 .. repeated: a read finds what was written last, exactly */
  p = problem(FOV_F32, 64, 16, 3, (Shape){ 0 });
  memset(p.c.in[K].x, 0, 64 * 16 * sizeof(float));
  for (int t = 0; t < 64; t++) set(&p.c.in[K], t * 16 + t % 16, 1);
  memcpy(p.c.in[Q].x, p.c.in[K].x, 64 * 16 * sizeof(float));
  bool exact = true;
  for (int form = 0; form < 3; form++) {
    p.opt[1] = form;
    run(&p, p.op->fwd);
    for (int t = 0; t < 64; t++)
      for (int j = 0; j < 3; j++) {
        const double v = get(&p.c.in[V], t * 3 + j);
        exact = exact && fabs(get(&p.c.out[0], t * 3 + j) - v) <= 1.2e-7;  /* S + (v - S) */
      }
  }
  ok(exact, "a write with a unit key overwrites what the key held");
  leave(&p);

  p = problem(FOV_F32, 9, 4, 3, (Shape){ .g = true, .glo = -1 });
  set(&p.c.in[G], 6, 0.25);
  ok(run(&p, (fov_Status (*) (fov_Call *))p.op->check) == FOV_VALUE &&
     strcmp(fov_message(), "g: log gates must be <= 0, got 0.25 at token 7") == 0,
     "a gate above 0 is refused by name and place");
  leave(&p);
}

/* A long sequence: memory of a few rows a token, and bounded error. */
static void length (void) {
  const ptrdiff_t n = 65536;
  Problem p = problem(FOV_F32, n, 64, 64, (Shape){ .beta = true, .g = true, .glo = -0.01 });
  seeds(&p);
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  run(&p, p.op->fwd), run(&p, p.op->bwd);
  getrusage(RUSAGE_SELF, &after);
  const long mib = (after.ru_maxrss - before.ru_maxrss) >> 10;
  /* first touched here: o, dq, dk, dv; what was written and dp; dS at 256
   * anchors: 4 + 2 arrays of 16 MiB and 4 MiB.  Storing states would take 1 GiB */
  ok(mib < 130, "65536 tokens there and back take a few rows a token (%ld MiB)", mib);
  leave(&p);
  p = problem(FOV_F32, n / 8, 64, 64, (Shape){ .beta = true, .g = true, .glo = -0.01 });
  const double r = gap(&p);
  ok(r < 1e-5, "8192 tokens stay near the definition in f32 (off by %.1e)", r);
  leave(&p);
}

int main (void) {
  length();                           /* first: it looks at the process's peak */
  Shape shapes[] = { { 0 }, { .beta = true }, { .p = true, .s = true },
    { .p = true, .beta = true, .g = true, .s = true, .glo = -1 },
    { .beta = true, .g = true, .glo = -3 }, { .p = true, .g = true, .vector = true, .glo = -2 },
    { .beta = true, .g = true, .vector = true, .s = true, .glo = -1 },
    { .dplr = true }, { .dplr = true, .g = true, .s = true, .glo = -1 },
    { .dplr = true, .g = true, .vector = true, .s = true, .glo = -1 } };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    sizes_and_forms(shapes[i]);
    gradients(shapes[i]);
    keeping(shapes[i]);
    zero_gates(shapes[i]);
    equal_gates(shapes[i]);
    bits(shapes[i]);
    if (shapes[i].s) split(shapes[i], 37, 14), split(shapes[i], 300, 257);
  }
  for (int dplr = 0; dplr < 2; dplr++) {
    const Shape h = { .dplr = dplr };
    stress(h, -5, 0, "gates in [-5,0]");
    stress(h, -60, 0, "gates in [-60,0]");
    stress(h, -1, -1e4, "gates of -1e4");
    stress(h, -1, -HUGE_VAL, "gates of -inf");
  }
  twins();
  facts();
  return done();
}
