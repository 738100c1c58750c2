/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_BUILDER_H
#define VT_SERVER_BUILDER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/status.h"

/*
 * Plans are built by a process of its own, `vultus build`, so that no ONNX file is parsed in the server. Zero it, then
 * set the first two.
 */
struct vt_builder {
    const char *plans; /* folder; NULL: the default one */
    int threads;

    _Atomic int child; /* private: process that builds, or 0 */
    _Atomic bool stopped;
};

struct vt_plan_wanted {
    const char *model, *precision, *backend;
    int width, height; /* 0: the model's own */
    int max_batch;
};

/*
 * Sets *plan to the malloc'd path of the model's plan, which is built where it is missing. To be called by one thread
 * at a time. A failure tells what the child said, or how it ended.
 */
enum vultus_status vt_builder_run(
    struct vt_builder *builder, const struct vt_plan_wanted *wanted, char **plan, struct vultus_error *error);

/* Ends a build; there will be no other. Thread-safe. */
void vt_builder_stop(struct vt_builder *builder);

#endif
