/* linear_attention.c -- attention on queries and keys already mapped to features.
 *
 *   S = S_0 + sum_j k_j v_j',  z = z_0 + sum_j k_j,
 *   o_t = S' q_t / (z'q_t + eps),  or S' q_t without normalize,
 *
 * the sums over the keys that query t sees: all, or when causal those up to
 * key t + m - n (the last query sees the last key).  With H_t = do_t / den_t
 * and D_t = dden_t - (do_t'o_t) / den_t (H = do and D = 0 without normalize), R and h
 * the sums over the queries that see key j,
 *
 *   dq_t = S H_t + D_t z,   R_j = dS_n + sum_t q_t H_t',  h_j = dz_n + sum_t D_t q_t,
 *   dv_j = R_j' k_j,        dk_j = R_j v_j + h_j.
 *
 * Katharopoulos et al. 2020 (arXiv:2006.16236); shape of the causal sums as in
 * tensor/recur.h; how queries and keys line up: tensor/stretch.h.
 *
 * Time O((n + m) f e); scratch f e forward, 3 f e and a window of
 * 3 e + 2 f backward. */
#include "ops/op.h"
#include "tensor/elu1.h"
#include "tensor/product.h"
#include "tensor/recur.h"
#include "tensor/stretch.h"
#include "tensor/tile.h"

enum { CAUSAL, NORMALIZE, EPS, MAP };
enum { Q, K, V, LENGTH, S0, Z0 };          /* inputs */
enum { O, SN, ZN, DEN, HS, HZ };           /* outputs */
enum { ALONE = 1 << 21 };                  /* multiplications worth a task */

typedef struct Problem {
  fov_Stretch at;
  ptrdiff_t n, m, f, e;
  ptrdiff_t step;           /* tokens at a time, while they are in cache */
  bool spread, normalize;
  bool map;                 /* q and k are mapped here, a stretch at a time */
  real *fq, *fk;            /* room for a stretch of features each */
} Problem;

static Problem problem (const fov_Call *c) {
  Problem p = { .n = fov_dim(c, 'n'), .m = fov_dim(c, 'm'), .f = fov_dim(c, 'f'), .e = fov_dim(c, 'e'),
                .normalize = c->opt[NORMALIZE] != 0, .map = c->opt[MAP] != 0 };
  const ptrdiff_t len = c->in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)c->in[LENGTH].x : p.m;
  p.at = fov_stretch(p.n, p.m, len, c->opt[CAUSAL] != 0, c->in[S0].x || c->in[Z0].x);
  p.spread = c->heads == 1 && (p.n + p.m) * p.f > ALONE / (p.e + 1);
  p.step = p.spread && !c->dout[HS].x && !c->dout[HZ].x ? 8 * FOV_WINDOW : FOV_WINDOW;
  return p;
}

/* Elements of a map's task: a stretch of one head is cut into several. */
enum { ELEMENTS = 1 << 14 };

typedef struct Map { const real *x, *phi; real *out; ptrdiff_t count; } Map;

static fov_Status map_task (void *arg, ptrdiff_t i) {
  const Map *m = arg;
  const ptrdiff_t at = i * ELEMENTS, count = least(m->count - at, ELEMENTS);
  if (m->phi) elu1_back(count, m->phi + at, m->out + at, m->out + at);
  else elu1_map(count, m->x + at, m->out + at);
  return FOV_OK;
}

static fov_Status map_run (const Problem *p, Map m) {
  const ptrdiff_t tasks = (m.count + ELEMENTS - 1) / ELEMENTS;
  if (p->spread) return fov_parallel(tasks, map_task, &m);
  for (ptrdiff_t i = 0; i < tasks; i++) map_task(&m, i);
  return FOV_OK;
}

static fov_Status map_room (Problem *p) {
  const ptrdiff_t size = least(p->step, most(p->n, p->m)) * p->f;
  if (!p->map) return FOV_OK;
  p->fq = fov_scratch((size_t)(2 * size), sizeof(real));
  p->fk = p->fq + size;
  return p->fq ? FOV_OK : FOV_NOMEM;
}

