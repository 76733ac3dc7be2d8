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
 * tensor/recur.h.  A sequence is four stretches: keys that every query sees,
 * queries before the first key, pairs of both, queries after the last key.
 *
 * Time O((n + m) f e); scratch f e forward, n (e + 1) + 2 f e backward. */
#include "ops/op.h"
#include "tensor/product.h"
#include "tensor/recur.h"

enum { CAUSAL, NORMALIZE, EPS };
enum { Q, K, V, LENGTH, S0, Z0 };          /* inputs */
enum { O, SN, ZN, DEN };                   /* outputs */
enum { ALONE = 1 << 21 };                  /* multiplications worth a task */

typedef struct Stretch {
  ptrdiff_t n, m, f, e;
  ptrdiff_t early;          /* keys before the pairs, seen by all but 'blind' */
  ptrdiff_t blind;          /* queries before the first key */
  ptrdiff_t pairs, key;     /* query blind + t goes with key key + t */
  ptrdiff_t late;           /* queries after the last key */
  ptrdiff_t unseen;         /* first queries that see nothing at all: zero rows */
  bool spread, normalize;
} Stretch;

static Stretch stretch (const fov_Call *c) {
  Stretch p = { fov_dim(c, 'n'), fov_dim(c, 'm'), fov_dim(c, 'f'), fov_dim(c, 'e'),
                .normalize = c->opt[NORMALIZE] != 0 };
  const ptrdiff_t len = c->in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)c->in[LENGTH].x : p.m;
  p.spread = c->heads == 1 && (p.n + p.m) * p.f > ALONE / (p.e + 1);
  if (c->opt[CAUSAL] != 0) {
    const ptrdiff_t ahead = p.m - p.n;
    p.blind = ahead < 0 ? -ahead : 0;
    p.key = ahead > 0 ? ahead : 0;
    p.early = p.key < len ? p.key : len;
    p.pairs = len - p.early;
  } else p.early = p.key = len;
  p.late = p.n - p.blind - p.pairs;
  if (!c->in[S0].x && !c->in[Z0].x) p.unseen = len == 0 ? p.n : p.blind;
  return p;
}

static fov_Status check (const fov_Call *c) {
  const int64_t *len = c->in[LENGTH].x;
  const ptrdiff_t m = fov_dim(c, 'm');
  return !len || (*len >= 0 && *len <= m) ? FOV_OK
    : fov_fail(FOV_VALUE, "key_length: expected 0 .. m=%td, got %lld", m, (long long)*len);
}

static const real *row (const fov_Tensor *t, ptrdiff_t i, ptrdiff_t width) {
  return (const real *)t->x + i * width;
}

static void start (real *x, const fov_Tensor *from, ptrdiff_t count) {
  if (from->x) memcpy(x, from->x, (size_t)count * sizeof *x);
  else memset(x, 0, (size_t)count * sizeof *x);
}

/* S(f,e) += sum over 'count' rows of k v'. */
static fov_Status absorb (const Stretch *p, ptrdiff_t count, const real *k, const real *v, real *s) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = p->f, .n = p->e, .k = count, .a = k, .lda = p->f, .ta = true, .b = v, .ldb = p->e,
    .c = s, .ldc = p->e, .add = true }, p->spread);
}

/* o(count,out) = x(count,in) s(in,out) */
static fov_Status recall (const Stretch *p, ptrdiff_t count, ptrdiff_t in, ptrdiff_t out,
                        const real *x, const real *s, real *o) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = count, .n = out, .k = in, .a = x, .lda = in, .b = s, .ldb = out,
    .c = o, .ldc = out }, p->spread);
}

static fov_Status fwd (fov_Call *c) {
  const Stretch p = stretch(c);
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x, eps = (real)c->opt[EPS];
  real *o = c->out[O].x, *s = c->out[SN].x, *z = c->out[ZN].x, *den = c->out[DEN].x;
  const ptrdiff_t f = p.f, e = p.e, after = p.blind + p.pairs;
  fov_Status st = FOV_OK;
  start(s, &c->in[S0], f * e);
  start(z, &c->in[Z0], f);
  st = recall(&p, p.blind, f, e, q, s, o);
  FOV_BUILD(fov_recur).normaliser(p.blind, f, q, NULL, z, den);
  if (st == FOV_OK) st = absorb(&p, p.early, k, v, s);
  FOV_BUILD(fov_recur).normaliser(p.early, f, NULL, k, z, NULL);
  if (st == FOV_OK && p.pairs > 0) {
    const fov_Recur r = {
      .n = p.pairs, .d = f, .e = e, .q = q + p.blind * f, .k = k + p.key * f, .v = v + p.key * e,
      .ldq = f, .ldk = f, .ldv = e, .o = o + p.blind * e, .ldo = e, .s = s };
    st = FOV_BUILD(fov_recur).run(&r, 1, p.spread);
    FOV_BUILD(fov_recur).normaliser(p.pairs, f, r.q, r.k, z, den + p.blind);
  }
  if (st == FOV_OK) st = recall(&p, p.late, f, e, q + after * f, s, o + after * e);
  FOV_BUILD(fov_recur).normaliser(p.late, f, q + after * f, NULL, z, den + after);
  for (ptrdiff_t t = 0; t < p.n; t++) {
    den[t] = p.normalize ? den[t] + eps : 1;
    if (t < p.unseen) memset(o + t * e, 0, (size_t)e * sizeof *o);
    else if (p.normalize)
      for (ptrdiff_t j = 0; j < e; j++) o[t * e + j] /= den[t];
  }
  return st;
}

