/* npz.c -- archives of npy members: zip files, stored or deflated.
 *
 * Layout (PKWARE's APPNOTE, 6.3): for each member a local header, its name,
 * an extra field and its bytes; then the central directory, one record per
 * member; then the end record, before which ZIP64 puts a wider one and a
 * locator.  The central directory is believed where it fits the file; local
 * headers must agree with it on the name.
 *
 * We write every size and offset in ZIP64 form, whatever its value, so that
 * small files exercise the path of large ones. */
#include "io/npy.h"

#include <stdlib.h>
#include <string.h>

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define END64 0x06064b50u
#define LOCATOR 0x07064b50u

static uint64_t get (const char *p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)(unsigned char)p[i] << 8 * i;
  return v;
}

static char *set (char *p, int bytes, uint64_t v) {
  for (int i = 0; i < bytes; i++) p[i] = (char)(v >> 8 * i & 255);
  return p + bytes;
}

/* The central directory: where, how long, how many records. */
typedef struct Directory { uint64_t at, n, count; } Directory;

static fov_Status directory (const fov_Map *f, Directory *d) {
  size_t end = f->n;
  const char *e = NULL;
  for (size_t back = 22; !e && back <= end && back <= 22 + 65535; back++)
    if (get(f->x + end - back, 4) == END && get(f->x + end - back + 20, 2) == back - 22)
      e = f->x + end - back;
  if (!e) return fov_fail(FOV_IO, "is not a zip archive (no end record)");
  if (get(e + 4, 2) != 0 && get(e + 4, 2) != 0xffff)
    return fov_fail(FOV_IO, "is one of several zip volumes");
  *d = (Directory){ get(e + 16, 4), get(e + 12, 4), get(e + 10, 2) };
  size_t limit = (size_t)(e - f->x);
  if (d->at == 0xffffffff || d->n == 0xffffffff || d->count == 0xffff) {
    if (limit < 20 || get(e - 20, 4) != LOCATOR)
      return fov_fail(FOV_IO, "its zip64 locator is missing");
    uint64_t at = get(e - 12, 8);
    if (at > limit - 20 || limit - 20 - at < 56 || get(f->x + at, 4) != END64)
      return fov_fail(FOV_IO, "its zip64 end record is not where it should be");
    *d = (Directory){ get(f->x + at + 48, 8), get(f->x + at + 40, 8), get(f->x + at + 32, 8) };
    limit = at;
  }
  if (d->at > limit || d->n > limit - d->at || d->count > d->n / 46)
    return fov_fail(FOV_IO, "its zip directory (%llu records in %llu bytes at %llu) does not fit",
                    (unsigned long long)d->count, (unsigned long long)d->n,
                    (unsigned long long)d->at);
  return FOV_OK;
}

/* Replaces the saturated ones of size, packed size and offset by their
 * ZIP64 values. */
static bool widen (const char *extra, size_t n, uint64_t *full, uint64_t *packed, uint64_t *at) {
  uint64_t *wide[] = { full, packed, at };
  int missing = 0;
  for (int k = 0; k < 3; k++) missing += *wide[k] == 0xffffffff;
  for (size_t i = 0; missing && i + 4 <= n;) {
    size_t id = get(extra + i, 2), len = get(extra + i + 2, 2), from = i + 4;
    if (len > n - from) return false;
    for (int k = 0; id == 1 && k < 3; k++)
      if (*wide[k] == 0xffffffff) {
        if (from + 8 > i + 4 + len) return false;
        *wide[k] = get(extra + from, 8);
        from += 8;
        missing--;
      }
    i += 4 + len;
  }
  return missing == 0;
}

/* One central record 'r' ('left' bytes remain there); its name, without
 * ".npy", goes to 'name'.  *used: bytes of the record. */
