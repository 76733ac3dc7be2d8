/* recur.c -- the time-blocked recurrence; see recur.h.
 *
 * A block of TB tokens makes one pass over the rows of the state: a row waits
 * in registers while every token of the block writes and reads it, and the TB
 * outputs live in registers for the whole pass.  So a row is loaded and stored
 * once per TB tokens, and no token-by-token products are needed.  The state is
 * packed in panels of NV vectors; large states go in groups of ROWS rows that
 * stay in L1 for TIME tokens. */
#include "tensor/recur.h"

#include "base/pool.h"
#include "tensor/tile.h"

enum { TB = 6, NV = FOV_NREG / 8, ROWS = 80, TIME = FOV_WINDOW / 2 };

#define INLINE static inline __attribute__((always_inline))

/* Some tokens on some rows of one panel of W = nv VL columns.  What is read a
 * vector at a time (s, v, and a over columns) has rows W apart: the distances
 * are then constants, and the pointers of q and k fit the registers. */
typedef struct Strip {
  ptrdiff_t n, rows;
  real *s;
  const real *q, *k, *v, *a;
  ptrdiff_t ldq, ldk, lda, row_a;
  real *o;
  ptrdiff_t ldo;
  struct { const real *x; ptrdiff_t ld; } ask[2];   /* wanted soon, a row a token */
  bool load;                      /* o continues instead of starting at 0 */
} Strip;

/* tb <= TB tokens from 't0' on a panel of nv <= NV vectors. */
INLINE void block (const int tb, const int nv, const fov_Gate gate, const bool exclusive,
                   const Strip *p, ptrdiff_t t0) {
  const ptrdiff_t ldq = p->ldq, ldk = p->ldk, ldo = p->ldo, W = nv * VL;
  const ptrdiff_t line = 64 / (ptrdiff_t)sizeof(real), row_a = p->row_a, lda = gate == FOV_COLS ? W : p->lda;
  const real *q = p->q + t0 * ldq, *k = p->k + t0 * ldk, *v = p->v + t0 * W;
  const real *a = gate == FOV_FREE ? NULL : p->a + t0 * lda;
  real *o = p->o + t0 * ldo, *s = p->s;
  const real *ask0 = p->ask[0].x + t0 * p->ask[0].ld, *ask1 = p->ask[1].x + t0 * p->ask[1].ld;
  vec O[TB][NV];
  UNROLL(8) for (int t = 0; t < tb; t++)
    UNROLL(8) for (int j = 0; j < nv; j++)
      O[t][j] = p->load ? vload(o + t * ldo + j * VL) : vzero();
  for (ptrdiff_t i0 = 0; i0 < p->rows; i0 += line) {
    /* what is wanted next, a few lines at a time: all at once would fill the
     * buffers of the cache */
    if (tb == TB)
      UNROLL(8) for (int t = 0; t < TB; t++) {
        __builtin_prefetch(ask0 + t * p->ask[0].ld + i0);
        __builtin_prefetch(ask1 + t * p->ask[1].ld + i0);
        if (i0 >= W) continue;
        __builtin_prefetch(v + (TB + t) * W + i0);
        __builtin_prefetch(o + (TB + t) * ldo + i0, 1);
      }
    const ptrdiff_t stop = least(p->rows, i0 + line);
    for (ptrdiff_t i = i0; i < stop; i++, s += W) {
      vec S[NV];
      /* keeps the compiler from computing every v + t W + j VL ahead and spilling it */
      __asm__ ("" : "+r" (v));
      if (gate == FOV_COLS) __asm__ ("" : "+r" (a));
      UNROLL(8) for (int j = 0; j < nv; j++) S[j] = vload(s + j * VL);
      UNROLL(8) for (int t = 0; t < tb; t++) {
        const vec qi = vset(q[t * ldq + i]), ki = vset(k[t * ldk + i]);
        const vec ai = gate == FOV_ROWS ? vset(a[t * lda + i * row_a]) : vzero();
        UNROLL(8) for (int j = 0; j < nv; j++) {
          if (exclusive) O[t][j] = vfma(qi, S[j], O[t][j]);
          if (gate == FOV_ROWS) S[j] *= ai;
          if (gate == FOV_COLS) S[j] *= vload(a + t * W + j * VL);
          S[j] = vfma(ki, vload(v + t * W + j * VL), S[j]);
          if (!exclusive) O[t][j] = vfma(qi, S[j], O[t][j]);
        }
      }
      UNROLL(8) for (int j = 0; j < nv; j++) vstore(s + j * VL, S[j]);
    }
  }
  UNROLL(8) for (int t = 0; t < tb; t++)
    UNROLL(8) for (int j = 0; j < nv; j++) vstore(o + t * ldo + j * VL, O[t][j]);
}

