/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_POOL_H
#define VT_BASE_POOL_H

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
 * Thread-safe: while one caller's job occupies the workers, another caller runs its units itself, as thread 0.
 * A NULL pool runs everything on the caller. Never allocates. Called from inside a task it runs inline as thread 0 of
 * the nested job, so nested users need scratch of their own.
 */
void vt_pool_run(struct vt_pool *pool, size_t units, vt_pool_task *task, void *context);

#endif
