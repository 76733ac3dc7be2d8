/* rng.c -- streams and what is drawn from them; see rng.h.
 *
 * Key and upper counter half of a stream are a 128-bit hash of (seed,
 * purpose), those of a substream a hash of its parent's and the purpose: two
 * different names meet with probability 2^-128.
 *
 * Positions: a fill of n values takes ceil(n/4) blocks as f32 and ceil(n/2)
 * as f64 or integers; value i comes from block i/4 or i/2 of the fill.  So
 * fills of multiples of 4 (2) values join without a seam. */
#include "base/rng.h"

#include "base/lanes.h"

#include <string.h>

/* Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators":
 * the bijection of SplitMix64. */
static uint64_t mix (uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* h[0] chains the words through the bijection; h[1] sees h[0] and the words
 * turned by half, so that both must collide at once. */
static void absorb (uint64_t h[2], uint64_t word) {
  h[0] = mix(h[0] ^ word);
  h[1] = mix(h[1] ^ h[0] ^ (word << 32 | word >> 32));
}

static fov_Stream name (uint64_t h[2], const char *purpose) {
  size_t n = strlen(purpose);
  absorb(h, n);
  for (size_t i = 0; i < n; i += 8) {
    uint64_t word = 0;
    memcpy(&word, purpose + i, n - i < 8 ? n - i : 8);
    absorb(h, word);
  }
  return (fov_Stream){ { (uint32_t)h[0], (uint32_t)(h[0] >> 32) }, h[1], 0 };
}

fov_Stream fov_stream (uint64_t seed, const char *purpose) {
  uint64_t h[2] = { 0, 0 };
  absorb(h, seed);
  return name(h, purpose);
}

fov_Stream fov_substream (const fov_Stream *s, const char *purpose) {
  uint64_t h[2] = { s->key[0] | (uint64_t)s->key[1] << 32, s->high };
  return name(h, purpose);
}

fov_Stream fov_fork (fov_Stream *s) {
  uint64_t h[2] = { s->key[0] | (uint64_t)s->key[1] << 32, s->high };
  absorb(h, s->at++);
  return name(h, "fork");
}

void fov_philox (const fov_Stream *s, uint64_t i, uint32_t out[4]) {
  uint32_t k0 = s->key[0], k1 = s->key[1];
  uint32_t c[4] = { (uint32_t)i, (uint32_t)(i >> 32),
                    (uint32_t)s->high, (uint32_t)(s->high >> 32) };
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)FOV_PHILOX_M0 * c[0], q = (uint64_t)FOV_PHILOX_M1 * c[2];
    c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)q;
    c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)p;
    k0 += FOV_PHILOX_W0;
    k1 += FOV_PHILOX_W1;
  }
  memcpy(out, c, sizeof c);
}

/* Long fills are cut into tasks of BLOCKS blocks, whatever the threads. */
enum { BLOCKS = 4096 };

typedef struct Fill {
  fov_Lanes *draw;
  fov_Stream s;
  char *x;
  ptrdiff_t n;                       /* values */
  int per;                           /* values in a block */
  size_t size;                       /* bytes of a value */
} Fill;

static fov_Status part (void *arg, ptrdiff_t i) {
  Fill *f = arg;
  ptrdiff_t from = i * BLOCKS * f->per, n = f->n - from;
  if (n > BLOCKS * f->per) n = BLOCKS * f->per;
  f->draw(&f->s, f->s.at + (uint64_t)(i * BLOCKS), n, f->x + (size_t)from * f->size);
  return FOV_OK;
}

static fov_Status fill (fov_Stream *s, fov_Draw kind, ptrdiff_t n, void *x) {
  bool f32 = kind == FOV_UNIFORM_F32 || kind == FOV_NORMAL_F32;
  Fill f = { fov_lanes[fov_isa()][kind], *s, x, n, f32 ? 4 : 2, f32 ? 4 : 8 };
  ptrdiff_t blocks = n / f.per + (n % f.per != 0);
  s->at += (uint64_t)blocks;
  return fov_parallel(blocks / BLOCKS + (blocks % BLOCKS != 0), part, &f);
}