INLINE void strip (const int nv, const fov_Gate gate, const bool exclusive, const Strip *p) {
  ptrdiff_t t = 0;
  for (; t + TB <= p->n; t += TB) block(TB, nv, gate, exclusive, p, t);
  for (; t < p->n; t++) block(1, nv, gate, exclusive, p, t);
}

#define STRIP(name, nv, gate, exclusive) \
  static void name (const Strip *p) { strip(nv, gate, exclusive, p); }
#define STRIPS(nv) \
  STRIP(free_in_##nv, nv, FOV_FREE, false) STRIP(free_ex_##nv, nv, FOV_FREE, true) \
  STRIP(rows_in_##nv, nv, FOV_ROWS, false) STRIP(rows_ex_##nv, nv, FOV_ROWS, true) \
  STRIP(cols_in_##nv, nv, FOV_COLS, false) STRIP(cols_ex_##nv, nv, FOV_COLS, true)
#define STRIPS_OF(nv) \
  { { free_in_##nv, free_ex_##nv }, { rows_in_##nv, rows_ex_##nv }, { cols_in_##nv, cols_ex_##nv } }

STRIPS(1)
STRIPS(2)
#if FOV_NREG == 32
STRIPS(4)
#endif

/* By log2 of the panel's vectors, gate, exclusive. */
static void (*const strips[][3][2]) (const Strip *) = {
  STRIPS_OF(1), STRIPS_OF(2),
#if FOV_NREG == 32
  STRIPS_OF(4)
#endif
};

/* x(rows,W) := y(rows,w), zeros beyond w; rows of y are 'ldy' apart. */
static void widen (ptrdiff_t rows, ptrdiff_t W, ptrdiff_t w, const real *y, ptrdiff_t ldy, real *x) {
  const ptrdiff_t whole = w / VL * VL;
  for (ptrdiff_t i = 0; i < rows; i++, x += W, y += ldy) {
    for (ptrdiff_t j = 0; j < whole; j += VL) vstore(x + j, vload(y + j));
    if (w > whole) vstore(x + whole, vload_n(y + whole, w - whole, 0));
    for (ptrdiff_t j = roundup(w, VL); j < W; j += VL) vstore(x + j, vzero());
  }
}

static void narrow (ptrdiff_t rows, ptrdiff_t W, ptrdiff_t w, const real *x, real *y, ptrdiff_t ldy) {
  const ptrdiff_t whole = w / VL * VL;
  for (ptrdiff_t i = 0; i < rows; i++, x += W, y += ldy) {
    for (ptrdiff_t j = 0; j < whole; j += VL) vstore(y + j, vload(x + j));
    if (w > whole) vstore_n(y + whole, vload(x + whole), w - whole);
  }
}

/* Columns [j, j + w) of one recurrence, in a panel of 2^lg vectors. */
static fov_Status panel (const fov_Recur *r, ptrdiff_t j, ptrdiff_t w, int lg) {
  const ptrdiff_t W = VL << lg, groups = r->d > ROWS ? (r->d + ROWS - 1) / ROWS : 1;
  const fov_Gate gate = r->gate == FOV_COLS && !r->each ? FOV_ROWS : r->gate;
  const bool ragged = w < W, pack_v = ragged || r->ldv != W;
  const bool pack_a = gate == FOV_COLS && (ragged || r->lda != W);
  const ptrdiff_t time = pack_v || pack_a || groups > 1 ? TIME : r->keep ? FOV_WINDOW : r->n;
  const bool in_place = r->e == W;
  real *s = in_place ? r->s : fov_scratch((size_t)(r->d * W), sizeof *s), *v = NULL, *a = NULL, *o = NULL;
  if (pack_v || pack_a) {
    if (!(v = fov_scratch((size_t)(3 * TIME * W), sizeof *v))) return FOV_NOMEM;
    a = v + TIME * W;
    o = a + TIME * W;
  }
  if (!s) return FOV_NOMEM;
  if (!in_place) widen(r->d, W, w, r->s + j, r->e, s);
  for (ptrdiff_t t = 0; t < r->n; t += time) {
    const ptrdiff_t n = least(r->n - t, time);
    if (r->keep && t % FOV_WINDOW == 0)
      narrow(r->d, W, w, s, r->keep + t / FOV_WINDOW * r->d * r->e + j, r->e);
    Strip p = {
      .n = n, .q = r->q + t * r->ldq, .k = r->k + t * r->ldk, .v = r->v + t * r->ldv + j,
      .ldq = r->ldq, .ldk = r->ldk, .lda = r->lda, .o = r->o + t * r->ldo + j, .ldo = r->ldo
    };
    p.ask[0].x = r->ask[0] ? r->ask[0] + t * r->ldask : p.q + TB * r->ldq;
    p.ask[1].x = r->ask[1] ? r->ask[1] + t * r->ldask : p.k + TB * r->ldk;
    p.ask[0].ld = r->ask[0] ? r->ldask : r->ldq;
    p.ask[1].ld = r->ask[1] ? r->ldask : r->ldk;
    if (gate == FOV_ROWS) p.a = r->a + t * r->lda, p.row_a = r->gate == FOV_ROWS && r->each;
    if (gate == FOV_COLS) p.a = r->a + t * r->lda + j;
    if (pack_v) widen(n, W, w, p.v, r->ldv, v), p.v = v;
    if (pack_a) widen(n, W, w, p.a, r->lda, a), p.a = a;
    if (ragged) {
      if (r->add) widen(n, W, w, p.o, r->ldo, o);
      p.o = o, p.ldo = W;
    }
    for (ptrdiff_t g = 0; g < groups; g++) {
      const ptrdiff_t i = r->d * g / groups;
      Strip at = p;
      at.rows = r->d * (g + 1) / groups - i;
      at.s = s + i * W;
      at.q += i;
      at.k += i;
      at.ask[0].x += i;
      at.ask[1].x += i;
      if (at.row_a) at.a += i;
      at.load = r->add || g > 0;
      strips[lg][gate][r->exclusive](&at);
    }
    if (ragged) narrow(n, W, w, o, r->o + t * r->ldo + j, r->ldo);
  }
  if (!in_place) narrow(r->d, W, w, s, r->s + j, r->e);
  return FOV_OK;
}

typedef struct Job {
  const fov_Recur *list;
  int count;
  bool spread;
} Job;

/* Vectors of the panel that starts at column j, as a power of two. */
static int lg_width (const Job *job, const fov_Recur *r, ptrdiff_t j) {
  int lg = (NV == 4 ? 2 : 1) - job->spread;
  while (lg > 0 && r->e - j <= VL << (lg - 1)) lg--;
  return lg;
}

static fov_Status task (void *arg, ptrdiff_t i) {
  const Job *job = arg;
  for (const fov_Recur *r = job->list; r < job->list + job->count; r++)
    for (ptrdiff_t j = 0; j < r->e; i--) {
      const int lg = lg_width(job, r, j);
      const ptrdiff_t w = r->e - j < VL << lg ? r->e - j : VL << lg;
      if (i == 0) return panel(r, j, w, lg);
      j += w;
    }
  return FOV_OK;
}

static fov_Status run (const fov_Recur *list, int count, bool spread) {
  Job job = { list, count, spread };
  ptrdiff_t tasks = 0;
  fov_Status s = FOV_OK;
  for (const fov_Recur *r = list; r < list + count; r++)
    for (ptrdiff_t j = 0; j < r->e; tasks++) j += VL << lg_width(&job, r, j);
  if (spread) return fov_parallel(tasks, task, &job);
  for (ptrdiff_t i = 0; i < tasks && s == FOV_OK; i++) {
    fov_Mark m = fov_mark();
    s = task(&job, i);
    fov_release(m);
  }
  return s;
}

/* 'n' tokens of the normaliser on whole vectors, n <= VL; lanes are summed by
 * transposing, in the same order for any n. */
INLINE void normalise (const ptrdiff_t n, const bool queries, const bool keys, ptrdiff_t f,
                       ptrdiff_t ld, const real *q, const real *k, real *z, real *den) {
  vec D[FOV_VBYTES / sizeof(real)];
  UNROLL(16) for (ptrdiff_t i = 0; i < VL; i++) D[i] = vzero();
  for (ptrdiff_t j = 0; j < f; j += VL) {
    vec Z = vload(z + j);
    UNROLL(16) for (ptrdiff_t i = 0; i < n; i++) {
      if (keys) Z += vload(k + i * ld + j);
      if (queries) D[i] = vfma(Z, vload(q + i * ld + j), D[i]);
    }
    if (keys) vstore(z + j, Z);
  }
  if (!queries) return;
  transpose(D);
  vec sum = D[0];
  UNROLL(16) for (ptrdiff_t i = 1; i < VL; i++) sum += D[i];
  if (n == VL) vstore(den, sum);
  else vstore_n(den, sum, n);
}

static void normaliser (ptrdiff_t n, ptrdiff_t f, ptrdiff_t ld, const real *q, const real *k,
                        real *z, real *den) {
  const ptrdiff_t whole = f / VL * VL;
  ptrdiff_t t = 0;
  real tail[FOV_VBYTES / sizeof(real)];
  for (; t < n && f > whole; t++) {           /* odd columns first, into den */
    const real *kt = k ? k + t * ld : NULL;
    real sum = 0;
    for (ptrdiff_t i = whole; i < f; i++) {
      if (k) z[i] += kt[i];
      if (q) sum += q[t * ld + i] * z[i];
    }
    if (q) den[t] = sum;
  }
  for (t = 0; t < n; ) {
    const ptrdiff_t b = least(n - t, VL);
    const real *qt = q ? q + t * ld : NULL, *kt = k ? k + t * ld : NULL;
    real *out = q ? den + t : NULL;
    if (f > whole && q) memcpy(tail, out, (size_t)b * sizeof *tail);
    if (b == VL && q && k) normalise(VL, true, true, whole, ld, qt, kt, z, out);
    else if (b == VL && k) normalise(VL, false, true, whole, ld, qt, kt, z, out);
    else if (b == VL) normalise(VL, true, false, whole, ld, qt, kt, z, out);
    else normalise(b, q != NULL, k != NULL, whole, ld, qt, kt, z, out);
    if (f > whole && q)
      for (ptrdiff_t i = 0; i < b; i++) out[i] += tail[i];
    t += b;
  }
}

static void dots (ptrdiff_t n, ptrdiff_t e, const real *x, const real *y, real *out) {
  const ptrdiff_t whole = e / VL * VL;
  for (ptrdiff_t t = 0; t < n; t += VL, x += VL * e, y += VL * e) {
    const ptrdiff_t b = least(n - t, VL);
    vec D[FOV_VBYTES / sizeof(real)];
    for (ptrdiff_t i = 0; i < VL; i++) D[i] = vzero();
    for (ptrdiff_t i = 0; i < b; i++) {
      const real *xi = x + i * e, *yi = y + i * e;
      vec d = vzero();
      for (ptrdiff_t j = 0; j < whole; j += VL) d = vfma(vload(xi + j), vload(yi + j), d);
      if (whole < e) d = vfma(vload_n(xi + whole, e - whole, 0), vload_n(yi + whole, e - whole, 0), d);
      D[i] = d;
    }
    transpose(D);
    vec sum = D[0];
    UNROLL(16) for (ptrdiff_t i = 1; i < VL; i++) sum += D[i];
    vstore_n(out + t, sum, b);
  }
}

static void swap (ptrdiff_t d, ptrdiff_t e, const real *x, real *y) {
  for (ptrdiff_t i = 0; i < d; i += VL)
    for (ptrdiff_t j = 0; j < e; j += VL) {
      const ptrdiff_t rows = least(d - i, VL), columns = least(e - j, VL);
      if (rows == VL && columns == VL) {
        vec X[FOV_VBYTES / sizeof(real)];
        UNROLL(16) for (ptrdiff_t r = 0; r < VL; r++) X[r] = vload(x + (i + r) * e + j);
        transpose(X);
        UNROLL(16) for (ptrdiff_t r = 0; r < VL; r++) vstore(y + (j + r) * d + i, X[r]);
      } else
        for (ptrdiff_t r = i; r < i + rows; r++)
          for (ptrdiff_t k = j; k < j + columns; k++) y[k * d + r] = x[r * e + k];
    }
}

const fov_RecurKernels FOV_BUILD(fov_recur) = { run, normaliser, dots, swap };
