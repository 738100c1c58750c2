/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution: every channel has a kernel of its own. Its few weights stay float32 beside bfloat16 planes:
 * each is a large part of a sum, and rounding them would cost more accuracy than all other roundings together.
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/checked.h"

bool vt_conv_depthwise_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    return x->layout == VT_LAYOUT_BLOCKED && x->dims[1] == y->dims[1] && step->params.window.group == y->dims[1];
}

static int64_t taps(const struct vt_plan_step *step) {
    return step->params.window.kernel[0] * step->params.window.kernel[1];
}

size_t vt_conv_depthwise_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    return (size_t)(vt_cpu_blocks(y) * taps(step) * y->block) * sizeof(float);
}

enum vultus_status vt_conv_depthwise_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    (void)error;
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    int64_t n = taps(step), lanes = y->block;
    float *to = packed;
    memset(packed, 0, vt_conv_depthwise_packed_bytes(plan, step));
    for (int64_t c = 0; c < y->dims[1]; c++) {
        for (int64_t t = 0; t < n; t++) to[(c / lanes * n + t) * lanes + c % lanes] = weights[c * n + t];
    }
    return VULTUS_OK;
}

struct job {
    struct vt_conv conv;
    vt_conv_tiles *const *tiles;
    struct vt_conv_split split;
    int64_t rows, bands;
};

/* Units are rows of one slice of one item. */
static void depthwise_unit(void *context, size_t unit, int thread) {
    (void)thread;
    const struct job *job = context;
    const struct vt_conv *conv = &job->conv;
    const struct vt_window *w = conv->window;
    int64_t plane = (int64_t)unit / job->bands, first = (int64_t)unit % job->bands * job->rows;
    int64_t item = plane / conv->slices;
    struct vt_conv_slices slices = {plane % conv->slices, 1};
    int64_t block = slices.first / conv->per_block, lane = slices.first % conv->per_block * conv->kernels->lanes;
    const uint8_t *x_item = conv->x_data + item * (int64_t)conv->x->bytes;
    int64_t end = vt_min_i64(first + job->rows, conv->y->dims[2]);
    for (int64_t row = first; row < end; row++) {
        const uint8_t *x = vt_cpu_at(conv->x, x_item, block, row * w->stride[0] - w->pad[0], -w->pad[1]);
        vt_conv_row(conv, job->tiles, &job->split, x + lane * conv->x_size, item, &slices, row);
    }
}

enum vultus_status vt_conv_depthwise_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct job job;
    vt_conv_open(kernels, call, &job.conv);
    const struct vt_window *w = job.conv.window;
    const struct vt_plan_value *y = job.conv.y;
    bool is_3x3 = w->kernel[0] == 3 && w->kernel[1] == 3 && w->dilation[1] == 1;
    job.conv.w_size = sizeof(float);
    job.conv.shape.w_block = w->kernel[0] * w->kernel[1] * y->block;
    job.tiles =
        (is_3x3 && w->stride[1] <= 2 ? job.conv.kernels->depthwise3 : job.conv.kernels->depthwise)[w->stride[1] == 2];
    job.split = vt_conv_split(y->dims[3], w->stride[1] <= 2 ? job.conv.kernels->max_depthwise_pixels : 1);
    int64_t planes = job.conv.slices * job.conv.batch;
    /* Loads and stores count as much as products here: half the speed of other convolutions. */
    double flops = 4.0 * (double)(planes * y->dims[2] * y->dims[3] * (job.conv.shape.w_block / job.conv.per_block));
    job.rows = vt_conv_rows_per_unit(y->dims[2], planes, flops, job.conv.threads);
    job.bands = vt_div_up(y->dims[2], job.rows);
    vt_pool_run(call->pool, (size_t)(planes * job.bands), depthwise_unit, &job);
    return VULTUS_OK;
}