/* The features of 'count' rows x, in 'room' if they are made here. */
static const real *mapped (const Problem *p, const real *x, ptrdiff_t count, real *room,
                           fov_Status *st) {
  if (!p->map || *st != FOV_OK) return x;
  *st = map_run(p, (Map){ .x = x, .out = room, .count = count * p->f });
  return room;
}

/* dx from the gradient of the features phi, in place. */
static fov_Status unmapped (const Problem *p, const real *phi, ptrdiff_t count, real *dx) {
  return p->map ? map_run(p, (Map){ .phi = phi, .out = dx, .count = count * p->f }) : FOV_OK;
}

static fov_Status sizes (fov_Call *c) {
  const ptrdiff_t pairs = c->opt[CAUSAL] != 0 ? least(fov_dim(c, 'n'), fov_dim(c, 'm')) : 0;
  c->dim['b' - 'a'] = fov_windows(pairs);
  return FOV_OK;
}

static fov_Status check (const fov_Call *c) {
  const int64_t *len = c->in[LENGTH].x;
  const ptrdiff_t m = fov_dim(c, 'm');
  if (c->opt[NORMALIZE] != 0 && !c->in[S0].x != !c->in[Z0].x)
    return fov_fail(FOV_VALUE, "s and z are one state: give both or neither");
  return !len || (*len >= 0 && *len <= m) ? FOV_OK
    : fov_fail(FOV_VALUE, "key_length: expected 0 .. m=%td, got %lld", m, (long long)*len);
}

static void start (real *x, const fov_Tensor *from, ptrdiff_t count) {
  if (from->x) memcpy(x, from->x, (size_t)count * sizeof *x);
  else memset(x, 0, (size_t)count * sizeof *x);
}

/* S(f,e) += sum over 'count' rows of k v'. */
static fov_Status absorb (const Problem *p, ptrdiff_t count, const real *k, const real *v, real *s) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = p->f, .n = p->e, .k = count, .a = k, .lda = p->f, .ta = true, .b = v, .ldb = p->e,
    .c = s, .ldc = p->e, .add = true }, p->spread);
}

/* o(count,out) = x(count,in) s(in,out) */
static fov_Status recall (const Problem *p, ptrdiff_t count, ptrdiff_t in, ptrdiff_t out,
                          const real *x, ptrdiff_t ldx, const real *s, real *o) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = count, .n = out, .k = in, .a = x, .lda = ldx, .b = s, .ldb = out,
    .c = o, .ldc = out }, p->spread);
}

/* o := o / den for 'count' queries from 't'. */
static void divide (const Problem *p, const fov_Call *c, ptrdiff_t t, ptrdiff_t count) {
  const ptrdiff_t e = p->e;
  real *o = (real *)c->out[O].x + t * e, *den = (real *)c->out[DEN].x + t;
  for (ptrdiff_t i = 0; i < count; i++, o += e) {
    den[i] = p->normalize ? den[i] + (real)c->opt[EPS] : 1;
    const real r = 1 / den[i];
    if (t + i < p->at.unseen) memset(o, 0, (size_t)e * sizeof *o);
    else if (p->normalize)
      for (ptrdiff_t j = 0; j < e; j++) o[j] *= r;
  }
}

/* S, z += the keys [0, early), a stretch at a time while it is in cache. */
static fov_Status absorb_early (const Problem *p, const real *k, const real *v, real *s, real *z) {
  fov_Status st = FOV_OK;
  for (ptrdiff_t t = 0; t < p->at.early && st == FOV_OK; t += p->step) {
    const ptrdiff_t count = least(p->at.early - t, p->step);
    const real *fk = mapped(p, k + t * p->f, count, p->fk, &st);
    if (st == FOV_OK) st = absorb(p, count, fk, v + t * p->e, s);
    FOV_BUILD(fov_recur).normaliser(count, p->f, p->f, NULL, fk, z, NULL);
  }
  return st;
}

