/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

static enum vultus_status unsupported_type(
    const struct vt_op_call *call, const struct vt_tensor *x, struct vultus_error *error) {
    return vt_op_fail(
        call, error, VULTUS_ERROR_UNSUPPORTED, "elements of type %s are not supported", vt_dtype_name(x->dtype));
}

/* Attributes of the operators here; each reads those that it has. */
struct parameters {
    double alpha, beta;
    bool by_tanh; /* Gelu's approximation */
};

static struct parameters read_parameters(const struct vt_op_call *call) {
    double alpha = 1;
    if (call->op == VT_OP_LEAKY_RELU) alpha = 0.01f;
    if (call->op == VT_OP_HARD_SIGMOID) alpha = 0.2f;
    return (struct parameters){vt_attr_float(&call->attrs, "alpha", (float)alpha),
        vt_attr_float(&call->attrs, "beta", 0.5f),
        strcmp(vt_attr_string(&call->attrs, "approximate", "none"), "tanh") == 0};
}

static double gelu(double x, bool by_tanh) {
    const double sqrt_half = 0.70710678118654752440, sqrt_2_by_pi = 0.79788456080286535588;
    if (by_tanh) return 0.5 * x * (1 + tanh(sqrt_2_by_pi * (x + 0.044715 * x * x * x)));
    return 0.5 * x * (1 + erf(x * sqrt_half));
}

static double evaluate(enum vt_op op, double x, const struct parameters *p) {
    switch (op) {
    case VT_OP_RELU: return vt_activate_f64(VT_ACT_RELU, x, 0, 0, 0);
    case VT_OP_LEAKY_RELU: return vt_activate_f64(VT_ACT_LEAKY_RELU, x, p->alpha, 0, 0);
    case VT_OP_SIGMOID: return vt_activate_f64(VT_ACT_SIGMOID, x, 0, 0, 0);
    case VT_OP_TANH: return vt_activate_f64(VT_ACT_TANH, x, 0, 0, 0);
    case VT_OP_EXP: return exp(x);
    case VT_OP_ELU: return vt_activate_f64(VT_ACT_ELU, x, p->alpha, 0, 0);
    case VT_OP_HARD_SIGMOID: return vt_activate_f64(VT_ACT_HARD_SIGMOID, x, p->alpha, p->beta, 0);
    case VT_OP_HARD_SWISH: return vt_activate_f64(VT_ACT_HARD_SWISH, x, 0, 0, 0);
    case VT_OP_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case VT_OP_ERF: return erf(x);
    case VT_OP_GELU: return gelu(x, p->by_tanh);
    case VT_OP_LOG: return log(x);
    case VT_OP_ABS: return fabs(x);
    case VT_OP_NEG: return -x;
    case VT_OP_FLOOR: return floor(x);
    case VT_OP_CEIL: return ceil(x);
    case VT_OP_RECIPROCAL: return 1 / x;
    default: return sqrt(x);
    }
}

/* The least integer has no counterpart and stays as it is. */
static int64_t evaluate_integer(enum vt_op op, int64_t x) {
    int64_t negated = (int64_t)(0 - (uint64_t)x);
    if (op == VT_OP_NEG) return negated;
    return x >= 0 ? x : op == VT_OP_ABS ? negated : 0;
}

static bool takes_integers(enum vt_op op, enum vt_dtype dtype) {
    bool is_signed = dtype == VT_DTYPE_I64 || dtype == VT_DTYPE_I32 || dtype == VT_DTYPE_I16 || dtype == VT_DTYPE_I8;
    return is_signed && (op == VT_OP_RELU || op == VT_OP_ABS || op == VT_OP_NEG);
}

enum vultus_status vt_run_unary(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct vt_tensor *out;
    const struct parameters parameters = read_parameters(call);
    enum vultus_status status = vt_op_alloc(call, x->dtype, x->rank, x->dims, &out, error);
    if (status) return status;
    int64_t count = vt_tensor_count(x);
    if (x->dtype == VT_DTYPE_F32) {
        const float *from = x->data;
        float *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = (float)evaluate(call->op, from[i], &parameters);
    } else if (x->dtype == VT_DTYPE_F64) {
        const double *from = x->data;
        double *to = out->data;
        for (int64_t i = 0; i < count; i++) to[i] = evaluate(call->op, from[i], &parameters);
    } else if (takes_integers(call->op, x->dtype)) {
        for (int64_t i = 0; i < count; i++)
            vt_tensor_set_int(out, i, evaluate_integer(call->op, vt_tensor_get_int(x, i)));
    } else {
        return unsupported_type(call, x, error);
    }
    return VULTUS_OK;
}

enum vultus_status vt_run_not(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct vt_tensor *out;
    if (x->dtype != VT_DTYPE_BOOL) return unsupported_type(call, x, error);
    enum vultus_status status = vt_op_alloc(call, VT_DTYPE_BOOL, x->rank, x->dims, &out, error);
    for (int64_t i = 0; !status && i < vt_tensor_count(x); i++) vt_tensor_set_int(out, i, !vt_tensor_get_int(x, i));
    return status;
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
    case VT_DTYPE_I16: CLIP_ELEMENTS(int16_t); break;
    case VT_DTYPE_I8: CLIP_ELEMENTS(int8_t); break;
    case VT_DTYPE_U64: CLIP_ELEMENTS(uint64_t); break;
    case VT_DTYPE_U32: CLIP_ELEMENTS(uint32_t); break;
    case VT_DTYPE_U16: CLIP_ELEMENTS(uint16_t); break;
    case VT_DTYPE_U8: CLIP_ELEMENTS(uint8_t); break;
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
