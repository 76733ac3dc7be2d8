/* Random streams: known answers, laws, and independence of everything that
 * must not matter (level, threads, cut).  Seeds are fixed, so a test that
 * passes once passes always; bounds are quantiles of the statistic's law. */
#include "base/cpu.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 200003 };
static float f[N], g[N];
static double x[N], y[N];
static int64_t k[N];

static fov_Stream stream (const char *purpose) { return fov_stream(2024, purpose); }

static void known (void) {
  /* Distributed with Random123 (kat_vectors, philox4x32 10). */
  static const struct { fov_Stream s; uint64_t i; uint32_t out[4]; } answer[] = {
    { { { 0, 0 }, 0, 0 }, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { { { ~0u, ~0u }, ~0ull, 0 }, ~0ull, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { { { 0xa4093822, 0x299f31d0 }, 0x0370734413198a2e, 0 }, 0x85a308d3243f6a88,
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } }
  };
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    fov_philox(&answer[i].s, answer[i].i, out);
    ok(memcmp(out, answer[i].out, sizeof out) == 0, "Philox 4x32-10, known answer %d", i + 1);
  }
}

/* Every fill against its definition by words of fov_philox and libm. */
static void definition (fov_Isa isa) {
  fov_Stream s = stream("definition"), t = s;
  s.at = t.at = 0xfffffffffffe0000;                /* the counter wraps inside */
  int words = 1, u32 = 1, u64 = 1;
  double e32 = 0, e64 = 0;
  fov_integers(&s, N, INT64_MIN, INT64_MAX, k);
  s.at = t.at;
  fov_uniform_f32(&s, N, f);
  s.at = t.at;
  fov_uniform_f64(&s, N, x);
  s.at = t.at;
  fov_normal_f32(&s, N, g);
  s.at = t.at;
  fov_normal_f64(&s, N, y);
  for (int i = 0; i < N; i++) {
    uint32_t w[4], v[4];
    fov_philox(&t, t.at + (uint64_t)(i / 2), w);
    fov_philox(&t, t.at + (uint64_t)(i / 4), v);
    int h = i % 2 * 2;
    uint64_t r = w[h] | (uint64_t)w[h + 1] << 32, a = w[0] | (uint64_t)w[1] << 32,
             b = w[2] | (uint64_t)w[3] << 32;
    words = words && (uint64_t)k[i] == r + (1ull << 63);
    u32 = u32 && f[i] == ((float)(v[i % 4] >> 9) + 0.5f) * 0x1p-23f;
    u64 = u64 && x[i] == ((double)(r >> 12) + 0.5) * 0x1p-52;
    double turn = 2 * M_PI * 0x1p-32, u = (v[i % 4 & 2] / 2 + 0.5) * 0x1p-31;
    double z = v[(i % 4 & 2) + 1] * turn, n32 = sqrt(-2 * log(u)) * (i % 2 ? sin(z) : cos(z));
    double q = (double)(b >> 12) * (2 * M_PI * 0x1p-52), p = ((double)(a >> 12) + 0.5) * 0x1p-52;
    double n64 = sqrt(-2 * log(p)) * (i % 2 ? sin(q) : cos(q));
    e32 = fmax(e32, fabs(g[i] - n32) / fmax(1, fabs(n32)));
    e64 = fmax(e64, fabs(y[i] - n64) / fmax(1, fabs(n64)));
  }
  const char *name = fov_isa_name(isa);
  ok(words, "%s: integers over all 64 bits are the words of the blocks", name);
  ok(u32 && u64, "%s: uniforms are the upper 23 or 52 bits and a half", name);
  /* u rounds to 24 bits where r is small: .5 ulp of u is 6e-8/r in r */
  ok(e32 < 1e-4, "%s: f32 normals are Box-Muller's to 1e-4 (%.1e)", name, e32);
  ok(e64 < 4e-15, "%s: f64 normals to 4e-15, libm's angle included (%.1e)", name, e64);
}

static uint64_t digest (const void *p, size_t n, uint64_t h) {
  for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
  return h;
}

static uint64_t all_bits (void) {
  fov_Stream s = stream("bits");
  fov_uniform_f32(&s, N, f);
  fov_uniform_f64(&s, N, x);
  fov_normal_f32(&s, N, g);
  fov_normal_f64(&s, N, y);
  fov_integers(&s, N, -5, 1000, k);
  uint64_t h = digest(f, sizeof f, 1);
  h = digest(x, sizeof x, h);
  h = digest(g, sizeof g, h);
  h = digest(y, sizeof y, h);
  h = digest(k, sizeof k, h);
  fov_permutation(&s, 1000, k);
  return digest(&s.at, sizeof s.at, digest(k, sizeof k, h));
}