/* H(n,e) and D(n) of the header; zero where a query saw nothing. */
static void read_gradient (const fov_Call *c, const Stretch *p, real *h, real *d) {
  const ptrdiff_t e = p->e;
  const real *den = c->out[DEN].x, *dden = c->dout[DEN].x;
  start(h, &c->dout[O], p->n * e);
  for (ptrdiff_t t = 0; t < p->n; t++, h += e) {
    const real *o = row(&c->out[O], t, e);
    real dot = 0;
    if (t < p->unseen) memset(h, 0, (size_t)e * sizeof *h);
    for (ptrdiff_t j = 0; p->normalize && j < e; j++) dot += h[j] * o[j];
    d[t] = 0;
    if (!p->normalize || t < p->unseen) continue;
    d[t] = (dden ? dden[t] : 0) - dot / den[t];
    for (ptrdiff_t j = 0; j < e; j++) h[j] /= den[t];
  }
}

/* y(count,f) += x_t w' for the rows; and w(f) += sum of x_t y_t. */
static void spread_row (ptrdiff_t count, ptrdiff_t f, const real *x, const real *w, real *y) {
  for (ptrdiff_t t = 0; t < count; t++)
    for (ptrdiff_t i = 0; i < f; i++) y[t * f + i] += (x ? x[t] : 1) * w[i];
}
static void gather_row (ptrdiff_t count, ptrdiff_t f, const real *x, const real *y, real *w) {
  for (ptrdiff_t t = 0; t < count; t++)
    for (ptrdiff_t i = 0; i < f; i++) w[i] += x[t] * y[t * f + i];
}

