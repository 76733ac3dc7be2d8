/* pool.c -- one pool of worker threads; see pool.h.
 *
 * Open jobs form a list, newest first; a job lives on its caller's stack.
 * Indices are handed out in increasing order by an atomic counter, so when
 * index i fails every lower one has begun and will be finished: the lowest
 * failing index is the same at any thread count.
 *
 * A worker holds a job (counted in 'helpers') only after it saw work left in
 * it under the lock; the caller leaves once the job is off the list and has
 * no helpers.  A worker without work watches 'posted' for SPIN seconds, then
 * sleeps: a futex round trip costs 10-50 us, a spinning one 0.1 us. */
#include "base/pool.h"

#include "base/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MOST = 256 };                   /* threads */
static const double SPIN = 200e-6;

typedef struct Job {
  fov_Task *task;
  void *arg;
  ptrdiff_t n;
  _Atomic ptrdiff_t next;
  _Atomic int helpers;
  struct Job *older;
  fov_Status status;                   /* of the lowest failing index, under the lock */
  ptrdiff_t failed;                    /* that index, or n */
  char message[512];
} Job;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, left = PTHREAD_COND_INITIALIZER;
static Job *jobs;
static int started, asleep;            /* workers, under the lock */
static _Atomic int limit;              /* threads that take part; 0: not yet known */
static _Atomic unsigned posted;

volatile sig_atomic_t fov_interrupt_flag;

fov_Status fov_interrupted (void) {
  return fov_interrupt_flag ? fov_fail(FOV_INTERRUPT, "interrupted") : FOV_OK;
}

/* The task's own message or none: never one left by an earlier failure. */
static fov_Status run (fov_Task *task, void *arg, ptrdiff_t i) {
  fov_Mark m = fov_mark();
  if (*fov_message()) fov_fail(FOV_OK, "%s", "");
  fov_Status s = task(arg, i);
  fov_release(m);
  return s;
}

static void record (Job *j, ptrdiff_t i, fov_Status s) {
  atomic_store(&j->next, j->n);
  pthread_mutex_lock(&lock);
  if (j->status == FOV_OK || i < j->failed) {
    j->status = s;
    j->failed = i;
    const char *from = fov_message();
    for (size_t k = 0; k == 0 || from[k - 1]; k++) j->message[k] = from[k];
  }
  pthread_mutex_unlock(&lock);
}

static void labour (Job *j) {
  while (atomic_load_explicit(&j->next, memory_order_relaxed) < j->n) {
    fov_Status s = fov_interrupted();
    ptrdiff_t i = j->n;
    if (s == FOV_OK) {
      i = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
      if (i >= j->n) return;
      s = run(j->task, j->arg, i);
    }
    if (s != FOV_OK) record(j, i, s);
  }
}

static Job *open_job (int self) {
  if (self >= atomic_load_explicit(&limit, memory_order_relaxed)) return NULL;
  Job *j = jobs;
  while (j && atomic_load_explicit(&j->next, memory_order_relaxed) >= j->n) j = j->older;
  return j;
}

/* True when a job was posted meanwhile. */
static bool watch (unsigned seen) {
  double end = fov_clock() + SPIN;
  do
    for (int i = 0; i < 16; i++) {
      if (atomic_load_explicit(&posted, memory_order_relaxed) != seen) return true;
      __builtin_ia32_pause();
    }
  while (fov_clock() < end);
  return false;
}

static void *worker (void *arg) {
  int self = (int)(intptr_t)arg;       /* 1 .. ; thread 0 is the caller */
  bool fresh = true;                   /* it may pay to watch before sleeping */
  pthread_mutex_lock(&lock);
  for (;;) {
    Job *j = open_job(self);
    if (j) {
      atomic_fetch_add(&j->helpers, 1);
      pthread_mutex_unlock(&lock);
      labour(j);
      pthread_mutex_lock(&lock);
      if (atomic_fetch_sub(&j->helpers, 1) == 1) pthread_cond_broadcast(&left);
      fresh = true;
    } else if (fresh && self < limit) {
      unsigned seen = posted;
      pthread_mutex_unlock(&lock);
      fresh = watch(seen);
      pthread_mutex_lock(&lock);
    } else {
      asleep++;
      pthread_cond_wait(&work, &lock);
      asleep--;
      fresh = true;
    }
  }
  return NULL;
}

