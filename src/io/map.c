/* map.c -- private file mappings and the guard that survives a shrinking
 * file; see map.h. */
#include "io/map.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the signal handler may read at any time: nodes are recycled, never
 * freed; a node with x == NULL is free. */
struct fov_Region {
  struct fov_Region *_Atomic next;
  char *_Atomic x;
  _Atomic size_t n;
  atomic_bool torn;
  char note[256];               /* the line for standard error */
};

static struct fov_Region *_Atomic regions;
static atomic_flag busy = ATOMIC_FLAG_INIT;   /* held while the list changes */
static struct sigaction before;
static uintptr_t page;

/* A page of a mapped file that is no longer there: put a zero page in its
 * place and let the instruction run again. */
static void onbus (int sig, siginfo_t *info, void *context) {
  uintptr_t at = (uintptr_t)info->si_addr;
  for (struct fov_Region *r = regions; info->si_code == BUS_ADRERR && r; r = r->next) {
    uintptr_t x = (uintptr_t)(char *)r->x;
    if (!x || at < x || at - x >= r->n) continue;
    void *hole = mmap((void *)(at & ~(page - 1)), page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (hole == MAP_FAILED) break;
    if (!atomic_exchange(&r->torn, true))
      if (write(STDERR_FILENO, r->note, strlen(r->note)) < 0) return;
    return;
  }
  if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(sig, info, context);
  else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(sig);
  else signal(sig, SIG_DFL);    /* not ours: the fault repeats and ends us */
}

static void guard (void) {
  struct sigaction sa = { .sa_sigaction = onbus, .sa_flags = SA_SIGINFO | SA_RESTART };
  if (page) return;
  page = (uintptr_t)sysconf(_SC_PAGESIZE);
  sigemptyset(&sa.sa_mask);
  sigaction(SIGBUS, &sa, &before);
}

static struct fov_Region *enter (char *x, size_t n, const char *path) {
  while (atomic_flag_test_and_set(&busy));
  guard();
  struct fov_Region *r = regions;
  while (r && r->x) r = r->next;
  if (!r && (r = calloc(1, sizeof *r))) {
    r->next = regions;
    regions = r;
  }
  if (r) {
    snprintf(r->note, sizeof r->note,
             "fovea: '%.180s' shrank while mapped: what is missing reads as zero\n", path);
    r->torn = false;
    r->n = n;
    r->x = x;
  }
  atomic_flag_clear(&busy);
  return r;
}

fov_Status fov_map (const char *path, fov_Map *m) {
  struct stat st;
  *m = (fov_Map){ 0 };
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) != 0) {
    int why = errno;
    if (fd >= 0) close(fd);
    return fov_fail(FOV_IO, "%s", strerror(why));
  }
  fov_Status s = FOV_OK;
  if (S_ISDIR(st.st_mode)) s = fov_fail(FOV_IO, "is a directory");
  else if (!S_ISREG(st.st_mode)) s = fov_fail(FOV_IO, "is not a regular file");
  else if (st.st_size == 0) s = fov_fail(FOV_IO, "is empty (0 bytes)");
  else {
    size_t n = (size_t)st.st_size;
    char *x = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (x == MAP_FAILED) s = fov_fail(FOV_IO, "cannot be mapped: %s", strerror(errno));
    else if (!(m->region = enter(x, n, path))) munmap(x, n), s = FOV_NOMEM;
    else m->x = x, m->n = n;
  }
  close(fd);
  return s;
}

void fov_unmap (fov_Map *m) {
  if (!m->x) return;
  m->region->x = NULL;
  munmap(m->x, m->n);
  *m = (fov_Map){ 0 };
}

bool fov_map_torn (const fov_Map *m) { return m->region && m->region->torn; }
