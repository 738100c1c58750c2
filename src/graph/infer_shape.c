/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "graph/infer.h"

/* A bound of Shape's slice: negative counts from the end, and it stops at the ends. */
static int clamp_bound(int64_t bound, int rank) {
    if (bound < 0) bound += rank;
    return (int)vt_min_i64(vt_max_i64(bound, 0), rank);
}

enum vultus_status vt_infer_shape_of(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_set_rank(infer, VT_DTYPE_I64, 1);
    if (status || x->rank < 0) return status;
    const struct vt_attrs *attrs = &infer->node->attrs;
    int start = clamp_bound(vt_attr_int(attrs, "start", 0), x->rank);
    int end = clamp_bound(vt_attr_int(attrs, "end", x->rank), x->rank);
    int count = end > start ? end - start : 0;
    out->dims[0] = vt_infer_const(infer, count);
    const struct vt_dim **elements = vt_infer_make_elements(infer, (size_t)count);
    for (int i = 0; elements && i < count; ++i) elements[i] = x->dims[start + i];
    return VULTUS_OK;
}

enum vultus_status vt_infer_size(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    enum vultus_status status = vt_infer_set_rank(infer, VT_DTYPE_I64, 0);
    if (status || x->rank < 0) return status;
    const struct vt_dim **elements = vt_infer_make_elements(infer, 1);
    if (elements) elements[0] = vt_infer_product(infer, x, 0, x->rank);
    return VULTUS_OK;
}

/* The length is known where all three numbers are constants. */
enum vultus_status vt_infer_range(struct vt_infer *infer) {
    const struct vt_value *start = vt_infer_input(infer, 0);
    enum vultus_status status = vt_infer_set_rank(infer, start->dtype, 1);
    double numbers[3];
    for (size_t i = 0; !status && i < 3; ++i) {
        const struct vt_tensor *content = vt_infer_tensor(vt_infer_input(infer, i));
        int64_t element;
        size_t count = 0;
        const struct vt_dim **elements = vt_infer_elements(infer, vt_infer_input(infer, i), &count);
        if (elements && count == 1 && vt_dim_is_constant(elements[0], &element))
            numbers[i] = (double)element;
        else if (content && vt_tensor_count(content) == 1)
            numbers[i] = vt_tensor_get(content, 0);
        else
            return VULTUS_OK;
    }
    if (status) return status;
    if (numbers[2] == 0)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "delta is 0, it must lead from start to limit");
    double count = ceil((numbers[1] - numbers[0]) / numbers[2]);
    if (count < 0x1p53) vt_infer_output(infer)->dims[0] = vt_infer_const(infer, count > 0 ? (int64_t)count : 0);
    return VULTUS_OK;
}

enum vultus_status vt_infer_constant(struct vt_infer *infer) {
    struct vt_value *out = vt_infer_output(infer);
    const struct vt_tensor *content = vt_infer_tensor(out);
    if (!content) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "attribute value is missing");
    enum vultus_status status = vt_infer_set_rank(infer, content->dtype, content->rank);
    for (int i = 0; !status && i < content->rank; ++i) out->dims[i] = vt_infer_const(infer, content->dims[i]);
    return status;
}

/* The rank a shape tensor asks for: its number of elements, -1 when that is unknown. */
static int64_t rank_from_shape(const struct vt_value *shape) {
    int64_t rank;
    return shape->rank == 1 && vt_dim_is_constant(shape->dims[0], &rank) ? rank : -1;
}

enum vultus_status vt_infer_constant_of_shape(struct vt_infer *infer) {
    struct vt_value *shape = vt_infer_input(infer, 0), *out = vt_infer_output(infer);
    const struct vt_attr *attr = vt_attr_find(&infer->node->attrs, "value", VT_ATTR_TENSOR);
    if (attr && vt_tensor_count(attr->tensor) != 1)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "attribute value must hold one element");
    enum vt_dtype dtype = attr ? attr->tensor->dtype : VT_DTYPE_F32;
    enum vultus_status status = vt_infer_require_rank(infer, shape, 1);
    if (!status) status = vt_infer_set_rank(infer, dtype, rank_from_shape(shape));
    size_t count;
    const struct vt_dim **elements = vt_infer_elements(infer, shape, &count);
    if (status || !elements || (int64_t)count != out->rank) return status;
    for (int i = 0; i < out->rank; ++i) out->dims[i] = elements[i];

    int64_t dims[VT_MAX_RANK], n;
    if (!vt_value_static_dims(out, dims) || !vt_dims_valid(out->rank, dims, dtype, &n)) return VULTUS_OK;
    const struct vt_dim **filled = n <= VT_INFER_MOST_ELEMENTS ? vt_infer_make_elements(infer, (size_t)n) : NULL;
    for (int64_t i = 0; filled && i < n; ++i)
        filled[i] = vt_infer_const(infer, attr ? vt_tensor_get_int(attr->tensor, 0) : 0);
    return VULTUS_OK;
}

