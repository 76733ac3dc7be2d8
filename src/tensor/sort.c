/* sort.c -- stable sorting by integer keys; see sort.h.
 *
 * A key is an unsigned integer whose order is that of the elements.  For
 * IEEE numbers: all bits flipped when the sign is set, else the sign alone. */
#include "tensor/sort.h"

#include "base/pool.h"
#include "tensor/flat.h"

#include <string.h>

enum { GRAIN = 1 << 13,     /* elements per task, at least a line */
       SHORT = 32,          /* lines sorted by insertion */
       BLOCK = 1024 };

typedef struct Item { uint64_t key; int64_t at; } Item;

static uint64_t key_f64 (double v) {
  uint64_t u;
  if (v != v) return UINT64_MAX;
  if (v == 0) v = 0;        /* -0 too */
  memcpy(&u, &v, sizeof u);
  return u >> 63 ? ~u : u | 1ull << 63;
}

/* 32 bits, so that the upper digits need no pass. */
static uint64_t key_f32 (float v) {
  uint32_t u;
  if (v != v) return UINT32_MAX;
  if (v == 0) v = 0;
  memcpy(&u, &v, sizeof u);
  return u >> 31 ? ~u : u | 1u << 31;
}

/* out[i] := key of x[i*s] for i < n; descending turns all but NaN around. */
static void keys (fov_Type type, const void *x, ptrdiff_t s, ptrdiff_t n, bool descending,
                  Item *out) {
  uint64_t all = type == FOV_F32 ? UINT32_MAX : type == FOV_U8 ? 255 : UINT64_MAX;
  bool real = fov_is_real(type);
  for (ptrdiff_t i = 0; i < n; i++) {
    uint64_t k;
    switch (type) {
      case FOV_F32: k = key_f32(((const float *)x)[i * s]); break;
      case FOV_F64: k = key_f64(((const double *)x)[i * s]); break;
      case FOV_I64: k = (uint64_t)((const int64_t *)x)[i * s] ^ 1ull << 63; break;
      default: k = ((const uint8_t *)x)[i * s]; break;
    }
    out[i] = (Item){ descending && !(real && k == all) ? all - k : k, i };
  }
}

static bool before (const Item *a, const Item *b) {
  return a->key != b->key ? a->key < b->key : a->at < b->at;
}

/* Least significant digit first; a digit all keys share needs no pass.
 * Returns which of the two holds the result. */
static Item *radix (Item *a, Item *b, ptrdiff_t n) {
  uint64_t some = 0;
  for (ptrdiff_t i = 1; i < n; i++) some |= a[i].key ^ a[0].key;
  for (int shift = 0; shift < 64; shift += 8) {
    ptrdiff_t start[256] = { 0 }, at = 0;
    if (!(some >> shift & 255)) continue;
    for (ptrdiff_t i = 0; i < n; i++) start[a[i].key >> shift & 255]++;
    for (int d = 0; d < 256; d++) {
      ptrdiff_t count = start[d];
      start[d] = at;
      at += count;
    }
    for (ptrdiff_t i = 0; i < n; i++) b[start[a[i].key >> shift & 255]++] = a[i];
    Item *t = a;
    a = b;
    b = t;
  }
  return a;
}

static void insertion (Item *a, ptrdiff_t n) {
  for (ptrdiff_t i = 1; i < n; i++) {
    Item x = a[i];
    ptrdiff_t j = i;
    for (; j > 0 && x.key < a[j - 1].key; j--) a[j] = a[j - 1];
    a[j] = x;
  }
}

/* Restores the heap (its last in order on top) below 'i'. */
static void sift (Item *h, ptrdiff_t n, ptrdiff_t i) {
  Item x = h[i];
  for (ptrdiff_t c; (c = 2 * i + 1) < n; i = c) {
    if (c + 1 < n && before(&h[c], &h[c + 1])) c++;
    if (!before(&x, &h[c])) break;
    h[i] = h[c];
  }
  h[i] = x;
}

typedef struct Sort {
  fov_Tensor x, values, indices;   /* the sorted dimension last */
  ptrdiff_t n, k, lines, block;    /* lines per task */
  bool descending;
} Sort;

/* The first k in order of a line of n, at the front of scratch. */
static Item *first (const Sort *s, const char *x) {
  ptrdiff_t n = s->n, k = s->k, step = s->x.stride[s->x.ndim - 1];
  ptrdiff_t size = (ptrdiff_t)fov_type_size(s->x.type);
  if (k > n / 8) {
    Item *a = fov_scratch((size_t)n, sizeof *a), *b = fov_scratch((size_t)n, sizeof *b);
    if (!a || !b) return NULL;
    keys(s->x.type, x, step, n, s->descending, a);
    if (n > SHORT) return radix(a, b, n);
    insertion(a, n);
    return a;
  }
  Item *h = fov_scratch((size_t)k + 1, sizeof *h), next[BLOCK];
  if (!h) return NULL;
  keys(s->x.type, x, step, k, s->descending, h);
  for (ptrdiff_t i = k / 2 - 1; i >= 0; i--) sift(h, k, i);
  for (ptrdiff_t at = k; k && at < n; at += BLOCK) {
    ptrdiff_t m = n - at < BLOCK ? n - at : BLOCK;
    keys(s->x.type, x + at * step * size, step, m, s->descending, next);
    for (ptrdiff_t i = 0; i < m; i++)
      if (next[i].key < h->key) {          /* equal ones come later: stay out */
        *h = (Item){ next[i].key, at + i };
        sift(h, k, 0);
      }
  }
  for (ptrdiff_t m = k - 1; m > 0; m--) {  /* heap order to sorted order */
    Item t = h[0];
    h[0] = h[m];
    h[m] = t;
    sift(h, m, 0);
  }
  return h;
}