static void cut (void) {
  fov_Stream s = stream("cut"), t = s;
  fov_normal_f32(&s, 100, f);
  fov_normal_f32(&t, 12, g);
  fov_normal_f32(&t, 88, g + 12);
  ok(memcmp(f, g, 100 * sizeof *f) == 0 && s.at == t.at && s.at == 25,
     "f32: 12 then 88 is 100, in 25 positions");
  s.at = t.at = 0;
  fov_normal_f64(&s, 100, x);
  fov_normal_f64(&t, 10, y);
  fov_normal_f64(&t, 90, y + 10);
  ok(memcmp(x, y, 100 * sizeof *x) == 0 && s.at == t.at && s.at == 50,
     "f64: 10 then 90 is 100, in 50 positions");
  fov_normal_f32(&s, 0, f);
  ok(s.at == 50, "nothing drawn, nothing taken");
  int kept = 1;
  for (int n = 0; n < 70; n++) {                   /* ends inside every vector width */
    memset(g, 0x55, 80 * sizeof *g);
    memset(y, 0x55, 80 * sizeof *y);
    fov_uniform_f32(&s, n, g + 1);
    fov_normal_f64(&s, n, y + 1);
    uint32_t a[2];
    uint64_t b[2];
    memcpy(a, g, 4), memcpy(a + 1, g + n + 1, 4);
    memcpy(b, y, 8), memcpy(b + 1, y + n + 1, 8);
    for (int i = 0; i < 2; i++)
      kept = kept && a[i] == 0x55555555 && b[i] == 0x5555555555555555;
  }
  ok(kept, "fills write what they were asked for and no more");
}

static int ascending (const void *a, const void *b) {
  double p = *(const double *)a, q = *(const double *)b;
  return (p > q) - (p < q);
}

/* sqrt(n) times Kolmogorov and Smirnov's distance; above 1.95 with p = .001. */
static double distance (double *v, int normal) {
  double d = 0;
  qsort(v, N, sizeof *v, ascending);
  for (int i = 0; i < N; i++) {
    double F = normal ? 0.5 * erfc(-v[i] * M_SQRT1_2) : v[i];
    d = fmax(d, fmax(F - (double)i / N, (i + 1.0) / N - F));
  }
  return d * sqrt(N);
}

/* Moments 1 .. 4 within 4 standard errors: var(v^p) = E v^2p - (E v^p)^2. */
static int moments (const double *v, const double e[9]) {
  for (int p = 1; p <= 4; p++) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += pow(v[i], p);
    if (fabs(sum / N - e[p]) > 4 * sqrt((e[2 * p] - e[p] * e[p]) / N)) return 0;
  }
  return 1;
}

static void laws (void) {
  static const double normal[9] = { 1, 0, 1, 0, 3, 0, 15, 0, 105 };
  static const double uniform[9] = { 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9 };
  for (int kind = 0; kind < 4; kind++) {
    static const char *const names[] = { "uniform f32", "uniform f64",
                                         "normal f32", "normal f64" };
    fov_Stream s = stream("laws");
    if (kind == 0) fov_uniform_f32(&s, N, f);
    if (kind == 1) fov_uniform_f64(&s, N, x);
    if (kind == 2) fov_normal_f32(&s, N, f);
    if (kind == 3) fov_normal_f64(&s, N, x);
    double lag = 0, least = INFINITY, most = -INFINITY, mean = kind < 2 ? 0.5 : 0;
    for (int i = 0; i < N; i++) {
      if (kind % 2 == 0) x[i] = f[i];
      least = fmin(least, x[i]), most = fmax(most, x[i]);
      if (i) lag += (x[i] - mean) * (x[i - 1] - mean) * (kind < 2 ? 12 : 1);
    }
    ok(moments(x, kind < 2 ? uniform : normal), "%s: moments 1 to 4 within 4 s.e.", names[kind]);
    ok(fabs(lag) < 4 * sqrt(N), "%s: neighbours do not correlate", names[kind]);
    if (kind < 2) ok(least > 0 && most < 1, "%s: 0 and 1 do not occur", names[kind]);
    double d = distance(x, kind >= 2);
    ok(d < 1.95, "%s: Kolmogorov-Smirnov %.2f < 1.95", names[kind], d);
  }
}

static void integers (void) {
  fov_Stream s = stream("integers");
  static const int64_t ends[][2] = { { 1, 6 }, { -1, 1 }, { 0, 999 } };
  for (int e = 0; e < 3; e++) {
    int64_t lo = ends[e][0], hi = ends[e][1], range = hi - lo + 1;
    double count[1000] = { 0 }, chi2 = 0, want = (double)N / (double)range;
    fov_integers(&s, N, lo, hi, k);
    int inside = 1;
    for (int i = 0; i < N; i++)
      if (k[i] < lo || k[i] > hi) inside = 0;
      else count[k[i] - lo]++;
    for (int i = 0; i < range; i++) chi2 += (count[i] - want) * (count[i] - want) / want;
    double free = (double)range - 1;
    ok(inside && chi2 < free + 4 * sqrt(2 * free) + 4,
       "%d .. %d is uniform (chi2 %.1f, %.0f free)", (int)lo, (int)hi, chi2, free);
  }
  /* Range 3 * 2^62: a remainder would hit the lower third twice as often, a
   * product without redrawing would hit multiples of 3 twice as often. */
  const int64_t half = 3 * (int64_t)(1ull << 61), lo = INT64_MIN, hi = lo + half + half - 1;
  double third[3] = { 0 }, rest[3] = { 0 }, se = sqrt(N * 2.0 / 9);
  fov_integers(&s, N, lo, hi, k);
  for (int i = 0; i < N; i++) {
    uint64_t v = (uint64_t)k[i] - (uint64_t)lo;
    third[v >> 62 < 3 ? v >> 62 : 0]++, rest[v % 3]++;
  }
  int even = 1;
  for (int i = 0; i < 3; i++)
    even = even && fabs(third[i] - N / 3.0) < 4 * se && fabs(rest[i] - N / 3.0) < 4 * se;
  ok(even, "a range of 3 * 2^62 has no bias");
  fov_integers(&s, 100, 7, 7, k);
  int seven = 1;
  for (int i = 0; i < 100; i++) seven = seven && k[i] == 7;
  ok(seven, "a range of one");
}

