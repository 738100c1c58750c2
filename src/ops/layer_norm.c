/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ops/run.h"

struct row_statistics {
    double mean, inverse_deviation;
};

static struct row_statistics measure(const float *x, int64_t count, double epsilon) {
    struct row_statistics s = {0, 0};
    double variance = 0;
    for (int64_t i = 0; i < count; i++) s.mean += x[i];
    s.mean /= (double)count;
    for (int64_t i = 0; i < count; i++) variance += (x[i] - s.mean) * (x[i] - s.mean);
    s.inverse_deviation = 1 / sqrt(variance / (double)count + epsilon);
    return s;
}

/* A parameter's strides over the dims of x; it must broadcast to them. */
static enum vultus_status spread(
    const struct vt_op_call *call, size_t index, int64_t strides[VT_MAX_RANK], struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *parameter = vt_op_input(call, index);
    struct vt_broadcast both;
    enum vultus_status status = vt_op_expect_f32(call, index, 0, VT_MAX_RANK, error);
    if (status || !parameter) return status;
    status = vt_op_broadcast(call, x, parameter, &both, error);
    if (status) return status;
    if (both.rank != x->rank || memcmp(both.dims, x->dims, (size_t)x->rank * sizeof *both.dims) != 0)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input %zu does not broadcast to input 0", index);
    memcpy(strides, both.b_strides, sizeof both.b_strides);
    return VULTUS_OK;
}

/* Mean and 1 / deviation, which training reads: x's dims before the axis, then ones. */
static enum vultus_status make_statistics(
    const struct vt_op_call *call, int axis, float *statistics[2], struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t dims[VT_MAX_RANK];
    for (int i = 0; i < x->rank; i++) dims[i] = i < axis ? x->dims[i] : 1;
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 1; !status && i < call->n_outputs; i++) {
        struct vt_tensor *out;
        status = vt_op_alloc_at(call, i, VT_DTYPE_F32, x->rank, dims, &out, error);
        if (!status) statistics[i - 1] = out->data;
    }
    return status;
}

enum vultus_status vt_run_layer_norm(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *scale = vt_op_input(call, 1), *shift = vt_op_input(call, 2);
    int64_t scale_strides[VT_MAX_RANK], shift_strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    int axis = 0;
    float *statistics[2] = {NULL, NULL};
    struct vt_tensor *out;
    enum vultus_status status = vt_op_expect_f32(call, 0, 1, VT_MAX_RANK, error);
    if (!status) status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", -1), x->rank, &axis, error);
    if (!status) status = spread(call, 1, scale_strides, error);
    if (!status) status = spread(call, 2, shift_strides, error);
    if (!status) status = vt_op_alloc(call, VT_DTYPE_F32, x->rank, x->dims, &out, error);
    if (!status) status = make_statistics(call, axis, statistics, error);
    if (status || vt_tensor_count(x) == 0) return status;
    int64_t length = vt_dims_product(x->dims, axis, x->rank), rows = vt_tensor_count(x) / length;
    double epsilon = vt_attr_float(&call->attrs, "epsilon", 1e-5f);
    const float *from = x->data;
    float *to = out->data;
    for (int64_t row = 0; row < rows; row++) {
        struct row_statistics s = measure(from, length, epsilon);
        for (int64_t i = 0; i < length; i++, vt_index_next(x->rank, x->dims, index)) {
            double factor = ((const float *)scale->data)[vt_index_offset(x->rank, index, scale_strides)];
            double added = shift ? ((const float *)shift->data)[vt_index_offset(x->rank, index, shift_strides)] : 0;
            *to++ = (float)((*from++ - s.mean) * s.inverse_deviation * factor + added);
        }
        if (statistics[0]) statistics[0][row] = (float)s.mean;
        if (statistics[1]) statistics[1][row] = (float)s.inverse_deviation;
    }
    return VULTUS_OK;
}

/* A line of zeros stays as it is. */
enum vultus_status vt_run_lp_norm(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t p = vt_attr_int(&call->attrs, "p", 2);
    int axis = 0;
    struct vt_tensor *out;
    enum vultus_status status = vt_op_expect_f32(call, 0, 1, VT_MAX_RANK, error);
    if (!status) status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", -1), x->rank, &axis, error);
    if (!status && p != 1 && p != 2)
        status =
            vt_op_fail(call, error, VULTUS_ERROR_INVALID, "attribute p is %lld, allowed are 1 and 2", (long long)p);
    if (!status) status = vt_op_alloc(call, VT_DTYPE_F32, x->rank, x->dims, &out, error);
    if (status || vt_tensor_count(x) == 0) return status;
    int64_t length = x->dims[axis], step = vt_dims_product(x->dims, axis + 1, x->rank);
    for (int64_t line = 0; line < vt_tensor_count(x) / length; line++) {
        int64_t first = line / step * step * length + line % step;
        const float *from = (const float *)x->data + first;
        float *to = (float *)out->data + first;
        double sum = 0;
        for (int64_t i = 0; i < length; i++) {
            double value = from[i * step];
            sum += p == 2 ? value * value : fabs(value);
        }
        double norm = p == 2 ? sqrt(sum) : sum;
        for (int64_t i = 0; i < length; i++) to[i * step] = norm > 0 ? (float)(from[i * step] / norm) : from[i * step];
    }
    return VULTUS_OK;
}