/* A child has the forking thread alone; its workers start anew. */
static void before (void) { pthread_mutex_lock(&lock); }
static void parent (void) { pthread_mutex_unlock(&lock); }
static void child (void) {
  pthread_cond_init(&work, NULL);
  pthread_cond_init(&left, NULL);
  jobs = NULL;
  started = asleep = 0;
  pthread_mutex_unlock(&lock);
}
__attribute__((constructor)) static void atfork (void) {
  pthread_atfork(before, parent, child);
}

/* Signals belong to the threads that know what to do with them.  Where the
 * system gives fewer threads, those it gives do the work: same bits. */
static void start (int want) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (started < want) {
    pthread_t t;
    if (pthread_create(&t, NULL, worker, (void *)(intptr_t)(started + 1)) != 0) break;
    pthread_detach(t);
    started++;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void readlimit (void) {
  const char *env = getenv("FOVEA_THREADS");
  char *end;
  long n = env ? strtol(env, &end, 10) : 0;
  if (n < 1 || n > MOST || *end) n = fov_cpus();
  int unknown = 0;
  atomic_compare_exchange_strong(&limit, &unknown, n > MOST ? MOST : (int)n);
}

int fov_threads (void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int n = atomic_load_explicit(&limit, memory_order_relaxed);
  if (n) return n;
  pthread_once(&once, readlimit);
  return limit;
}

void fov_set_threads (int n) {
  pthread_mutex_lock(&lock);
  limit = n < 1 ? 1 : n > MOST ? MOST : n;
  pthread_cond_broadcast(&work);
  pthread_mutex_unlock(&lock);
}

static fov_Status alone (ptrdiff_t n, fov_Task *task, void *arg) {
  for (ptrdiff_t i = 0; i < n; i++) {
    fov_Status s = fov_interrupted();
    if (s == FOV_OK) s = run(task, arg, i);
    if (s != FOV_OK) return s;
  }
  return FOV_OK;
}

fov_Status fov_parallel (ptrdiff_t n, fov_Task *task, void *arg) {
  int threads = fov_threads();
  if (n <= 1 || threads == 1) return alone(n, task, arg);
  Job j;                               /* the message is left as it is */
  j.task = task, j.arg = arg, j.n = j.failed = n, j.status = FOV_OK;
  atomic_init(&j.next, 0);
  atomic_init(&j.helpers, 0);
  int helpers = n - 1 < threads - 1 ? (int)(n - 1) : threads - 1;

  pthread_mutex_lock(&lock);
  if (started < threads - 1) start(threads - 1);
  j.older = jobs;
  jobs = &j;
  atomic_fetch_add(&posted, 1);
  if (asleep > helpers && started < threads)  /* else a sleeper may be one left out */
    for (int i = 0; i < helpers; i++) pthread_cond_signal(&work);
  else if (asleep)
    pthread_cond_broadcast(&work);
  pthread_mutex_unlock(&lock);

  labour(&j);

  double end = fov_clock() + SPIN;
  while (j.helpers && fov_clock() < end) __builtin_ia32_pause();
  pthread_mutex_lock(&lock);
  Job **at = &jobs;
  while (*at != &j) at = &(*at)->older;
  *at = j.older;
  while (j.helpers) pthread_cond_wait(&left, &lock);
  pthread_mutex_unlock(&lock);
  return j.status == FOV_OK ? FOV_OK : fov_fail(j.status, "%s", j.message);
}