static fov_Status member (const fov_Map *f, const Directory *d, const char *r, size_t left,
                          char *name, fov_Member *m, size_t *used) {
  if (left < 46 || get(r, 4) != CENTRAL) return fov_fail(FOV_IO, "damaged zip directory");
  size_t len = get(r + 28, 2), extra = get(r + 30, 2), comment = get(r + 32, 2);
  if (len + extra + comment > left - 46) return fov_fail(FOV_IO, "damaged zip directory");
  *used = 46 + len + extra + comment;
  memcpy(name, r + 46, len);
  name[len] = '\0';
  *m = (fov_Member){ .name = name, .summed = true, .crc = (uint32_t)get(r + 16, 4) };
  if (strlen(name) != len) return fov_fail(FOV_IO, "a member's name holds a zero byte");
  if (len < 4 || strcmp(name + len - 4, ".npy") != 0)
    return fov_fail(FOV_IO, "member '%.60s' is not a .npy", name);
  name[len - 4] = '\0';
  uint64_t packed = get(r + 20, 4), full = get(r + 24, 4), at = get(r + 42, 4);
  unsigned method = (unsigned)get(r + 10, 2);
  if (get(r + 8, 2) & 1) return fov_fail(FOV_IO, "member '%.60s' is encrypted", name);
  if (method != 0 && method != 8)
    return fov_fail(FOV_IO, "member '%.60s': expected stored or deflated, got zip method %u", name,
                    method);
  if (!widen(r + 46 + len, extra, &full, &packed, &at))
    return fov_fail(FOV_IO, "member '%.60s': damaged zip64 sizes", name);
  /* the local header's own name and extra lengths lead to the bytes */
  if (at > d->at || d->at - at < 30 + len || get(f->x + at, 4) != LOCAL ||
      get(f->x + at + 26, 2) != len || memcmp(f->x + at + 30, r + 46, len) != 0)
    return fov_fail(FOV_IO, "member '%.60s' is not where the directory says", name);
  uint64_t head = 30 + len + get(f->x + at + 28, 2);
  if (head > d->at - at || packed > d->at - at - head)
    return fov_fail(FOV_IO, "member '%.60s': expected %llu bytes, got %llu", name,
                    (unsigned long long)packed,
                    (unsigned long long)(head > d->at - at ? 0 : d->at - at - head));
  /* deflate cannot expand by more than 1032: a larger claim is a lie */
  if (method == 0 ? full != packed : full / 1032 > packed + 1)
    return fov_fail(FOV_IO, "member '%.60s': %llu bytes cannot hold %llu", name,
                    (unsigned long long)packed, (unsigned long long)full);
  m->x = f->x + at + head;
  m->n = packed;
  m->full = full;
  m->deflated = method == 8;
  return FOV_OK;
}

static fov_Status npz_open (fov_Archive *a) {
  Directory d = { 0 };
  fov_Status s = directory(&a->map, &d);
  if (s != FOV_OK) return s;
  a->member = calloc(d.count + 1, sizeof *a->member);
  a->names = malloc(d.n + d.count + 1);       /* each name and its zero */
  a->drop = free;
  if (!a->member || !a->names) return FOV_NOMEM;
  const char *r = a->map.x + d.at;
  char *name = a->names;
  for (size_t left = d.n, used = 0; a->count < d.count; r += used, left -= used) {
    fov_Member *m = &a->member[a->count];
    s = member(&a->map, &d, r, left, name, m, &used);
    if (s != FOV_OK) return s;
    name += strlen(name) + 1;
    a->count++;
  }
  return FOV_OK;
}

static fov_Status npz_describe (const fov_Member *m, fov_Array *a) {
  if (!m->deflated) return fov_npy_parse(m->x, m->n, m->full, a);
  fov_Mark mark = fov_mark();
  size_t n = m->full < FOV_NPY_MOST ? m->full : FOV_NPY_MOST;
  char *x = fov_scratch(n, 1);
  fov_Status s = x ? fov_member_front(m, x, n) : FOV_NOMEM;
  if (s == FOV_OK) s = fov_npy_parse(x, n, m->full, a);
  fov_release(mark);
  return s;
}

/* The fields that local and central headers share, from 'version needed'. */
static char *common (char *p, const char *name, uint32_t crc, size_t extra) {
  size_t n = strlen(name) + 4;
  p = set(set(p, 2, 45), 2, 0x800);                 /* ZIP64; the name is UTF-8 */
  p = set(set(set(p, 2, 0), 2, 0), 2, 33);          /* stored; 1980-01-01 */
  p = set(set(set(p, 4, crc), 4, 0xffffffff), 4, 0xffffffff);
  return set(set(p, 2, n), 2, extra);
}

