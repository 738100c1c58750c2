/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_COMPILE_COMPILE_H
#define VT_COMPILE_COMPILE_H

#include "backend/backend.h"
#include "base/pool.h"
#include "graph/graph.h"
#include "plan/plan.h"

/* Told after every step: `done` of `total` steps have their tactics. */
typedef void vt_compile_progress(void *context, uint32_t done, uint32_t total, const char *what);

struct vt_compile_options {
    const char *backend;   /* NULL: "cpu" */
    const char *precision; /* NULL: "fp32"; "tf32": products of convolutions rounded so; "bf16", "fp16": planes and
                              weights of 2 bytes, sums and plain values in float32 */
    int64_t width, height; /* of picture inputs whose size is free; 0: 640 */
    int64_t max_batch;     /* 0: 32 */
    int threads;           /* the plan is tuned for; timing uses `pool` */
    bool time_tactics;     /* false: each step takes the back end's first guess (tests, cross builds) */
    const char
        *only_tactics; /* NULL, or a substring that chosen tactics must contain where a step has any such (tests) */
    struct vt_plan_model model;
    vt_compile_progress *progress; /* may be NULL */
    void *progress_context;
};

/*
 * Compiles a graph, as read from ONNX and consumed by this call (passes rewrite it; the caller still destroys it), into
 * a plan with packed weights, planned memory and timed tactics. plan->key but for model_sha256 is filled.
 */
enum vultus_status vt_compile(struct vt_graph *graph, const struct vt_compile_options *options, struct vt_pool *pool,
    struct vt_plan **out, struct vultus_error *error);

/* The back end that the options ask for, checked to be usable and to know the precision. */
enum vultus_status vt_compile_backend(const struct vt_compile_options *options, const struct vt_backend **backend,
    struct vt_backend_report *report, struct vultus_error *error);

/* The key that vt_compile would give the plan, model_sha256 left empty: for looking a plan up before compiling. */
enum vultus_status vt_compile_key(
    const struct vt_compile_options *options, struct vt_plan_key *key, struct vultus_error *error);

/* Fixes the inputs' free dims to one item of the options' picture size and infers all shapes (vt_compile begins so). */
enum vultus_status vt_compile_bind(
    struct vt_graph *graph, const struct vt_compile_options *options, struct vultus_error *error);

#endif
