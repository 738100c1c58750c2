/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "ops/run.h"

/* Integers wrap around, as they do in the exporting frameworks; the caller has excluded divisors of 0. */
#define INTEGER_ROW(NAME, T, U, QUOTIENT)                                                                              \
    static void NAME(                                                                                                  \
        enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count) {       \
        const T *left = a, *right = b;                                                                                 \
        T *result = out;                                                                                               \
        for (int64_t i = 0; i < count; i++, left += a_step, right += b_step) {                                         \
            switch (op) {                                                                                              \
            case VT_OP_ADD: result[i] = (T)((U)*left + (U)*right); break;                                              \
            case VT_OP_SUB: result[i] = (T)((U)*left - (U)*right); break;                                              \
            case VT_OP_MUL: result[i] = (T)((U)*left * (U)*right); break;                                              \
            case VT_OP_POW: result[i] = (T)integer_power((int64_t)*left, (int64_t)*right); break;                      \
            case VT_OP_MIN: result[i] = *left < *right ? *left : *right; break;                                        \
            case VT_OP_MAX: result[i] = *left > *right ? *left : *right; break;                                        \
            default: result[i] = (T)QUOTIENT(U, *left, *right); break;                                                 \
            }                                                                                                          \
        }                                                                                                              \
    }
/* The least integer by -1 would overflow. */
#define SIGNED_QUOTIENT(U, a, b) ((b) == -1 ? (int64_t)(0 - (U)(a)) : (int64_t)(a) / (b))
#define UNSIGNED_QUOTIENT(U, a, b) ((a) / (b))

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
            case VT_OP_MIN: result[i] = *left < *right || isnan(*left) ? *left : *right; break;                        \
            case VT_OP_MAX: result[i] = *left > *right || isnan(*left) ? *left : *right; break;                        \
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
INTEGER_ROW(row_i64, int64_t, uint64_t, SIGNED_QUOTIENT)
INTEGER_ROW(row_i32, int32_t, uint32_t, SIGNED_QUOTIENT)
INTEGER_ROW(row_i16, int16_t, uint32_t, SIGNED_QUOTIENT)
INTEGER_ROW(row_i8, int8_t, uint32_t, SIGNED_QUOTIENT)
INTEGER_ROW(row_u64, uint64_t, uint64_t, UNSIGNED_QUOTIENT)
INTEGER_ROW(row_u32, uint32_t, uint32_t, UNSIGNED_QUOTIENT)
INTEGER_ROW(row_u16, uint16_t, uint32_t, UNSIGNED_QUOTIENT)
INTEGER_ROW(row_u8, uint8_t, uint32_t, UNSIGNED_QUOTIENT)

static vt_op_row *const rows[VT_DTYPE_COUNT] = {
    [VT_DTYPE_F32] = row_f32,
    [VT_DTYPE_F64] = row_f64,
    [VT_DTYPE_I64] = row_i64,
    [VT_DTYPE_I32] = row_i32,
    [VT_DTYPE_I16] = row_i16,
    [VT_DTYPE_I8] = row_i8,
    [VT_DTYPE_U64] = row_u64,
    [VT_DTYPE_U32] = row_u32,
    [VT_DTYPE_U16] = row_u16,
    [VT_DTYPE_U8] = row_u8,
};

static enum vultus_status check_divisors(
    const struct vt_op_call *call, const struct vt_tensor *divisor, struct vultus_error *error) {
    if (vt_dtype_is_float(divisor->dtype)) return VULTUS_OK;
    for (int64_t i = 0; i < vt_tensor_count(divisor); i++)
        if (vt_tensor_get_int(divisor, i) == 0)
            return vt_op_fail(
                call, error, VULTUS_ERROR_INVALID, "element %lld of the integer divisor is 0", (long long)i);
    return VULTUS_OK;
}

enum vultus_status vt_run_binary(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *a = vt_op_input(call, 0), *b = vt_op_input(call, 1);
    enum vultus_status status = call->op == VT_OP_DIV ? check_divisors(call, b, error) : VULTUS_OK;
    return status ? status : vt_op_rows(call, a, b, a->dtype, rows[a->dtype], error);
}

/* ONNX lets the exponent have another type than the base, whose type the result has. */
enum vultus_status vt_run_pow(const struct vt_op_call *call, struct vultus_error *error) {
    struct vt_tensor base = *vt_op_input(call, 0), exponent = *vt_op_input(call, 1);
    enum vt_dtype wanted = base.dtype;
    bool by_float = !vt_dtype_is_float(wanted) && vt_dtype_is_float(exponent.dtype);
    enum vt_dtype type = by_float ? VT_DTYPE_F64 : wanted;
    enum vultus_status status = vt_op_convert(call, type, &base, error);
    if (!status) status = vt_op_convert(call, type, &exponent, error);
    if (!status) status = vt_op_rows(call, &base, &exponent, type, rows[type], error);
    return status ? status : vt_op_convert(call, wanted, &call->outputs[0], error);
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
    return vt_op_rows(call, x, slope, x->dtype, rows[x->dtype], error);
}
