/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_POOL_H
#define VT_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/*
 * The one thread pool. The application creates it and passes it in. The calling thread takes part, so a pool of N
 * threads starts N - 1 workers; they flush denormals, spin for some microseconds for the next job, then sleep.
 */
struct vt_pool;

enum vultus_status vt_pool_create(int threads, struct vt_pool **out, struct vultus_error *error);
void vt_pool_destroy(struct vt_pool *pool);      /* NULL is fine; no job may be running */
int vt_pool_threads(const struct vt_pool *pool); /* 1 for NULL */

/* One unit of work; `thread` is in [0, threads) and names scratch memory that nobody else uses meanwhile. */
typedef void vt_pool_task(void *context, size_t unit, int thread);

/*
 * Calls task(context, unit, thread) once for every unit in [0, units) and returns when all are done. Units are handed
 * out in increasing order to whichever thread is free; the task's results must not depend on which thread ran what.
 * Thread-safe: workers help all callers; each caller is thread 0 of its own job. A NULL pool runs
 * everything on the caller. Never allocates. May be called from inside a task, with scratch of its own.
 */
void vt_pool_run(struct vt_pool *pool, size_t units, vt_pool_task *task, void *context);

/*
 * As many threads as the pool has may compute at a time; more would take the processors from each other, and a job of
 * several threads would wait for whichever of them does not run. So threads of the application take a place before they
 * decode pictures or run networks, and workers help only while places are free. A thread without a place is not kept
 * from calling vt_pool_run.
 */
/* Waits for a place. False: the thread has one already, or there is no pool; it may go on all the same. */
bool vt_pool_enter(struct vt_pool *pool);
void vt_pool_leave(struct vt_pool *pool, bool entered); /* entered: what vt_pool_enter returned */
/* Around waits for other threads: gives the thread's place away, and takes one again before those who begin. */
bool vt_pool_step_aside(struct vt_pool *pool); /* false: the thread has no place */
void vt_pool_step_back(struct vt_pool *pool, bool stepped_aside);

#endif
