/* SPDX-License-Identifier: Apache-2.0
 *
 * Every step in plain C. Sums run in double in the order of the weights.
 */
#include <string.h>

#include "backend/cpu/plane.h"
#include "backend/operator.h"
#include "base/checked.h"

/* ------------------------------------------------------------ convolution */

static int64_t weights_count(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_window *w = &step->params.window;
    int64_t in = vt_cpu_input(plan, step, 0)->dims[1], out = vt_cpu_output(plan, step, 0)->dims[1], count;
    if (!vt_mul_i64(out, in / w->group, &count) || !vt_mul_i64(count, w->kernel[0], &count) ||
        !vt_mul_i64(count, w->kernel[1], &count) || count > INT64_MAX / (int64_t)sizeof(float))
        return 0;
    return count;
}

/* Every tap of the axis lies inside the padded input; a plain input has zeros all around. */
static bool axis_fits(const struct vt_window *w, int axis, const struct vt_plan_value *x, int64_t out) {
    if (w->kernel[axis] < 1 || w->stride[axis] < 1 || w->dilation[axis] < 1 || w->pad[axis] < 0) return false;
    if (x->layout == VT_LAYOUT_PLAIN) return true;
    int64_t last = (out - 1) * w->stride[axis] - w->pad[axis] + (w->kernel[axis] - 1) * w->dilation[axis];
    return w->pad[axis] <= x->pad[axis] && last < x->dims[2 + axis] + x->pad[axis + 2];
}

static bool tail_fits(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t channels) {
    const struct vt_tail *tail = &step->params.tail;
    return vt_plane_channels_fit(plan, step, 1, channels) && vt_plane_channels_fit(plan, step, 2, channels) &&
           (tail->act1 != VT_ACT_PRELU || vt_cpu_input(plan, step, 2)) && tail->act2 != VT_ACT_PRELU;
}

static bool conv_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    const struct vt_plan_value *residual = vt_cpu_input(plan, step, 3);
    const struct vt_window *w = &step->params.window;
    if (!x || !vt_plane_fits(y) || x->rank != 4 || x->dims[0] != 1) return false;
    if (x->layout == VT_LAYOUT_PLAIN ? x->dtype != VT_DTYPE_F32 : !vt_plane_fits(x)) return false;
    if (w->group < 1 || x->dims[1] % w->group || y->dims[1] % w->group) return false;
    if (!axis_fits(w, 0, x, y->dims[2]) || !axis_fits(w, 1, x, y->dims[3]) || weights_count(plan, step) == 0)
        return false;
    return tail_fits(plan, step, y->dims[1]) &&
           (!residual || (vt_plane_fits(residual) && vt_plane_same_shape(residual, y)));
}

static size_t conv_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return (size_t)weights_count(plan, step) * sizeof(float);
}

static enum vultus_status conv_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    memcpy(packed, weights, conv_packed_bytes(plan, step));
    return VULTUS_OK;
}

static float read_input(const struct vt_plan_value *x, const void *item, int64_t c, int64_t y, int64_t column) {
    if (x->layout == VT_LAYOUT_BLOCKED)
        return vt_cpu_get(x->dtype, vt_cpu_at(x, item, c / x->block, y, column), c % x->block);
    if (y < 0 || y >= x->dims[2] || column < 0 || column >= x->dims[3]) return 0;
    return ((const float *)item)[(c * x->dims[2] + y) * x->dims[3] + column];
}

static double conv_sum(
    const struct vt_cpu_call *call, const void *x_item, int64_t channel, int64_t row, int64_t column) {
    const struct vt_plan_value *x = call->in[0];
    const struct vt_window *w = &call->step->params.window;
    int64_t in = x->dims[1] / w->group, first = channel / (call->out[0]->dims[1] / w->group) * in;
    const float *weights = (const float *)call->packed + channel * in * w->kernel[0] * w->kernel[1];
    double sum = 0;
    for (int64_t c = first; c < first + in; c++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++)
            for (int64_t kx = 0; kx < w->kernel[1]; kx++)
                sum += (double)*weights++ * (double)read_input(x, x_item, c,
                                                row * w->stride[0] - w->pad[0] + ky * w->dilation[0],
                                                column * w->stride[1] - w->pad[1] + kx * w->dilation[1]);
    return sum;
}

/* The tail of one element of channel `c`; `residual` is its address or NULL. */
static float finish(const struct vt_cpu_call *call, double sum, int64_t c, const float *residual) {
    const struct vt_tail *tail = &call->step->params.tail;
    const float *bias = call->in_data[1], *slope = call->in_data[2];
    float v = (float)(bias ? sum + (double)bias[c] : sum);
    v = vt_activate(tail->act1, v, tail->act1_alpha, tail->act1_beta, slope ? slope[c] : 0);
    if (residual) v += *residual;
    return vt_activate(tail->act2, v, tail->act2_alpha, tail->act2_beta, 0);
}

