/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions: which kernel runs which, how it wants its weights, and what it is told.
 */
#include <string.h>

#include "backend/cuda/module/conv.h"
#include "base/checked.h"

#define LARGEST_WINDOW_VALUE (INT64_C(1) << 20)

/* ------------------------------------------------------------ what fits */

static bool window_fits(const struct vt_window *w) {
    for (int axis = 0; axis < 2; axis++)
        if (w->kernel[axis] < 1 || w->stride[axis] < 1 || w->dilation[axis] < 1 ||
            w->kernel[axis] > LARGEST_WINDOW_VALUE || w->stride[axis] > LARGEST_WINDOW_VALUE ||
            w->dilation[axis] > LARGEST_WINDOW_VALUE)
            return false;
    for (int i = 0; i < 4; i++)
        if (w->pad[i] < 0 || w->pad[i] > LARGEST_WINDOW_VALUE) return false;
    return true;
}

/* Every tap of the axis lies inside the padded input. */
static bool axis_fits(const struct vt_window *w, int axis, const struct vt_plan_value *x, int64_t out) {
    int64_t last = (out - 1) * w->stride[axis] - w->pad[axis] + (w->kernel[axis] - 1) * w->dilation[axis];
    return w->pad[axis] <= x->pad[axis] && last < x->dims[2 + axis] + x->pad[axis + 2];
}

static bool tail_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_cuda_output(plan, step, 0), *residual = vt_cuda_input(plan, step, 3);
    const struct vt_tail *tail = &step->params.tail;
    int64_t channels = y->dims[1];
    if (!vt_cuda_vector_fits(plan, step, 1, channels) || !vt_cuda_vector_fits(plan, step, 2, channels)) return false;
    if (tail->act2 == VT_ACT_PRELU || (tail->act1 == VT_ACT_PRELU && !vt_cuda_input(plan, step, 2))) return false;
    return !residual || (vt_cuda_plane_fits(residual) && vt_cuda_same_size(residual, y));
}

bool vt_cuda_conv_tail_is_simple(const struct vt_tail *tail) {
    bool first = tail->act1 == VT_ACT_NONE || tail->act1 == VT_ACT_RELU || tail->act1 == VT_ACT_LEAKY_RELU ||
                 tail->act1 == VT_ACT_PRELU || tail->act1 == VT_ACT_CLIP;
    return first && (tail->act2 == VT_ACT_NONE || tail->act2 == VT_ACT_RELU || tail->act2 == VT_ACT_CLIP);
}

bool vt_cuda_conv_planes_fit(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    const struct vt_window *w = &step->params.window;
    return vt_cuda_plane_fits(x) && vt_cuda_plane_fits(y) && window_fits(w) && axis_fits(w, 0, x, y->dims[2]) &&
           axis_fits(w, 1, x, y->dims[3]) && tail_fits(plan, step);
}

/* A plain picture that enters the network, float32. */
static bool picture_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return vt_cuda_is_plain_f32(x) && x->rank == 4 && x->dims[0] == 1 && x->dims[1] > 0 && x->dims[2] > 0 &&
           x->dims[3] > 0 && x->bytes <= INT32_MAX && vt_cuda_plane_fits(y) && window_fits(&step->params.window) &&
           tail_fits(plan, step);
}

static bool is_picture(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_cuda_input(plan, step, 0)->layout == VT_LAYOUT_PLAIN;
}

/* ------------------------------------------------------------ weights */

/* Weights of k, the sum's length, by output lanes; SIZE_MAX when there are too many. */
static size_t matrix_bytes(int64_t depth, const struct vt_plan_value *y, size_t element) {
    size_t bytes;
    if (!vt_mul_size((size_t)depth, (size_t)vt_cuda_lanes(y), &bytes) || !vt_mul_size(bytes, element, &bytes))
        return SIZE_MAX;
    return bytes;
}

int64_t vt_cuda_conv_taps(const struct vt_plan_step *step) {
    return step->params.window.kernel[0] * step->params.window.kernel[1];
}

