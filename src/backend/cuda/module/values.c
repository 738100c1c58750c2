/* SPDX-License-Identifier: Apache-2.0
 *
 * What kernels can work on, and how they are told of it.
 */
#include "backend/cuda/module/tactic.h"
#include "base/checked.h"

const struct vt_plan_value *vt_cuda_input(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    return i < step->n_inputs && step->inputs[i] != VT_PLAN_NONE ? &plan->values[step->inputs[i]] : NULL;
}

const struct vt_plan_value *vt_cuda_output(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    return i < step->n_outputs && step->outputs[i] != VT_PLAN_NONE ? &plan->values[step->outputs[i]] : NULL;
}

int64_t vt_cuda_lanes(const struct vt_plan_value *v) { return vt_div_up(v->dims[1], v->block) * v->block; }

enum vt_cuda_element vt_cuda_element_of(enum vt_dtype dtype) {
    return dtype == VT_DTYPE_F16 ? VT_CUDA_F16 : dtype == VT_DTYPE_BF16 ? VT_CUDA_BF16 : VT_CUDA_F32;
}

bool vt_cuda_plane_fits(const struct vt_plan_value *v) {
    if (!v || v->layout != VT_LAYOUT_CHANNELS_LAST || v->block != VT_CUDA_BLOCK || v->rank != 4 || v->dims[0] != 1)
        return false;
    if (v->dtype != VT_DTYPE_F32 && v->dtype != VT_DTYPE_F16 && v->dtype != VT_DTYPE_BF16) return false;
    return v->dims[1] > 0 && v->dims[2] > 0 && v->dims[3] > 0 && v->bytes <= INT32_MAX;
}

bool vt_cuda_vector_fits(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i, int64_t channels) {
    const struct vt_plan_value *v = vt_cuda_input(plan, step, i);
    return !v || (v->dtype == VT_DTYPE_F32 && v->layout == VT_LAYOUT_PLAIN && v->storage == VT_STORAGE_CONSTANT &&
                     v->bytes / sizeof(float) >= (uint64_t)channels);
}

bool vt_cuda_same_size(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    return a->dims[1] == b->dims[1] && a->dims[2] == b->dims[2] && a->dims[3] == b->dims[3];
}

bool vt_cuda_is_plain_f32(const struct vt_plan_value *v) {
    return v && v->layout == VT_LAYOUT_PLAIN && v->dtype == VT_DTYPE_F32;
}

int64_t vt_cuda_item_elements(const struct vt_plan_value *v) {
    return v->storage == VT_STORAGE_CONSTANT ? 0 : (int64_t)(v->bytes / vt_dtype_size(v->dtype));
}

static struct vt_cuda_plane plane(const struct vt_cuda_call *call, const struct vt_plan_value *v, void *data) {
    if (!v) return (struct vt_cuda_plane){0};
    struct vt_cuda_plane p = {.data = data,
        .item = vt_cuda_item_elements(v),
        .rows = (int32_t)v->dims[2],
        .columns = (int32_t)v->dims[3],
        .channels = (int32_t)v->dims[1],
        .element = vt_cuda_element_of(v->dtype)};
    if (v->layout == VT_LAYOUT_PLAIN) return p;
    p.lanes = (int32_t)vt_cuda_lanes(v);
    for (int i = 0; i < 4; i++) p.pad[i] = v->pad[i];
    if (v->border != VT_PLAN_NONE) p.border = (const float *)(call->weights + call->plan->values[v->border].offset);
    return p;
}

struct vt_cuda_plane vt_cuda_plane_in(const struct vt_cuda_call *call, uint32_t i) {
    return i < call->step->n_inputs ? plane(call, call->in[i], call->in_data[i]) : (struct vt_cuda_plane){0};
}

struct vt_cuda_plane vt_cuda_plane_out(const struct vt_cuda_call *call, uint32_t i) {
    return plane(call, call->out[i], call->out_data[i]);
}
