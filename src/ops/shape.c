/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

/* The result of an operator that only renames dimensions: the same elements under other dims. */
static enum vultus_status copy_as(const struct vt_op_call *call, const struct vt_tensor *x, int rank,
    const int64_t *dims, struct vultus_error *error) {
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, x->dtype, rank, dims, &out, error);
    if (!status && vt_tensor_bytes(x) > 0) memcpy(out->data, x->data, vt_tensor_bytes(x));
    return status;
}

enum vultus_status vt_run_identity(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    return copy_as(call, x, x->rank, x->dims, error);
}

enum vultus_status vt_run_dropout(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *training = vt_op_input(call, 2);
    if (training && (vt_tensor_count(training) != 1 || vt_tensor_get_int(training, 0) != 0))
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "training mode is set, only inference is supported");
    enum vultus_status status = vt_run_identity(call, error);
    if (status || call->n_outputs < 2) return status;
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct vt_tensor *mask;
    status = vt_op_alloc_at(call, 1, VT_DTYPE_BOOL, x->rank, x->dims, &mask, error);
    if (!status && vt_tensor_bytes(mask) > 0) memset(mask->data, 1, vt_tensor_bytes(mask));
    return status;
}

/* Replaces the one -1 of a target shape by what the element count leaves. */
static bool resolve_free_dim(int64_t count, int rank, int64_t *dims) {
    int free_axis = -1;
    int64_t product = 1;
    for (int axis = 0; axis < rank; axis++) {
        if (dims[axis] == -1 && free_axis < 0) {
            free_axis = axis;
        } else if (dims[axis] < 0 || !vt_mul_i64(product, dims[axis], &product)) {
            return false;
        }
    }
    if (free_axis < 0) return product == count;
    if (product == 0 || count % product != 0) return false;
    dims[free_axis] = count / product;
    return true;
}

enum vultus_status vt_run_reshape(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *shape = vt_op_input(call, 1);
    int64_t dims[VT_MAX_RANK];
    int rank = 0;
    char x_text[128], shape_text[128];
    enum vultus_status status = vt_op_read_ints(call, 1, dims, &rank, error);
    if (status) return status;
    bool fits = true;
    if (!vt_attr_int(&call->attrs, "allowzero", 0))
        for (int axis = 0; axis < rank; axis++) {
            if (dims[axis] != 0) continue;
            if (axis < x->rank)
                dims[axis] = x->dims[axis];
            else
                fits = false;
        }
    if (fits && resolve_free_dim(vt_tensor_count(x), rank, dims)) return copy_as(call, x, rank, dims, error);

    struct vt_tensor wanted = {.dtype = x->dtype, .rank = rank};
    for (int axis = 0; axis < rank; axis++) wanted.dims[axis] = vt_tensor_get_int(shape, axis);
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "%s cannot become %s",
        vt_tensor_describe(x, x_text, sizeof x_text), vt_tensor_describe(&wanted, shape_text, sizeof shape_text));
}

enum vultus_status vt_run_flatten(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t axis = vt_attr_int(&call->attrs, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return vt_op_fail(
            call, error, VULTUS_ERROR_INVALID, "axis %lld is outside a tensor of rank %d", (long long)axis, x->rank);
    int split = (int)(axis < 0 ? axis + x->rank : axis);
    const int64_t dims[2] = {vt_dims_product(x->dims, 0, split), vt_dims_product(x->dims, split, x->rank)};
    return copy_as(call, x, 2, dims, error);
}

enum vultus_status vt_run_squeeze(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    bool squeezed[VT_MAX_RANK];
    int count = 0, rank = 0;
    enum vultus_status status = vt_op_read_axes(call, 1, x->rank, squeezed, &count, error);
    if (status) return status;
    int64_t dims[VT_MAX_RANK];
    for (int axis = 0; axis < x->rank; axis++) {
        if (squeezed[axis] && x->dims[axis] != 1)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d of size %lld cannot be removed", axis,
                (long long)x->dims[axis]);
        bool removed = squeezed[axis] || (count < 0 && x->dims[axis] == 1);
        if (!removed) dims[rank++] = x->dims[axis];
    }
    return copy_as(call, x, rank, dims, error);
}

enum vultus_status vt_run_unsqueeze(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t axes[VT_MAX_RANK], dims[VT_MAX_RANK];
    bool inserted[VT_MAX_RANK];
    int count = 0;
    enum vultus_status status = vt_op_read_ints(call, 1, axes, &count, error);
    if (status) return status;
    int rank = x->rank + count;
    if (rank > VT_MAX_RANK)
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "the result would have %d axes, %d are supported",
            rank, VT_MAX_RANK);
    status = vt_op_read_axes(call, 1, rank, inserted, &count, error);
    if (status) return status;
    for (int axis = 0, own = 0; axis < rank; axis++) dims[axis] = inserted[axis] ? 1 : x->dims[own++];
    return copy_as(call, x, rank, dims, error);
}