/* Offset in elements of line 'i': all dimensions of 't' but the last. */
static ptrdiff_t line (const fov_Tensor *t, ptrdiff_t i) {
  ptrdiff_t at = 0;
  for (int k = t->ndim - 2; k >= 0; k--) {
    at += i % t->shape[k] * t->stride[k];
    i /= t->shape[k];
  }
  return at;
}

static fov_Status sort_some (void *arg, ptrdiff_t task) {
  const Sort *s = arg;
  int last = s->x.ndim - 1;
  ptrdiff_t size = (ptrdiff_t)fov_type_size(s->x.type), step = s->x.stride[last];
  ptrdiff_t end = (task + 1) * s->block < s->lines ? (task + 1) * s->block : s->lines;
  for (ptrdiff_t i = task * s->block; i < end; i++) {
    fov_Mark mark = fov_mark();
    const char *x = (const char *)s->x.x + line(&s->x, i) * size;
    ptrdiff_t at = line(&s->indices, i), out = s->indices.stride[last];
    const Item *a = first(s, x);
    if (!a) return fov_release(mark), FOV_NOMEM;
    int64_t *index = (int64_t *)s->indices.x + at;
    for (ptrdiff_t j = 0; j < s->k; j++) index[j * out] = a[j].at + 1;
    char *y = s->values.x ? (char *)s->values.x + at * size : NULL;
    for (ptrdiff_t j = 0; y && j < s->k; j++)
      memcpy(y + j * out * size, x + a[j].at * step * size, (size_t)size);
    fov_release(mark);
  }
  return FOV_OK;
}

static fov_Tensor to_last (const fov_Tensor *t, int dim) {
  fov_Tensor v = *t;
  for (int k = dim; k + 1 < t->ndim; k++) {
    v.shape[k] = t->shape[k + 1];
    v.stride[k] = t->stride[k + 1];
  }
  v.shape[t->ndim - 1] = t->shape[dim];
  v.stride[t->ndim - 1] = t->stride[dim];
  return v;
}

fov_Status fov_sort (const fov_Tensor *x, int dim, bool descending, const fov_Tensor *values,
                     const fov_Tensor *indices) {
  Sort s = { .x = to_last(x, dim), .indices = to_last(indices, dim),
             .n = x->shape[dim], .k = indices->shape[dim], .descending = descending };
  if (fov_numel(indices) == 0) return FOV_OK;
  if (values->x) s.values = to_last(values, dim);
  s.lines = fov_numel(x) / s.n;
  s.block = s.n < GRAIN ? GRAIN / s.n : 1;
  return fov_parallel((s.lines + s.block - 1) / s.block, sort_some, &s);
}

typedef struct Search {
  const Item *sorted;
  fov_Tensor v;
  ptrdiff_t n, m;
  fov_Type type;
  bool right;
  int64_t *out;
} Search;

static fov_Status search_some (void *arg, ptrdiff_t task) {
  const Search *s = arg;
  ptrdiff_t from = task * GRAIN, end = from + GRAIN < s->m ? from + GRAIN : s->m;
  for (ptrdiff_t at = from; at < end; at += BLOCK) {
    uint64_t room[BLOCK];
    Item item[BLOCK];
    ptrdiff_t m = end - at < BLOCK ? end - at : BLOCK;
    fov_pull(&s->v, at, m, s->type, room);
    keys(s->type, room, 1, m, false, item);
    for (ptrdiff_t i = 0; i < m; i++) {
      ptrdiff_t lo = 0, hi = s->n;
      while (lo < hi) {
        ptrdiff_t mid = lo + (hi - lo) / 2;
        uint64_t k = s->sorted[mid].key;
        if (k < item[i].key || (s->right && k == item[i].key)) lo = mid + 1;
        else hi = mid;
      }
      s->out[at + i] = lo + 1;
    }
  }
  return FOV_OK;
}

fov_Status fov_searchsorted (const fov_Tensor *sorted, const fov_Tensor *v, fov_Type type,
                             bool right, const fov_Tensor *out) {
  fov_Tensor flat = fov_squash(sorted);
  Search s = { .v = fov_squash(v), .n = fov_numel(sorted), .m = fov_numel(v), .type = type,
               .right = right, .out = out->x };
  Item *a = fov_scratch((size_t)s.n + 1, sizeof *a);
  void *run = fov_scratch((size_t)s.n + 1, fov_type_size(type));
  if (!a || !run) return FOV_NOMEM;
  if (s.n) fov_pull(&flat, 0, s.n, type, run);
  keys(type, run, 1, s.n, false, a);
  for (ptrdiff_t i = 1; i < s.n; i++)
    if (a[i].key < a[i - 1].key)
      return fov_fail(FOV_VALUE, "element %td of 'sorted' is less than the one before", i + 1);
  s.sorted = a;
  return s.m ? fov_parallel((s.m + GRAIN - 1) / GRAIN, search_some, &s) : FOV_OK;
}
