/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps on planes other than convolutions.
 */
#include <math.h>

#include "backend/cuda/module/conv.h"
#include "base/checked.h"

#define LARGEST_WINDOW_VALUE (INT64_C(1) << 20)

_Static_assert((int)VT_BINARY_ADD == VT_CUDA_ADD && (int)VT_BINARY_MUL == VT_CUDA_MUL &&
                   (int)VT_BINARY_SUB == VT_CUDA_SUB && (int)VT_BINARY_DIV == VT_CUDA_DIV,
    "kernels know the modes by the same numbers");

/* Input i and the output are planes of one element type and as many channels. */
static bool planes_fit(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, i), *y = vt_cuda_output(plan, step, 0);
    return vt_cuda_plane_fits(x) && vt_cuda_plane_fits(y) && x->dtype == y->dtype && x->dims[1] == y->dims[1];
}

static struct vt_cuda_tail tail_of(const struct vt_cuda_call *call, uint32_t slope) {
    struct vt_cuda_tail tail = {.what = call->step->params.tail};
    if (slope < call->step->n_inputs && call->in[slope]) tail.slope = call->in_data[slope];
    return tail;
}

/* ------------------------------------------------------------ affine */

/* Scale and shift are there for all channels. */
static bool scaling_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0)) return false;
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    for (uint32_t i = 1; i < 3; i++)
        if (!vt_cuda_input(plan, step, i) || !vt_cuda_vector_fits(plan, step, i, y->dims[1])) return false;
    return vt_cuda_same_size(x, y) && step->params.tail.act2 == VT_ACT_NONE;
}

static bool affine_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!scaling_fits(plan, step)) return false;
    bool has_slope = vt_cuda_input(plan, step, 3) || step->params.tail.act1 != VT_ACT_PRELU;
    return has_slope && vt_cuda_vector_fits(plan, step, 3, vt_cuda_output(plan, step, 0)->dims[1]);
}

static int affine_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_affine affine = {.x = vt_cuda_plane_in(call, 0),
        .y = vt_cuda_plane_out(call, 0),
        .scale = call->in_data[1],
        .shift = call->in_data[2],
        .tail = tail_of(call, 3),
        .batch = call->batch};
    return vt_cuda_launch_affine(&affine, call->stream);
}

static const struct vt_cuda_tactic affine = {
    .name = "affine", .class = "plane", .kind = VT_STEP_AFFINE, .supports = affine_supports, .launch = affine_launch};

/* ------------------------------------------------------------ binary */

static bool one_pixel(const struct vt_plan_value *v) { return v->dims[2] == 1 && v->dims[3] == 1; }

static bool binary_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0) || !planes_fit(plan, step, 1)) return false;
    const struct vt_plan_value *a = vt_cuda_input(plan, step, 0), *b = vt_cuda_input(plan, step, 1);
    const struct vt_plan_value *y = vt_cuda_output(plan, step, 0);
    return vt_cuda_same_size(a, y) && (vt_cuda_same_size(b, y) || one_pixel(b)) && step->params.mode >= VT_BINARY_ADD &&
           step->params.mode <= VT_BINARY_DIV && step->params.tail.act1 != VT_ACT_PRELU &&
           step->params.tail.act2 == VT_ACT_NONE;
}

static int binary_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_binary binary = {.a = vt_cuda_plane_in(call, 0),
        .b = vt_cuda_plane_in(call, 1),
        .y = vt_cuda_plane_out(call, 0),
        .mode = (enum vt_cuda_binary_mode)call->step->params.mode,
        .per_channel = one_pixel(call->in[1]),
        .tail = tail_of(call, VT_PLAN_NONE),
        .batch = call->batch};
    return vt_cuda_launch_binary(&binary, call->stream);
}

static const struct vt_cuda_tactic binary = {
    .name = "binary", .class = "plane", .kind = VT_STEP_BINARY, .supports = binary_supports, .launch = binary_launch};

/* ------------------------------------------------------------ upsample */

