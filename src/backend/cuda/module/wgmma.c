/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions by Hopper's warp groups: one tactic for each tile and each number of blocks that share the depth. All
 * want the same weights.
 */
#include "backend/cuda/module/conv.h"
#include "base/checked.h"

/* What the copy engine's descriptions can hold: offsets of a box's corners, taps' offsets, and steps. */
#define LARGEST_CORNER 127
#define LARGEST_TAP 255
#define LARGEST_STEP 8
/* Batches of up to 1024 items are numbered through in 31 bits. */
#define MOST_PIXELS (1 << 20)
/* Planes with more pixels fill the device without sharing the depth. */
#define MOST_SHARED_PIXELS 1024

static int32_t depth_of(const struct vt_plan_value *x) { return vt_cuda_wgmma_depth(vt_cuda_lanes(x)); }

static int64_t tap_depth(const struct vt_plan_value *x) {
    return vt_div_up(vt_cuda_lanes(x), depth_of(x)) * depth_of(x);
}

static bool window_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    const struct vt_window *w = &step->params.window;
    for (int axis = 0; axis < 2; axis++) {
        int64_t first = x->pad[axis] - w->pad[axis], last = first + (y->dims[2 + axis] - 1) * w->stride[axis];
        int64_t size = x->pad[axis] + x->dims[2 + axis] + x->pad[axis + 2];
        if (w->stride[axis] > LARGEST_STEP || (w->kernel[axis] - 1) * w->dilation[axis] > LARGEST_TAP) return false;
        if (first > LARGEST_CORNER || size - 1 - last > LARGEST_CORNER) return false;
    }
    return y->dims[2] * y->dims[3] <= MOST_PIXELS;
}

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step, int channels, int parts) {
    if (step->params.window.group != 1 || !vt_cuda_conv_planes_fit(plan, step)) return false;
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    const struct vt_plan_value *residual = vt_cuda_input(plan, step, 3);
    if (residual && residual->dtype != VT_DTYPE_F16) return false;
    if (x->dtype != VT_DTYPE_F16 || x->storage == VT_STORAGE_CONSTANT || !window_fits(plan, step)) return false;
    if (!vt_cuda_conv_tail_is_simple(&step->params.tail)) return false;
    /* Half a tile or more has something to do, and each part at least two stages. */
    if (channels > 32 && vt_cuda_lanes(y) <= channels / 2) return false;
    return parts == 1 || (vt_cuda_conv_taps(step) * tap_depth(x) / depth_of(x) >= 2 * parts &&
                             y->dims[2] * y->dims[3] <= MOST_SHARED_PIXELS);
}

static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    size_t bytes;
    if (!vt_mul_size((size_t)vt_cuda_conv_taps(step), (size_t)tap_depth(vt_cuda_input(plan, step, 0)), &bytes) ||
        !vt_mul_size(bytes, (size_t)vt_cuda_lanes(vt_cuda_output(plan, step, 0)) * sizeof(uint16_t), &bytes))
        return SIZE_MAX;
    return bytes;
}

/* weights[output][input][tap] to [output lane][tap][input]. */
static enum vultus_status pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    const struct vt_plan_value *x = vt_cuda_input(plan, step, 0), *y = vt_cuda_output(plan, step, 0);
    int64_t depth = tap_depth(x), taps = vt_cuda_conv_taps(step), inputs = x->dims[1];
    uint16_t *to = packed;
    (void)error;
    for (int64_t o = 0; o < y->dims[1]; o++)
        for (int64_t c = 0; c < inputs; c++)
            for (int64_t tap = 0; tap < taps; tap++)
                to[(o * taps + tap) * depth + c] = vt_f32_to_f16(weights[(o * inputs + c) * taps + tap]);
    return VULTUS_OK;
}

static int launch(const struct vt_cuda_call *call, struct vt_cuda_wgmma_shape shape) {
    struct vt_cuda_conv conv = vt_cuda_conv_describe(call);
    conv.weights_element = VT_CUDA_F16;
    return vt_cuda_launch_conv_wgmma(&conv, &shape, call->stream);
}

/* Sums of one depth, in one order, are of one class. */
/* clang-format off */
#define WGMMA(pixels_, channels_, parts_)                                                                                \
    static bool supports_##pixels_##x##channels_##_##parts_(                                                             \
        const struct vt_plan *plan, const struct vt_plan_step *step) {                                                 \
        return supports(plan, step, channels_, parts_);                                                                \
    }                                                                                                                  \
    static int launch_##pixels_##x##channels_##_##parts_(const struct vt_cuda_call *call) {                              \
        return launch(call, (struct vt_cuda_wgmma_shape){                                                              \
            .pixels = pixels_, .channels = channels_, .parts = parts_});                              \
    }                                                                                                                  \
    static const struct vt_cuda_tactic wgmma_##pixels_##x##channels_##_##parts_ = {                                      \
        .name = "conv:wgmma-" #pixels_ "x" #channels_ "/" #parts_,                                                       \
        .class = "wgmma/" #parts_,                                                                                     \
        .kind = VT_STEP_CONV,                                                                                          \
        .features = VT_CUDA_SM90A,                                                                                     \
        .supports = supports_##pixels_##x##channels_##_##parts_,                                                         \
        .packed_bytes = packed_bytes,                                                                                  \
        .pack = pack,                                                                                                  \
        .launch = launch_##pixels_##x##channels_##_##parts_}
/* clang-format on */

WGMMA(128, 128, 1);
WGMMA(128, 256, 1);
WGMMA(128, 64, 1);
WGMMA(128, 32, 1);
WGMMA(64, 64, 1);
WGMMA(64, 32, 1);
WGMMA(128, 64, 2);
WGMMA(64, 64, 2);
WGMMA(128, 64, 4);
WGMMA(64, 64, 4);
WGMMA(64, 32, 4);
WGMMA(64, 64, 8);
WGMMA(64, 32, 8);

const struct vt_cuda_tactic *const vt_cuda_wgmma_tactics[] = {&wgmma_128x128_1, &wgmma_128x256_1, &wgmma_128x64_1,
    &wgmma_128x32_1, &wgmma_64x64_1, &wgmma_64x32_1, &wgmma_128x64_2, &wgmma_64x64_2, &wgmma_128x64_4, &wgmma_64x64_4,
    &wgmma_64x32_4, &wgmma_64x64_8, &wgmma_64x32_8, NULL};