enum vultus_status vt_run_shape(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t start = vt_attr_int(&call->attrs, "start", 0), end = vt_attr_int(&call->attrs, "end", x->rank);
    start = vt_min_i64(vt_max_i64(start < 0 ? start + x->rank : start, 0), x->rank);
    end = vt_min_i64(vt_max_i64(end < 0 ? end + x->rank : end, 0), x->rank);
    int64_t count = vt_max_i64(end - start, 0);
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, VT_DTYPE_I64, 1, &count, &out, error);
    if (!status && count > 0) memcpy(out->data, x->dims + start, (size_t)count * sizeof(int64_t));
    return status;
}

enum vultus_status vt_run_size(const struct vt_op_call *call, struct vultus_error *error) {
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, VT_DTYPE_I64, 0, NULL, &out, error);
    if (!status) *(int64_t *)out->data = vt_tensor_count(vt_op_input(call, 0));
    return status;
}

/* How many steps of `delta` lead from `start` to just before `limit`; more than any tensor holds when too many. */
static int64_t count_steps(int64_t start, int64_t limit, int64_t delta) {
    bool up = delta > 0;
    if (up ? limit <= start : limit >= start) return 0;
    uint64_t span = up ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t steps = (span - 1) / (up ? (uint64_t)delta : 0 - (uint64_t)delta) + 1;
    return steps > INT64_MAX ? INT64_MAX : (int64_t)steps;
}

enum vultus_status vt_run_range(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x[3] = {vt_op_input(call, 0), vt_op_input(call, 1), vt_op_input(call, 2)};
    for (int i = 0; i < 3; i++)
        if (x[i]->dtype != x[0]->dtype || vt_tensor_count(x[i]) != 1)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "start, limit and delta must be three %s scalars",
                vt_dtype_name(x[0]->dtype));
    if (vt_tensor_get(x[2], 0) == 0)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "delta is 0, it must lead from start to limit");
    bool is_float = vt_dtype_is_float(x[0]->dtype);
    double start = vt_tensor_get(x[0], 0), delta = vt_tensor_get(x[2], 0);
    int64_t first = vt_tensor_get_int(x[0], 0), step = vt_tensor_get_int(x[2], 0);
    int64_t count = count_steps(first, vt_tensor_get_int(x[1], 0), step ? step : 1);
    if (is_float) {
        double steps = ceil((vt_tensor_get(x[1], 0) - start) / delta);
        count = steps > 0 ? (steps < 0x1p62 ? (int64_t)steps : INT64_MAX) : 0;
    }
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, x[0]->dtype, 1, &count, &out, error);
    for (int64_t i = 0; !status && i < count; i++) {
        if (is_float)
            vt_tensor_set(out, i, start + (double)i * delta);
        else
            vt_tensor_set_int(out, i, (int64_t)((uint64_t)first + (uint64_t)i * (uint64_t)step));
    }
    return status;
}

static enum vultus_status make_vector(const struct vt_op_call *call, enum vt_dtype dtype, int rank, size_t count,
    const void *data, struct vultus_error *error) {
    struct vt_tensor *out;
    const int64_t dims[1] = {(int64_t)count};
    enum vultus_status status = vt_op_alloc(call, dtype, rank, dims, &out, error);
    if (!status && count > 0) memcpy(out->data, data, count * vt_dtype_size(dtype));
    return status;
}

enum vultus_status vt_run_constant(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_attr *attr = vt_attr_find(&call->attrs, "value", VT_ATTR_TENSOR);
    if (attr) return copy_as(call, attr->tensor, attr->tensor->rank, attr->tensor->dims, error);
    attr = vt_attr_find(&call->attrs, "value_float", VT_ATTR_FLOAT);
    if (attr) return make_vector(call, VT_DTYPE_F32, 0, 1, &attr->f, error);
    attr = vt_attr_find(&call->attrs, "value_int", VT_ATTR_INT);
    if (attr) return make_vector(call, VT_DTYPE_I64, 0, 1, &attr->i, error);
    attr = vt_attr_find(&call->attrs, "value_floats", VT_ATTR_FLOATS);
    if (attr) return make_vector(call, VT_DTYPE_F32, 1, attr->count, attr->floats, error);
    attr = vt_attr_find(&call->attrs, "value_ints", VT_ATTR_INTS);
    if (attr) return make_vector(call, VT_DTYPE_I64, 1, attr->count, attr->ints, error);
    return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "there is no value of a supported kind");
}

enum vultus_status vt_run_constant_of_shape(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_attr *attr = vt_attr_find(&call->attrs, "value", VT_ATTR_TENSOR);
    const struct vt_tensor *value = attr ? attr->tensor : NULL;
    if (value && vt_tensor_count(value) != 1)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "attribute value has %lld elements, it must have one",
            (long long)vt_tensor_count(value));
    int64_t dims[VT_MAX_RANK];
    int rank = 0;
    struct vt_tensor *out;
    enum vultus_status status = vt_op_read_ints(call, 0, dims, &rank, error);
    if (!status) status = vt_op_alloc(call, value ? value->dtype : VT_DTYPE_F32, rank, dims, &out, error);
    if (status || !value) return status;
    const int64_t strides[VT_MAX_RANK] = {0};
    vt_copy_strided(out, value->data, 0, strides);
    return VULTUS_OK;
}
