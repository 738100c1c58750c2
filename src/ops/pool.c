/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "ops/run.h"

struct pooling {
    struct vt_window window;
    int64_t in[2], out[2];
};

static enum vultus_status prepare(
    const struct vt_op_call *call, struct pooling *pooling, struct vt_tensor **out, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    enum vultus_status status = vt_op_expect_f32(call, 0, 4, 4, error);
    if (status) return status;
    struct vultus_error reason;
    for (int axis = 0; axis < 2; axis++) pooling->in[axis] = x->dims[2 + axis];
    status = vt_window_resolve(&call->attrs, NULL, pooling->in, &pooling->window, pooling->out, &reason);
    if (status) return vt_op_fail(call, error, status, "%s", reason.text);
    const int64_t dims[4] = {x->dims[0], x->dims[1], pooling->out[0], pooling->out[1]};
    return vt_op_alloc(call, VT_DTYPE_F32, 4, dims, out, error);
}

/* The taps of one window that lie on the input, as tap numbers [first, last) along one axis. */
struct taps {
    int64_t first, last;
};

static struct taps taps_inside(const struct pooling *p, int axis, int64_t position) {
    int64_t start = position * p->window.stride[axis] - p->window.pad[axis], step = p->window.dilation[axis];
    struct taps taps;
    taps.first = start < 0 ? vt_div_up(-start, step) : 0;
    taps.last = start < p->in[axis] ? vt_div_up(p->in[axis] - start, step) : 0;
    taps.last = vt_min_i64(taps.last, p->window.kernel[axis]);
    if (taps.first > taps.last) taps.first = taps.last;
    return taps;
}

/* How many taps lie on the input or its declared padding; ceil_mode can push some beyond. */
static int64_t taps_inside_padding(const struct pooling *p, int axis, int64_t position) {
    int64_t start = position * p->window.stride[axis] - p->window.pad[axis];
    int64_t room = p->in[axis] + p->window.pad[axis + 2] - start;
    return vt_min_i64(vt_div_up(room, p->window.dilation[axis]), p->window.kernel[axis]);
}

typedef float window_function(
    const struct pooling *pooling, const float *plane, const int64_t position[2], const struct taps taps[2]);

static const float *tap_row(const struct pooling *p, const float *plane, const int64_t position[2], int64_t tap) {
    int64_t row = position[0] * p->window.stride[0] - p->window.pad[0] + tap * p->window.dilation[0];
    return plane + row * p->in[1];
}

static int64_t tap_column(const struct pooling *p, const int64_t position[2], int64_t tap) {
    return position[1] * p->window.stride[1] - p->window.pad[1] + tap * p->window.dilation[1];
}

static float window_maximum(
    const struct pooling *p, const float *plane, const int64_t position[2], const struct taps taps[2]) {
    float largest = -INFINITY;
    for (int64_t i = taps[0].first; i < taps[0].last; i++)
        for (int64_t j = taps[1].first; j < taps[1].last; j++) {
            float value = tap_row(p, plane, position, i)[tap_column(p, position, j)];
            if (value > largest) largest = value;
        }
    return largest;
}

static float window_mean(
    const struct pooling *p, const float *plane, const int64_t position[2], const struct taps taps[2]) {
    double sum = 0;
    for (int64_t i = taps[0].first; i < taps[0].last; i++)
        for (int64_t j = taps[1].first; j < taps[1].last; j++)
            sum += tap_row(p, plane, position, i)[tap_column(p, position, j)];
    int64_t count = (taps[0].last - taps[0].first) * (taps[1].last - taps[1].first);
    if (count == 0) return 0;
    if (p->window.count_include_pad)
        count = taps_inside_padding(p, 0, position[0]) * taps_inside_padding(p, 1, position[1]);
    return (float)(sum / (double)count);
}

