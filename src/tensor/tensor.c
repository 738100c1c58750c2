/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[VT_DTYPE_COUNT] = {
#define X(e, name, bytes) [VT_DTYPE_##e] = {name, bytes},
    VT_DTYPES(X)
#undef X
};

size_t vt_dtype_size(enum vt_dtype dtype) { return (unsigned)dtype < VT_DTYPE_COUNT ? dtypes[dtype].bytes : 0; }

const char *vt_dtype_name(enum vt_dtype dtype) {
    return (unsigned)dtype < VT_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

enum vt_dtype vt_dtype_from_name(const char *name) {
    for (int dtype = VT_DTYPE_NONE + 1; dtype < VT_DTYPE_COUNT; dtype++)
        if (strcmp(name, dtypes[dtype].name) == 0) return (enum vt_dtype)dtype;
    return VT_DTYPE_NONE;
}

bool vt_dtype_is_float(enum vt_dtype dtype) {
    return dtype == VT_DTYPE_F32 || dtype == VT_DTYPE_F64 || dtype == VT_DTYPE_F16 || dtype == VT_DTYPE_BF16;
}

int64_t vt_tensor_count(const struct vt_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->dims[i];
    return count;
}

size_t vt_tensor_bytes(const struct vt_tensor *tensor) {
    return (size_t)vt_tensor_count(tensor) * vt_dtype_size(tensor->dtype);
}

bool vt_dims_valid(int rank, const int64_t *dims, enum vt_dtype dtype, int64_t *count) {
    size_t element_bytes = vt_dtype_size(dtype), bytes;
    if (rank < 0 || rank > VT_MAX_RANK || element_bytes == 0) return false;
    /* Zeros aside, so that [0, 2^62, 2^62] is refused in any order. */
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0)
            empty = true;
        else if (!vt_mul_i64(product, dims[i], &product))
            return false;
    }
    if ((uint64_t)product > SIZE_MAX || !vt_mul_size((size_t)product, element_bytes, &bytes) || bytes > PTRDIFF_MAX)
        return false;
    if (count) *count = empty ? 0 : product;
    return true;
}

enum vultus_status vt_tensor_alloc(struct vt_arena *arena, enum vt_dtype dtype, int rank, const int64_t *dims,
    struct vt_tensor *out, struct vultus_error *error) {
    int64_t count;
    if (!vt_dims_valid(rank, dims, dtype, &count))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "a %s tensor of rank %d cannot have these dims: each must be at least 0 and the bytes must be addressable",
            vt_dtype_name(dtype), rank);
    size_t bytes = (size_t)count * vt_dtype_size(dtype);
    void *data = vt_arena_alloc_aligned(arena, bytes, 64);
    if (!data) return vt_fail_memory(error, "a tensor", bytes);
    /* `dims` may be the dims of *out itself. */
    struct vt_tensor made = {.dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++) made.dims[i] = dims[i];
    *out = made;
    return VULTUS_OK;
}