static bool upsample_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0)) return false;
    const struct vt_plan_value *residual = vt_cuda_input(plan, step, 1), *y = vt_cuda_output(plan, step, 0);
    return !residual || (planes_fit(plan, step, 1) && vt_cuda_same_size(residual, y));
}

static int upsample_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_upsample upsample = {.x = vt_cuda_plane_in(call, 0),
        .y = vt_cuda_plane_out(call, 0),
        .residual = vt_cuda_plane_in(call, 1),
        .batch = call->batch};
    return vt_cuda_launch_upsample(&upsample, call->stream);
}

static const struct vt_cuda_tactic upsample = {.name = "upsample",
    .class = "plane",
    .kind = VT_STEP_UPSAMPLE,
    .supports = upsample_supports,
    .launch = upsample_launch};

/* ------------------------------------------------------------ pool */

/* Every window of the axis has a tap inside the input. */
static bool axis_fits(const struct vt_window *w, int axis, int64_t in, int64_t out) {
    int64_t kernel = w->kernel[axis], stride = w->stride[axis], dilation = w->dilation[axis], before = w->pad[axis];
    if (kernel < 1 || stride < 1 || dilation < 1 || before < 0 || w->pad[axis + 2] < 0) return false;
    if (vt_max_i64(vt_max_i64(kernel, stride), vt_max_i64(dilation, before)) > LARGEST_WINDOW_VALUE) return false;
    for (int64_t i = 0; i < out; i++) {
        int64_t origin = i * stride - before, first = origin < 0 ? vt_div_up(-origin, dilation) : 0;
        if (first >= kernel || origin + first * dilation >= in) return false;
    }
    return true;
}

static bool pool_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->params.mode != VT_POOL_MAX && step->params.mode != VT_POOL_AVERAGE) return false;
    if (!planes_fit(plan, step, 0)) return false;
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return axis_fits(&step->params.window, 0, x->dims[2], y->dims[2]) &&
           axis_fits(&step->params.window, 1, x->dims[3], y->dims[3]);
}

static struct vt_cuda_pool pool_of(const struct vt_cuda_call *call) {
    return (struct vt_cuda_pool){.x = vt_cuda_plane_in(call, 0), .y = vt_cuda_plane_out(call, 0), .batch = call->batch};
}

static int pool_launch(const struct vt_cuda_call *call) {
    const struct vt_window *w = &call->step->params.window;
    struct vt_cuda_pool pool = pool_of(call);
    pool.average = call->step->params.mode == VT_POOL_AVERAGE;
    pool.count_padding = w->count_include_pad;
    for (int axis = 0; axis < 2; axis++) {
        pool.window.kernel[axis] = (int32_t)w->kernel[axis];
        pool.window.stride[axis] = (int32_t)w->stride[axis];
        pool.window.dilation[axis] = (int32_t)w->dilation[axis];
        pool.window.pad[axis] = (int32_t)w->pad[axis];
        pool.padded[axis] = (int32_t)(call->in[0]->dims[2 + axis] + w->pad[axis + 2]);
    }
    return vt_cuda_launch_pool(&pool, call->stream);
}

static const struct vt_cuda_tactic pool = {
    .name = "pool", .class = "plane", .kind = VT_STEP_POOL, .supports = pool_supports, .launch = pool_launch};

static bool global_pool_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return step->params.mode == VT_POOL_GLOBAL_AVERAGE && planes_fit(plan, step, 0) &&
           one_pixel(vt_cuda_output(plan, step, 0));
}

static int global_pool_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_pool pool = pool_of(call);
    return vt_cuda_launch_global_pool(&pool, call->stream);
}

static const struct vt_cuda_tactic global_pool = {.name = "pool:global",
    .class = "plane",
    .kind = VT_STEP_POOL,
    .supports = global_pool_supports,
    .launch = global_pool_launch};

/* ------------------------------------------------------------ group norm */

static bool norm_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    int32_t groups = step->params.groups;
    return scaling_fits(plan, step) && groups > 0 && vt_cuda_input(plan, step, 0)->dims[1] % groups == 0 &&
           step->params.tail.act1 != VT_ACT_PRELU;
}

