/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "ops/run.h"

/* Floats outside the integer's range saturate and NaN becomes 0, where ONNX leaves the result open. */
static int64_t to_i64(double value, int64_t least, int64_t most) {
    if (isnan(value)) return 0;
    if (value <= (double)least) return least;
    return value >= (double)most ? most : (int64_t)value;
}

static uint64_t to_u64(double value) {
    if (!(value > 0)) return 0;
    return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

static void store_float(const struct vt_tensor *out, int64_t i, double value) {
    switch (out->dtype) {
    case VT_DTYPE_F32: ((float *)out->data)[i] = (float)value; break;
    case VT_DTYPE_F64: ((double *)out->data)[i] = value; break;
    case VT_DTYPE_F16: ((uint16_t *)out->data)[i] = vt_f32_to_f16((float)value); break;
    case VT_DTYPE_BF16: ((uint16_t *)out->data)[i] = vt_f32_to_bf16((float)value); break;
    case VT_DTYPE_I64: ((int64_t *)out->data)[i] = to_i64(value, INT64_MIN, INT64_MAX); break;
    case VT_DTYPE_I32: ((int32_t *)out->data)[i] = (int32_t)to_i64(value, INT32_MIN, INT32_MAX); break;
    case VT_DTYPE_I16: ((int16_t *)out->data)[i] = (int16_t)to_i64(value, INT16_MIN, INT16_MAX); break;
    case VT_DTYPE_I8: ((int8_t *)out->data)[i] = (int8_t)to_i64(value, INT8_MIN, INT8_MAX); break;
    case VT_DTYPE_U64: ((uint64_t *)out->data)[i] = to_u64(value); break;
    case VT_DTYPE_U32: ((uint32_t *)out->data)[i] = (uint32_t)to_i64(value, 0, UINT32_MAX); break;
    case VT_DTYPE_U16: ((uint16_t *)out->data)[i] = (uint16_t)to_i64(value, 0, UINT16_MAX); break;
    case VT_DTYPE_U8: ((uint8_t *)out->data)[i] = (uint8_t)to_i64(value, 0, UINT8_MAX); break;
    default: ((uint8_t *)out->data)[i] = value != 0; break;
    }
}

/* Integers that do not fit keep their low bits. */
static void store_integer(const struct vt_tensor *out, int64_t i, int64_t value) {
    switch (out->dtype) {
    case VT_DTYPE_F32: ((float *)out->data)[i] = (float)value; break;
    case VT_DTYPE_F64:
    case VT_DTYPE_F16:
    case VT_DTYPE_BF16: store_float(out, i, (double)value); break;
    case VT_DTYPE_I64:
    case VT_DTYPE_U64: ((int64_t *)out->data)[i] = value; break;
    case VT_DTYPE_I32:
    case VT_DTYPE_U32: ((int32_t *)out->data)[i] = (int32_t)value; break;
    case VT_DTYPE_I16:
    case VT_DTYPE_U16: ((int16_t *)out->data)[i] = (int16_t)value; break;
    case VT_DTYPE_I8:
    case VT_DTYPE_U8: ((int8_t *)out->data)[i] = (int8_t)value; break;
    default: ((uint8_t *)out->data)[i] = value != 0; break;
    }
}

static bool is_float(enum vt_dtype dtype) {
    return dtype == VT_DTYPE_F32 || dtype == VT_DTYPE_F64 || dtype == VT_DTYPE_F16 || dtype == VT_DTYPE_BF16;
}

enum vultus_status vt_run_cast(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t number = vt_attr_int(&call->attrs, "to", 0);
    enum vt_dtype to = vt_dtype_from_onnx(number);
    if (to == VT_DTYPE_NONE)
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "attribute to is %lld, which is no supported type",
            (long long)number);
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, to, x->rank, x->dims, &out, error);
    if (status) return status;
    /* The largest uint64 values are beyond int64, so that they reach float types as floats. */
    bool by_float = is_float(x->dtype) || (x->dtype == VT_DTYPE_U64 && is_float(to));
    for (int64_t i = 0; i < vt_tensor_count(x); i++) {
        if (by_float)
            store_float(out, i, vt_tensor_get(x, i));
        else
            store_integer(out, i, vt_tensor_get_int(x, i));
    }
    return VULTUS_OK;
}
