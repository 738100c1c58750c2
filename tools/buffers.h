/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_BUFFERS_H
#define VT_TOOLS_BUFFERS_H

#include "vultus/vultus.h"

/* Inputs and outputs of one batch. */
struct vt_buffers {
    size_t n_inputs, n_outputs;
    void **inputs, **outputs;
};

/* float32 inputs get normally distributed numbers, the same on every call, others zeros. Release it either way. */
enum vultus_status vt_buffers_init(
    struct vt_buffers *buffers, const struct vultus_session *session, int64_t batch, struct vultus_error *error);
void vt_buffers_fini(struct vt_buffers *buffers);

/* The run of a session on them. */
static inline enum vultus_status vt_buffers_run(
    const struct vt_buffers *buffers, struct vultus_session *session, int64_t batch, struct vultus_error *error) {
    return vultus_session_run(session, (const void *const *)buffers->inputs, buffers->outputs, batch, error);
}

#endif