bool vt_tensor_same_shape(const struct vt_tensor *a, const struct vt_tensor *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

char *vt_tensor_describe(const struct vt_tensor *tensor, char *text, size_t size) {
    int written = snprintf(text, size, "%s[", vt_dtype_name(tensor->dtype));
    size_t used = written > 0 ? (size_t)written : 0;
    for (int i = 0; i <= tensor->rank && used < size; i++) {
        written = i == tensor->rank ? snprintf(text + used, size - used, "]")
                                    : snprintf(text + used, size - used, "%s%" PRId64, i ? "," : "", tensor->dims[i]);
        used += written > 0 ? (size_t)written : 0;
    }
    return text;
}

static int64_t int_from_double(double value, int64_t least, int64_t most) {
    if (!(value == value)) return 0;
    if (value >= (double)most) return most;
    return value <= (double)least ? least : (int64_t)value;
}

static uint64_t unsigned_from_double(double value) {
    if (!(value > 0)) return 0;
    return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

double vt_tensor_get(const struct vt_tensor *tensor, int64_t i) {
    switch (tensor->dtype) {
    case VT_DTYPE_F32: return ((const float *)tensor->data)[i];
    case VT_DTYPE_F64: return ((const double *)tensor->data)[i];
    case VT_DTYPE_F16: return vt_f16_to_f32(((const uint16_t *)tensor->data)[i]);
    case VT_DTYPE_BF16: return vt_bf16_to_f32(((const uint16_t *)tensor->data)[i]);
    case VT_DTYPE_U64: return (double)((const uint64_t *)tensor->data)[i];
    default: return (double)vt_tensor_get_int(tensor, i);
    }
}

int64_t vt_tensor_get_int(const struct vt_tensor *tensor, int64_t i) {
    switch (tensor->dtype) {
    case VT_DTYPE_I64: return ((const int64_t *)tensor->data)[i];
    case VT_DTYPE_I32: return ((const int32_t *)tensor->data)[i];
    case VT_DTYPE_I16: return ((const int16_t *)tensor->data)[i];
    case VT_DTYPE_I8: return ((const int8_t *)tensor->data)[i];
    case VT_DTYPE_U64: {
        uint64_t value = ((const uint64_t *)tensor->data)[i];
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
    }
    case VT_DTYPE_U32: return ((const uint32_t *)tensor->data)[i];
    case VT_DTYPE_U16: return ((const uint16_t *)tensor->data)[i];
    case VT_DTYPE_U8: return ((const uint8_t *)tensor->data)[i];
    case VT_DTYPE_BOOL: return ((const uint8_t *)tensor->data)[i] != 0;
    case VT_DTYPE_F32:
    case VT_DTYPE_F64:
    case VT_DTYPE_F16:
    case VT_DTYPE_BF16: return int_from_double(vt_tensor_get(tensor, i), INT64_MIN, INT64_MAX);
    case VT_DTYPE_NONE:
    case VT_DTYPE_COUNT: break;
    }
    return 0;
}

void vt_tensor_set(const struct vt_tensor *tensor, int64_t i, double value) {
    void *data = tensor->data;
    switch (tensor->dtype) {
    case VT_DTYPE_F32: ((float *)data)[i] = (float)value; break;
    case VT_DTYPE_F64: ((double *)data)[i] = value; break;
    case VT_DTYPE_F16: ((uint16_t *)data)[i] = vt_f32_to_f16((float)value); break;
    case VT_DTYPE_BF16: ((uint16_t *)data)[i] = vt_f32_to_bf16((float)value); break;
    case VT_DTYPE_I64: ((int64_t *)data)[i] = int_from_double(value, INT64_MIN, INT64_MAX); break;
    case VT_DTYPE_I32: ((int32_t *)data)[i] = (int32_t)int_from_double(value, INT32_MIN, INT32_MAX); break;
    case VT_DTYPE_I16: ((int16_t *)data)[i] = (int16_t)int_from_double(value, INT16_MIN, INT16_MAX); break;
    case VT_DTYPE_I8: ((int8_t *)data)[i] = (int8_t)int_from_double(value, INT8_MIN, INT8_MAX); break;
    case VT_DTYPE_U64: ((uint64_t *)data)[i] = unsigned_from_double(value); break;
    case VT_DTYPE_U32: ((uint32_t *)data)[i] = (uint32_t)int_from_double(value, 0, UINT32_MAX); break;
    case VT_DTYPE_U16: ((uint16_t *)data)[i] = (uint16_t)int_from_double(value, 0, UINT16_MAX); break;
    case VT_DTYPE_U8: ((uint8_t *)data)[i] = (uint8_t)int_from_double(value, 0, UINT8_MAX); break;
    case VT_DTYPE_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case VT_DTYPE_NONE:
    case VT_DTYPE_COUNT: break;
    }
}

void vt_tensor_set_int(const struct vt_tensor *tensor, int64_t i, int64_t value) {
    void *data = tensor->data;
    switch (tensor->dtype) {
    case VT_DTYPE_F32: ((float *)data)[i] = (float)value; break;
    case VT_DTYPE_F64:
    case VT_DTYPE_F16:
    case VT_DTYPE_BF16: vt_tensor_set(tensor, i, (double)value); break;
    case VT_DTYPE_I64:
    case VT_DTYPE_U64: ((int64_t *)data)[i] = value; break;
    case VT_DTYPE_I32:
    case VT_DTYPE_U32: ((int32_t *)data)[i] = (int32_t)value; break;
    case VT_DTYPE_I16:
    case VT_DTYPE_U16: ((int16_t *)data)[i] = (int16_t)value; break;
    case VT_DTYPE_I8:
    case VT_DTYPE_U8: ((int8_t *)data)[i] = (int8_t)value; break;
    case VT_DTYPE_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case VT_DTYPE_NONE:
    case VT_DTYPE_COUNT: break;
    }
}
