/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "ops/run.h"

/* Output pixels computed together: their sums and the pixels under them stay in the cache. */
#define TILE 256

struct convolution {
    const struct vt_tensor *x, *weight, *bias, *border, *slope, *residual; /* the last four may be NULL */
    struct vt_window window;
    struct vt_tail tail;
    int64_t out[2];
    int64_t group_in, group_out; /* channels per group */
    float *columns;              /* [taps of one output][TILE] */
    double sums[TILE];
};

static const float *f32_data(const struct vt_tensor *tensor) { return tensor ? tensor->data : NULL; }

/* Writes the input pixels under tap (channel, i, j) of the output pixels [first, first + count). */
static void gather_tap(const struct convolution *c, const float *plane, float outside, const int64_t tap[2],
    int64_t first, int64_t count, float *column) {
    const int64_t *dims = c->x->dims, *stride = c->window.stride;
    int64_t shift[2];
    for (int axis = 0; axis < 2; axis++) shift[axis] = tap[axis] * c->window.dilation[axis] - c->window.pad[axis];
    int64_t out_row = first / c->out[1], out_column = first % c->out[1];
    for (int64_t p = 0; p < count; p++) {
        int64_t row = out_row * stride[0] + shift[0], at = out_column * stride[1] + shift[1];
        bool inside = row >= 0 && row < dims[2] && at >= 0 && at < dims[3];
        column[p] = inside ? plane[row * dims[3] + at] : outside;
        if (++out_column == c->out[1]) {
            out_column = 0;
            out_row++;
        }
    }
}

static void gather_columns(const struct convolution *c, int64_t image, int64_t group, int64_t first, int64_t count) {
    int64_t plane_size = c->x->dims[2] * c->x->dims[3], channels = c->x->dims[1];
    float *column = c->columns;
    for (int64_t k = 0; k < c->group_in; k++) {
        int64_t channel = group * c->group_in + k;
        const float *plane = plane_size ? f32_data(c->x) + (image * channels + channel) * plane_size : NULL;
        float outside = c->border ? f32_data(c->border)[channel] : 0;
        int64_t tap[2];
        for (tap[0] = 0; tap[0] < c->window.kernel[0]; tap[0]++)
            for (tap[1] = 0; tap[1] < c->window.kernel[1]; tap[1]++, column += TILE)
                gather_tap(c, plane, outside, tap, first, count, column);
    }
}

/* One output channel of the tile: bias, every tap in order, tail. `at` is the tile's first element in the output. */
static void run_channel(struct convolution *c, int64_t channel, int64_t at, int64_t count, float *out) {
    int64_t taps = c->group_in * c->window.kernel[0] * c->window.kernel[1];
    const float *weights = f32_data(c->weight) + channel * taps;
    double bias = c->bias ? f32_data(c->bias)[channel] : 0;
    for (int64_t p = 0; p < count; p++) c->sums[p] = bias;
    for (int64_t t = 0; t < taps; t++) {
        double w = weights[t];
        const float *column = c->columns + t * TILE;
        for (int64_t p = 0; p < count; p++) c->sums[p] += w * column[p];
    }
    float slope = c->slope ? f32_data(c->slope)[channel] : 0;
    const float *residual = c->residual ? f32_data(c->residual) + at : NULL;
    for (int64_t p = 0; p < count; p++)
        out[at + p] = vt_tail_apply(&c->tail, c->sums[p], slope, residual ? residual[p] : 0);
}

static void run_convolution(struct convolution *c, const struct vt_tensor *out) {
    int64_t pixels = c->out[0] * c->out[1];
    for (int64_t image = 0; image < out->dims[0]; image++)
        for (int64_t group = 0; group < c->window.group; group++)
            for (int64_t first = 0; first < pixels; first += TILE) {
                int64_t count = vt_min_i64(TILE, pixels - first);
                gather_columns(c, image, group, first, count);
                for (int64_t m = 0; m < c->group_out; m++) {
                    int64_t channel = group * c->group_out + m;
                    run_channel(c, channel, (image * out->dims[1] + channel) * pixels + first, count, out->data);
                }
            }
}

/* Types, ranks and channel counts; the window and the output's size. */
static enum vultus_status resolve(const struct vt_op_call *call, struct convolution *c, struct vultus_error *error) {
    enum vultus_status status = vt_op_expect_f32(call, 0, 4, 4, error);
    if (!status) status = vt_op_expect_f32(call, 1, 4, 4, error);
    if (status) return status;
    const int64_t *x = c->x->dims, *weight = c->weight->dims;
    struct vultus_error reason;
    status = vt_window_resolve(&call->attrs, weight, &x[2], &c->window, c->out, &reason);
    if (status) return vt_op_fail(call, error, status, "%s", reason.text);
    int64_t group = c->window.group;
    if (x[1] % group != 0 || weight[0] % group != 0 || x[1] / group != weight[1])
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "%lld input channels in %lld groups do not fit a weight of %lld outputs by %lld inputs", (long long)x[1],
            (long long)group, (long long)weight[0], (long long)weight[1]);
    c->group_in = weight[1];
    c->group_out = weight[0] / group;
    return vt_op_expect_channels(call, 2, "the bias", weight[0], error);
}

static enum vultus_status run(const struct vt_op_call *call, struct convolution *c, struct vultus_error *error) {
    const int64_t dims[4] = {c->x->dims[0], c->weight->dims[0], c->out[0], c->out[1]};
    int64_t taps = vt_dims_product(c->weight->dims, 1, 4);
    struct vt_tensor *out;
    void *columns = NULL;
    enum vultus_status status = vt_op_alloc(call, VT_DTYPE_F32, 4, dims, &out, error);
    if (!status) status = vt_op_scratch(call, taps, TILE * sizeof(float), &columns, error);
    if (!status) status = vt_op_expect_residual(call, c->residual, out, error);
    if (status) return status;
    c->columns = columns;
    run_convolution(c, out);
    return VULTUS_OK;
}

enum vultus_status vt_run_conv(const struct vt_op_call *call, struct vultus_error *error) {
    struct convolution c = {.x = vt_op_input(call, 0), .weight = vt_op_input(call, 1), .bias = vt_op_input(call, 2)};
    enum vultus_status status = resolve(call, &c, error);
    return status ? status : run(call, &c, error);
}

enum vultus_status vt_run_fused_conv(const struct vt_op_call *call, struct vultus_error *error) {
    struct convolution c = {.x = vt_op_input(call, 0),
        .weight = vt_op_input(call, 1),
        .bias = vt_op_input(call, 2),
        .border = vt_op_input(call, 3),
        .slope = vt_op_input(call, 4),
        .residual = vt_op_input(call, 5)};
    enum vultus_status status = resolve(call, &c, error);
    if (!status) status = vt_op_expect_channels(call, 3, "the border", c.x->dims[1], error);
    if (!status) status = vt_op_expect_channels(call, 4, "the slope", c.weight->dims[0], error);
    if (!status) status = vt_op_expect_f32(call, 5, 4, 4, error);
    if (!status) status = vt_op_tail(call, c.slope, &c.tail, error);
    return status ? status : run(call, &c, error);
}