/* The content travels along unchanged when a node only rearranges dims. */
static void keep_elements(struct vt_infer *infer) {
    size_t count;
    const struct vt_dim **elements = vt_infer_elements(infer, vt_infer_input(infer, 0), &count);
    vt_infer_output(infer)->elements = elements;
    vt_infer_output(infer)->n_elements = elements ? count : 0;
}

/*
 * The size that -1 stands for: all elements of x over the sizes that are known. Dims copied by 0 cancel, so that
 * unknown ones among them do no harm.
 */
static enum vultus_status remaining_size(
    const struct vt_infer *infer, int wildcard, const bool copied[VT_MAX_RANK], const struct vt_dim **out) {
    const struct vt_value *x = vt_infer_input(infer, 0), *result = vt_infer_output(infer);
    const struct vt_dim *total = vt_infer_const(infer, 1), *taken = vt_infer_const(infer, 1);
    for (int i = 0; i < x->rank; ++i)
        if (i >= result->rank || !copied[i]) total = vt_dim_mul(infer->arena, total, x->dims[i]);
    for (int i = 0; i < result->rank; ++i)
        if (!copied[i] && i != wildcard) taken = vt_dim_mul(infer->arena, taken, result->dims[i]);
    int64_t n_total, n_taken;
    if (vt_dim_is_constant(total, &n_total) && vt_dim_is_constant(taken, &n_taken) &&
        (n_taken <= 0 || n_total % n_taken))
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "no size in place of -1 makes %lld elements out of %lld",
            (long long)n_total, (long long)n_taken);
    *out = vt_dim_floor_div(infer->arena, total, taken);
    return VULTUS_OK;
}

static enum vultus_status check_same_count(const struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0), *out = vt_infer_output(infer);
    int64_t before[VT_MAX_RANK], after[VT_MAX_RANK], n_before, n_after;
    if (!vt_value_static_dims(x, before) || !vt_value_static_dims(out, after)) return VULTUS_OK;
    if (!vt_dims_valid(x->rank, before, x->dtype, &n_before) || !vt_dims_valid(out->rank, after, out->dtype, &n_after))
        return VULTUS_OK;
    if (n_before == n_after) return VULTUS_OK;
    return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "%lld elements cannot be reshaped to %lld", (long long)n_before,
        (long long)n_after);
}

enum vultus_status vt_infer_reshape(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *shape = vt_infer_input(infer, 1), *out = vt_infer_output(infer);
    bool allow_zero = vt_attr_int(&infer->node->attrs, "allowzero", 0) != 0, copied[VT_MAX_RANK] = {false};
    enum vultus_status status = vt_infer_require_rank(infer, shape, 1);
    if (!status) status = vt_infer_set_rank(infer, x->dtype, rank_from_shape(shape));
    size_t count;
    const struct vt_dim **elements = vt_infer_elements(infer, shape, &count);
    if (status || !elements || (int64_t)count != out->rank) return status;
    int wildcard = -1;
    for (int i = 0; i < out->rank; ++i) {
        int64_t size = 1;
        bool known = vt_dim_is_constant(elements[i], &size);
        if (known && size == -1) {
            if (wildcard >= 0) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "the shape holds -1 twice");
            wildcard = i;
        } else if (known && size == 0 && !allow_zero) {
            if (x->rank >= 0 && i >= x->rank)
                return vt_fail(infer->error, VULTUS_ERROR_FORMAT,
                    "the shape's 0 at %d copies a dimension that the input has not", i);
            copied[i] = true;
            out->dims[i] = x->rank < 0 ? NULL : x->dims[i];
        } else {
            out->dims[i] = elements[i];
        }
    }
    if (x->rank < 0) return VULTUS_OK;
    if (wildcard >= 0) status = remaining_size(infer, wildcard, copied, &out->dims[wildcard]);
    if (!status) status = check_same_count(infer);
    if (!status) keep_elements(infer);
    return status;
}

