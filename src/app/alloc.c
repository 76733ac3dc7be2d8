/* alloc.c -- Lua's allocator in the launcher: large blocks come from the pool
 * of recycled huge pages, because a page fault costs more than the arithmetic
 * on the page. */
#include "app/app.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE = 1 << 18 };

void *fov_lua_alloc (void *ud, void *p, size_t old, size_t new) {
  (void)ud;
  if (!p) old = 0;   /* Lua passes the kind of object then */
  if (new == 0) {
    if (old >= LARGE) fov_big_free(p, old);
    else free(p);
    return NULL;
  }
  if (old < LARGE && new < LARGE) return realloc(p, new);
  void *q = new >= LARGE ? fov_big_alloc(new) : malloc(new);
  if (!q) return NULL;
  if (p) {
    memcpy(q, p, old < new ? old : new);
    if (old >= LARGE) fov_big_free(p, old);
    else free(p);
  }
  return q;
}
