/* safetensors.c -- named tensors behind a JSON header.
 *
 *   length of the header (8 bytes, little-endian)
 *   {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [from, to]}, ..,
 *    "__metadata__": {"key": "text", ..}}
 *   the elements; offsets count from here
 *
 * As the format's description asks: the header starts with '{' and has at
 * most 100 MB, keys are unique, tensors tile the rest of the file without
 * overlap or hole. */
#include "io/archive.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100000000u
#define META "__metadata__"

static fov_Status header (const fov_Map *f, json_t **root, size_t *start) {
  uint64_t n = 0;
  if (f->n < 8) return fov_fail(FOV_IO, "expected 8 bytes of header length, got %zu", f->n);
  memcpy(&n, f->x, 8);
  if (n > MOST)
    return fov_fail(FOV_IO, "expected a header of at most %u bytes, got %llu", MOST,
                    (unsigned long long)n);
  if (n > f->n - 8)
    return fov_fail(FOV_IO, "header of %llu bytes in a file of %zu", (unsigned long long)n, f->n);
  if (n == 0 || f->x[8] != '{') return fov_fail(FOV_IO, "its header does not start with '{'");
  json_error_t e;
  *root = json_loadb(f->x + 8, n, JSON_REJECT_DUPLICATES, &e);
  if (!*root) return fov_fail(FOV_IO, "its header is not JSON: %s (byte %d)", e.text, e.position);
  *start = 8 + n;
  return FOV_OK;
}

static fov_Status metadata (fov_Archive *a, json_t *pairs) {
  const char *key;
  json_t *value;
  if (!json_is_object(pairs)) return fov_fail(FOV_IO, META " is not an object");
  a->meta = calloc(json_object_size(pairs) + 1, sizeof *a->meta);
  if (!a->meta) return FOV_NOMEM;
  json_object_foreach (pairs, key, value) {
    if (!json_is_string(value)) return fov_fail(FOV_IO, META " '%.60s' is not a string", key);
    a->meta[a->nmeta++] = (fov_Pair){ key, json_string_value(value) };
  }
  return FOV_OK;
}

/* A JSON array of at most 'most' sizes; the count, or -1. */
static int sizes (json_t *list, int most, ptrdiff_t *out) {
  size_t n = json_array_size(list);
  if (!json_is_array(list) || n > (size_t)most) return -1;
  for (size_t i = 0; i < n; i++) {
    json_t *v = json_array_get(list, i);
    if (!json_is_integer(v) || json_integer_value(v) < 0) return -1;
    out[i] = (ptrdiff_t)json_integer_value(v);
  }
  return (int)n;
}

static fov_Status tensor (const char *name, json_t *d, const char *x, size_t n, fov_Member *m) {
  fov_Array *a = &m->array;
  ptrdiff_t range[2];
  size_t memory;
  if (!json_is_object(d) || json_object_size(d) != 3)
    return fov_fail(FOV_IO, "'%.60s': expected dtype, shape and data_offsets", name);
  const char *type = json_string_value(json_object_get(d, "dtype"));
  if (!type) return fov_fail(FOV_IO, "'%.60s': dtype is not a string", name);
  a->code = fov_coding_st(type);
  if (!a->code)
    return fov_fail(FOV_IO, "'%.60s': dtype '%.20s' is not read (expected F32 F64 F16 BF16 I64 "
                            "I32 I16 I8 U8 U16 U32 BOOL)", name, type);
  a->ndim = sizes(json_object_get(d, "shape"), FOV_MAXDIM, a->shape);
  if (a->ndim < 0)
    return fov_fail(FOV_IO, "'%.60s': shape is not a list of at most %d sizes", name, FOV_MAXDIM);
  if (sizes(json_object_get(d, "data_offsets"), 2, range) != 2 || range[0] > range[1])
    return fov_fail(FOV_IO, "'%.60s': data_offsets is not a range", name);
  if ((size_t)range[1] > n)
    return fov_fail(FOV_IO, "'%.60s': data_offsets [%td,%td] go past the %zu bytes there are",
                    name, range[0], range[1], n);
  if (!fov_bytes(a->code->type, a->ndim, a->shape, &memory))
    return fov_fail(FOV_IO, "'%.60s': its shape overflows", name);
  a->bytes = memory / fov_type_size(a->code->type) * a->code->size;
  if ((size_t)(range[1] - range[0]) != a->bytes)
    return fov_fail(FOV_IO, "'%.60s': expected %zu bytes by dtype and shape, got %td",
                    name, a->bytes, range[1] - range[0]);
  m->name = name;
  m->x = x + range[0];
  m->n = m->full = a->bytes;
  return FOV_OK;
}

static int by_place (const void *a, const void *b) {
  const fov_Member *x = a, *y = b;
  if (x->x != y->x) return x->x < y->x ? -1 : 1;
  return (x->n > y->n) - (x->n < y->n);
}