static void permutations (void) {
  fov_Stream s = stream("permutation");
  double count[256] = { 0 }, chi2 = 0;
  enum { TRIALS = 24000 };
  int64_t p[4];
  for (int t = 0; t < TRIALS; t++) {
    fov_permutation(&s, 4, p);
    count[p[0] | p[1] << 2 | p[2] << 4 | p[3] << 6]++;
  }
  int seen = 0;
  for (int i = 0; i < 256; i++)
    if (count[i] > 0) seen++, chi2 += (count[i] - 1000) * (count[i] - 1000) / 1000;
  ok(seen == 24 && chi2 < 49.7, "4! orders alike: chi2 %.1f < 49.7 (23 free, p .001)", chi2);
  ok(s.at == 2 * TRIALS, "each takes two positions");
  fov_permutation(&s, 1000, k);
  int whole = 1, moved = 0;
  char there[1000] = { 0 };
  for (int i = 0; i < 1000; i++) {
    whole = whole && k[i] >= 0 && k[i] < 1000 && !there[k[i]]++;
    moved += k[i] != i;
  }
  ok(whole && moved > 980, "1000 values each once, few at home");  /* home is Poisson(1) */
  fov_permutation(&s, 0, k);
  fov_permutation(&s, 1, k);
  ok(k[0] == 0, "orders of none and of one");
}

static int by_bits (const void *a, const void *b) { return memcmp(a, b, 16); }

static double correlation (fov_Stream a, fov_Stream b) {
  double sum = 0;
  fov_normal_f64(&a, N, x);
  fov_normal_f64(&b, N, y);
  for (int i = 0; i < N; i++) sum += x[i] * y[i];
  return fabs(sum) / sqrt(N);
}

static void streams (void) {
  fov_Stream a = stream("projection"), b = stream("data"), again = stream("projection");
  ok(memcmp(&a, &again, sizeof a) == 0, "seed and purpose say it all");
  ok(correlation(a, b) < 4, "another purpose, uncorrelated");
  ok(correlation(a, fov_stream(2025, "projection")) < 4, "another seed, uncorrelated");
  fov_Stream sub = fov_substream(&a, "head");
  ok(correlation(a, sub) < 4 && a.at == 0, "a substream is uncorrelated and takes nothing");
  a.at = 1000;
  fov_Stream later = fov_substream(&a, "head"), other = fov_substream(&b, "head");
  ok(memcmp(&sub, &later, sizeof sub) == 0, "and does not depend on the position");
  ok(memcmp(&sub, &other, sizeof sub) != 0, "but on its parent");
  fov_Stream fork1 = fov_fork(&a), fork2 = fov_fork(&a);
  ok(a.at == 1002 && correlation(fork1, fork2) < 4, "forks take a position and differ");

  enum { SEEDS = 1000, NAMES = 40 };
  static char id[SEEDS * NAMES][16];
  for (int i = 0; i < SEEDS; i++)
    for (int j = 0; j < NAMES; j++) {
      char name[NAMES + 1] = { 0 };
      memset(name, 'a', (size_t)j);
      fov_Stream s = fov_stream((uint64_t)i, name);
      memcpy(id[i * NAMES + j], s.key, 8);
      memcpy(id[i * NAMES + j] + 8, &s.high, 8);
    }
  qsort(id, SEEDS * NAMES, 16, by_bits);
  int apart = 1;
  for (int i = 1; i < SEEDS * NAMES; i++) apart = apart && memcmp(id[i - 1], id[i], 16) != 0;
  ok(apart, "40000 streams of near seeds and near names are 40000 streams");
}

int main (void) {
  known();
  for (int i = 0; i <= (int)fov_isa_max(); i++) {
    fov_set_isa((fov_Isa)i);
    definition((fov_Isa)i);
  }
  fov_set_threads(1);
  uint64_t want = all_bits();
  int same = 1;
  for (int i = 0; i <= (int)fov_isa_max(); i++)
    for (int t = 1; t <= 3; t++) {
      fov_set_isa((fov_Isa)i);
      fov_set_threads(t);
      same = same && all_bits() == want;
    }
  ok(same, "the same bits at every level and with 1, 2 and 3 threads");
  cut();
  laws();
  integers();
  permutations();
  streams();
  return done();
}
