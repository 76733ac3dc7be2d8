/* base.c -- status text, scratch arena, clock; see base.h.
 *
 * The arena of a thread is a stack of chunks, newest on top; requests are cut
 * from the top chunk.  A release pops chunks, keeping the largest aside as
 * 'spare', so that a loop around one mark allocates once.  When the arena
 * falls empty after it needed several chunks, the next one is made as large
 * as all of them together: steady work runs in a single chunk. */
#include "base/base.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define hide(p, n) __asan_poison_memory_region(p, n)
#define show(p, n) __asan_unpoison_memory_region(p, n)
enum { GAP = 64 };                 /* unreadable bytes after each block */
#else
#define hide(p, n) ((void)0)
#define show(p, n) ((void)0)
enum { GAP = 0 };
#endif

enum {
  LINE = 64,
  FIRST = 64 << 10,                /* bytes of the least chunk */
  STEP = 16 << 20,                 /* growth by doubling ends here */
  IDLE = 64 << 20                  /* an empty arena keeps no more */
};

typedef struct Chunk {
  struct Chunk *below;
  size_t size, used;               /* bytes after the header */
  alignas(LINE) char x[];
} Chunk;

typedef struct Arena {
  Chunk *top, *spare;
  size_t held;                     /* bytes of the chunks in the stack */
  size_t want;                     /* least size of the next first chunk */
  bool keyed;
} Arena;

static _Thread_local Arena arena;
static _Thread_local char message[512];

fov_Status fov_fail (fov_Status s, const char *fmt, ...) {
  char text[sizeof message];       /* an argument may be the old message */
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  memcpy(message, text, sizeof message);
  return s;
}

const char *fov_message (void) { return message; }

static Chunk *newchunk (size_t size) {
  Chunk *c = fov_big_alloc(sizeof *c + size);
  if (!c) return NULL;
  c->size = size;
  hide(c->x, size);
  return c;
}

static void freechunk (Chunk *c) {
  if (!c) return;
  show(c->x, c->size);
  fov_big_free(c, sizeof *c + c->size);
}

static void closearena (void *p) {
  Arena *a = p;
  for (Chunk *c = a->top, *below; c; c = below) below = c->below, freechunk(c);
  freechunk(a->spare);
  *a = (Arena){ 0 };
}

/* A thread that ends gives its chunks back. */
static pthread_key_t key;
static void makekey (void) { pthread_key_create(&key, closearena); }

static Chunk *grow (Arena *a, size_t need) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!a->keyed) {
    pthread_once(&once, makekey);
    a->keyed = pthread_setspecific(key, a) == 0;
  }
  Chunk *c = a->spare;
  if (c && c->size >= need) {
    a->spare = NULL;
  } else {
    size_t size = a->top ? 2 * a->top->size : a->want;
    if (size > STEP && a->top) size = STEP;
    if (size < FIRST - sizeof *c) size = FIRST - sizeof *c;
    c = newchunk(size > need ? size : need);
    if (!c && size > need) c = newchunk(need);
    if (!c) return NULL;
  }
  c->used = 0;
  c->below = a->top;
  a->held += c->size;
  return a->top = c;
}

void *fov_scratch (size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX / 2) return NULL;
  bytes = (bytes + LINE - 1) & ~(size_t)(LINE - 1);
  Arena *a = &arena;
  Chunk *c = a->top;
  if (!c || c->size - c->used < bytes + GAP) {
    c = grow(a, bytes + GAP);
    if (!c) return NULL;
  }
  char *x = c->x + c->used;
  show(x, count * size);
  c->used += bytes + GAP;
  return x;
}

fov_Mark fov_mark (void) {
  Chunk *c = arena.top;
  return (fov_Mark){ c, c ? c->used : 0 };
}

void fov_release (fov_Mark m) {
  Arena *a = &arena;
  size_t peak = a->held;
  bool several = a->top && a->top->below;
  for (Chunk *c; (c = a->top) != m.chunk; ) {
    a->top = c->below;
    a->held -= c->size;
    hide(c->x, c->size);
    if (!a->spare || a->spare->size < c->size) {
      Chunk *smaller = a->spare;
      a->spare = c;
      c = smaller;
    }
    freechunk(c);
  }
  if (a->top) {
    hide(a->top->x + m.used, a->top->size - m.used);
    a->top->used = m.used;
    return;
  }
  if (several) a->want = peak < IDLE ? peak : IDLE;
  if (a->spare && (a->spare->size > IDLE || (several && a->spare->size < a->want))) {
    freechunk(a->spare);
    a->spare = NULL;
  }
}

double fov_clock (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