static int64_t tap_depth(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0);
    return is_picture(plan, step) ? x->dims[1] : vt_cuda_lanes(x);
}

/* Short weights where sums run over the channels of short planes. */
static enum vt_cuda_element weights_element(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return is_picture(plan, step) ? VT_CUDA_F32 : vt_cuda_element_of(vt_cuda_input(plan, step, 0)->dtype);
}

static void set_weight(void *packed, enum vt_cuda_element element, int64_t at, float value) {
    if (element == VT_CUDA_F32)
        ((float *)packed)[at] = value;
    else
        ((uint16_t *)packed)[at] = element == VT_CUDA_F16 ? vt_f32_to_f16(value) : vt_f32_to_bf16(value);
}

/* weights[output][input][tap] to [tap][input, `depth` a tap][output lane]. */
static void pack_matrix(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    int64_t inputs, int64_t depth, enum vt_cuda_element element, void *packed) {
    const struct vt_plan_value *y = vt_cuda_output(plan, step, 0);
    int64_t lanes = vt_cuda_lanes(y), n_taps = vt_cuda_conv_taps(step);
    for (int64_t o = 0; o < y->dims[1]; o++)
        for (int64_t c = 0; c < inputs; c++)
            for (int64_t tap = 0; tap < n_taps; tap++)
                set_weight(packed, element, (tap * depth + c) * lanes + o, weights[(o * inputs + c) * n_taps + tap]);
}

/* ------------------------------------------------------------ what kernels are told */

struct vt_cuda_conv vt_cuda_conv_describe(const struct vt_cuda_call *call) {
    const struct vt_plan_step *step = call->step;
    const struct vt_window *w = &step->params.window;
    struct vt_cuda_conv conv = {.x = vt_cuda_plane_in(call, 0),
        .y = vt_cuda_plane_out(call, 0),
        .residual = vt_cuda_plane_in(call, 3),
        .weights = call->packed,
        .tail = {.what = step->params.tail,
            .bias = call->in[1] ? call->in_data[1] : NULL,
            .slope = call->in[2] ? call->in_data[2] : NULL},
        .batch = call->batch};
    for (int axis = 0; axis < 2; axis++) {
        conv.window.kernel[axis] = (int32_t)w->kernel[axis];
        conv.window.stride[axis] = (int32_t)w->stride[axis];
        conv.window.dilation[axis] = (int32_t)w->dilation[axis];
        conv.window.pad[axis] = (int32_t)w->pad[axis];
    }
    return conv;
}

/* ------------------------------------------------------------ tiles */

static bool tile_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->params.window.group != 1) return false;
    return vt_cuda_conv_planes_fit(plan, step) || picture_fits(plan, step);
}

static size_t tile_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    int64_t depth;
    if (!vt_mul_i64(vt_cuda_conv_taps(step), tap_depth(plan, step), &depth)) return SIZE_MAX;
    return matrix_bytes(depth, vt_cuda_output(plan, step, 0),
        weights_element(plan, step) == VT_CUDA_F32 ? sizeof(float) : sizeof(uint16_t));
}

static enum vultus_status tile_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    pack_matrix(plan, step, weights, vt_cuda_input(plan, step, 0)->dims[1], tap_depth(plan, step),
        weights_element(plan, step), packed);
    return VULTUS_OK;
}

static struct vt_cuda_conv describe_tile(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = vt_cuda_conv_describe(call);
    conv.weights_element = weights_element(call->plan, call->step);
    if (is_picture(call->plan, call->step)) conv.picture = call->in_data[0];
    return conv;
}

static int tile_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = describe_tile(call);
    return vt_cuda_launch_conv(&conv, call->stream);
}

static const struct vt_cuda_tactic tile = {.name = "conv:tile",
    .class = "tile",
    .kind = VT_STEP_CONV,
    .supports = tile_supports,
    .packed_bytes = tile_packed_bytes,
    .pack = tile_pack,
    .launch = tile_launch};

/* ------------------------------------------------------------ tiles on tensor cores */

