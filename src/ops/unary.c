/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "ops/run.h"

static enum vultus_status unsupported_type(
    const struct vt_op_call *call, const struct vt_tensor *x, struct vultus_error *error) {
    return vt_op_fail(
        call, error, VULTUS_ERROR_UNSUPPORTED, "elements of type %s are not supported", vt_dtype_name(x->dtype));
}

static double evaluate(enum vt_op op, double x, double alpha) {
    switch (op) {
    case VT_OP_RELU: return vt_activate_f64(VT_ACT_RELU, x, 0, 0, 0);
    case VT_OP_LEAKY_RELU: return vt_activate_f64(VT_ACT_LEAKY_RELU, x, alpha, 0, 0);
    case VT_OP_SIGMOID: return vt_activate_f64(VT_ACT_SIGMOID, x, 0, 0, 0);
    case VT_OP_TANH: return vt_activate_f64(VT_ACT_TANH, x, 0, 0, 0);
    case VT_OP_EXP: return exp(x);
    default: return sqrt(x);
    }
}

enum vultus_status vt_run_unary(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct vt_tensor *out;
    double alpha = vt_attr_float(&call->attrs, "alpha", 0.01f); /* LeakyRelu's default */
    enum vultus_status status = vt_op_alloc(call, x->dtype, x->rank, x->dims, &out, error);
    if (status) return status;
    int64_t count = vt_tensor_count(x);
    if (x->dtype == VT_DTYPE_F32) {
        const float *from = x->data;
        float *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = (float)evaluate(call->op, from[i], alpha);
    } else if (x->dtype == VT_DTYPE_F64) {
        const double *from = x->data;
        double *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = evaluate(call->op, from[i], alpha);
    } else if (call->op == VT_OP_RELU && x->dtype == VT_DTYPE_I64) {
        const int64_t *from = x->data;
        int64_t *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = vt_max_i64(from[i], 0);
    } else if (call->op == VT_OP_RELU && x->dtype == VT_DTYPE_I32) {
        const int32_t *from = x->data;
        int32_t *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = from[i] > 0 ? from[i] : 0;
    } else {
        return unsupported_type(call, x, error);
    }
    return VULTUS_OK;
}

#define CLIP_ELEMENTS(T)                                                                                               \
    do {                                                                                                               \
        const T *from = x->data;                                                                                       \
        T *to = out->data;                                                                                             \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            T value = from[i];                                                                                         \
            if (least && value < *(const T *)least->data) value = *(const T *)least->data;                             \
            if (most && value > *(const T *)most->data) value = *(const T *)most->data;                                \
            to[i] = value;                                                                                             \
        }                                                                                                              \
    } while (0)

enum vultus_status vt_run_clip(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *least = vt_op_input(call, 1), *most = vt_op_input(call, 2);
    for (size_t i = 1; i <= 2; i++) {
        const struct vt_tensor *bound = vt_op_input(call, i);
        char text[128];
        if (bound && (bound->dtype != x->dtype || vt_tensor_count(bound) != 1))
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "bound %zu is %s, it must be one %s", i,
                vt_tensor_describe(bound, text, sizeof text), vt_dtype_name(x->dtype));
    }
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, x->dtype, x->rank, x->dims, &out, error);
    if (status) return status;
    int64_t count = vt_tensor_count(x);
    switch (x->dtype) {
    case VT_DTYPE_F32: CLIP_ELEMENTS(float); break;
    case VT_DTYPE_F64: CLIP_ELEMENTS(double); break;
    case VT_DTYPE_I64: CLIP_ELEMENTS(int64_t); break;
    case VT_DTYPE_I32: CLIP_ELEMENTS(int32_t); break;
    default: return unsupported_type(call, x, error);
    }
    return VULTUS_OK;
}

enum vultus_status vt_run_softmax(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int axis = 0;
    struct vt_tensor *out;
    enum vultus_status status = vt_op_expect_f32(call, 0, 1, VT_MAX_RANK, error);
    if (!status) status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", -1), x->rank, &axis, error);
    if (!status) status = vt_op_alloc(call, VT_DTYPE_F32, x->rank, x->dims, &out, error);
    if (status || vt_tensor_count(x) == 0) return status;
    int64_t length = x->dims[axis], step = vt_dims_product(x->dims, axis + 1, x->rank);
    int64_t lines = vt_tensor_count(x) / length;
    for (int64_t line = 0; line < lines; line++) {
        int64_t first = line / step * step * length + line % step;
        const float *from = (const float *)x->data + first;
        float *to = (float *)out->data + first;
        float largest = from[0];
        double sum = 0;
        for (int64_t i = 1; i < length; i++)
            if (from[i * step] > largest) largest = from[i * step];
        for (int64_t i = 0; i < length; i++) sum += exp((double)from[i * step] - largest);
        for (int64_t i = 0; i < length; i++) to[i * step] = (float)(exp((double)from[i * step] - largest) / sum);
    }
    return VULTUS_OK;
}
