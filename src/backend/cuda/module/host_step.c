/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/module/host_step.h"

#include "backend/operator.h"
#include "base/checked.h"

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_operator_fits(plan, step);
}

static const struct vt_cuda_tactic operator_tactic = {.name = "operator:host",
    .class = "reference",
    .kind = VT_STEP_REFERENCE,
    .last_resort = true,
    .on_host = true,
    .supports = supports};

const struct vt_cuda_tactic *const vt_cuda_host_tactics[] = {&operator_tactic, NULL};

bool vt_cuda_is_host_step(const struct vt_cuda_step *step) { return step->tactics[0]->on_host; }

/* What has to be copied: constants are on the host, too. */
static size_t staged_bytes(const struct vt_plan_value *v) {
    return v && v->storage != VT_STORAGE_CONSTANT ? vt_round_up(v->bytes, VT_PLAN_ALIGNMENT) : 0;
}

size_t vt_cuda_host_step_bytes(const struct vt_cuda_step *step) {
    size_t bytes = 0;
    if (!vt_cuda_is_host_step(step)) return 0;
    for (uint32_t i = 0; i < step->step->n_inputs; i++) bytes += staged_bytes(step->in[i]);
    for (uint32_t i = 0; i < step->step->n_outputs; i++) bytes += staged_bytes(step->out[i]);
    return bytes;
}

/* Where the operands lie in the staging memory; NULL: nowhere. */
struct places {
    uint8_t *in[VT_PLAN_MAX_OPERANDS], *out[VT_PLAN_MAX_OPERANDS];
};

static uint8_t *take(uint8_t **staging, const struct vt_plan_value *v, int64_t batch) {
    size_t bytes = staged_bytes(v) * (size_t)batch;
    uint8_t *place = bytes ? *staging : NULL;
    *staging += bytes;
    return place;
}

static enum vultus_status compute(
    const struct vt_cuda_call *call, const struct places *places, struct vultus_error *error) {
    const struct vt_plan_step *step = call->step;
    enum vultus_status status = VULTUS_OK;
    for (int64_t item = 0; !status && item < call->batch; item++) {
        const void *in[VT_PLAN_MAX_OPERANDS] = {NULL};
        void *out[VT_PLAN_MAX_OPERANDS] = {NULL};
        for (uint32_t i = 0; i < step->n_inputs; i++) {
            if (!call->in[i]) continue;
            in[i] = places->in[i] ? places->in[i] + (uint64_t)item * call->in[i]->bytes
                                  : call->plan->weights + call->in[i]->offset;
        }
        for (uint32_t i = 0; i < step->n_outputs; i++)
            if (places->out[i]) out[i] = places->out[i] + (uint64_t)item * call->out[i]->bytes;
        status = vt_operator_run(call->plan, step, in, out, error);
    }
    return status;
}

enum vultus_status vt_cuda_run_host_step(
    const struct vt_cuda_call *call, struct vt_cuda_stream *stream, uint8_t *staging, struct vultus_error *error) {
    const struct vt_plan_step *step = call->step;
    enum vultus_status status = VULTUS_OK;
    struct places places;
    for (uint32_t i = 0; i < step->n_inputs; i++) places.in[i] = take(&staging, call->in[i], call->batch);
    for (uint32_t i = 0; i < step->n_outputs; i++) places.out[i] = take(&staging, call->out[i], call->batch);
    for (uint32_t i = 0; !status && i < step->n_inputs; i++)
        if (places.in[i])
            status = vt_cuda_copy(stream, places.in[i], call->in_data[i], call->in[i]->bytes * (size_t)call->batch,
                VT_CUDA_TO_HOST, error);
    if (!status) status = vt_cuda_stream_wait(stream, error);
    if (!status) status = compute(call, &places, error);
    for (uint32_t i = 0; !status && i < step->n_outputs; i++)
        if (places.out[i])
            status = vt_cuda_copy(stream, call->out_data[i], places.out[i], call->out[i]->bytes * (size_t)call->batch,
                VT_CUDA_TO_DEVICE, error);
    return status;
}
