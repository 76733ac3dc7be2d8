/* npy.c -- NumPy's array files.
 *
 *   "\x93NUMPY" major minor  length(2 bytes, from 2.0: 4, little-endian)
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  spaces  \n
 *   the elements
 *
 * The format: numpy.lib.format, versions 1.0, 2.0 and 3.0.  The text is read
 * by a grammar of exactly these three keys, in any order; nothing is evaluated. */
#include "io/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"

typedef struct Text { const char *p, *end; } Text;

static void blank (Text *t) {
  while (t->p < t->end && memchr(" \n\t\r", *t->p, 4)) t->p++;
}

static bool take (Text *t, char c) {
  blank(t);
  return t->p < t->end && *t->p == c ? t->p++, true : false;
}

static bool word (Text *t, const char *w) {
  size_t n = strlen(w);
  blank(t);
  if ((size_t)(t->end - t->p) < n || memcmp(t->p, w, n) != 0) return false;
  t->p += n;
  return true;
}

/* 'text' or "text" of fewer than 'room' bytes, without escapes. */
static bool quoted (Text *t, char *out, size_t room) {
  char q = take(t, '\'') ? '\'' : take(t, '"') ? '"' : 0;
  size_t n = 0;
  while (q && t->p < t->end && *t->p != q && *t->p != '\\' && n + 1 < room) out[n++] = *t->p++;
  out[n] = '\0';
  return q && t->p < t->end && *t->p++ == q;
}

static fov_Status descr (Text *t, fov_Array *a) {
  char name[16];
  if (take(t, '[')) return fov_fail(FOV_IO, "structured dtypes are not read");
  if (!quoted(t, name, sizeof name)) return fov_fail(FOV_IO, "unreadable dtype in its header");
  if (name[0] == '>') return fov_fail(FOV_IO, "big-endian dtype '%s' is not read", name);
  if ((a->code = fov_coding_npy(name))) return FOV_OK;
  return fov_fail(FOV_IO, "dtype '%s' is not read (expected <f4 <f8 <f2 <i8 <i4 <i2 |i1 "
                          "|u1 <u2 <u4 |b1)", name);
}

static fov_Status size (Text *t, ptrdiff_t *n) {
  const char *from = t->p;
  for (*n = 0; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++)
    if (__builtin_mul_overflow(*n, 10, n) || __builtin_add_overflow(*n, *t->p - '0', n))
      return fov_fail(FOV_IO, "a size in its shape overflows");
  if (t->p == from) return fov_fail(FOV_IO, "unreadable shape in its header");
  if (t->p < t->end && *t->p == 'L') t->p++;   /* as Python 2 wrote it */
  return FOV_OK;
}

static fov_Status shape (Text *t, fov_Array *a) {
  if (!take(t, '(')) return fov_fail(FOV_IO, "unreadable shape in its header");
  for (a->ndim = 0; !take(t, ')');) {
    if (a->ndim == FOV_MAXDIM)
      return fov_fail(FOV_IO, "expected at most %d dimensions, got more", FOV_MAXDIM);
    blank(t);
    fov_Status s = size(t, &a->shape[a->ndim++]);
    if (s != FOV_OK) return s;
    bool comma = take(t, ',');
    if (!comma && (a->ndim == 1 || !take(t, ')')))
      return fov_fail(FOV_IO, "unreadable shape in its header");
    if (!comma) break;
  }
  return FOV_OK;
}

static fov_Status dict (Text *t, fov_Array *a) {
  static const char *const keys[] = { "descr", "fortran_order", "shape" };
  unsigned seen = 0;
  if (!take(t, '{')) return fov_fail(FOV_IO, "its header is not a dictionary");
  while (!take(t, '}')) {
    char key[16];
    unsigned k = 0;
    if (!quoted(t, key, sizeof key) || !take(t, ':'))
      return fov_fail(FOV_IO, "unreadable header dictionary");
    while (k < 3 && strcmp(key, keys[k]) != 0) k++;
    if (k == 3 || seen & 1u << k)
      return fov_fail(FOV_IO, "header key '%s' is %s", key, k == 3 ? "unknown" : "repeated");
    seen |= 1u << k;
    fov_Status s = k == 0 ? descr(t, a) : k == 2 ? shape(t, a) : FOV_OK;
    if (s != FOV_OK) return s;
    if (k == 1) {
      a->fortran = word(t, "True");
      if (!a->fortran && !word(t, "False"))
        return fov_fail(FOV_IO, "fortran_order is neither True nor False");
    }
    if (!take(t, ',') && !(blank(t), t->p < t->end && *t->p == '}'))
      return fov_fail(FOV_IO, "unreadable header dictionary");
  }
  blank(t);
  if (t->p != t->end) return fov_fail(FOV_IO, "something follows its header dictionary");
  for (unsigned k = 0; k < 3; k++)
    if (!(seen & 1u << k)) return fov_fail(FOV_IO, "header key '%s' is missing", keys[k]);
  return FOV_OK;
}

