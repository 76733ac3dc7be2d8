/* What Lua cannot see of the base layer: arena, large blocks, pool. */
#include "base/cpu.h"
#include "base/pool.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void arena (void) {
  fov_Mark outer = fov_mark();
  char *a[20];
  int aligned = 1, apart = 1;
  for (int i = 0; i < 20; i++) {                  /* 1 byte .. 512 KiB: several chunks */
    size_t n = (size_t)1 << i;
    a[i] = fov_scratch(n, 1);
    aligned = aligned && a[i] && (uintptr_t)a[i] % 64 == 0;
    if (a[i]) memset(a[i], i + 1, n);
  }
  for (int i = 0; i < 20; i++)
    for (size_t j = 0; j < (size_t)1 << i; j++) apart = apart && a[i][j] == i + 1;
  ok(aligned, "every block starts a cache line");
  ok(apart, "blocks do not overlap");
  ok(fov_scratch(0, 8) != NULL, "an empty request is no failure");
  ok(!fov_scratch(SIZE_MAX / 4, 8), "count * size that overflows gives NULL");
  ok(!fov_scratch(1, SIZE_MAX) && !fov_scratch(PTRDIFF_MAX, 1), "so do absurd sizes");
  ok(!fov_scratch((size_t)1 << 46, 1), "and 64 TB, which no machine has");

  fov_Mark inner = fov_mark();
  char *b = fov_scratch(100, 8), *big = fov_scratch(1 << 20, 8);
  fov_Mark innermost = fov_mark();
  char *c = fov_scratch(3 << 20, 1);
  ok(b && big && c, "three more");
  fov_release(innermost);
  ok(fov_scratch(3 << 20, 1) == c, "what was released comes again");
  fov_release(inner);
  ok(fov_scratch(100, 8) == b, "also from the middle of the chunk below");
  ok(a[19][0] == 20 && a[19][(1 << 19) - 1] == 20, "what lies under a mark stays");
  fov_release(outer);

  outer = fov_mark();
  char *x = fov_scratch(20 << 20, 1), *y = fov_scratch(30 << 20, 1);
  fov_release(outer);
  char *p = fov_scratch(20 << 20, 1), *q = fov_scratch(30 << 20, 1);
  ok(x && y && p && q && q > p && q - p <= (20 << 20) + 64,
     "an arena that needed several chunks goes on in one");
  fov_release(outer);
}

static long resident (void) {                     /* bytes */
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}

static void large (void) {
  char *p = fov_big_alloc(5 << 20);
  ok(p && (uintptr_t)p % (2 << 20) == 0, "large blocks start a huge page");
  if (p) memset(p, 1, 5 << 20);
  fov_big_free(p, 5 << 20);
  ok(fov_big_alloc((5 << 20) - 100) == p, "a freed block serves its size class again");
  fov_big_free(p, (5 << 20) - 100);
  static const size_t absurd[] = { SIZE_MAX, SIZE_MAX - 4095, PTRDIFF_MAX, (size_t)1 << 62,
                                   (size_t)1 << 47 };
  int refused = 1;
  for (int i = 0; i < 5; i++) refused = refused && !fov_big_alloc(absurd[i]);
  ok(refused, "absurd sizes give NULL");
  p = fov_big_alloc(0);
  ok(p != NULL, "size 0 is a block");
  fov_big_free(p, 0);
  fov_big_free(NULL, 10);

  long before = resident();
  for (size_t i = 0; i < 60; i++) {               /* 4 .. 39.4 MB, every class once or more */
    size_t n = (4 << 20) + i * (600 << 10);
    char *x = fov_big_alloc(n);
    if (x) memset(x, 1, n);
    fov_big_free(x, n);
  }
  /* never more than 50 MB in use, with what other tests hold: half as much again stays
     mapped; all the classes together are over 400 MB */
  ok(resident() - before < 80 << 20, "blocks of many sizes, one at a time, keep under 80 MB");
}

enum { N = 1000 };

typedef struct Work { _Atomic int runs[N]; double part[N]; } Work;

static fov_Status count (void *arg, ptrdiff_t i) {
  Work *w = arg;
  w->runs[i]++;
  double *x = fov_scratch(100, sizeof *x), sum = 0;
  if (!x) return FOV_NOMEM;
  for (int j = 0; j < 100; j++) x[j] = 1.0 / (double)(i * 100 + j + 1);
  for (int j = 0; j < 100; j++) sum += x[j];
  w->part[i] = sum;
  return FOV_OK;
}

static double harmonic (int *once) {
  static Work w;
  memset(&w, 0, sizeof w);
  double sum = 0;
  *once = fov_parallel(N, count, &w) == FOV_OK;
  for (int i = 0; i < N; i++) *once = *once && w.runs[i] == 1, sum += w.part[i];
  return sum;
}

static fov_Status outer (void *arg, ptrdiff_t i) {
  static Work w[8];
  double *sums = arg, sum = 0;
  double *mine = fov_scratch(10, sizeof *mine);
  if (!mine) return FOV_NOMEM;
  for (int k = 0; k < 10; k++) mine[k] = (double)i;
  fov_Status s = fov_parallel(N, count, &w[i]);   /* takes scratch on this thread too */
  for (int k = 0; k < N; k++) sum += w[i].part[k];
  for (int k = 0; k < 10; k++) if (mine[k] != (double)i) sum = -1;
  sums[i] = sum;
  return s;
}

