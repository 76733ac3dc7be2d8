/* pool.h -- one pool of worker threads.
 *
 * Work is cut by the problem, never by the number of threads: 'n' must depend
 * on sizes alone.  Results are then the same bits at any thread count. */
#ifndef FOV_POOL_H
#define FOV_POOL_H

#include "base/base.h"

#include <signal.h>

typedef fov_Status fov_Task (void *arg, ptrdiff_t i);

/* Runs task(arg, 0) .. task(arg, n-1) in any order on any threads; returns
 * when all are done.  May be called from inside a task (idle workers help).
 * Each task starts and ends with the scratch its thread had.  Returns the
 * status of the lowest failing index, with its message; after a failure or
 * an interrupt the tasks not yet begun are skipped. */
fov_Status fov_parallel (ptrdiff_t n, fov_Task *task, void *arg);

/* Number of threads that take part, the caller included.  The first use reads
 * FOVEA_THREADS, else the CPUs this process may run on. */
int fov_threads (void);
void fov_set_threads (int n);

/* Set by a signal handler; fov_parallel looks between tasks, long serial
 * kernels call fov_interrupted() now and then and return its status. */
extern volatile sig_atomic_t fov_interrupt_flag;
fov_Status fov_interrupted (void);

#endif
