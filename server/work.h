/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_WORK_H
#define VT_SERVER_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/*
 * Threads that do work in turn: every request has a flow, and one piece of each flow is taken after the other, so a
 * request of a thousand pictures does not hold up one of a single one.
 */
struct vt_workers;

/* A piece of work. Zero it and set `run`, which may free it. */
struct vt_work {
    void (*run)(struct vt_work *work);
    struct vt_work *next; /* private */
};

/* Zero it. It must live until all its work was run. */
struct vt_flow {
    struct vt_work *first, *last; /* private, as the rest */
    struct vt_flow *next;
    bool queued;
};

enum vultus_status vt_workers_create(int threads, struct vt_workers **out, struct vultus_error *error);
/* Runs what is queued, then ends the threads. NULL is fine. */
void vt_workers_stop(struct vt_workers *workers);
/* Stops them, if that was not done. NULL is fine. */
void vt_workers_destroy(struct vt_workers *workers);

/* Thread-safe; may be called by work. False: the workers have stopped, and nothing happens. */
bool vt_workers_push(struct vt_workers *workers, struct vt_flow *flow, struct vt_work *work);
/* Pieces that wait, and pieces being done. */
void vt_workers_load(struct vt_workers *workers, size_t *waiting, size_t *busy);

#endif