static bool mma_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return step->params.window.group == 1 && vt_cuda_conv_planes_fit(plan, step) &&
           weights_element(plan, step) != VT_CUDA_F32;
}

/* Float32 planes where the plan allows that their products are rounded. */
static bool tf32_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return step->params.window.group == 1 && strcmp(plan->key.precision, "tf32") == 0 &&
           vt_cuda_conv_planes_fit(plan, step) && weights_element(plan, step) == VT_CUDA_F32;
}

static int mma_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = describe_tile(call);
    return vt_cuda_launch_conv_mma(&conv, call->stream);
}

static const struct vt_cuda_tactic mma = {.name = "conv:mma",
    .class = "mma",
    .kind = VT_STEP_CONV,
    .features = VT_CUDA_SM80,
    .supports = mma_supports,
    .packed_bytes = tile_packed_bytes,
    .pack = tile_pack,
    .launch = mma_launch};

static const struct vt_cuda_tactic mma_tf32 = {.name = "conv:mma-tf32",
    .class = "mma-tf32",
    .kind = VT_STEP_CONV,
    .features = VT_CUDA_SM80,
    .supports = tf32_supports,
    .packed_bytes = tile_packed_bytes,
    .pack = tile_pack,
    .launch = mma_launch};

/* ------------------------------------------------------------ a picture on tensor cores */

#define STEM_DEPTH 64
#define STEM_LANES 64
/* Of a batch of 1024 items pixels are numbered through in 31 bits. */
#define STEM_PIXELS (1 << 20)

static bool stem_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->params.window.group != 1 || !picture_fits(plan, step) || vt_cuda_input(plan, step, 3)) return false;
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return vt_cuda_conv_tail_is_simple(&step->params.tail) && y->dims[2] * y->dims[3] <= STEM_PIXELS &&
           x->dims[1] <= STEM_DEPTH && vt_cuda_conv_taps(step) <= STEM_DEPTH &&
           vt_cuda_conv_taps(step) * x->dims[1] <= STEM_DEPTH && y->dtype == VT_DTYPE_F16 &&
           vt_cuda_lanes(y) <= STEM_LANES;
}

static int64_t stem_depth(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_cuda_conv_taps(step) * vt_cuda_input(plan, step, 0)->dims[1] > STEM_DEPTH / 2 ? STEM_DEPTH
                                                                                            : STEM_DEPTH / 2;
}

static size_t stem_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return matrix_bytes(stem_depth(plan, step), vt_cuda_output(plan, step, 0), sizeof(uint16_t));
}

/* weights[output][input][tap] to [output lane][tap, input]. */
static enum vultus_status stem_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    int64_t depth = stem_depth(plan, step), n_taps = vt_cuda_conv_taps(step);
    int64_t inputs = vt_cuda_input(plan, step, 0)->dims[1], outputs = vt_cuda_output(plan, step, 0)->dims[1];
    (void)error;
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t c = 0; c < inputs; c++)
            for (int64_t tap = 0; tap < n_taps; tap++)
                set_weight(packed, VT_CUDA_F16, o * depth + tap * inputs + c, weights[(o * inputs + c) * n_taps + tap]);
    return VULTUS_OK;
}

static int stem_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = vt_cuda_conv_describe(call);
    conv.picture = call->in_data[0];
    return vt_cuda_launch_conv_stem(&conv, call->stream);
}

static const struct vt_cuda_tactic stem = {.name = "conv:stem",
    .class = "mma",
    .kind = VT_STEP_CONV,
    .features = VT_CUDA_SM80,
    .supports = stem_supports,
    .packed_bytes = stem_packed_bytes,
    .pack = stem_pack,
    .launch = stem_launch};

/* ------------------------------------------------------------ depthwise */

static bool depthwise_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_cuda_conv_planes_fit(plan, step) && step->params.window.group == vt_cuda_input(plan, step, 0)->dims[1] &&
           vt_cuda_output(plan, step, 0)->dims[1] == step->params.window.group;
}

static size_t depthwise_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return matrix_bytes(vt_cuda_conv_taps(step), vt_cuda_output(plan, step, 0), sizeof(float));
}

