/* archive.c -- opening archives and unpacking their members; see archive.h. */
#include "io/archive.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const fov_Format *const formats[] = { &fov_npy, &fov_npz, &fov_safetensors };

const fov_Format *fov_format_of (const char *path) {
  size_t n = strlen(path);
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    size_t k = strlen(formats[i]->suffix);
    if (n > k && strcmp(path + n - k, formats[i]->suffix) == 0) return formats[i];
  }
  return NULL;
}

fov_Status fov_archive_open (fov_Archive *a, const fov_Format *f, const char *path) {
  *a = (fov_Archive){ .format = f };
  fov_Status s = fov_map(path, &a->map);
  return s != FOV_OK ? s : f->open(a);
}

void fov_archive_close (fov_Archive *a) {
  free(a->member);
  free(a->meta);
  if (a->drop) a->drop(a->names);
  fov_unmap(&a->map);
  *a = (fov_Archive){ 0 };
}

/* A member's bytes, front to back. */
typedef struct Stream {
  const fov_Member *m;
  const char *x;                /* not yet fed */
  size_t left;
  z_stream z;
  bool ended;
  uLong crc;
} Stream;

static fov_Status start (Stream *s, const fov_Member *m) {
  *s = (Stream){ .m = m, .x = m->x, .left = m->n, .crc = crc32(0, NULL, 0) };
  return m->deflated && inflateInit2(&s->z, -MAX_WBITS) != Z_OK ? FOV_NOMEM : FOV_OK;
}

static fov_Status inflate_some (Stream *s, char *out, size_t n) {
  s->z.next_out = (Bytef *)out;
  s->z.avail_out = (uInt)n;
  while (s->z.avail_out && !s->ended) {
    if (!s->z.avail_in) {
      s->z.avail_in = (uInt)(s->left < (size_t)1 << 30 ? s->left : (size_t)1 << 30);
      s->z.next_in = (z_const Bytef *)s->x;
      s->x += s->z.avail_in;
      s->left -= s->z.avail_in;
    }
    int r = inflate(&s->z, Z_NO_FLUSH);
    if (r == Z_STREAM_END) s->ended = true;
    else if (r == Z_MEM_ERROR) return FOV_NOMEM;
    else if (r != Z_OK)
      return fov_fail(FOV_IO, "damaged compressed bytes (%s)", s->z.msg ? s->z.msg : "cut short");
  }
  return FOV_OK;
}

static fov_Status next (Stream *s, void *out, size_t n) {
  char *y = out;
  if (!s->m->deflated) {
    memcpy(y, s->x, n);
    s->x += n;
    if (s->m->summed) s->crc = crc32_z(s->crc, out, n);
    return FOV_OK;
  }
  while (n) {
    size_t step = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
    fov_Status e = inflate_some(s, y, step);
    if (e != FOV_OK) return e;
    if (s->z.avail_out)
      return fov_fail(FOV_IO, "expected %zu bytes when inflated, got %zu", s->m->full,
                      (size_t)s->z.total_out);
    s->crc = crc32_z(s->crc, (const Bytef *)y, step);
    y += step;
    n -= step;
  }
  return FOV_OK;
}

/* All 'full' bytes were taken: nothing may follow, and the sum must hold. */
static fov_Status finish (Stream *s) {
  char more;
  if (s->m->deflated) {
    fov_Status e = s->ended ? FOV_OK : inflate_some(s, &more, 1);
    if (e != FOV_OK) return e;
    if (!s->ended) return fov_fail(FOV_IO, "more than the %zu bytes it declares", s->m->full);
  }
  if (s->m->summed && s->crc != s->m->crc)
    return fov_fail(FOV_IO, "expected CRC-32 %08lx, got %08lx", (unsigned long)s->m->crc, s->crc);
  return FOV_OK;
}

fov_Status fov_member_front (const fov_Member *m, void *out, size_t n) {
  Stream s;
  fov_Status e = start(&s, m);
  if (e == FOV_OK) e = next(&s, out, n);
  if (m->deflated) inflateEnd(&s.z);
  return e;
}

#define BLOCK (1 << 16)    /* bytes decoded at a time */

static fov_Status elements (Stream *s, const fov_Array *a, char *out) {
  char room[BLOCK];
  if (a->at > BLOCK) return fov_fail(FOV_IO, "header of %zu bytes", a->at);
  fov_Status e = next(s, room, a->at);
  if (e != FOV_OK) return e;
  if (!a->code->decode) return next(s, out, a->bytes);
  size_t size = fov_type_size(a->code->type);
  for (size_t i = 0; i < a->bytes; i += BLOCK) {
    size_t n = a->bytes - i < BLOCK ? a->bytes - i : BLOCK;
    if ((e = next(s, room, n)) != FOV_OK) return e;
    a->code->decode(room, (ptrdiff_t)(n / a->code->size), out + i / a->code->size * size);
  }
  return FOV_OK;
}

fov_Status fov_member_read (const fov_Member *m, const fov_Array *a, void *out) {
  Stream s;
  fov_Status e = start(&s, m);
  if (e == FOV_OK) e = elements(&s, a, out);
  if (e == FOV_OK) e = finish(&s);
  if (m->deflated) inflateEnd(&s.z);
  return e;
}
