/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_COMPILE_TIMING_H
#define VT_COMPILE_TIMING_H

#include "compile/lowering.h"

/* A tactic that a step may have. */
struct vt_candidate {
    const char *tactic, *class;
    void *packed; /* vt_alloc_aligned, or NULL */
    size_t packed_bytes;
    double ns[VT_PLAN_MAX_CHOICES]; /* per item, for each timed batch; 0: not timed */
    uint32_t value;                 /* the plan's constant with what is packed, once it is chosen; else VT_PLAN_NONE */
};

/* Where a network's tactics are timed. */
struct vt_timer {
    struct vt_lowering *lowering;
    struct vt_pool *pool;
    uint64_t weights_total;               /* of the whole network, packed plainly */
    int64_t batches[VT_PLAN_MAX_CHOICES]; /* ascending */
    size_t n_batches;                     /* at least 1 */
    struct vt_stopwatch *stopwatch;       /* of back ends with a clock of their own */
};

/* The batches that the lowering's back end and plan ask for. Closed after success only. */
enum vultus_status vt_timer_open(
    struct vt_timer *timer, struct vt_lowering *lowering, struct vt_pool *pool, struct vultus_error *error);
void vt_timer_close(struct vt_timer *timer);

/* Fills ns[] of every candidate; what they pack is packed already. */
enum vultus_status vt_time_candidates(
    const struct vt_timer *timer, const struct vt_plan_step *step, struct vt_candidate *candidates, size_t n);

#endif
