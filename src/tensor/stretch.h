/* stretch.h -- how queries and keys of causal sums line up.
 *
 * The last query meets the last key.  A call is four stretches: keys that all
 * remaining queries see, queries before the first key, pairs, and queries
 * after the last key; without causality only the first and the last. */
#ifndef FOV_STRETCH_H
#define FOV_STRETCH_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fov_Stretch {
  ptrdiff_t early;          /* keys [0, early), before the pairs */
  ptrdiff_t blind;          /* queries [0, blind), before the first key */
  ptrdiff_t pairs, key;     /* query blind + t goes with key key + t */
  ptrdiff_t after, late;    /* queries [after, after + late), past the last key */
  ptrdiff_t unseen;         /* queries [0, unseen) see nothing at all */
  ptrdiff_t used;           /* keys [0, used) are seen by someone */
} fov_Stretch;

/* n queries, m keys of which 'length' count; state: something came before. */
static inline fov_Stretch fov_stretch (ptrdiff_t n, ptrdiff_t m, ptrdiff_t length, bool causal,
                                       bool state) {
  fov_Stretch s = { .early = length, .key = length };
  if (causal) {
    s.blind = n > m ? n - m : 0;
    s.key = m > n ? m - n : 0;
    s.early = s.key < length ? s.key : length;
    s.pairs = length - s.early;
  }
  s.after = s.blind + s.pairs;
  s.late = n - s.after;
  s.unseen = state ? 0 : length == 0 ? n : s.blind;
  s.used = s.pairs > 0 ? s.key + s.pairs : s.early;
  return s;
}

#endif
