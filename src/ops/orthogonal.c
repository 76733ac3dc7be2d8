/* orthogonal.c -- blocks of d rows, orthogonal within a block.
 *
 *   W = [N_1 Q_1'; N_2 Q_2'; ..],   Q_b Haar on O(d),   N_b = diag(chi_d)
 *
 * the last block cut to its first m mod d rows.  Q comes from the QR of a
 * d x d normal matrix with R's diagonal made positive; without that sign Q is
 * not Haar.  The QR need not be done (Stewart 1980, "The efficient generation
 * of random orthogonal matrices"): the vector x_i that its i-th reflector sees
 * is normal of length d-i+1 and independent of the others, so it is drawn.
 *
 *   v_i = x_i + s_i |x_i| e_1,  s_i = sign(x_i1),  b_i = 1/(|x_i| (|x_i| + |x_i1|))
 *   H_i = I - b_i v_i v_i',     q_j = -s_j H_1 H_2 .. H_j e_j
 *
 * Row norms are fresh: chi_d^2 = -2 ln(u_1 .. u_(d/2)), plus z^2 for odd d.
 * Choromanski et al. 2021, arXiv:2009.14794; Yu et al. 2016, arXiv:1610.09072.
 *
 * All in f64 whatever the dtype: f32 is the rounding of the f64 matrix, and
 * rows do not change when m grows.  Time O(m d^2), 4/3 d^3 flops a full block;
 * scratch d^2 + 36 d doubles a block. */
#include "ops/op.h"

#include "tensor/simd.h"

enum { NORMS, SIGNS };
enum { PANEL = 32, NV = PANEL * (int)sizeof(double) / FOV_VBYTES, ALONE = 128 };

typedef double dvec __attribute__((vector_size(FOV_VBYTES)));
typedef double udvec __attribute__((vector_size(FOV_VBYTES), aligned(sizeof(double)), may_alias));

typedef struct Block {
  ptrdiff_t d, r;              /* r rows of it are wanted */
  double *V, *b, *s, *norm;    /* v_i at V + start(i); 0-based from here on */
  bool lapack;
  real *w;
} Block;

/* Lengths d, d-1, .. end to end. */
static ptrdiff_t start (ptrdiff_t d, ptrdiff_t i) { return i * d - i * (i - 1) / 2; }

/* Columns j0 .. j0+PANEL-1 of Q as the rows of P(d,PANEL), from the last
 * reflector to the first; while P - b v (v'P) is written for one, v'P is
 * summed for the next. */
static fov_Status panel (void *arg, ptrdiff_t p) {
  const Block *k = arg;
  ptrdiff_t d = k->d, j0 = p * PANEL, j1 = j0 + PANEL < k->r ? j0 + PANEL : k->r;
  double *P = fov_scratch((size_t)d, PANEL * sizeof *P);
  if (!P) return FOV_NOMEM;
  memset(P, 0, (size_t)d * PANEL * sizeof *P);
  for (ptrdiff_t j = j0; j < j1; j++) P[j * PANEL + j - j0] = k->lapack ? 1 : -k->s[j];

  dvec t[NV], next[NV];
  const double *v = k->V + start(d, j1 - 1);
  const udvec *x = (const udvec *)(P + (j1 - 1) * PANEL);
  for (int n = 0; n < NV; n++) next[n] = x[n] * v[0];   /* below it P is 0 */
  for (ptrdiff_t i = j1 - 1; i >= 0; i--) {
    const double *u = i > 0 ? k->V + start(d, i - 1) + 1 : v;   /* i = 0: no next */
    udvec *y = (udvec *)(P + i * PANEL);
    for (int n = 0; n < NV; n++) {
      t[n] = next[n] * k->b[i];
      if (i > 0) next[n] = (y - NV)[n] * u[-1];
    }
    for (ptrdiff_t c = 0; c < d - i; c++, y += NV)
      for (int n = 0; n < NV; n++) {
        dvec e = y[n] - t[n] * v[c];
        y[n] = e;
        next[n] += e * u[c];
      }
    v = u - 1;
  }
  for (ptrdiff_t j = j0; j < j1; j++)
    for (ptrdiff_t c = 0; c < d; c++)
      k->w[j * d + c] = (real)(k->norm[j] * P[c * PANEL + j - j0]);
  return FOV_OK;
}

static double dot (const double *x, ptrdiff_t n) {
  double lane[8] = { 0 }, sum = 0;
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) lane[j] += x[i + j] * x[i + j];
  for (; i < n; i++) sum += x[i] * x[i];
  for (int j = 0; j < 8; j++) sum += lane[j];
  return sum;
}