/* Queries [from, from + count) read S and z as they are. */
static fov_Status read_only (const Problem *p, const fov_Call *c, ptrdiff_t from, ptrdiff_t count,
                             const real *s, real *z) {
  const real *q = c->in[Q].x;
  real *o = c->out[O].x, *den = c->out[DEN].x;
  fov_Status st = FOV_OK;
  for (ptrdiff_t t = from; t < from + count && st == FOV_OK; t += p->step) {
    const ptrdiff_t n = least(from + count - t, p->step);
    const real *fq = mapped(p, q + t * p->f, n, p->fq, &st);
    if (st == FOV_OK) st = recall(p, n, p->f, p->e, fq, p->f, s, o + t * p->e);
    FOV_BUILD(fov_recur).normaliser(n, p->f, p->f, fq, NULL, z, den + t);
    divide(p, c, t, n);
  }
  return st;
}

static fov_Status fwd (fov_Call *c) {
  Problem p = problem(c);
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x;
  real *o = c->out[O].x, *s = c->out[SN].x, *z = c->out[ZN].x, *den = c->out[DEN].x;
  real *hz = c->out[HZ].x;
  const ptrdiff_t f = p.f, e = p.e;
  start(s, &c->in[S0], f * e);
  start(z, &c->in[Z0], f);
  fov_Status st = map_room(&p);
  if (st == FOV_OK) st = read_only(&p, c, 0, p.at.blind, s, z);
  if (st == FOV_OK) st = absorb_early(&p, k, v, s, z);
  const fov_Recur all = {
    .d = f, .e = e, .q = q + p.at.blind * f, .k = k + p.at.key * f, .v = v + p.at.key * e,
    .ldq = f, .ldk = f, .ldv = e, .o = o + p.at.blind * e, .ldo = e, .s = s, .keep = c->out[HS].x };
  for (ptrdiff_t t = 0; t < p.at.pairs && st == FOV_OK; t += p.step) {
    fov_Recur r = fov_recur_part(&all, t, least(p.at.pairs - t, p.step));
    if (p.map) r.ask[0] = r.q + r.n * f, r.ask[1] = r.k + r.n * f, r.ldask = f;
    r.q = mapped(&p, r.q, r.n, p.fq, &st);
    r.k = mapped(&p, r.k, r.n, p.fk, &st);
    if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(&r, 1, p.spread);
    for (ptrdiff_t i = 0; i < r.n; i += FOV_WINDOW) {
      memcpy(hz + (t + i) / FOV_WINDOW * f, z, (size_t)f * sizeof *z);
      FOV_BUILD(fov_recur).normaliser(least(r.n - i, FOV_WINDOW), f, f, r.q + i * f, r.k + i * f, z,
                                      den + p.at.blind + t + i);
    }
    divide(&p, c, p.at.blind + t, r.n);
  }
  const ptrdiff_t used = fov_windows(p.at.pairs), kept = fov_dim(c, 'b');
  memset((real *)c->out[HS].x + used * f * e, 0, (size_t)((kept - used) * f * e) * sizeof *s);
  memset(hz + used * f, 0, (size_t)((kept - used) * f) * sizeof *z);
  return st == FOV_OK ? read_only(&p, c, p.at.after, p.at.late, s, z) : st;
}

/* Rows (H_t, D_t) of the header for 'n' queries from 't0'; zero where a query
 * saw nothing. */
static void read_gradient (const fov_Call *c, const Problem *p, ptrdiff_t t0, ptrdiff_t n, real *h,
                           real *dot) {
  const ptrdiff_t e = p->e;
  const real *den = (const real *)c->out[DEN].x + t0, *dden = c->dout[DEN].x, *dO = c->dout[O].x;
  const real *g = dO ? dO + t0 * e : NULL;
  if (dO && p->normalize)
    FOV_BUILD(fov_recur).dots(n, e, g, (const real *)c->out[O].x + t0 * e, dot);
  for (ptrdiff_t t = 0; t < n; t++, h += e + 1) {
    const real r = p->normalize ? 1 / den[t] : 1;
    h[e] = p->normalize && dden ? dden[t0 + t] : 0;
    if (!dO || t0 + t < p->at.unseen) {
      memset(h, 0, (size_t)e * sizeof *h);
      continue;
    }
    ptrdiff_t j = 0;
    for (; j + VL <= e; j += VL) vstore(h + j, r * vload(g + t * e + j));
    for (; j < e; j++) h[j] = r * g[t * e + j];
    if (p->normalize) h[e] -= r * dot[t];
  }
}