static void drop (void *root) { json_decref(root); }

static fov_Status st_open (fov_Archive *a) {
  json_t *root = NULL, *d;
  const char *name;
  size_t start;
  fov_Status s = header(&a->map, &root, &start);
  if (s != FOV_OK) return s;
  a->names = root;
  a->drop = drop;
  a->member = calloc(json_object_size(root) + 1, sizeof *a->member);
  if (!a->member) return FOV_NOMEM;
  const char *x = a->map.x + start;
  json_object_foreach (root, name, d) {
    s = strcmp(name, META) == 0 ? metadata(a, d)
                                : tensor(name, d, x, a->map.n - start, &a->member[a->count++]);
    if (s != FOV_OK) return s;
  }
  qsort(a->member, a->count, sizeof *a->member, by_place);
  for (size_t i = 0; i < a->count; i++) {
    fov_Member *m = &a->member[i];
    if (m->x != x)
      return fov_fail(FOV_IO, "'%.60s' %s", m->name,
                      m->x < x ? "overlaps the tensor before it" : "leaves a hole before it");
    x += m->n;
  }
  if (x != a->map.x + a->map.n)
    return fov_fail(FOV_IO, "expected %zu bytes of elements, got %zu",
                    (size_t)(x - a->map.x) - start, a->map.n - start);
  return FOV_OK;
}

static fov_Status st_describe (const fov_Member *m, fov_Array *a) {
  *a = m->array;
  return FOV_OK;
}

/* Wide elements first, so that each tensor starts at a multiple of its
 * element size; then by name. */
static int by_width (const void *a, const void *b) {
  const fov_Named *x = *(const fov_Named *const *)a, *y = *(const fov_Named *const *)b;
  size_t n = fov_type_size(x->t->type), m = fov_type_size(y->t->type);
  return n != m ? (n < m) - (n > m) : strcmp(x->name, y->name);
}

static json_t *description (size_t n, const fov_Named *const *x, size_t nmeta,
                            const fov_Pair *meta) {
  json_t *root = json_object(), *pairs = nmeta ? json_object() : NULL;
  bool good = root && (!nmeta || pairs);
  for (size_t i = 0; i < nmeta && good; i++)
    good = json_object_set_new(pairs, meta[i].key, json_string(meta[i].value)) == 0;
  if (pairs && good) good = json_object_set(root, META, pairs) == 0;
  json_decref(pairs);
  json_int_t at = 0;
  for (size_t i = 0; i < n && good; i++) {
    const fov_Tensor *t = x[i]->t;
    json_int_t to = at + (json_int_t)((size_t)fov_numel(t) * fov_type_size(t->type));
    json_t *shape = json_array();
    for (int k = 0; k < t->ndim; k++) json_array_append_new(shape, json_integer(t->shape[k]));
    good = (int)json_array_size(shape) == t->ndim && json_object_set_new(root, x[i]->name,
                     json_pack("{s:s, s:o, s:[I,I]}", "dtype", fov_coding_of(t->type)->st,
                               "shape", shape, "data_offsets", at, to)) == 0;
    at = to;
  }
  if (good) return root;
  json_decref(root);
  return NULL;
}

static fov_Status put_all (fov_Writer *w, char *text, size_t n, const fov_Named *const *x) {
  char pad[8] = "       ";
  size_t len = strlen(text), more = (8 - len % 8) % 8;
  uint64_t head = len + more;
  if (head > MOST) return fov_fail(FOV_IO, "its header would take %zu bytes", (size_t)head);
  fov_Status s = fov_put(w, &head, 8);
  if (s == FOV_OK) s = fov_put(w, text, len);
  if (s == FOV_OK) s = fov_put(w, pad, more);
  for (size_t i = 0; i < n && s == FOV_OK; i++) s = fov_put_tensor(w, x[i]->t);
  return s;
}

static fov_Status st_write (fov_Writer *w, size_t n, const fov_Named *x, size_t nmeta,
                            const fov_Pair *meta) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(x[i].name, META) == 0) return fov_fail(FOV_IO, "a tensor cannot be named " META);
  const fov_Named **order = calloc(n + 1, sizeof *order);
  if (!order) return FOV_NOMEM;
  for (size_t i = 0; i < n; i++) order[i] = &x[i];
  qsort(order, n, sizeof *order, by_width);
  json_t *root = description(n, order, nmeta, meta);
  char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
  fov_Status s = text ? put_all(w, text, n, order)
                      : fov_fail(FOV_IO, "names and metadata must be UTF-8 text");
  free(text);
  json_decref(root);
  free(order);
  return s;
}

const fov_Format fov_safetensors = {
  .suffix = ".safetensors", .many = true, .mappable = true, .meta = true,
  .open = st_open, .describe = st_describe, .write = st_write
};
