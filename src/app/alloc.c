/* alloc.c -- Lua's allocator in the launcher.
 *
 * Lua tells the size of every block it gives back, so freed blocks of tensor
 * size wait in lists by size class and are handed out again while still in
 * the cache, without malloc's merging and trimming (four classes per power of
 * two, at most IDLE bytes waiting).  From LARGE on, blocks come from the pool
 * of huge pages, because a page fault costs more than the arithmetic on the
 * page.
 *
 * Blocks of one class in a row would begin at the same place of their pages:
 * loads from one would wait for stores to another (addresses compare by 12
 * bits).  STAGGER sets them apart. */
#include "app/app.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 512, LARGE = 1 << 18, CLASSES = 4 * 9 + 1, IDLE = 16 << 20,
       STAGGER = 3 * 64 };

typedef struct Block { struct Block *next; } Block;

static Block *waiting[CLASSES];
static size_t idle;

/* The class of a size in [SMALL, LARGE), and the bytes its blocks have. */
static int class_of (size_t n, size_t *bytes) {
  int p = 63 - __builtin_clzl(n);
  size_t quarter = (size_t)1 << (p - 2), q = (n - ((size_t)1 << p) + quarter - 1) / quarter;
  *bytes = ((size_t)1 << p) + q * quarter + (p >= 12 ? STAGGER : 0);
  return (p - 9) * 4 + (int)q;
}

static void *take (size_t n) {
  size_t bytes;
  if (n < SMALL) return malloc(n);
  if (n >= LARGE) return fov_big_alloc(n);
  int c = class_of(n, &bytes);
  Block *b = waiting[c];
  if (!b) return malloc(bytes);
  waiting[c] = b->next;
  idle -= bytes;
  return b;
}

static void give (void *p, size_t n) {
  size_t bytes;
  if (n >= LARGE) {
    fov_big_free(p, n);
    return;
  }
  if (n >= SMALL) {
    int c = class_of(n, &bytes);
    if (idle + bytes <= IDLE) {
      Block *b = p;
      b->next = waiting[c];
      waiting[c] = b;
      idle += bytes;
      return;
    }
  }
  free(p);
}

void *fov_lua_alloc (void *ud, void *p, size_t old, size_t new) {
  (void)ud;
  if (!p) return new ? take(new) : NULL;   /* 'old' is the kind of object then */
  if (new == 0) {
    give(p, old);
    return NULL;
  }
  if (old < SMALL && new < SMALL) return realloc(p, new);
  void *q = take(new);
  if (!q) return new < old && old < LARGE ? p : NULL;   /* Lua: shrinking cannot fail */
  memcpy(q, p, old < new ? old : new);
  give(p, old);
  return q;
}
