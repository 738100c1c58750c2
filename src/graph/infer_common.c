/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"

void vt_infer_copy_type(const struct vt_infer *infer, const struct vt_value *value) {
    struct vt_value *out = vt_infer_output(infer);
    out->dtype = value->dtype;
    out->rank = value->rank;
    for (int i = 0; i < value->rank; ++i) out->dims[i] = value->dims[i];
}

void vt_infer_copy_shape(const struct vt_infer *infer, size_t index, enum vt_dtype dtype) {
    const struct vt_value *first = vt_infer_output(infer);
    struct vt_value *out = infer->node->outputs[index];
    out->dtype = dtype;
    out->rank = first->rank;
    for (int i = 0; i < first->rank; ++i) out->dims[i] = first->dims[i];
}

enum vultus_status vt_infer_set_rank(const struct vt_infer *infer, enum vt_dtype dtype, int64_t rank) {
    if (rank > VT_MAX_RANK)
        return vt_fail(infer->error, VULTUS_ERROR_UNSUPPORTED,
            "the result has %lld dimensions, at most %d are supported", (long long)rank, VT_MAX_RANK);
    vt_infer_output(infer)->dtype = dtype;
    vt_infer_output(infer)->rank = rank < 0 ? -1 : (int)rank;
    return VULTUS_OK;
}

enum vultus_status vt_infer_require_rank(const struct vt_infer *infer, const struct vt_value *value, int rank) {
    if (value->rank < 0 || value->rank == rank) return VULTUS_OK;
    return vt_fail(infer->error, VULTUS_ERROR_UNSUPPORTED, "input '%.100s' has %d dimensions, only %d are supported",
        value->name, value->rank, rank);
}

enum vultus_status vt_infer_require_same_dtype(
    const struct vt_infer *infer, const struct vt_value *a, const struct vt_value *b) {
    if (!a || !b || a->dtype == b->dtype || a->dtype == VT_DTYPE_NONE || b->dtype == VT_DTYPE_NONE) return VULTUS_OK;
    return vt_fail(infer->error, VULTUS_ERROR_FORMAT,
        "inputs '%.100s' (%s) and '%.100s' (%s) must have the same element type", a->name, vt_dtype_name(a->dtype),
        b->name, vt_dtype_name(b->dtype));
}

enum vultus_status vt_infer_unify(
    const struct vt_infer *infer, const struct vt_dim *a, const struct vt_dim *b, const struct vt_dim **out) {
    int64_t number_a, number_b;
    bool a_known = vt_dim_is_constant(a, &number_a), b_known = vt_dim_is_constant(b, &number_b);
    if (a_known && b_known && number_a != number_b)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "sizes that must be equal are %lld and %lld",
            (long long)number_a, (long long)number_b);
    *out = (b_known && !a_known) || !a ? b : a;
    return VULTUS_OK;
}

enum vultus_status vt_infer_require_vector(
    const struct vt_infer *infer, const struct vt_value *value, const struct vt_dim *length) {
    const struct vt_dim *unified;
    if (!value || value->rank < 0) return VULTUS_OK;
    enum vultus_status status = vt_infer_require_rank(infer, value, 1);
    return status ? status : vt_infer_unify(infer, value->dims[0], length, &unified);
}

enum vultus_status vt_infer_broadcast(
    const struct vt_infer *infer, const struct vt_dim *a, const struct vt_dim *b, const struct vt_dim **out) {
    int64_t number_a, number_b;
    bool a_known = vt_dim_is_constant(a, &number_a), b_known = vt_dim_is_constant(b, &number_b);
    if (a_known && b_known && number_a != number_b && number_a != 1 && number_b != 1)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "sizes %lld and %lld cannot be broadcast to each other",
            (long long)number_a, (long long)number_b);
    if (a_known && number_a == 1)
        *out = b;
    else if (b_known && number_b == 1)
        *out = a;
    else if (a_known || b_known)
        *out = a_known ? a : b; /* the other can only be 1 or the same */
    else
        *out = vt_dim_equal(a, b) ? a : NULL;
    return VULTUS_OK;
}