static struct vt_cuda_norm norm_of(const struct vt_cuda_call *call) {
    return (struct vt_cuda_norm){.x = vt_cuda_plane_in(call, 0),
        .y = vt_cuda_plane_out(call, 0),
        .scale = call->in_data[1],
        .shift = call->in_data[2],
        .groups = call->step->params.groups,
        .epsilon = call->step->params.epsilon,
        .tail = tail_of(call, VT_PLAN_NONE),
        .batch = call->batch};
}

static int norm_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_norm norm = norm_of(call);
    return vt_cuda_launch_group_norm(&norm, call->stream);
}

#define MOST_CLUSTER_LANES 256

static bool cluster_norm_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return norm_supports(plan, step) && vt_cuda_conv_tail_is_simple(&step->params.tail) && x->dtype == VT_DTYPE_F16 &&
           y->dtype == VT_DTYPE_F16 && vt_cuda_lanes(x) <= MOST_CLUSTER_LANES;
}

static int cluster_norm_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_norm norm = norm_of(call);
    return vt_cuda_launch_group_norm_cluster(&norm, call->stream);
}

static const struct vt_cuda_tactic cluster_norm = {.name = "group_norm:cluster",
    .class = "cluster",
    .kind = VT_STEP_GROUP_NORM,
    .features = VT_CUDA_SM90A,
    .supports = cluster_norm_supports,
    .launch = cluster_norm_launch};

static const struct vt_cuda_tactic group_norm = {.name = "group_norm",
    .class = "plane",
    .kind = VT_STEP_GROUP_NORM,
    .supports = norm_supports,
    .launch = norm_launch};

/* ------------------------------------------------------------ joining and splitting channels */

static bool is_part(const struct vt_plan_value *part, const struct vt_plan_value *whole) {
    return vt_cuda_plane_fits(part) && part->dtype == whole->dtype && part->dims[2] == whole->dims[2] &&
           part->dims[3] == whole->dims[3];
}

static bool concat_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_cuda_output(plan, step, 0);
    int64_t channels = 0;
    if (!vt_cuda_plane_fits(y)) return false;
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        const struct vt_plan_value *part = vt_cuda_input(plan, step, i);
        if (!is_part(part, y)) return false;
        channels += part->dims[1];
    }
    return channels == y->dims[1];
}

static int concat_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_channels c = {.y = vt_cuda_plane_out(call, 0), .batch = call->batch};
    int code = 0;
    for (uint32_t i = 0; !code && i < call->step->n_inputs; i++) {
        c.x = vt_cuda_plane_in(call, i);
        c.to = c.end;
        c.end = i + 1 < call->step->n_inputs ? c.to + c.x.channels : c.y.lanes;
        code = vt_cuda_launch_channels(&c, call->stream);
    }
    return code;
}

static const struct vt_cuda_tactic concat = {
    .name = "concat", .class = "plane", .kind = VT_STEP_CONCAT, .supports = concat_supports, .launch = concat_launch};

static bool split_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0);
    int64_t channels = 0;
    if (!vt_cuda_plane_fits(x)) return false;
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const struct vt_plan_value *part = vt_cuda_output(plan, step, i);
        if (!is_part(part, x)) return false;
        channels += part->dims[1];
    }
    return channels == x->dims[1];
}

static int split_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_channels c = {.x = vt_cuda_plane_in(call, 0), .batch = call->batch};
    int code = 0;
    for (uint32_t i = 0; !code && i < call->step->n_outputs; i++) {
        c.from += c.y.channels;
        c.y = vt_cuda_plane_out(call, i);
        c.end = c.y.lanes;
        code = vt_cuda_launch_channels(&c, call->stream);
    }
    return code;
}

static const struct vt_cuda_tactic split = {
    .name = "split", .class = "plane", .kind = VT_STEP_SPLIT, .supports = split_supports, .launch = split_launch};

const struct vt_cuda_tactic *const vt_cuda_plane_tactics[] = {
    &affine, &binary, &upsample, &pool, &global_pool, &cluster_norm, &group_norm, &concat, &split, NULL};
