/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_COMPILE_COMPILE_H
#define VT_COMPILE_COMPILE_H

#include "base/pool.h"
#include "graph/graph.h"
#include "plan/plan.h"

/* Told after every step: `done` of `total` steps have their tactics. */
typedef void vt_compile_progress(void *context, uint32_t done, uint32_t total, const char *what);

struct vt_compile_options {
    const char *backend;      /* NULL: "cpu" */
    const char *precision;    /* NULL: "fp32" */
    int64_t width, height;    /* of picture inputs whose size is free; 0: 640 */
    int64_t max_batch;        /* 0: 32 */
    int threads;              /* of the machine the plan is tuned for; timing uses `pool` */
    bool time_tactics;        /* false: each step takes the back end's first guess (tests, cross builds) */
    const char *only_tactics; /* NULL, or a substring that chosen tactics must contain where a step has any such (tests) */
    struct vt_plan_model model;
    vt_compile_progress *progress; /* may be NULL */
    void *progress_context;
};

/*
 * Compiles a graph, as read from ONNX and consumed by this call (passes rewrite it; the caller still destroys it), into a plan
 * with packed weights, planned memory and timed tactics. plan->key but for model_sha256 is filled.
 */
enum vultus_status vt_compile(struct vt_graph *graph, const struct vt_compile_options *options, struct vt_pool *pool,
    struct vt_plan **out, struct vultus_error *error);

#endif