/* With a column for the normaliser, HD = (H, D) and V1 = (v, 1) are (n, e+1),
 * and the states R, T = S' and Rt = R' end in h and z: R(f,e) apart from
 * h, T and Rt (e+1,f).  HD, V1 and unwanted gradients have room for a stretch. */
typedef struct Back {
  real *T, *R, *Rt, *HD, *V1, *dot, *dq, *dk, *dv;
  ptrdiff_t rows;                          /* e + 1, or e: z and h do not matter */
} Back;

/* Queries [t, end) that read S = T' and z as they are. */
static fov_Status readers (const fov_Call *c, const Problem *p, const Back *b, ptrdiff_t t,
                           ptrdiff_t end) {
  const ptrdiff_t f = p->f, e = p->e;
  fov_Status st = FOV_OK;
  for (ptrdiff_t n; t < end && st == FOV_OK; t += n) {
    real *dq = c->din[Q].x ? (real *)c->din[Q].x + t * f : b->dq;
    n = least(end - t, p->step);
    const real *q = mapped(p, (const real *)c->in[Q].x + t * f, n, p->fq, &st);
    read_gradient(c, p, t, n, b->HD, b->dot);
    if (st == FOV_OK) st = recall(p, n, b->rows, f, b->HD, e + 1, b->T, dq);
    if (st == FOV_OK)
      st = FOV_BUILD(fov_product).run(&(fov_Product){
        .m = b->rows, .n = f, .k = n, .a = b->HD, .lda = e + 1, .ta = true, .b = q, .ldb = f,
        .c = b->Rt, .ldc = f, .add = true }, p->spread);
    if (st == FOV_OK) st = unmapped(p, q, n, dq);
  }
  return st;
}

static void ones_column (const Problem *p, const real *v, ptrdiff_t n, real *v1) {
  const ptrdiff_t e = p->e;
  for (ptrdiff_t t = 0; t < n; t++, v += e, v1 += e + 1) {
    ptrdiff_t j = 0;
    for (; j + VL <= e; j += VL) vstore(v1 + j, vload(v + j));
    for (; j < e; j++) v1[j] = v[j];
    v1[e] = 1;
  }
}

/* Keys [0, early): all of R and h is theirs. */
static fov_Status early_keys (const fov_Call *c, const Problem *p, const Back *b) {
  const ptrdiff_t f = p->f, e = p->e;
  fov_Status st = FOV_OK;
  FOV_BUILD(fov_recur).transpose(e, f, b->Rt, b->R);
  for (ptrdiff_t t = 0; t < p->at.early && st == FOV_OK; t += p->step) {
    const ptrdiff_t n = least(p->at.early - t, p->step);
    const real *k = mapped(p, (const real *)c->in[K].x + t * f, n, p->fk, &st);
    real *dk = c->din[K].x ? (real *)c->din[K].x + t * f : b->dk;
    ones_column(p, (const real *)c->in[V].x + t * e, n, b->V1);
    if (c->din[V].x && st == FOV_OK) st = recall(p, n, f, e, k, f, b->R, (real *)c->din[V].x + t * e);
    if (st == FOV_OK) st = recall(p, n, b->rows, f, b->V1, e + 1, b->Rt, dk);
    if (st == FOV_OK) st = unmapped(p, k, n, dk);
  }
  return st;
}

/* HD and V1 of pairs, a window a task. */
typedef struct Rows { const fov_Call *c; const Problem *p; const Back *b; ptrdiff_t query, key, n; } Rows;

static fov_Status rows_task (void *arg, ptrdiff_t i) {
  const Rows *r = arg;
  const ptrdiff_t e = r->p->e, t = i * FOV_WINDOW, n = least(r->n - t, FOV_WINDOW);
  read_gradient(r->c, r->p, r->query + t, n, r->b->HD + t * (e + 1), r->b->dot + t);
  ones_column(r->p, (const real *)r->c->in[V].x + (r->key + t) * e, n, r->b->V1 + t * (e + 1));
  return FOV_OK;
}