static fov_Status reflectors (Block *k, fov_Stream *s) {
  fov_Status status = fov_normal_f64(s, start(k->d, k->r), k->V);
  for (ptrdiff_t i = 0; i < k->r; i++) {
    double *v = k->V + start(k->d, i), norm = sqrt(dot(v, k->d - i));
    k->s[i] = v[0] < 0 ? -1 : 1;
    k->b[i] = 1 / (norm * (norm + fabs(v[0])));
    v[0] += k->s[i] * norm;
  }
  return status;
}

/* Sixteen uniforms to a logarithm: each is at least 2^-53. */
static fov_Status chi (const Block *k, fov_Stream *s, fov_Stream *t) {
  ptrdiff_t half = k->d / 2, odd = k->d % 2;
  double *u = fov_scratch((size_t)(k->r * (half + odd)), sizeof *u), *z = u + k->r * half;
  if (!u) return FOV_NOMEM;
  fov_Status status = fov_uniform_f64(s, k->r * half, u);
  if (status == FOV_OK && odd) status = fov_normal_f64(t, k->r, z);
  for (ptrdiff_t j = 0; j < k->r; j++, u += half) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < half; i += 16) {
      double product = 1;
      for (ptrdiff_t h = i; h < half && h < i + 16; h++) product *= u[h];
      sum -= 2 * log(product);
    }
    k->norm[j] = sqrt(sum + (odd ? z[j] * z[j] : 0));
  }
  return status;
}

static fov_Status block (void *arg, ptrdiff_t i) {
  const fov_Call *c = arg;
  ptrdiff_t d = fov_dim(c, 'd'), r = fov_dim(c, 'm') - i * d;
  Block k = { .d = d, .r = r < d ? r : d, .lapack = c->opt[SIGNS] != 0,
              .w = (real *)c->out[0].x + i * d * d };
  /* Three stretches of the stream (two draws a position), as long as a full
   * block needs, so that what is drawn does not depend on m. */
  ptrdiff_t nv = (start(d, d) + 1) / 2, nu = (d * (d / 2) + 1) / 2, nz = (d + 1) / 2;
  fov_Stream s = c->stream, t, z;
  s.at += (uint64_t)i * (uint64_t)(nv + nu + nz);
  t = z = s;
  t.at += (uint64_t)nv;
  z.at += (uint64_t)(nv + nu);
  k.V = fov_scratch((size_t)start(d, k.r), sizeof *k.V);
  k.b = fov_scratch((size_t)(3 * k.r), sizeof *k.b);
  if (!k.V || !k.b) return FOV_NOMEM;
  k.s = k.b + k.r;
  k.norm = k.s + k.r;
  fov_Status status = reflectors(&k, &s);
  if (status == FOV_OK && c->opt[NORMS] == 0) status = chi(&k, &t, &z);
  else for (ptrdiff_t j = 0; j < k.r; j++) k.norm[j] = sqrt((double)d);
  ptrdiff_t panels = (k.r + PANEL - 1) / PANEL;
  if (status != FOV_OK || d >= ALONE)
    return status != FOV_OK ? status : fov_parallel(panels, panel, &k);
  for (ptrdiff_t p = 0; p < panels && status == FOV_OK; p++) {
    fov_Mark m = fov_mark();
    status = panel(&k, p);
    fov_release(m);
  }
  return status;
}

static fov_Status fwd (fov_Call *c) {
  ptrdiff_t m = fov_dim(c, 'm'), d = fov_dim(c, 'd');
  return fov_parallel((m + d - 1) / d, block, c);
}

static void cost (const fov_Call *c, fov_Cost *k) {
  double m = (double)fov_dim(c, 'm'), d = (double)fov_dim(c, 'd');
  *k = (fov_Cost){ .flops = 4.0 / 3 * m * d * d + 15 * m * d, .bytes = m * d * sizeof(real) };
}

const fov_Op FOV_OP(orthogonal) = {
  .name = "orthogonal",
  .kind = FOV_SAMPLER,
  .sig = "-> w(m,d)",
  .doc = "Rows orthogonal within blocks of d, each N(0,I) by itself (with chi norms).\n"
         "Full blocks are Haar; of the last one the first m mod d rows are taken.",
  .ref = "Yu et al. 2016, arXiv:1610.09072; Choromanski et al. 2021, arXiv:2009.14794",
  .caps = "unbiased orthogonal",
  .opt = {
    { .name = "norms", .kind = 'e', .def = 0, .words = "chi|sqrt_d",
      .doc = "row norms: chi_d draws (unbiased for exp), or all sqrt(d) (the regularised kernel)" },
    { .name = "signs", .kind = 'e', .def = 0, .words = "haar|lapack",
      .doc = "lapack: columns of Q as a QR leaves them, whose first entries are not symmetric about 0" }
  },
  .fwd = fwd,
  .cost = cost
};