static fov_Status bwd (fov_Call *c) {
  const Stretch p = stretch(c);
  const ptrdiff_t n = p.n, f = p.f, e = p.e, after = p.blind + p.pairs, b = p.blind, last = p.pairs - 1;
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x;
  const size_t size = sizeof(real);
  real *H = fov_scratch((size_t)(n * e), size), *D = fov_scratch((size_t)n, size);
  real *S = fov_scratch((size_t)(f * e), size), *T = fov_scratch((size_t)(f * e), size);
  real *R = fov_scratch((size_t)(f * e), size), *z = fov_scratch((size_t)(2 * f), size);
  real *dq = c->din[Q].x, *dk = c->din[K].x, *dv = c->din[V].x;
  fov_Status st = FOV_OK;
  if (!dq) dq = fov_scratch((size_t)(n * f), size);
  if (!dk) dk = fov_scratch((size_t)(p.m * f), size);
  if (!dv) dv = fov_scratch((size_t)(p.m * e), size);
  if (!H || !D || !S || !T || !R || !z || !dq || !dk || !dv) return FOV_NOMEM;
  real *h = z + f;
  const real one = 1;
  const bool sums = p.normalize || c->dout[ZN].x;
  read_gradient(c, &p, H, D);

  /* S before the pairs, R and h after them */
  start(S, &c->in[S0], f * e);
  start(z, &c->in[Z0], f);
  FOV_BUILD(fov_recur).transpose(f, e, S, T);
  st = recall(&p, b, e, f, H, T, dq);
  if (sums) spread_row(b, f, D, z, dq);
  if (st == FOV_OK) st = absorb(&p, p.early, k, v, S);
  FOV_BUILD(fov_recur).normaliser(p.early, f, NULL, k, z, NULL);
  start(R, &c->dout[SN], f * e);
  start(h, &c->dout[ZN], f);
  if (st == FOV_OK) st = absorb(&p, p.late, q + after * f, H + after * e, R);
  if (sums) gather_row(p.late, f, D + after, q + after * f, h);
  if (st != FOV_OK) return st;

  if (p.pairs > 0) {
    const real *qb = q + b * f, *kb = k + p.key * f, *vb = v + p.key * e, *Hb = H + b * e;
    FOV_BUILD(fov_recur).transpose(f, e, S, T);       /* T: S', S: R' from here on */
    FOV_BUILD(fov_recur).transpose(f, e, R, S);
    const fov_Recur list[] = {
      { .n = p.pairs, .d = e, .e = f, .q = Hb, .ldq = e, .k = vb, .ldk = e, .v = kb, .ldv = f,
        .o = dq + b * f, .ldo = f, .s = T },
      { .n = p.pairs, .d = f, .e = e, .q = kb + last * f, .ldq = -f, .k = qb + last * f, .ldk = -f,
        .v = Hb + last * e, .ldv = -e, .o = dv + (p.key + last) * e, .ldo = -e, .s = R },
      { .n = p.pairs, .d = e, .e = f, .q = vb + last * e, .ldq = -e, .k = Hb + last * e, .ldk = -e,
        .v = qb + last * f, .ldv = -f, .o = dk + (p.key + last) * f, .ldo = -f, .s = S },
    };
    const fov_Recur rank1[] = {                       /* the normaliser: a state of one row */
      { .n = p.pairs, .d = 1, .e = f, .q = D + b, .ldq = 1, .k = &one, .v = kb, .ldv = f,
        .o = dq + b * f, .ldo = f, .s = z, .add = true },
      { .n = p.pairs, .d = 1, .e = f, .q = &one, .k = D + b + last, .ldk = -1, .v = qb + last * f,
        .ldv = -f, .o = dk + (p.key + last) * f, .ldo = -f, .s = h, .add = true },
    };
    st = FOV_BUILD(fov_recur).run(list, 3, p.spread);
    if (st == FOV_OK && sums) st = FOV_BUILD(fov_recur).run(rank1, 2, p.spread);
    if (st != FOV_OK) return st;
  }

  /* queries after the keys read the last state; early keys meet all of R */
  FOV_BUILD(fov_recur).transpose(f, e, c->out[SN].x, T);
  st = recall(&p, p.late, e, f, H + after * e, T, dq + after * f);
  if (sums) spread_row(p.late, f, D + after, c->out[ZN].x, dq + after * f);
  if (st == FOV_OK) st = recall(&p, p.early, f, e, k, R, dv);
  FOV_BUILD(fov_recur).transpose(f, e, R, T);
  if (st == FOV_OK) st = recall(&p, p.early, e, f, v, T, dk);
  if (sums) spread_row(p.early, f, NULL, h, dk);
  const ptrdiff_t used = p.pairs > 0 ? p.key + p.pairs : p.early;
  memset(dk + used * f, 0, (size_t)((p.m - used) * f) * size);
  memset(dv + used * e, 0, (size_t)((p.m - used) * e) * size);

  /* the first state was read by the blind too */
  if (st == FOV_OK) st = absorb(&p, b, q, H, R);
  if (sums) gather_row(b, f, D, q, h);
  if (c->din[S0].x) memcpy(c->din[S0].x, R, (size_t)(f * e) * size);
  if (c->din[Z0].x) memcpy(c->din[Z0].x, h, (size_t)f * size);
  return st;
}

static void cost (const fov_Call *c, fov_Cost *cost) {
  const double n = (double)fov_dim(c, 'n'), m = (double)fov_dim(c, 'm'),
               f = (double)fov_dim(c, 'f'), e = (double)fov_dim(c, 'e');
  cost->flops = 2 * (n + m) * f * (e + 1);
  cost->bytes = ((n + m) * (f + e) + 2 * f * (e + 1)) * (double)sizeof(real);
}

const fov_Op FOV_OP(linear_attention) = {
  .name = "linear_attention",
  .sig = "q(n,f) k(m,f) v(m,e) key_length?:i64(<) s?(f,e) z?(f) -> o(n,e) s_n(f,e) z_n(f) | den(n)",
  .doc = "Attention in linear time on feature-mapped queries and keys.\n"
         "o = (sum_j (q.k_j) v_j) / (sum_j q.k_j + eps).  Returns o, then the sums after the last\n"
         "key: s_n = s + sum k v', z_n = z + sum k; given back as s and z they continue a causal\n"
         "sequence as if it had never been cut.  When causal, the last query sees the last key\n"
         "and earlier ones accordingly.  Keys from key_length on are not read.  A query that sees\n"
         "nothing gives zeros; a denominator of zero gives inf or NaN, a negative one is used as\n"
         "it is.  Cost 2(n+m)fe flops, no n-by-m product.",
  .ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  .caps = "causal streaming grouped linear_in_v",
  .opt = { [CAUSAL] = { "causal", 'b', 0, 0, 0, "hide the keys after each query" },
           [NORMALIZE] = { "normalize", 'b', 1, 0, 0, "divide by the sum of the weights" },
           [EPS] = { "eps", 'n', 0, 0, 0, "added to the denominator" } },
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