static fov_Status put_member (fov_Writer *w, const fov_Named *x, uint32_t *crc) {
  char h[64], *p = common(set(h, 4, LOCAL), x->name, 0, 20), head[FOV_NPY_ROOM];
  size_t at = w->n, n = fov_npy_format(x->t, head);
  size_t full = n + (size_t)fov_numel(x->t) * fov_type_size(x->t->type);
  char extra[20];
  set(set(set(set(extra, 2, 1), 2, 16), 8, full), 8, full);
  fov_Status s = fov_put(w, h, (size_t)(p - h));
  if (s == FOV_OK) s = fov_put(w, x->name, strlen(x->name));
  if (s == FOV_OK) s = fov_put(w, ".npy", 4);
  if (s == FOV_OK) s = fov_put(w, extra, sizeof extra);
  w->summed = true;
  w->crc = 0;
  if (s == FOV_OK) s = fov_put(w, head, n);
  if (s == FOV_OK) s = fov_put_tensor(w, x->t);
  w->summed = false;
  *crc = w->crc;
  set(h, 4, w->crc);
  return s != FOV_OK ? s : fov_put_at(w, at + 14, h, 4);
}

static fov_Status put_record (fov_Writer *w, const fov_Named *x, uint32_t crc, size_t *at) {
  char h[64], extra[28], head[FOV_NPY_ROOM];
  size_t n = fov_npy_format(x->t, head);
  size_t full = n + (size_t)fov_numel(x->t) * fov_type_size(x->t->type);
  set(set(set(set(set(extra, 2, 1), 2, 24), 8, full), 8, full), 8, *at);
  char *p = common(set(set(h, 4, CENTRAL), 2, 45), x->name, crc, 28);
  p = set(set(set(set(set(p, 2, 0), 2, 0), 2, 0), 4, 0), 4, 0xffffffff);
  *at += 30 + strlen(x->name) + 4 + 20 + full;
  fov_Status s = fov_put(w, h, (size_t)(p - h));
  if (s == FOV_OK) s = fov_put(w, x->name, strlen(x->name));
  if (s == FOV_OK) s = fov_put(w, ".npy", 4);
  return s != FOV_OK ? s : fov_put(w, extra, sizeof extra);
}

static fov_Status npz_write (fov_Writer *w, size_t n, const fov_Named *x, size_t nmeta,
                             const fov_Pair *meta) {
  (void)nmeta, (void)meta;
  fov_Mark mark = fov_mark();
  uint32_t *crc = fov_scratch(n + 1, sizeof *crc);
  fov_Status s = crc ? FOV_OK : FOV_NOMEM;
  for (size_t i = 0; i < n && s == FOV_OK; i++)
    if (strlen(x[i].name) > 65000) s = fov_fail(FOV_IO, "a name of %zu bytes", strlen(x[i].name));
  for (size_t i = 0; i < n && s == FOV_OK; i++) s = put_member(w, &x[i], &crc[i]);
  size_t start = w->n, at = 0;
  for (size_t i = 0; i < n && s == FOV_OK; i++) s = put_record(w, &x[i], crc[i], &at);
  size_t end = w->n;
  fov_release(mark);
  if (s != FOV_OK) return s;
  char h[56 + 20 + 22], *p = set(set(h, 4, END64), 8, 44);
  p = set(set(set(set(p, 2, 45), 2, 45), 4, 0), 4, 0);
  p = set(set(set(set(p, 8, n), 8, n), 8, end - start), 8, start);
  p = set(set(set(set(p, 4, LOCATOR), 4, 0), 8, end), 4, 1);
  p = set(set(set(p, 4, END), 2, 0), 2, 0);
  p = set(set(p, 2, 0xffff), 2, 0xffff);
  p = set(set(set(p, 4, 0xffffffff), 4, 0xffffffff), 2, 0);
  return fov_put(w, h, (size_t)(p - h));
}

const fov_Format fov_npz = {
  .suffix = ".npz", .many = true,
  .open = npz_open, .describe = npz_describe, .write = npz_write
};
