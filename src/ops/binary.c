/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "ops/run.h"

/* One row of a broadcast operation; operands advance by their step, the result is dense. */
typedef void row_function(
    enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count);

/* Integers wrap around, as they do in the exporting frameworks; the caller has excluded divisors of 0. */
#define INTEGER_ROW(NAME, T, U)                                                                                        \
    static void NAME(                                                                                                  \
        enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count) {       \
        const T *left = a, *right = b;                                                                                 \
        T *result = out;                                                                                               \
        for (int64_t i = 0; i < count; i++, left += a_step, right += b_step) {                                         \
            switch (op) {                                                                                              \
            case VT_OP_ADD: result[i] = (T)((U)*left + (U)*right); break;                                              \
            case VT_OP_SUB: result[i] = (T)((U)*left - (U)*right); break;                                              \
            case VT_OP_MUL: result[i] = (T)((U)*left * (U)*right); break;                                              \
            case VT_OP_POW: result[i] = (T)integer_power(*left, *right); break;                                        \
            default: result[i] = *right == -1 ? (T)(0 - (U)*left) : *left / *right; break;                             \
            }                                                                                                          \
        }                                                                                                              \
    }

#define FLOAT_ROW(NAME, T)                                                                                             \
    static void NAME(                                                                                                  \
        enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count) {       \
        const T *left = a, *right = b;                                                                                 \
        T *result = out;                                                                                               \
        for (int64_t i = 0; i < count; i++, left += a_step, right += b_step) {                                         \
            switch (op) {                                                                                              \
            case VT_OP_ADD: result[i] = *left + *right; break;                                                         \
            case VT_OP_SUB: result[i] = *left - *right; break;                                                         \
            case VT_OP_MUL: result[i] = *left * *right; break;                                                         \
            case VT_OP_DIV: result[i] = *left / *right; break;                                                         \
            case VT_OP_POW: result[i] = (T)pow(*left, *right); break;                                                  \
            default: result[i] = *left < 0 ? *left * *right : *left; break;                                            \
            }                                                                                                          \
        }                                                                                                              \
    }

/* Truncated towards 0 where the exponent is negative, wrapping around where the result is too large. */
static int64_t integer_power(int64_t base, int64_t exponent) {
    if (exponent < 0) {
        if (base == -1) return exponent % 2 == 0 ? 1 : -1;
        return base == 1;
    }
    uint64_t power = 1, square = (uint64_t)base;
    for (; exponent > 0; exponent >>= 1, square *= square)
        if (exponent & 1) power *= square;
    return (int64_t)power;
}

FLOAT_ROW(row_f32, float)
FLOAT_ROW(row_f64, double)
INTEGER_ROW(row_i64, int64_t, uint64_t)
INTEGER_ROW(row_i32, int32_t, uint32_t)

static row_function *row_function_of(enum vt_dtype dtype) {
    switch (dtype) {
    case VT_DTYPE_F32: return row_f32;
    case VT_DTYPE_F64: return row_f64;
    case VT_DTYPE_I64: return row_i64;
    case VT_DTYPE_I32: return row_i32;
    default: return NULL;
    }
}

static enum vultus_status check_divisors(
    const struct vt_op_call *call, const struct vt_tensor *divisor, struct vultus_error *error) {
    if (divisor->dtype == VT_DTYPE_F32 || divisor->dtype == VT_DTYPE_F64) return VULTUS_OK;
    for (int64_t i = 0; i < vt_tensor_count(divisor); i++)
        if (vt_tensor_get_int(divisor, i) == 0)
            return vt_op_fail(
                call, error, VULTUS_ERROR_INVALID, "element %lld of the integer divisor is 0", (long long)i);
    return VULTUS_OK;
}

static enum vultus_status run(const struct vt_op_call *call, const struct vt_tensor *a, const struct vt_tensor *b,
    const struct vt_broadcast *shape, struct vultus_error *error) {
    row_function *function = row_function_of(a->dtype);
    if (!function || a->dtype != b->dtype)
        return vt_op_fail(call, error, function ? VULTUS_ERROR_INVALID : VULTUS_ERROR_UNSUPPORTED,
            "operands of types %s and %s", vt_dtype_name(a->dtype), vt_dtype_name(b->dtype));
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, a->dtype, shape->rank, shape->dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    int outer = shape->rank > 0 ? shape->rank - 1 : 0;
    int64_t width = shape->rank > 0 ? shape->dims[outer] : 1;
    int64_t a_step = shape->rank > 0 ? shape->a_strides[outer] : 0;
    int64_t b_step = shape->rank > 0 ? shape->b_strides[outer] : 0;
    int64_t size = (int64_t)vt_dtype_size(a->dtype), index[VT_MAX_RANK] = {0};
    char *to = out->data;
    do {
        const char *left = (const char *)a->data + vt_index_offset(outer, index, shape->a_strides) * size;
        const char *right = (const char *)b->data + vt_index_offset(outer, index, shape->b_strides) * size;
        function(call->op, left, a_step, right, b_step, to, width);
        to += width * size;
    } while (vt_index_next(outer, shape->dims, index));
    return VULTUS_OK;
}

enum vultus_status vt_run_binary(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *a = vt_op_input(call, 0), *b = vt_op_input(call, 1);
    struct vt_broadcast shape;
    enum vultus_status status = vt_op_broadcast(call, a, b, &shape, error);
    if (!status && call->op == VT_OP_DIV) status = check_divisors(call, b, error);
    return status ? status : run(call, a, b, &shape, error);
}

/* ONNX lets the exponent have another type than the base. */
static enum vultus_status convert_exponent(const struct vt_op_call *call, enum vt_dtype dtype,
    const struct vt_tensor *exponent, struct vt_tensor *converted, struct vultus_error *error) {
    enum vultus_status status = vt_tensor_alloc(call->arena, dtype, exponent->rank, exponent->dims, converted, error);
    for (int64_t i = 0; !status && i < vt_tensor_count(exponent); i++) {
        if (dtype == VT_DTYPE_F32) ((float *)converted->data)[i] = (float)vt_tensor_get(exponent, i);
        if (dtype == VT_DTYPE_F64) ((double *)converted->data)[i] = vt_tensor_get(exponent, i);
    }
    return status;
}

enum vultus_status vt_run_pow(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *base = vt_op_input(call, 0), *exponent = vt_op_input(call, 1);
    struct vt_broadcast shape;
    enum vultus_status status = vt_op_broadcast(call, base, exponent, &shape, error);
    if (status) return status;
    struct vt_tensor converted = *exponent;
    if (base->dtype != exponent->dtype && (base->dtype == VT_DTYPE_F32 || base->dtype == VT_DTYPE_F64))
        status = convert_exponent(call, base->dtype, exponent, &converted, error);
    return status ? status : run(call, base, &converted, &shape, error);
}

enum vultus_status vt_run_prelu(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *slope = vt_op_input(call, 1);
    struct vt_broadcast shape;
    enum vultus_status status = vt_op_broadcast(call, x, slope, &shape, error);
    if (status) return status;
    char x_text[128], slope_text[128];
    bool grows = shape.rank != x->rank;
    for (int axis = 0; !grows && axis < x->rank; axis++) grows = shape.dims[axis] != x->dims[axis];
    if (grows || (x->dtype != VT_DTYPE_F32 && x->dtype != VT_DTYPE_F64))
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "a slope of %s does not fit %s",
            vt_tensor_describe(slope, slope_text, sizeof slope_text), vt_tensor_describe(x, x_text, sizeof x_text));
    return run(call, x, slope, &shape, error);
}
