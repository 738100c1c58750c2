/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps with plain tensors: matrix products, and changes of layout.
 */
#include <string.h>

#include "backend/cuda/module/tactic.h"
#include "base/checked.h"

/* ------------------------------------------------------------ matrix product */

static bool is_matrix(const struct vt_plan_value *v) {
    return vt_cuda_is_plain_f32(v) && v->rank == 2 && v->dims[0] > 0 && v->dims[1] > 0;
}

static bool gemm_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    const struct vt_plan_value *residual = vt_cuda_input(plan, step, 3);
    const struct vt_tail *tail = &step->params.tail;
    if (!is_matrix(x) || !is_matrix(y) || x->dims[0] != y->dims[0]) return false;
    if (!vt_cuda_vector_fits(plan, step, 1, y->dims[1]) || !vt_cuda_vector_fits(plan, step, 2, y->dims[1]))
        return false;
    if (tail->act2 == VT_ACT_PRELU || (tail->act1 == VT_ACT_PRELU && !vt_cuda_input(plan, step, 2))) return false;
    return !residual || (is_matrix(residual) && residual->dims[0] == y->dims[0] && residual->dims[1] == y->dims[1]);
}

static size_t gemm_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    size_t bytes;
    if (!vt_mul_size(
            (size_t)vt_cuda_input(plan, step, 0)->dims[1], (size_t)vt_cuda_output(plan, step, 0)->dims[1], &bytes) ||
        !vt_mul_size(bytes, sizeof(float), &bytes))
        return SIZE_MAX;
    return bytes;
}

static enum vultus_status gemm_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    memcpy(packed, weights, gemm_packed_bytes(plan, step));
    return VULTUS_OK;
}

static int gemm_launch(const struct vt_cuda_call *call) {
    const struct vt_plan_value *x = call->in[0], *y = call->out[0], *residual = call->in[3];
    struct vt_cuda_gemm gemm = {.x = call->in_data[0],
        .weights = call->packed,
        .residual = residual ? call->in_data[3] : NULL,
        .y = call->out_data[0],
        .x_item = vt_cuda_item_elements(x),
        .y_item = vt_cuda_item_elements(y),
        .residual_item = residual ? vt_cuda_item_elements(residual) : 0,
        .rows = x->dims[0],
        .depth = x->dims[1],
        .columns = y->dims[1],
        .batch = call->batch,
        .tail = {.what = call->step->params.tail,
            .bias = call->in[1] ? call->in_data[1] : NULL,
            .slope = call->in[2] ? call->in_data[2] : NULL}};
    return vt_cuda_launch_gemm(&gemm, call->stream);
}

static const struct vt_cuda_tactic gemm = {.name = "gemm:sliced",
    .class = "sliced",
    .kind = VT_STEP_GEMM,
    .supports = gemm_supports,
    .packed_bytes = gemm_packed_bytes,
    .pack = gemm_pack,
    .launch = gemm_launch};

/* ------------------------------------------------------------ convert */

static bool is_plain(const struct vt_plan_value *v) { return v->layout == VT_LAYOUT_PLAIN; }

static bool convert_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    if (!x || !y || !vt_plan_convert_fits(&step->params, x, y) || vt_plan_elements(x) == 0) return false;
    if ((!is_plain(x) && !vt_cuda_plane_fits(x)) || (!is_plain(y) && !vt_cuda_plane_fits(y))) return false;
    return step->params.perm_rank || is_plain(x) || is_plain(y) || vt_cuda_same_size(x, y);
}

/* To a plain tensor, in the order of the result's elements. */
static int transpose_launch(const struct vt_cuda_call *call) {
    const struct vt_step_params *params = &call->step->params;
    const struct vt_plan_value *x = call->in[0], *y = call->out[0];
    int64_t stride[VT_MAX_RANK], next = 1;
    struct vt_cuda_transpose t = {.x = call->in_data[0],
        .y = call->out_data[0],
        .rank = x->rank,
        .element = (int32_t)vt_dtype_size(x->dtype),
        .x_item = vt_cuda_item_elements(x),
        .y_item = vt_cuda_item_elements(y),
        .count = vt_plan_elements(x),
        .batch = call->batch};
    if (!is_plain(x)) t.x_plane = vt_cuda_plane_in(call, 0);
    for (int i = x->rank - 1; i >= 0; i--) {
        stride[i] = next;
        next *= x->dims[i];
    }
    for (int i = 0; i < x->rank; i++) {
        t.axis[i] = params->perm_rank ? params->perm[i] : i;
        t.dims[i] = x->dims[t.axis[i]];
        t.stride[i] = stride[t.axis[i]];
    }
    return vt_cuda_launch_transpose(&t, call->stream);
}

static int convert_launch(const struct vt_cuda_call *call) {
    if (is_plain(call->out[0])) return transpose_launch(call);
    if (is_plain(call->in[0])) {
        struct vt_cuda_gather gather = {.x = call->in_data[0],
            .y = vt_cuda_plane_out(call, 0),
            .x_item = vt_cuda_item_elements(call->in[0]),
            .batch = call->batch};
        return vt_cuda_launch_gather(&gather, call->stream);
    }
    struct vt_cuda_copy copy = {.x = vt_cuda_plane_in(call, 0), .y = vt_cuda_plane_out(call, 0), .batch = call->batch};
    return vt_cuda_launch_copy(&copy, call->stream);
}

static const struct vt_cuda_tactic convert = {.name = "convert",
    .class = "plane",
    .kind = VT_STEP_CONVERT,
    .supports = convert_supports,
    .launch = convert_launch};

/* ------------------------------------------------------------ identity, which outputs that are inputs need */

static bool identity_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return step->op == VT_OP_IDENTITY && x && y && is_plain(x) && is_plain(y) && x->dtype == y->dtype &&
           x->rank <= VT_MAX_RANK && vt_plan_elements(x) == vt_plan_elements(y) && vt_plan_elements(x) > 0;
}

static const struct vt_cuda_tactic identity = {.name = "identity",
    .class = "plane",
    .kind = VT_STEP_REFERENCE,
    .supports = identity_supports,
    .launch = transpose_launch};

const struct vt_cuda_tactic *const vt_cuda_plain_tactics[] = {&gemm, &convert, &identity, NULL};