static enum vultus_status depthwise_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    (void)error;
    pack_matrix(plan, step, weights, 1, 1, VT_CUDA_F32, packed);
    return VULTUS_OK;
}

static int depthwise_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = vt_cuda_conv_describe(call);
    return vt_cuda_launch_depthwise(&conv, call->stream);
}

static const struct vt_cuda_tactic depthwise = {.name = "conv:depthwise",
    .class = "depthwise",
    .kind = VT_STEP_CONV,
    .supports = depthwise_supports,
    .packed_bytes = depthwise_packed_bytes,
    .pack = depthwise_pack,
    .launch = depthwise_launch};

/* ------------------------------------------------------------ any groups */

static int64_t group_depth(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_cuda_input(plan, step, 0)->dims[1] / step->params.window.group;
}

static bool grouped_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    int64_t group = step->params.window.group;
    return vt_cuda_conv_planes_fit(plan, step) && group >= 1 && vt_cuda_input(plan, step, 0)->dims[1] % group == 0 &&
           vt_cuda_output(plan, step, 0)->dims[1] % group == 0;
}

static size_t grouped_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    int64_t depth;
    if (!vt_mul_i64(vt_cuda_conv_taps(step), group_depth(plan, step), &depth)) return SIZE_MAX;
    return matrix_bytes(depth, vt_cuda_output(plan, step, 0), sizeof(float));
}

static enum vultus_status grouped_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    (void)error;
    pack_matrix(plan, step, weights, group_depth(plan, step), group_depth(plan, step), VT_CUDA_F32, packed);
    return VULTUS_OK;
}

static int grouped_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_grouped grouped = {
        .conv = vt_cuda_conv_describe(call), .group = (int32_t)call->step->params.window.group};
    return vt_cuda_launch_grouped(&grouped, call->stream);
}

static const struct vt_cuda_tactic grouped = {.name = "conv:grouped",
    .class = "grouped",
    .kind = VT_STEP_CONV,
    .last_resort = true,
    .supports = grouped_supports,
    .packed_bytes = grouped_packed_bytes,
    .pack = grouped_pack,
    .launch = grouped_launch};

/* ------------------------------------------------------------ transposed */

static bool transposed_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    return vt_cuda_plane_fits(x) && vt_cuda_plane_fits(y) && window_fits(&step->params.window) &&
           step->params.window.group == 1 && tail_fits(plan, step);
}

static size_t transposed_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    int64_t depth;
    if (!vt_mul_i64(vt_cuda_conv_taps(step), tap_depth(plan, step), &depth)) return SIZE_MAX;
    return matrix_bytes(depth, vt_cuda_output(plan, step, 0), sizeof(float));
}

/* weights: [input][output][tap]. */
static enum vultus_status transposed_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    int64_t depth = tap_depth(plan, step), lanes = vt_cuda_lanes(y), n_taps = vt_cuda_conv_taps(step);
    (void)error;
    for (int64_t c = 0; c < x->dims[1]; c++)
        for (int64_t o = 0; o < y->dims[1]; o++)
            for (int64_t tap = 0; tap < n_taps; tap++)
                set_weight(
                    packed, VT_CUDA_F32, (tap * depth + c) * lanes + o, weights[(c * y->dims[1] + o) * n_taps + tap]);
    return VULTUS_OK;
}

static int transposed_launch(const struct vt_cuda_call *call) {
    struct vt_cuda_conv conv = vt_cuda_conv_describe(call);
    return vt_cuda_launch_conv_transpose(&conv, call->stream);
}

static const struct vt_cuda_tactic transposed = {.name = "conv_transpose",
    .class = "direct",
    .kind = VT_STEP_CONV_TRANSPOSE,
    .supports = transposed_supports,
    .packed_bytes = transposed_packed_bytes,
    .pack = transposed_pack,
    .launch = transposed_launch};

const struct vt_cuda_tactic *const vt_cuda_conv_tactics[] = {
    &stem, &mma, &mma_tf32, &tile, &depthwise, &grouped, &transposed, NULL};
