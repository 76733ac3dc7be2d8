/* archive.h -- the arrays a file holds, whatever its format.
 *
 * Every file is hostile until proven otherwise: each size is checked against
 * the bytes that are there before it is used.  Failures are FOV_IO with a
 * message that does not name the file. */
#ifndef FOV_ARCHIVE_H
#define FOV_ARCHIVE_H

#include "io/coding.h"
#include "io/map.h"
#include "io/writer.h"

typedef struct fov_Member {
  const char *name;             /* "" in a .npy */
  const char *x;                /* its bytes in the file */
  size_t n, full;               /* how many, and how many once inflated */
  bool deflated, summed;
  uint32_t crc;                 /* of the 'full' bytes, if summed */
  fov_Array array;              /* safetensors; otherwise inside the member */
} fov_Member;

typedef struct fov_Pair { const char *key, *value; } fov_Pair;

typedef struct fov_Format fov_Format;

typedef struct fov_Archive {
  const fov_Format *format;
  fov_Map map;
  size_t count, nmeta;
  fov_Member *member;           /* malloc'ed */
  fov_Pair *meta;               /* malloc'ed */
  void *names;                  /* what the names point into */
  void (*drop) (void *names);
} fov_Archive;

typedef struct fov_Named { const char *name; const fov_Tensor *t; } fov_Named;

struct fov_Format {
  const char *suffix;
  bool many;                    /* named arrays, or just one */
  bool mappable;                /* elements lie in the file as they are */
  bool meta;                    /* keeps pairs of strings */
  fov_Status (*open) (fov_Archive *a);    /* a->map is there; the rest is zero */
  fov_Status (*describe) (const fov_Member *m, fov_Array *a);
  fov_Status (*write) (fov_Writer *w, size_t n, const fov_Named *x,
                       size_t nmeta, const fov_Pair *meta);
};

extern const fov_Format fov_npy, fov_npz, fov_safetensors;

/* By the end of the path; NULL: none of them. */
const fov_Format *fov_format_of (const char *path);

/* Opens and lists; fov_archive_close is due in every case. */
fov_Status fov_archive_open (fov_Archive *a, const fov_Format *f, const char *path);
void fov_archive_close (fov_Archive *a);

/* The first 'n' bytes of a member, inflated. */
fov_Status fov_member_front (const fov_Member *m, void *out, size_t n);

/* All elements of array 'a' of member 'm', decoded to a->code->type, in the
 * file's order; checks the sum. */
fov_Status fov_member_read (const fov_Member *m, const fov_Array *a, void *out);

#endif
