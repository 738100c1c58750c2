/* SPDX-License-Identifier: Apache-2.0 */
#include "buffers.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"

#define SEED 7

static enum vultus_status make_input(
    const struct vultus_session *session, size_t i, int64_t batch, void **out, struct vultus_error *error) {
    struct vultus_tensor_info info;
    enum vultus_status status = vultus_session_input(session, i, batch, &info, error);
    if (status < 0) return status;
    if (!(*out = vt_alloc_aligned(info.bytes))) return vt_fail_memory(error, info.name, info.bytes);
    memset(*out, 0, info.bytes);
    uint64_t state = SEED;
    if (strcmp(info.dtype, "float32") == 0) vt_random_normal(&state, *out, info.bytes / sizeof(float));
    return VULTUS_OK;
}

static enum vultus_status make_output(
    const struct vultus_session *session, size_t i, int64_t batch, void **out, struct vultus_error *error) {
    struct vultus_tensor_info info;
    enum vultus_status status = vultus_session_output(session, i, batch, &info, error);
    if (status < 0) return status;
    return (*out = vt_alloc_aligned(info.bytes)) ? VULTUS_OK : vt_fail_memory(error, info.name, info.bytes);
}

enum vultus_status vt_buffers_init(
    struct vt_buffers *buffers, const struct vultus_session *session, int64_t batch, struct vultus_error *error) {
    *buffers =
        (struct vt_buffers){.n_inputs = vultus_session_inputs(session), .n_outputs = vultus_session_outputs(session)};
    buffers->inputs = calloc(buffers->n_inputs, sizeof *buffers->inputs);
    buffers->outputs = calloc(buffers->n_outputs, sizeof *buffers->outputs);
    if (!buffers->inputs || !buffers->outputs)
        return vt_fail_memory(error, "buffers", buffers->n_inputs + buffers->n_outputs);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; status == VULTUS_OK && i < buffers->n_inputs; i++)
        status = make_input(session, i, batch, &buffers->inputs[i], error);
    for (size_t i = 0; status == VULTUS_OK && i < buffers->n_outputs; i++)
        status = make_output(session, i, batch, &buffers->outputs[i], error);
    return status;
}

void vt_buffers_fini(struct vt_buffers *buffers) {
    for (size_t i = 0; buffers->inputs && i < buffers->n_inputs; i++) vt_free_aligned(buffers->inputs[i]);
    for (size_t i = 0; buffers->outputs && i < buffers->n_outputs; i++) vt_free_aligned(buffers->outputs[i]);
    free(buffers->inputs);
    free(buffers->outputs);
    *buffers = (struct vt_buffers){0};
}
