/* big.c -- large blocks: huge pages, recycled through size classes.
 *
 * A page fault costs more than the arithmetic on the page, so a block that is
 * given back stays mapped and serves the next request of its class.  Classes
 * are eight to the octave (at most 12.5 % unused).  Two bounds hold:
 *   idle bytes        <= CACHE
 *   idle + used bytes <= max(1.5 times the most bytes ever in use at once, FLOOR)
 * and the block idle for longest is the first to go.  An idle block holds its
 * own links. */
#include "base/base.h"

#include <pthread.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20, PAGE = 4096, NCLASS = 8 * 64 };
static const size_t CACHE = (size_t)256 << 20, FLOOR = (size_t)64 << 20;

typedef struct Idle {
  struct Idle *older, *newer;          /* all idle blocks, by age */
  struct Idle *below, *above;          /* those of this class; newest on top */
  size_t size;
} Idle;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Idle *oldest, *newest, *top[NCLASS];
static size_t idle, used, most;

/* The least s >= bytes with at most three bits below its leading one, in
 * whole pages; 0: no such size can be mapped. */
static size_t classof (size_t bytes, int *number) {
  *number = 0;
  if (bytes > PTRDIFF_MAX / 2) return 0;
  if (bytes < PAGE) bytes = PAGE;
  int log = 63 - __builtin_clzll(bytes);
  size_t step = (size_t)1 << (log - 3);
  if (step < PAGE) step = PAGE;
  size_t size = (bytes + step - 1) & ~(step - 1);
  log = 63 - __builtin_clzll(size);
  *number = 8 * log + (int)((size >> (log - 3)) & 7);
  return size;
}

static void take (Idle *b, int number) {
  *(b->older ? &b->older->newer : &oldest) = b->newer;
  *(b->newer ? &b->newer->older : &newest) = b->older;
  *(b->above ? &b->above->below : &top[number]) = b->below;
  if (b->below) b->below->above = b->above;
  idle -= b->size;
}

/* Unlinks the oldest blocks until no more than 'limit' bytes are idle; the
 * chain that is returned is unmapped without the lock. */
static Idle *trim (size_t limit) {
  Idle *chain = NULL;
  while (idle > limit) {
    Idle *b = oldest;
    int number;
    classof(b->size, &number);
    take(b, number);
    b->newer = chain;
    chain = b;
  }
  return chain;
}

static void unmap (Idle *b) {
  for (Idle *next; b; b = next) {
    next = b->newer;
    munmap(b, b->size);
  }
}

static void *map (size_t size) {
  size_t extra = size >= HUGE ? HUGE - PAGE : 0;
  char *x = mmap(NULL, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (x == MAP_FAILED) return NULL;
  if (!extra) return x;
  size_t skip = -(uintptr_t)x & (HUGE - 1);
  if (skip) munmap(x, skip);
  if (extra > skip) munmap(x + skip + size, extra - skip);
  madvise(x + skip, size, MADV_HUGEPAGE);
  return x + skip;
}

/* A fork while another thread holds the lock must not leave it held. */
static void acquire (void) { pthread_mutex_lock(&lock); }
static void release (void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void atfork (void) {
  pthread_atfork(acquire, release, release);
}

void *fov_big_alloc (size_t bytes) {
  int number;
  size_t size = classof(bytes, &number);
  if (!size) return NULL;
  pthread_mutex_lock(&lock);
  Idle *b = top[number], *drop = NULL;
  if (b) {
    take(b, number);
  } else {
    size_t limit = most + most / 2, need = used + size;
    if (limit < FLOOR) limit = FLOOR;
    drop = trim(limit > need ? limit - need : 0);
  }
  pthread_mutex_unlock(&lock);
  unmap(drop);
  void *x = b ? b : map(size);
  if (!x) {                            /* try again without the idle ones */
    pthread_mutex_lock(&lock);
    drop = trim(0);
    pthread_mutex_unlock(&lock);
    unmap(drop);
    x = map(size);
    if (!x) return NULL;
  }
  pthread_mutex_lock(&lock);
  used += size;
  if (used > most) most = used;
  pthread_mutex_unlock(&lock);
  return x;
}

void fov_big_free (void *p, size_t bytes) {
  if (!p) return;
  int number;
  Idle *b = p;
  size_t size = classof(bytes, &number);
  pthread_mutex_lock(&lock);
  used -= size;
  *b = (Idle){ .older = newest, .below = top[number], .size = size };
  *(newest ? &newest->newer : &oldest) = b;
  newest = b;
  if (top[number]) top[number]->above = b;
  top[number] = b;
  idle += size;
  Idle *drop = trim(CACHE);
  pthread_mutex_unlock(&lock);
  unmap(drop);
}