enum vultus_status vt_infer_broadcast_dims(const struct vt_infer *infer, const struct vt_dim *const *a, int rank_a,
    const struct vt_dim *const *b, int rank_b, const struct vt_dim **out) {
    int rank = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 0; i < rank; ++i) {
        int in_a = i - (rank - rank_a), in_b = i - (rank - rank_b);
        enum vultus_status status = VULTUS_OK;
        if (in_a < 0)
            out[i] = b[in_b];
        else if (in_b < 0)
            out[i] = a[in_a];
        else
            status = vt_infer_broadcast(infer, a[in_a], b[in_b], &out[i]);
        if (status) return status;
    }
    return VULTUS_OK;
}

enum vultus_status vt_infer_axis(const struct vt_infer *infer, int64_t axis, int64_t rank, int *out) {
    if (axis < -rank || axis >= rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %lld is outside the %lld dimensions there are",
            (long long)axis, (long long)rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return VULTUS_OK;
}

static bool is_integer(enum vt_dtype dtype) {
    switch (dtype) {
    case VT_DTYPE_I64:
    case VT_DTYPE_I32:
    case VT_DTYPE_I16:
    case VT_DTYPE_I8:
    case VT_DTYPE_U32:
    case VT_DTYPE_U16:
    case VT_DTYPE_U8: return true;
    default: return false; /* uint64 does not fit a dim */
    }
}

const struct vt_dim *vt_infer_fit(enum vt_dtype dtype, const struct vt_dim *element) {
    int64_t value;
    if (!vt_dim_is_constant(element, &value) || dtype == VT_DTYPE_I64) return element;
    int bits = 8 * (int)vt_dtype_size(dtype);
    bool is_signed = dtype == VT_DTYPE_I32 || dtype == VT_DTYPE_I16 || dtype == VT_DTYPE_I8;
    int64_t range = INT64_C(1) << (is_signed ? bits - 1 : bits);
    return value >= (is_signed ? -range : 0) && value < range ? element : NULL;
}

const struct vt_tensor *vt_infer_tensor(const struct vt_value *value) {
    if (!value) return NULL;
    if (value->constant) return value->constant;
    if (!value->producer || value->producer->op != VT_OP_CONSTANT) return NULL;
    const struct vt_attr *attr = vt_attr_find(&value->producer->attrs, "value", VT_ATTR_TENSOR);
    return attr ? attr->tensor : NULL;
}

const struct vt_dim **vt_infer_elements(const struct vt_infer *infer, struct vt_value *value, size_t *count) {
    if (!value) return NULL;
    const struct vt_tensor *tensor = value->elements ? NULL : vt_infer_tensor(value);
    if (tensor && is_integer(tensor->dtype) && vt_tensor_count(tensor) <= VT_INFER_MOST_ELEMENTS) {
        size_t n = (size_t)vt_tensor_count(tensor);
        const struct vt_dim **elements = vt_arena_alloc_array(infer->arena, n, sizeof *elements);
        for (size_t i = 0; elements && i < n; ++i)
            elements[i] = vt_infer_const(infer, vt_tensor_get_int(tensor, (int64_t)i));
        value->elements = elements;
        value->n_elements = elements ? n : 0;
    }
    *count = value->n_elements;
    return value->elements;
}

bool vt_infer_ints(const struct vt_infer *infer, struct vt_value *value, int64_t *out, size_t room, size_t *count) {
    size_t n = 0;
    const struct vt_dim **elements = vt_infer_elements(infer, value, &n);
    if (!elements || n > room) return false;
    for (size_t i = 0; i < n; ++i)
        if (!vt_dim_is_constant(elements[i], &out[i])) return false;
    *count = n;
    return true;
}

const struct vt_dim **vt_infer_make_elements(const struct vt_infer *infer, size_t count) {
    struct vt_value *out = vt_infer_output(infer);
    if (count > VT_INFER_MOST_ELEMENTS || !is_integer(out->dtype)) return NULL;
    out->elements = vt_arena_alloc_array(infer->arena, count, sizeof *out->elements);
    out->n_elements = out->elements ? count : 0;
    return out->elements;
}

const struct vt_dim *vt_infer_product(const struct vt_infer *infer, const struct vt_value *value, int first, int last) {
    const struct vt_dim *product = vt_infer_const(infer, 1);
    for (int i = first; i < last; ++i) product = vt_dim_mul(infer->arena, product, value->dims[i]);
    return product;
}
