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
 * Time O((n + m) f e); scratch f e forward, n (e + 1) + 2 f e backward. */
#include "ops/op.h"
#include "tensor/product.h"
#include "tensor/recur.h"
#include "tensor/stretch.h"
#include "tensor/tile.h"

enum { CAUSAL, NORMALIZE, EPS };
enum { Q, K, V, LENGTH, S0, Z0 };          /* inputs */
enum { O, SN, ZN, DEN };                   /* outputs */
enum { ALONE = 1 << 21 };                  /* multiplications worth a task */

typedef struct Problem {
  fov_Stretch at;
  ptrdiff_t n, m, f, e;
  ptrdiff_t step;           /* tokens at a time, while they are in cache */
  bool spread, normalize;
} Problem;

static Problem problem (const fov_Call *c) {
  Problem p = { .n = fov_dim(c, 'n'), .m = fov_dim(c, 'm'), .f = fov_dim(c, 'f'), .e = fov_dim(c, 'e'),
                .normalize = c->opt[NORMALIZE] != 0 };
  const ptrdiff_t len = c->in[LENGTH].x ? (ptrdiff_t)*(const int64_t *)c->in[LENGTH].x : p.m;
  p.at = fov_stretch(p.n, p.m, len, c->opt[CAUSAL] != 0, c->in[S0].x || c->in[Z0].x);
  p.spread = c->heads == 1 && (p.n + p.m) * p.f > ALONE / (p.e + 1);
  p.step = p.spread ? 2048 : 192;
  return p;
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
                        const real *x, const real *s, real *o) {
  return FOV_BUILD(fov_product).run(&(fov_Product){
    .m = count, .n = out, .k = in, .a = x, .lda = in, .b = s, .ldb = out,
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
    st = absorb(p, count, k + t * p->f, v + t * p->e, s);
    FOV_BUILD(fov_recur).normaliser(count, p->f, p->f, NULL, k + t * p->f, z, NULL);
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
    st = recall(p, n, p->f, p->e, q + t * p->f, s, o + t * p->e);
    FOV_BUILD(fov_recur).normaliser(n, p->f, p->f, q + t * p->f, NULL, z, den + t);
    divide(p, c, t, n);
  }
  return st;
}

static fov_Status fwd (fov_Call *c) {
  const Problem p = problem(c);
  const real *q = c->in[Q].x, *k = c->in[K].x, *v = c->in[V].x;
  real *o = c->out[O].x, *s = c->out[SN].x, *z = c->out[ZN].x, *den = c->out[DEN].x;
  const ptrdiff_t f = p.f, e = p.e;
  start(s, &c->in[S0], f * e);
  start(z, &c->in[Z0], f);
  fov_Status st = read_only(&p, c, 0, p.at.blind, s, z);
  if (st == FOV_OK) st = absorb_early(&p, k, v, s, z);
  const fov_Recur all = {
    .d = f, .e = e, .q = q + p.at.blind * f, .k = k + p.at.key * f, .v = v + p.at.key * e,
    .ldq = f, .ldk = f, .ldv = e, .o = o + p.at.blind * e, .ldo = e, .s = s };
  for (ptrdiff_t t = 0; t < p.at.pairs && st == FOV_OK; t += p.step) {
    const fov_Recur r = fov_recur_part(&all, t, least(p.at.pairs - t, p.step));
    st = FOV_BUILD(fov_recur).run(&r, 1, p.spread);
    FOV_BUILD(fov_recur).normaliser(r.n, f, f, r.q, r.k, z, den + p.at.blind + t);
    divide(&p, c, p.at.blind + t, r.n);
  }
  return st == FOV_OK ? read_only(&p, c, p.at.after, p.at.late, s, z) : st;
}

/* H and D of the header for 'count' queries from 't0'; zero where a query saw
 * nothing. */
static void read_gradient (const fov_Call *c, const Problem *p, ptrdiff_t t0, ptrdiff_t count,
                           real *h, real *d) {
  const ptrdiff_t e = p->e;
  const real *den = c->out[DEN].x, *dden = c->dout[DEN].x, *dO = c->dout[O].x, *out = c->out[O].x;
  for (ptrdiff_t t = t0; t < t0 + count; t++) {
    const real *g = dO + t * e, *o = out + t * e, r = 1 / den[t];
    real *ht = h + t * e;
    d[t] = p->normalize && dden ? dden[t] : 0;
    if (!dO || t < p->at.unseen) {
      memset(ht, 0, (size_t)e * sizeof *ht);
      continue;
    }
    if (!p->normalize) {
      memcpy(ht, g, (size_t)e * sizeof *ht);
      continue;
    }
    vec dot = vzero();
    ptrdiff_t j = 0;
    for (; j + VL <= e; j += VL) {
      vstore(ht + j, r * vload(g + j));
      dot += vload(g + j) * vload(o + j);
    }
    real sum = vsum(dot);
    for (; j < e; j++) ht[j] = r * g[j], sum += g[j] * o[j];
    d[t] -= sum * r;
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
  const Problem p = problem(c);
  const ptrdiff_t n = p.n, f = p.f, e = p.e, after = p.at.after, b = p.at.blind, last = p.at.pairs - 1;
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
  read_gradient(c, &p, 0, b, H, D);
  read_gradient(c, &p, after, p.at.late, H, D);

  /* S before the pairs, R and h after them */
  start(S, &c->in[S0], f * e);
  start(z, &c->in[Z0], f);
  FOV_BUILD(fov_recur).transpose(f, e, S, T);
  st = recall(&p, b, e, f, H, T, dq);
  if (sums) spread_row(b, f, D, z, dq);
  if (st == FOV_OK) st = absorb_early(&p, k, v, S, z);
  start(R, &c->dout[SN], f * e);
  start(h, &c->dout[ZN], f);
  if (st == FOV_OK) st = absorb(&p, p.at.late, q + after * f, H + after * e, R);
  if (sums) gather_row(p.at.late, f, D + after, q + after * f, h);
  if (st != FOV_OK) return st;

  if (p.at.pairs > 0) {
    const real *qb = q + b * f, *kb = k + p.at.key * f, *vb = v + p.at.key * e, *Hb = H + b * e;
    FOV_BUILD(fov_recur).transpose(f, e, S, T);       /* T: S', S: R' from here on */
    FOV_BUILD(fov_recur).transpose(f, e, R, S);
    const fov_Recur query = { .d = e, .e = f, .q = Hb, .ldq = e, .k = vb, .ldk = e, .v = kb,
      .ldv = f, .o = dq + b * f, .ldo = f, .s = T };
    const fov_Recur query_z = { .d = 1, .e = f, .q = D + b, .ldq = 1, .k = &one, .v = kb, .ldv = f,
      .o = dq + b * f, .ldo = f, .s = z, .add = true };        /* z is a state of one row */
    const fov_Recur key[] = {
      { .d = f, .e = e, .q = kb + last * f, .ldq = -f, .k = qb + last * f, .ldk = -f,
        .v = Hb + last * e, .ldv = -e, .o = dv + (p.at.key + last) * e, .ldo = -e, .s = R },
      { .d = e, .e = f, .q = vb + last * e, .ldq = -e, .k = Hb + last * e, .ldk = -e,
        .v = qb + last * f, .ldv = -f, .o = dk + (p.at.key + last) * f, .ldo = -f, .s = S } };
    const fov_Recur key_z = { .d = 1, .e = f, .q = &one, .k = D + b + last, .ldk = -1,
      .v = qb + last * f, .ldv = -f, .o = dk + (p.at.key + last) * f, .ldo = -f, .s = h, .add = true };
    for (ptrdiff_t t = 0; t < p.at.pairs && st == FOV_OK; t += p.step) {
      const ptrdiff_t count = least(p.at.pairs - t, p.step);
      const fov_Recur r = fov_recur_part(&query, t, count), rz = fov_recur_part(&query_z, t, count);
      read_gradient(c, &p, b + t, count, H, D);
      st = FOV_BUILD(fov_recur).run(&r, 1, p.spread);
      if (st == FOV_OK && sums) st = FOV_BUILD(fov_recur).run(&rz, 1, p.spread);
    }
    for (ptrdiff_t t = 0; t < p.at.pairs && st == FOV_OK; t += p.step) {
      const ptrdiff_t count = least(p.at.pairs - t, p.step);
      const fov_Recur r[] = { fov_recur_part(&key[0], t, count), fov_recur_part(&key[1], t, count) };
      const fov_Recur rz = fov_recur_part(&key_z, t, count);
      st = FOV_BUILD(fov_recur).run(r, 2, p.spread);
      if (st == FOV_OK && sums) st = FOV_BUILD(fov_recur).run(&rz, 1, p.spread);
    }
    if (st != FOV_OK) return st;
  }

  /* queries after the keys read the last state; early keys meet all of R */
  FOV_BUILD(fov_recur).transpose(f, e, c->out[SN].x, T);
  st = recall(&p, p.at.late, e, f, H + after * e, T, dq + after * f);
  if (sums) spread_row(p.at.late, f, D + after, c->out[ZN].x, dq + after * f);
  if (st == FOV_OK) st = recall(&p, p.at.early, f, e, k, R, dv);
  FOV_BUILD(fov_recur).transpose(f, e, R, T);
  if (st == FOV_OK) st = recall(&p, p.at.early, e, f, v, T, dk);
  if (sums) spread_row(p.at.early, f, NULL, h, dk);
  const ptrdiff_t used = p.at.used;
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
  .opt = { [CAUSAL] = { "causal", 'b', 0, 0, 0, "hide the keys after each query", NULL },
           [NORMALIZE] = { "normalize", 'b', 1, 0, 0, "divide by the sum of the weights", NULL },
           [EPS] = { "eps", 'n', 0, 0, 0, "added to the denominator", NULL } },
  .check = check, .fwd = fwd, .bwd = bwd, .cost = cost
};