/* One unit is one output channel of one item, the channels past the last included. */
static void conv_channel(void *context, size_t unit, int thread) {
    (void)thread;
    const struct vt_cpu_call *call = context;
    const struct vt_plan_value *x = call->in[0], *y = call->out[0], *r = call->in[3];
    int64_t lanes = vt_cpu_blocks(y) * y->block, item = (int64_t)unit / lanes, channel = (int64_t)unit % lanes;
    const uint8_t *x_item = (const uint8_t *)call->in_data[0] + (uint64_t)item * vt_cpu_item_bytes(x);
    const uint8_t *r_item = r ? (const uint8_t *)call->in_data[3] + (uint64_t)item * vt_cpu_item_bytes(r) : NULL;
    uint8_t *y_item = (uint8_t *)call->out_data[0] + (uint64_t)item * y->bytes;
    int64_t block = channel / y->block, lane = channel % y->block;
    for (int64_t row = 0; row < y->dims[2]; row++) {
        for (int64_t column = 0; column < y->dims[3]; column++) {
            float value = 0, residual = r ? vt_cpu_get(r->dtype, vt_cpu_at(r, r_item, block, row, column), lane) : 0;
            if (channel < y->dims[1])
                value = finish(call, conv_sum(call, x_item, channel, row, column), channel, r ? &residual : NULL);
            vt_cpu_set(y->dtype, vt_cpu_at(y, y_item, block, row, column), lane, value);
        }
    }
}

static enum vultus_status conv_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    const struct vt_plan_value *y = call->out[0];
    vt_pool_run(call->pool, (size_t)(call->batch * vt_cpu_blocks(y) * y->block), conv_channel, (void *)call);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic conv_tactic = {.name = "conv:reference",
    .class = "reference",
    .last_resort = true,
    .kind = VT_STEP_CONV,
    .supports = conv_supports,
    .packed_bytes = conv_packed_bytes,
    .pack = conv_pack,
    .run = conv_run};

/* ------------------------------------------------------------ matrix product */

static size_t gemm_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    size_t count = 0;
    if (!vt_mul_size(
            (size_t)vt_cpu_input(plan, step, 0)->dims[1], (size_t)vt_cpu_output(plan, step, 0)->dims[1], &count))
        return SIZE_MAX;
    return vt_mul_size(count, sizeof(float), &count) ? count : SIZE_MAX;
}

static enum vultus_status gemm_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    memcpy(packed, weights, gemm_packed_bytes(plan, step));
    return VULTUS_OK;
}

/* One unit is one row of one item. */
static void gemm_row(void *context, size_t unit, int thread) {
    (void)thread;
    const struct vt_cpu_call *call = context;
    const struct vt_plan_value *x = call->in[0], *y = call->out[0], *r = call->in[3];
    int64_t rows = y->dims[0], item = (int64_t)unit / rows, row = (int64_t)unit % rows, n = y->dims[1];
    const float *weights = call->packed;
    const float *in =
        (const float *)((const uint8_t *)call->in_data[0] + (uint64_t)item * vt_cpu_item_bytes(x)) + row * x->dims[1];
    float *out = (float *)((uint8_t *)call->out_data[0] + (uint64_t)item * y->bytes) + row * n;
    const float *residual =
        r ? (const float *)((const uint8_t *)call->in_data[3] + (uint64_t)item * vt_cpu_item_bytes(r)) + row * n : NULL;
    for (int64_t column = 0; column < n; column++) {
        double sum = 0;
        for (int64_t k = 0; k < x->dims[1]; k++) sum += (double)in[k] * (double)weights[k * n + column];
        out[column] = finish(call, sum, column, residual ? residual + column : NULL);
    }
}

static enum vultus_status gemm_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    vt_pool_run(call->pool, (size_t)(call->batch * call->out[0]->dims[0]), gemm_row, (void *)call);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic gemm_tactic = {.name = "gemm:reference",
    .class = "reference",
    .last_resort = true,
    .kind = VT_STEP_GEMM,
    .supports = vt_cpu_gemm_fits,
    .packed_bytes = gemm_packed_bytes,
    .pack = gemm_pack,
    .run = gemm_run};

/* ------------------------------------------------------------ any operator */

static enum vultus_status run_item(const struct vt_cpu_call *call, int64_t item, struct vultus_error *error) {
    const struct vt_plan_step *step = call->step;
    const void *in[VT_PLAN_MAX_OPERANDS] = {NULL};
    void *out[VT_PLAN_MAX_OPERANDS];
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (call->in[i]) in[i] = (const uint8_t *)call->in_data[i] + (uint64_t)item * vt_cpu_item_bytes(call->in[i]);
    for (uint32_t i = 0; i < step->n_outputs; i++)
        out[i] = (uint8_t *)call->out_data[i] + (uint64_t)item * vt_cpu_item_bytes(call->out[i]);
    return vt_operator_run(call->plan, step, in, out, error);
}

static enum vultus_status operator_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (int64_t item = 0; !status && item < call->batch; item++) status = run_item(call, item, error);
    return status;
}

static const struct vt_cpu_tactic operator_tactic = {.name = "reference",
    .class = "reference",
    .last_resort = true,
    .kind = VT_STEP_REFERENCE,
    .supports = vt_operator_fits,
    .run = operator_run};

const struct vt_cpu_tactic *const vt_cpu_reference_tactics[] = {&conv_tactic, &gemm_tactic, &operator_tactic, NULL};