/* Pairs [t, t + n), from the state kept before them. */
static fov_Status pair_window (const fov_Call *c, const Problem *p, const Back *b, ptrdiff_t t,
                               ptrdiff_t n) {
  const ptrdiff_t f = p->f, e = p->e, last = n - 1, w = t / FOV_WINDOW, ld = e + 1;
  const ptrdiff_t query = p->at.blind + t, key = p->at.key + t;
  fov_Status st = FOV_OK;
  const real *q = mapped(p, (const real *)c->in[Q].x + query * f, n, p->fq, &st);
  const real *k = mapped(p, (const real *)c->in[K].x + key * f, n, p->fk, &st);
  const real *dhs = c->dout[HS].x, *dhz = c->dout[HZ].x;
  real *dq = c->din[Q].x ? (real *)c->din[Q].x + query * f : b->dq;
  real *dk = c->din[K].x ? (real *)c->din[K].x + key * f : b->dk;
  real *dv = c->din[V].x ? (real *)c->din[V].x + key * e : b->dv;
  FOV_BUILD(fov_recur).transpose(f, e, (const real *)c->out[HS].x + w * f * e, b->T);
  memcpy(b->T + e * f, (const real *)c->out[HZ].x + w * f, (size_t)f * sizeof *b->T);
  if (st == FOV_OK) st = fov_parallel(fov_windows(n), rows_task, &(Rows){ c, p, b, query, key, n });
  fov_Recur list[] = {
    { .n = n, .d = b->rows, .e = f, .q = b->HD, .ldq = ld, .k = b->V1, .ldk = ld, .v = k, .ldv = f,
      .o = dq, .ldo = f, .s = b->T },
    { .n = n, .d = f, .e = e, .q = k + last * f, .ldq = -f, .k = q + last * f, .ldk = -f,
      .v = b->HD + last * ld, .ldv = -ld, .o = dv + last * e, .ldo = -e, .s = b->R },
    { .n = n, .d = b->rows, .e = f, .q = b->V1 + last * ld, .ldq = -ld, .k = b->HD + last * ld,
      .ldk = -ld, .v = q + last * f, .ldv = -f, .o = dk + last * f, .ldo = -f, .s = b->Rt } };
  /* the window walked next */
  const ptrdiff_t next = least(t, p->step);
  const real *v = (const real *)c->in[V].x + (key - next) * e;
  const real *o = (const real *)c->out[O].x + (query - next) * e, *dO = c->dout[O].x;
  list[0].ask[0] = (const real *)c->in[Q].x + (query - next) * f;
  list[0].ask[1] = (const real *)c->in[K].x + (key - next) * f;
  list[1].ask[0] = v;
  list[1].ask[1] = dO ? dO + (query - next) * e : v;
  list[2].ask[0] = list[2].ask[1] = o;
  list[0].ldask = f;
  list[1].ldask = list[2].ldask = e;
  if (st == FOV_OK) st = FOV_BUILD(fov_recur).run(list, 3, p->spread);
  if (st == FOV_OK) st = unmapped(p, q, n, dq);
  if (st == FOV_OK) st = unmapped(p, k, n, dk);
  for (ptrdiff_t i = 0; dhz && i < f; i++) b->Rt[e * f + i] += dhz[w * f + i];
  for (ptrdiff_t i = 0; dhs && i < f * e; i++) b->R[i] += dhs[w * f * e + i];
  if (dhs) FOV_BUILD(fov_recur).transpose(f, e, b->R, b->Rt);
  return st;
}