fov_Status fov_uniform_f32 (fov_Stream *s, ptrdiff_t n, float *x) {
  return fill(s, FOV_UNIFORM_F32, n, x);
}
fov_Status fov_uniform_f64 (fov_Stream *s, ptrdiff_t n, double *x) {
  return fill(s, FOV_UNIFORM_F64, n, x);
}
fov_Status fov_normal_f32 (fov_Stream *s, ptrdiff_t n, float *x) {
  return fill(s, FOV_NORMAL_F32, n, x);
}
fov_Status fov_normal_f64 (fov_Stream *s, ptrdiff_t n, double *x) {
  return fill(s, FOV_NORMAL_F64, n, x);
}

/* r uniform on [0, 2^64) -> uniform on [0, range), Lemire 2019
 * (arXiv:1805.10941): the upper half of r * range, where r is drawn again,
 * at the same place of the streams with 'high' + 1, 2, .., while the lower
 * half is below 2^64 mod range.  range 0 means 2^64. */
__attribute__((noinline))
static uint64_t redrawn (fov_Stream s, uint64_t i, int half, unsigned __int128 p, uint64_t range) {
  if (range == 0) return (uint64_t)(p >> 64);
  while ((uint64_t)p < -range % range) {
    uint32_t w[4];
    s.high++;
    fov_philox(&s, i, w);
    p = (unsigned __int128)(w[2 * half] | (uint64_t)w[2 * half + 1] << 32) * range;
  }
  return (uint64_t)(p >> 64);
}

static inline uint64_t bounded (const fov_Stream *s, uint64_t i, int half, uint64_t r,
                                uint64_t range) {
  unsigned __int128 p = range ? (unsigned __int128)r * range : (unsigned __int128)r << 64;
  return (uint64_t)p >= range && range ? (uint64_t)(p >> 64) : redrawn(*s, i, half, p, range);
}

typedef struct Range {
  fov_Stream s;
  int64_t *x, lo;
  ptrdiff_t n;
  uint64_t range;
} Range;

static fov_Status integers (void *arg, ptrdiff_t i) {
  Range *a = arg;
  ptrdiff_t from = i * BLOCKS * 2, n = a->n - from;
  if (n > BLOCKS * 2) n = BLOCKS * 2;
  int64_t *x = a->x + from;
  uint64_t at = a->s.at + (uint64_t)(i * BLOCKS);
  fov_lanes[fov_isa()][FOV_WORDS](&a->s, at, n, x);
  for (ptrdiff_t j = 0; j < n; j++)
    x[j] = (int64_t)((uint64_t)a->lo +
                     bounded(&a->s, at + (uint64_t)(j / 2), j % 2, (uint64_t)x[j], a->range));
  return FOV_OK;
}

fov_Status fov_integers (fov_Stream *s, ptrdiff_t n, int64_t lo, int64_t hi, int64_t *x) {
  Range a = { *s, x, lo, n, (uint64_t)hi - (uint64_t)lo + 1 };
  ptrdiff_t blocks = n / 2 + n % 2;
  s->at += (uint64_t)blocks;
  return fov_parallel(blocks / BLOCKS + (blocks % BLOCKS != 0), integers, &a);
}

/* Fisher & Yates, from the end; swap t takes integer t of the fill. */
fov_Status fov_permutation (fov_Stream *s, ptrdiff_t n, int64_t *x) {
  enum { RUN = 256 };
  int64_t r[RUN];
  for (ptrdiff_t i = 0; i < n; i++) x[i] = i;
  for (ptrdiff_t t = 0; t < n - 1; t++) {
    ptrdiff_t left = n - t, lane = t % RUN;
    if (lane == 0) {
      fov_Status status = fov_interrupted();
      if (status != FOV_OK) return status;
      fov_lanes[fov_isa()][FOV_WORDS](s, s->at + (uint64_t)(t / 2), left < RUN ? left : RUN, r);
    }
    ptrdiff_t j = (ptrdiff_t)bounded(s, s->at + (uint64_t)(t / 2), (int)(t % 2),
                                     (uint64_t)r[lane], (uint64_t)left);
    int64_t last = x[left - 1];
    x[left - 1] = x[j];
    x[j] = last;
  }
  s->at += (uint64_t)(n / 2 + n % 2);
  return FOV_OK;
}