static enum vultus_status pool(const struct vt_op_call *call, window_function *function, struct vultus_error *error) {
    struct pooling p;
    struct vt_tensor *out;
    enum vultus_status status = prepare(call, &p, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    const float *plane = vt_op_input(call, 0)->data;
    float *y = out->data;
    for (int64_t c = 0; c < out->dims[0] * out->dims[1]; c++, plane += p.in[0] * p.in[1])
        for (int64_t row = 0; row < p.out[0]; row++)
            for (int64_t column = 0; column < p.out[1]; column++) {
                const struct taps taps[2] = {taps_inside(&p, 0, row), taps_inside(&p, 1, column)};
                *y++ = function(&p, plane, (const int64_t[2]){row, column}, taps);
            }
    return VULTUS_OK;
}

/* The place of a window's maximum in its plane, row-major or column-major; the first of equal ones. */
static int64_t place_of_maximum(
    const struct pooling *p, const float *plane, const int64_t position[2], bool by_column) {
    const struct taps taps[2] = {taps_inside(p, 0, position[0]), taps_inside(p, 1, position[1])};
    int64_t best[2] = {0, 0};
    bool found = false;
    for (int64_t i = taps[0].first; i < taps[0].last; i++)
        for (int64_t j = taps[1].first; j < taps[1].last; j++) {
            int64_t row = position[0] * p->window.stride[0] - p->window.pad[0] + i * p->window.dilation[0];
            int64_t column = tap_column(p, position, j);
            if (found && !(plane[row * p->in[1] + column] > plane[best[0] * p->in[1] + best[1]])) continue;
            best[0] = row;
            best[1] = column;
            found = true;
        }
    return by_column ? best[1] * p->in[0] + best[0] : best[0] * p->in[1] + best[1];
}

/* Output 1: where each maximum was, counted over the whole input. */
static enum vultus_status find_places(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct pooling p;
    struct vt_tensor *out, *places;
    enum vultus_status status = prepare(call, &p, &out, error);
    if (!status) status = vt_op_alloc_at(call, 1, VT_DTYPE_I64, out->rank, out->dims, &places, error);
    if (status || vt_tensor_count(places) == 0) return status;
    bool by_column = vt_attr_int(&call->attrs, "storage_order", 0);
    int64_t *place = places->data, pixels = p.in[0] * p.in[1];
    for (int64_t c = 0; c < x->dims[0] * x->dims[1]; c++)
        for (int64_t row = 0; row < p.out[0]; row++)
            for (int64_t column = 0; column < p.out[1]; column++) {
                const int64_t position[2] = {row, column};
                *place++ = c * pixels + place_of_maximum(&p, (const float *)x->data + c * pixels, position, by_column);
            }
    return VULTUS_OK;
}

enum vultus_status vt_run_max_pool(const struct vt_op_call *call, struct vultus_error *error) {
    enum vultus_status status = call->n_outputs > 1 ? find_places(call, error) : VULTUS_OK;
    return status ? status : pool(call, window_maximum, error);
}

enum vultus_status vt_run_average_pool(const struct vt_op_call *call, struct vultus_error *error) {
    return pool(call, window_mean, error);
}

enum vultus_status vt_run_global_pool(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    enum vultus_status status = vt_op_expect_f32(call, 0, 3, VT_MAX_RANK, error);
    if (status) return status;
    int64_t dims[VT_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int axis = 2; axis < x->rank; axis++) dims[axis] = 1;
    struct vt_tensor *out;
    status = vt_op_alloc(call, VT_DTYPE_F32, x->rank, dims, &out, error);
    if (status) return status;
    int64_t pixels = vt_dims_product(x->dims, 2, x->rank);
    if (pixels == 0) return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "there are no pixels to pool");
    const float *plane = x->data;
    float *y = out->data;
    for (int64_t c = 0; c < vt_tensor_count(out); c++, plane += pixels) {
        double sum = 0, largest = -INFINITY;
        for (int64_t i = 0; i < pixels; i++) {
            sum += plane[i];
            if (plane[i] > largest) largest = plane[i];
        }
        y[c] = (float)(call->op == VT_OP_GLOBAL_MAX_POOL ? largest : sum / (double)pixels);
    }
    return VULTUS_OK;
}