enum vultus_status vt_infer_flatten(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, 2);
    if (status || x->rank < 0) return status;
    int64_t axis = vt_attr_int(&infer->node->attrs, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %lld is outside the %d dimensions there are",
            (long long)axis, x->rank);
    int split = (int)(axis < 0 ? axis + x->rank : axis);
    out->dims[0] = vt_infer_product(infer, x, 0, split);
    out->dims[1] = vt_infer_product(infer, x, split, x->rank);
    return VULTUS_OK;
}

enum vultus_status vt_infer_transpose(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    const struct vt_attr *perm = vt_attr_find(&infer->node->attrs, "perm", VT_ATTR_INTS);
    if (perm && x->rank >= 0 && perm->count != (size_t)x->rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "perm lists %zu of %d dimensions", perm->count, x->rank);
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, perm ? (int64_t)perm->count : x->rank);
    unsigned seen = 0;
    for (int i = 0; !status && i < out->rank; ++i) {
        int64_t from = perm ? perm->ints[i] : out->rank - 1 - i;
        if (from < 0 || from >= out->rank || (seen & 1U << from))
            return vt_fail(
                infer->error, VULTUS_ERROR_FORMAT, "perm is no permutation: it holds %lld at %d", (long long)from, i);
        seen |= 1U << from;
        out->dims[i] = x->rank < 0 ? NULL : x->dims[from];
    }
    return status;
}

/* Reads distinct axes of a tensor of `rank` dimensions into a mask; *known tells whether input 1 is known. */
static enum vultus_status read_axes(
    const struct vt_infer *infer, int64_t rank, bool listed[VT_MAX_RANK], size_t *count, bool *known) {
    int64_t axes[VT_MAX_RANK];
    for (int i = 0; i < VT_MAX_RANK; ++i) listed[i] = false;
    *known = vt_infer_ints(infer, vt_infer_input(infer, 1), axes, VT_MAX_RANK, count);
    if (!*known) return VULTUS_OK;
    if (rank < 0) rank += (int64_t)*count;
    for (size_t i = 0; i < *count; ++i) {
        int axis;
        enum vultus_status status = vt_infer_axis(infer, axes[i], rank, &axis);
        if (status) return status;
        if (axis >= VT_MAX_RANK || listed[axis])
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %d is listed twice or too large", axis);
        listed[axis] = true;
    }
    return VULTUS_OK;
}

enum vultus_status vt_infer_squeeze(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    bool listed[VT_MAX_RANK] = {false}, all = !vt_infer_input(infer, 1), known = true;
    size_t count = 0;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, -1);
    if (status || x->rank < 0) return status;
    if (!all) status = read_axes(infer, x->rank, listed, &count, &known);
    if (status || !known) return status;
    int rank = 0;
    for (int i = 0; i < x->rank; ++i) {
        int64_t size;
        bool sized = vt_dim_is_constant(x->dims[i], &size);
        if (all && !sized) return VULTUS_OK; /* whether it is 1, and so the rank, is unknown */
        if (listed[i] && sized && size != 1)
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "dimension %d has size %lld and cannot be squeezed", i,
                (long long)size);
        if (all ? size != 1 : !listed[i]) out->dims[rank++] = x->dims[i];
    }
    out->rank = rank;
    keep_elements(infer);
    return VULTUS_OK;
}

enum vultus_status vt_infer_unsqueeze(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    bool listed[VT_MAX_RANK], known;
    size_t count = 0;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, -1);
    if (status || x->rank < 0) return status;
    int64_t numbers[VT_MAX_RANK];
    if (!vt_infer_ints(infer, vt_infer_input(infer, 1), numbers, VT_MAX_RANK, &count)) return VULTUS_OK;
    status = vt_infer_set_rank(infer, x->dtype, x->rank + (int64_t)count);
    if (!status) status = read_axes(infer, out->rank, listed, &count, &known);
    if (status) return status;
    for (int i = 0, from = 0; i < out->rank; ++i) out->dims[i] = listed[i] ? vt_infer_const(infer, 1) : x->dims[from++];
    keep_elements(infer);
    return VULTUS_OK;
}
