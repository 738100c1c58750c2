/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ops/run.h"

#define COMPARISON_ROW(NAME, T)                                                                                        \
    static void NAME(                                                                                                  \
        enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count) {       \
        const T *left = a, *right = b;                                                                                 \
        uint8_t *result = out;                                                                                         \
        for (int64_t i = 0; i < count; i++, left += a_step, right += b_step) {                                         \
            switch (op) {                                                                                              \
            case VT_OP_EQUAL: result[i] = *left == *right; break;                                                      \
            case VT_OP_GREATER: result[i] = *left > *right; break;                                                     \
            case VT_OP_LESS: result[i] = *left < *right; break;                                                        \
            case VT_OP_GREATER_OR_EQUAL: result[i] = *left >= *right; break;                                           \
            default: result[i] = *left <= *right; break;                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }

COMPARISON_ROW(compare_f32, float)
COMPARISON_ROW(compare_f64, double)
COMPARISON_ROW(compare_i64, int64_t)
COMPARISON_ROW(compare_i32, int32_t)
COMPARISON_ROW(compare_i16, int16_t)
COMPARISON_ROW(compare_i8, int8_t)
COMPARISON_ROW(compare_u64, uint64_t)
COMPARISON_ROW(compare_u32, uint32_t)
COMPARISON_ROW(compare_u16, uint16_t)
COMPARISON_ROW(compare_u8, uint8_t)

static vt_op_row *const comparisons[VT_DTYPE_COUNT] = {
    [VT_DTYPE_F32] = compare_f32,
    [VT_DTYPE_F64] = compare_f64,
    [VT_DTYPE_I64] = compare_i64,
    [VT_DTYPE_I32] = compare_i32,
    [VT_DTYPE_I16] = compare_i16,
    [VT_DTYPE_I8] = compare_i8,
    [VT_DTYPE_U64] = compare_u64,
    [VT_DTYPE_U32] = compare_u32,
    [VT_DTYPE_U16] = compare_u16,
    [VT_DTYPE_U8] = compare_u8,
    [VT_DTYPE_BOOL] = compare_u8,
};

enum vultus_status vt_run_compare(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *a = vt_op_input(call, 0), *b = vt_op_input(call, 1);
    return vt_op_rows(call, a, b, VT_DTYPE_BOOL, comparisons[a->dtype], error);
}

static void logical_row(
    enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count) {
    const uint8_t *left = a, *right = b;
    uint8_t *result = out;
    for (int64_t i = 0; i < count; i++, left += a_step, right += b_step)
        result[i] = op == VT_OP_AND ? *left && *right : *left || *right;
}

enum vultus_status vt_run_logical(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *a = vt_op_input(call, 0), *b = vt_op_input(call, 1);
    return vt_op_rows(call, a, b, VT_DTYPE_BOOL, a->dtype == VT_DTYPE_BOOL ? logical_row : NULL, error);
}

/* Where the condition holds, an element of x, elsewhere one of y; all three are broadcast together. */
enum vultus_status vt_run_where(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *condition = vt_op_input(call, 0), *x = vt_op_input(call, 1), *y = vt_op_input(call, 2);
    if (condition->dtype != VT_DTYPE_BOOL || x->dtype != y->dtype)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "a condition of type %s chooses between %s and %s",
            vt_dtype_name(condition->dtype), vt_dtype_name(x->dtype), vt_dtype_name(y->dtype));
    struct vt_broadcast choices, chosen, spread;
    struct vt_tensor *out;
    enum vultus_status status = vt_op_broadcast(call, x, y, &choices, error);
    struct vt_tensor both = {.dtype = x->dtype, .rank = choices.rank};
    memcpy(both.dims, choices.dims, sizeof both.dims);
    if (!status) status = vt_op_broadcast(call, condition, &both, &chosen, error);
    if (!status) status = vt_op_alloc(call, x->dtype, chosen.rank, chosen.dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    status = vt_op_broadcast(call, out, x, &choices, error);
    if (!status) status = vt_op_broadcast(call, out, y, &spread, error);
    if (status) return status;
    int64_t index[VT_MAX_RANK] = {0};
    size_t size = vt_dtype_size(x->dtype);
    char *to = out->data;
    do {
        bool first = ((const uint8_t *)condition->data)[vt_index_offset(out->rank, index, chosen.a_strides)] != 0;
        int64_t at = vt_index_offset(out->rank, index, first ? choices.b_strides : spread.b_strides);
        memcpy(to, (const char *)(first ? x : y)->data + (size_t)at * size, size);
        to += size;
    } while (vt_index_next(out->rank, out->dims, index));
    return VULTUS_OK;
}