static fov_Status bwd (fov_Call *c) {
  Problem p = problem(c);
  const ptrdiff_t f = p.f, e = p.e, used = p.at.used;
  const ptrdiff_t step = least(p.step, p.n > p.m ? p.n : p.m);
  const size_t size = sizeof(real);
  const bool sums = p.normalize || c->dout[ZN].x || c->dout[HZ].x;
  Back b = { .T = fov_scratch((size_t)((3 * e + 2) * f), size),
             .HD = fov_scratch((size_t)(step * (3 * e + 2 * f + 3)), size), .rows = sums ? e + 1 : e };
  if (!b.T || !b.HD || map_room(&p) != FOV_OK) return FOV_NOMEM;
  b.Rt = b.T + (e + 1) * f;
  b.R = b.Rt + (e + 1) * f;
  b.V1 = b.HD + step * (e + 1);
  b.dot = b.V1 + step * (e + 1);
  b.dq = b.dot + step;
  b.dk = b.dq + step * f;
  b.dv = b.dk + step * f;
  start(b.R, &c->dout[SN], f * e);
  FOV_BUILD(fov_recur).transpose(f, e, b.R, b.Rt);
  start(b.Rt + e * f, &c->dout[ZN], f);
  FOV_BUILD(fov_recur).transpose(f, e, c->out[SN].x, b.T);
  memcpy(b.T + e * f, c->out[ZN].x, (size_t)f * size);
  fov_Status st = readers(c, &p, &b, p.at.after, p.n);
  FOV_BUILD(fov_recur).transpose(e, f, b.Rt, b.R);
  for (ptrdiff_t h = (p.at.pairs + p.step - 1) / p.step - 1; h >= 0 && st == FOV_OK; h--)
    st = pair_window(c, &p, &b, h * p.step, least(p.at.pairs - h * p.step, p.step));
  if (st == FOV_OK) st = early_keys(c, &p, &b);
  if (c->din[K].x) memset((real *)c->din[K].x + used * f, 0, (size_t)((p.m - used) * f) * size);
  if (c->din[V].x) memset((real *)c->din[V].x + used * e, 0, (size_t)((p.m - used) * e) * size);
  start(b.R, &c->in[S0], f * e);           /* the blind read the first state */
  FOV_BUILD(fov_recur).transpose(f, e, b.R, b.T);
  start(b.T + e * f, &c->in[Z0], f);
  if (st == FOV_OK) st = readers(c, &p, &b, 0, p.at.blind);
  if (c->din[S0].x) FOV_BUILD(fov_recur).transpose(e, f, b.Rt, c->din[S0].x);
  if (c->din[Z0].x) memcpy(c->din[Z0].x, b.Rt + e * f, (size_t)f * size);
  return st;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'),
               f = (double)fov_dim(c, 'f'), e = (double)fov_dim(c, 'e');
  cost->flops = 2 * (n + m) * f * (e + 1);
  cost->exps = c->opt[MAP] != 0 ? (n + m) * f : 0;
  cost->form = c->opt[CAUSAL] != 0 ? "token" : "sum";
  cost->chunk = c->opt[CAUSAL] != 0 ? 1 : FOV_WINDOW;
  cost->bytes = ((n + m) * (f + e) + 2 * f * (e + 1)) * (double)sizeof(real);
}

const fov_Op FOV_OP(linear_attention) = {
  .name = "linear_attention",
  .sig = "q(n,f) k(m,f) v(m,e) key_length?:i64(<) s?(f,e) z?(f) -> o(n,e) s_n(f,e) z_n(f)"
         " | den(n) hs(b,f,e) hz(b,f)",
  .doc = "Attention in linear time on feature-mapped queries and keys.\n"
         "o = (sum_j (q.k_j) v_j) / (sum_j q.k_j + eps).  Returns o, then the sums after the last\n"
         "key: s_n = s + sum k v', z_n = z + sum k; given back as s and z they continue a causal\n"
         "sequence as if it had never been cut.  When causal, the last query sees the last key\n"
         "and earlier ones accordingly.  Keys from key_length on are not read.  A query that sees\n"
         "nothing gives zeros; a denominator of zero gives inf or NaN, a negative one is used as\n"
         "it is.  Cost 2(n+m)fe flops, no n-by-m product.",
  .ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  .caps = "causal streaming grouped linear_in_v",
  .opt = { [CAUSAL] = { "causal", 'b', 0, 0, 0, "hide the keys after each query", NULL },
           [NORMALIZE] = { "normalize", 'b', 1, 0, 0, "divide by the sum of the weights", NULL },
           [MAP] = { "map", 'e', 0, 0, 0, "elu1: q and k are not features yet, elu(x) + 1 of them is",
                     "none|elu1" },
           [EPS] = { "eps", 'n', 0, 0, 0, "added to the denominator", NULL } },
  .sizes = sizes, .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