fov_Status fov_npy_parse (const char *x, size_t have, size_t full, fov_Array *a) {
  *a = (fov_Array){ 0 };
  const unsigned char *u = (const unsigned char *)x;
  if (have < 12 || memcmp(x, MAGIC, 6) != 0)
    return fov_fail(FOV_IO, "expected the magic of an npy array");
  if (u[6] < 1 || u[6] > 3 || u[7] != 0)
    return fov_fail(FOV_IO, "expected npy version 1.0, 2.0 or 3.0, got %d.%d", u[6], u[7]);
  size_t start = u[6] == 1 ? 10 : 12;
  size_t n = u[8] | (size_t)u[9] << 8;
  if (start == 12) n |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
  if (n > FOV_NPY_MOST - start)
    return fov_fail(FOV_IO, "expected a header of at most %zu bytes, got %zu",
                    FOV_NPY_MOST - start, n);
  if (n > have - start)
    return fov_fail(FOV_IO, "header of %zu bytes in a file of %zu", n, full);
  Text t = { x + start, x + start + n };
  fov_Status s = dict(&t, a);
  if (s != FOV_OK) return s;
  size_t memory;
  if (!fov_bytes(a->code->type, a->ndim, a->shape, &memory))
    return fov_fail(FOV_IO, "its shape overflows");
  a->bytes = memory / fov_type_size(a->code->type) * a->code->size;
  a->at = start + n;
  if (full - a->at != a->bytes)
    return fov_fail(FOV_IO, "expected %zu bytes of elements, got %zu", a->bytes, full - a->at);
  return FOV_OK;
}

size_t fov_npy_format (const fov_Tensor *t, char x[FOV_NPY_ROOM]) {
  int n = 10 + snprintf(x + 10, FOV_NPY_ROOM - 10,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (",
                        fov_coding_of(t->type)->npy);
  for (int i = 0; i < t->ndim; i++)
    n += snprintf(x + n, (size_t)(FOV_NPY_ROOM - n), "%s%td%s", i ? " " : "", t->shape[i],
                  i + 1 < t->ndim || t->ndim == 1 ? "," : "");
  n += snprintf(x + n, (size_t)(FOV_NPY_ROOM - n), "), }");
  while ((n + 1) % 64) x[n++] = ' ';
  x[n++] = '\n';
  memcpy(x, MAGIC "\x01\x00", 8);
  x[8] = (char)((n - 10) & 255);
  x[9] = (char)((n - 10) >> 8);
  return (size_t)n;
}

static fov_Status npy_open (fov_Archive *a) {
  fov_Member *m = a->member = calloc(1, sizeof *m);
  if (!m) return FOV_NOMEM;
  a->count = 1;
  *m = (fov_Member){ .name = "", .x = a->map.x, .n = a->map.n, .full = a->map.n };
  return FOV_OK;
}

static fov_Status npy_describe (const fov_Member *m, fov_Array *a) {
  return fov_npy_parse(m->x, m->n, m->full, a);
}

static fov_Status npy_write (fov_Writer *w, size_t n, const fov_Named *x, size_t nmeta,
                             const fov_Pair *meta) {
  (void)n, (void)nmeta, (void)meta;
  char head[FOV_NPY_ROOM];
  fov_Status s = fov_put(w, head, fov_npy_format(x->t, head));
  return s != FOV_OK ? s : fov_put_tensor(w, x->t);
}

const fov_Format fov_npy = {
  .suffix = ".npy", .mappable = true,
  .open = npy_open, .describe = npy_describe, .write = npy_write
};
