/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ops/run.h"

struct transposed {
    const struct vt_tensor *x, *weight, *bias, *slope, *residual; /* the last three may be NULL */
    struct vt_tail tail;
    struct vt_window window;
    int64_t out[2], group_in, group_out; /* channels per group */
    double *sums;                        /* of one output plane */
};

static enum vultus_status resolve(const struct vt_op_call *call, struct transposed *t, struct vultus_error *error) {
    enum vultus_status status = vt_op_expect_f32(call, 0, 4, 4, error);
    if (!status) status = vt_op_expect_f32(call, 1, 4, 4, error);
    if (status) return status;
    struct vultus_error reason;
    status = vt_window_resolve_transposed(&call->attrs, t->weight->dims, &t->x->dims[2], &t->window, t->out, &reason);
    if (status) return vt_op_fail(call, error, status, "%s", reason.text);
    if (t->x->dims[1] != t->weight->dims[0] || t->x->dims[1] % t->window.group != 0)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "%lld input channels in %lld groups do not fit a weight for %lld inputs", (long long)t->x->dims[1],
            (long long)t->window.group, (long long)t->weight->dims[0]);
    t->group_in = t->x->dims[1] / t->window.group;
    t->group_out = t->weight->dims[1];
    return vt_op_expect_channels(call, 2, "the bias", t->group_out * t->window.group, error);
}

/* Adds what one input plane spreads over the output plane. */
static void spread_plane(const struct transposed *t, const float *plane, const float *taps) {
    const struct vt_window *w = &t->window;
    for (int64_t row = 0; row < t->x->dims[2]; row++)
        for (int64_t column = 0; column < t->x->dims[3]; column++, plane++)
            for (int64_t i = 0; i < w->kernel[0]; i++)
                for (int64_t j = 0; j < w->kernel[1]; j++) {
                    int64_t y = row * w->stride[0] + i * w->dilation[0] - w->pad[0];
                    int64_t x = column * w->stride[1] + j * w->dilation[1] - w->pad[1];
                    if (y < 0 || y >= t->out[0] || x < 0 || x >= t->out[1]) continue;
                    t->sums[y * t->out[1] + x] += (double)*plane * taps[i * w->kernel[1] + j];
                }
}

/* One plane of the result; `at` is its first element. */
static void run_channel(const struct transposed *t, int64_t image, int64_t channel, int64_t at, float *y) {
    int64_t group = channel / t->group_out, pixels = t->out[0] * t->out[1], plane = t->x->dims[2] * t->x->dims[3];
    int64_t taps = t->window.kernel[0] * t->window.kernel[1];
    double bias = t->bias ? ((const float *)t->bias->data)[channel] : 0;
    for (int64_t p = 0; p < pixels; p++) t->sums[p] = bias;
    for (int64_t k = 0; plane > 0 && k < t->group_in; k++) {
        int64_t from = group * t->group_in + k;
        spread_plane(t, (const float *)t->x->data + (image * t->x->dims[1] + from) * plane,
            (const float *)t->weight->data + (from * t->group_out + channel % t->group_out) * taps);
    }
    float slope = t->slope ? ((const float *)t->slope->data)[channel] : 0;
    const float *residual = t->residual ? (const float *)t->residual->data + at : NULL;
    for (int64_t p = 0; p < pixels; p++)
        y[at + p] = vt_tail_apply(&t->tail, t->sums[p], slope, residual ? residual[p] : 0);
}

static enum vultus_status run(const struct vt_op_call *call, struct transposed *t, struct vultus_error *error) {
    struct vt_tensor *out;
    void *sums = NULL;
    const int64_t dims[4] = {t->x->dims[0], t->group_out * t->window.group, t->out[0], t->out[1]};
    enum vultus_status status = vt_op_alloc(call, VT_DTYPE_F32, 4, dims, &out, error);
    if (!status) status = vt_op_scratch(call, t->out[0] * t->out[1], sizeof(double), &sums, error);
    if (!status) status = vt_op_expect_residual(call, t->residual, out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    t->sums = sums;
    for (int64_t image = 0; image < dims[0]; image++)
        for (int64_t channel = 0; channel < dims[1]; channel++)
            run_channel(t, image, channel, (image * dims[1] + channel) * dims[2] * dims[3], out->data);
    return VULTUS_OK;
}

enum vultus_status vt_run_conv_transpose(const struct vt_op_call *call, struct vultus_error *error) {
    struct transposed t = {.x = vt_op_input(call, 0), .weight = vt_op_input(call, 1), .bias = vt_op_input(call, 2)};
    enum vultus_status status = resolve(call, &t, error);
    return status ? status : run(call, &t, error);
}

enum vultus_status vt_run_fused_conv_transpose(const struct vt_op_call *call, struct vultus_error *error) {
    struct transposed t = {.x = vt_op_input(call, 0),
        .weight = vt_op_input(call, 1),
        .bias = vt_op_input(call, 2),
        .slope = vt_op_input(call, 4),
        .residual = vt_op_input(call, 5)};
    enum vultus_status status = resolve(call, &t, error);
    if (!status && vt_op_input(call, 3))
        status = vt_op_fail(call, error, VULTUS_ERROR_INVALID, "there must be no border");
    if (!status) status = vt_op_expect_channels(call, 4, "the slope", t.group_out * t.window.group, error);
    if (!status) status = vt_op_expect_f32(call, 5, 4, 4, error);
    if (!status) status = vt_op_tail(call, t.slope, &t.tail, error);
    return status ? status : run(call, &t, error);
}