static fov_Status failing (void *arg, ptrdiff_t i) {
  _Atomic int *ran = arg;
  ++*ran;
  if (i > 30 && i < 37) usleep(20);               /* until company has come */
  if (i == 37 || i == 38 || i == 112) {
    usleep(i == 37 ? 100 : 200);                  /* a higher one fails later */
    return fov_fail(FOV_NUMERIC, "index %d", (int)i);
  }
  return FOV_OK;
}

static fov_Status silent (void *arg, ptrdiff_t i) {
  (void)arg;
  return i == 3 ? FOV_VALUE : FOV_OK;
}

static fov_Status interrupting (void *arg, ptrdiff_t i) {
  ++*(_Atomic int *)arg;
  if (i == 5) fov_interrupt_flag = 1;
  return FOV_OK;
}

/* Waits for company, and looks at the mask of whoever is not the caller. */
typedef struct Company { pthread_t caller; _Atomic int seen, blocked; } Company;

static fov_Status meet (void *arg, ptrdiff_t i) {
  Company *c = arg;
  sigset_t set;
  (void)i;
  if (!pthread_equal(pthread_self(), c->caller)) {
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    c->blocked = sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGTERM) == 1;
    c->seen = 1;
  }
  for (double until = fov_clock() + 5; !c->seen && fov_clock() < until; ) usleep(100);
  return FOV_OK;
}

static void *caller (void *arg) {
  double want = *(double *)arg;
  intptr_t good = 1;
  for (int i = 0; i < 60; i++) {
    static _Thread_local Work w;
    double sum = 0;
    good = good && fov_parallel(N, count, &w) == FOV_OK;
    for (int k = 0; k < N; k++) sum += w.part[k];
    good = good && sum == want;
  }
  return (void *)good;
}

static fov_Status hammer (void *arg, ptrdiff_t i) {
  _Atomic int *bad = arg;
  for (int k = 0; k < 20; k++) {
    size_t n = (size_t)(64 << 10) * (size_t)(1 + (i + k) % 5);
    char *x = fov_big_alloc(n);
    if (!x) return FOV_NOMEM;
    x[0] = x[n - 1] = (char)i;
    if (x[0] != (char)i || x[n - 1] != (char)i) ++*bad;
    fov_big_free(x, n);
  }
  return FOV_OK;
}

static int in_child (const char *threads) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    if (threads) setenv("FOVEA_THREADS", threads, 1);
    int once, n = fov_threads();
    harmonic(&once);
    Company c = { .caller = pthread_self() };
    if (n > 1) fov_parallel(2, meet, &c);
    _exit(once && (n == 1 || c.seen) ? n : 99);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void pool (void) {
  int once, same = 1, nested = 1, lowest = 1;
  fov_set_threads(1);
  fov_Mark before = fov_mark();
  double want = harmonic(&once);
  fov_Mark after = fov_mark();
  ok(after.chunk == before.chunk && after.used == before.used, "a task gives its scratch back");
  for (int t = 1; t <= 3; t++) {
    fov_set_threads(t);
    ok(fov_threads() == t, "%d threads", t);
    same = same && harmonic(&once) == want && once;
    double sums[8];
    nested = nested && fov_parallel(8, outer, sums) == FOV_OK;
    for (int i = 0; i < 8; i++) nested = nested && sums[i] == want;
    for (int k = 0; k < 20; k++) {
      _Atomic int ran = 0;
      lowest = lowest && fov_parallel(300, failing, &ran) == FOV_NUMERIC &&
               strcmp(fov_message(), "index 37") == 0 && (t > 1 || ran == 38);
    }
  }
  ok(same, "each index runs once; sums are the same bits at 1, 2 and 3 threads");
  ok(nested, "parallel inside parallel: the same, and scratch stays apart");
  ok(lowest, "the lowest failing index is the one reported");
  fov_fail(FOV_IO, "old news");
  ok(fov_parallel(9, silent, NULL) == FOV_VALUE && !*fov_message(),
     "a failure without a message does not inherit an old one");

  _Atomic int ran = 0;
  ok(fov_parallel(100000, interrupting, &ran) == FOV_INTERRUPT && ran < 100000,
     "an interrupt stops what has not begun");
  ok(fov_parallel(9, silent, NULL) == FOV_INTERRUPT, "and everything until it is seen to");
  fov_interrupt_flag = 0;
  ok(fov_parallel(3, silent, NULL) == FOV_OK, "then work goes on");
  ok(fov_parallel(0, silent, NULL) == FOV_OK, "no tasks, no failure");

  Company c = { .caller = pthread_self() };
  fov_parallel(2, meet, &c);
  ok(c.seen && c.blocked, "a worker comes, with signals blocked");
  _Atomic int bad = 0;
  ok(fov_parallel(64, hammer, &bad) == FOV_OK && bad == 0, "large blocks from several threads");

  pthread_t a, b;
  void *ra, *rb;
  pthread_create(&a, NULL, caller, &want);
  pthread_create(&b, NULL, caller, &want);
  for (int i = 0; i < 200; i++) fov_set_threads(1 + i % 4), usleep(100);
  pthread_join(a, &ra);
  pthread_join(b, &rb);
  ok(ra && rb, "two callers while the number of threads changes");
  fov_set_threads(3);
  ok(in_child(NULL) == 3, "a forked child computes with workers of its own");
}

int main (void) {
  static const char *const bad[] = { "abc", "0", "-3", "3x", "", "99999" };
  int ignored = 1;                                /* before this process asks */
  for (int i = 0; i < 6; i++) ignored = ignored && in_child(bad[i]) == fov_cpus();
  ok(ignored, "a FOVEA_THREADS that is no count from 1 to 256 is ignored");
  ok(in_child("3") == 3, "FOVEA_THREADS=3 is three threads");
  arena();
  large();
  pool();
  return done();
}
