/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

enum vultus_status vt_run_transpose(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    const struct vt_attr *perm = vt_attr_find(&call->attrs, "perm", VT_ATTR_INTS);
    if (perm && perm->count != (size_t)x->rank)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "attribute perm has %zu values for a tensor of rank %d",
            perm->count, x->rank);
    int64_t dense[VT_MAX_RANK], dims[VT_MAX_RANK], strides[VT_MAX_RANK];
    bool taken[VT_MAX_RANK] = {false};
    vt_dense_strides(x->rank, x->dims, dense);
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t from = perm ? perm->ints[axis] : x->rank - 1 - axis;
        if (from < 0 || from >= x->rank || taken[from])
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
                "attribute perm is no permutation: its value %lld is out of range or repeated", (long long)from);
        taken[from] = true;
        dims[axis] = x->dims[from];
        strides[axis] = dense[from];
    }
    struct vt_tensor *out;
    enum vultus_status status = vt_op_alloc(call, x->dtype, x->rank, dims, &out, error);
    if (!status) vt_copy_strided(out, x->data, 0, strides);
    return status;
}

/* One axis of a Slice: clamps start and end as ONNX says. */
static int64_t slice_length(int64_t size, int64_t *start, int64_t end, int64_t *step) {
    bool forward = *step > 0;
    int64_t least = forward ? 0 : -1, most = forward ? size : size - 1;
    if (*start < 0) *start += size;
    if (end < 0) end += size;
    *start = vt_min_i64(vt_max_i64(*start, 0), most);
    end = vt_min_i64(vt_max_i64(end, least), most);
    /* A step longer than the axis takes one element, whatever its length. */
    *step = vt_min_i64(vt_max_i64(*step, -size - 1), size + 1);
    int64_t span = forward ? end - *start : *start - end;
    return span > 0 ? vt_div_up(span, forward ? *step : -*step) : 0;
}

enum vultus_status vt_run_slice(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t starts[VT_MAX_RANK], ends[VT_MAX_RANK], axes[VT_MAX_RANK], steps[VT_MAX_RANK];
    int count = 0, n_ends = 0, n_axes = 0, n_steps = 0;
    bool named[VT_MAX_RANK];
    enum vultus_status status = vt_op_read_ints(call, 1, starts, &count, error);
    if (!status) status = vt_op_read_ints(call, 2, ends, &n_ends, error);
    if (!status) status = vt_op_read_ints(call, 4, steps, &n_steps, error);
    if (!status) status = vt_op_read_axes(call, 3, x->rank, named, &n_axes, error);
    if (!status) status = vt_op_read_ints(call, 3, axes, &n_axes, error);
    if (status) return status;
    if (count != n_ends || (n_axes >= 0 && n_axes != count) || (n_steps >= 0 && n_steps != count) || count > x->rank)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "%d starts, %d ends, %d axes and %d steps do not fit a tensor of rank %d", count, n_ends, n_axes, n_steps,
            x->rank);
    int64_t dims[VT_MAX_RANK], strides[VT_MAX_RANK], offset = 0;
    memcpy(dims, x->dims, sizeof dims);
    vt_dense_strides(x->rank, x->dims, strides);
    for (int i = 0; i < count; i++) {
        int64_t named_axis = n_axes < 0 ? i : axes[i], step = n_steps < 0 ? 1 : steps[i];
        int axis = (int)(named_axis < 0 ? named_axis + x->rank : named_axis);
        if (step == 0) return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the step along axis %d is 0", axis);
        dims[axis] = slice_length(x->dims[axis], &starts[i], ends[i], &step);
        offset += starts[i] * strides[axis];
        strides[axis] *= step;
    }
    struct vt_tensor *out;
    status = vt_op_alloc(call, x->dtype, x->rank, dims, &out, error);
    if (!status) vt_copy_strided(out, x->data, offset, strides);
    return status;
}

/* Sizes of the parts: what input 1 says, or equal ones, of which the last may be smaller. */
static enum vultus_status read_parts(
    const struct vt_op_call *call, int64_t size, int64_t *parts, struct vultus_error *error) {
    const struct vt_tensor *given = vt_op_input(call, 1);
    int64_t count = (int64_t)call->n_outputs, rest = size, equal = vt_div_up(size, count);
    bool fits = !given || ((given->dtype == VT_DTYPE_I64 || given->dtype == VT_DTYPE_I32) && given->rank == 1 &&
                              given->dims[0] == count);
    for (int64_t i = 0; fits && i < count; i++) {
        parts[i] = given ? vt_tensor_get_int(given, i) : vt_min_i64(equal, rest);
        fits = parts[i] >= 0 && parts[i] <= rest;
        rest -= parts[i];
    }
    if (fits && rest == 0) return VULTUS_OK;
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the sizes of %lld parts do not add up to the axis's %lld",
        (long long)count, (long long)size);
}

enum vultus_status vt_run_split(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t parts[64], dims[VT_MAX_RANK], strides[VT_MAX_RANK], offset = 0;
    int axis = 0;
    enum vultus_status status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", 0), x->rank, &axis, error);
    if (!status) status = read_parts(call, x->dims[axis], parts, error);
    if (status) return status;
    memcpy(dims, x->dims, sizeof dims);
    vt_dense_strides(x->rank, x->dims, strides);
    for (size_t i = 0; !status && i < call->n_outputs; i++) {
        struct vt_tensor *out;
        dims[axis] = parts[i];
        status = vt_op_alloc_at(call, i, x->dtype, x->rank, dims, &out, error);
        if (!status) vt_copy_strided(out, x->data, offset * strides[axis], strides);
        offset += parts[i];
    }
    return status;
}

enum vultus_status vt_run_concat(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *first = vt_op_input(call, 0);
    int axis = 0;
    enum vultus_status status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", 0), first->rank, &axis, error);
    if (status) return status;
    int64_t dims[VT_MAX_RANK];
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (size_t i = 0; i < call->n_inputs; i++) {
        const struct vt_tensor *x = vt_op_input(call, i);
        bool fits = x && x->dtype == first->dtype && x->rank == first->rank;
        for (int other = 0; fits && other < first->rank; other++)
            fits = other == axis || x->dims[other] == first->dims[other];
        char text[128], first_text[128];
        if (!fits)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input %zu is %s, which does not fit %s along axis %d",
                i, x ? vt_tensor_describe(x, text, sizeof text) : "missing",
                vt_tensor_describe(first, first_text, sizeof first_text), axis);
        if (!vt_add_i64(dims[axis], x->dims[axis], &dims[axis]))
            return vt_op_fail(call, error, VULTUS_ERROR_LIMIT, "the result is too long along axis %d", axis);
    }
    struct vt_tensor *out;
    status = vt_op_alloc(call, first->dtype, first->rank, dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    size_t unit = (size_t)vt_dims_product(dims, axis + 1, first->rank) * vt_dtype_size(first->dtype);
    int64_t blocks = vt_dims_product(dims, 0, axis);
    char *to = out->data;
    for (int64_t block = 0; block < blocks; block++)
        for (size_t i = 0; i < call->n_inputs; i++) {
            const struct vt_tensor *x = vt_op_input(call, i);
            size_t bytes = (size_t)x->dims[axis] * unit;
            if (bytes > 0) memcpy(to, (const char *)x->data + (size_t)block * bytes, bytes);
            to += bytes;
        }
    return VULTUS_OK;
}

enum vultus_status vt_run_gather(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *indices = vt_op_input(call, 1);
    int axis = 0;
    enum vultus_status status = vt_op_axis(call, vt_attr_int(&call->attrs, "axis", 0), x->rank, &axis, error);
    if (status) return status;
    int rank = x->rank - 1 + indices->rank;
    if (rank > VT_MAX_RANK || (indices->dtype != VT_DTYPE_I64 && indices->dtype != VT_DTYPE_I32)) {
        char x_text[128], indices_text[128];
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "%s indexed by %s",
            vt_tensor_describe(x, x_text, sizeof x_text),
            vt_tensor_describe(indices, indices_text, sizeof indices_text));
    }
    int64_t dims[VT_MAX_RANK], count = vt_tensor_count(indices), size = x->dims[axis];
    memcpy(dims, x->dims, (size_t)axis * sizeof *dims);
    memcpy(dims + axis, indices->dims, (size_t)indices->rank * sizeof *dims);
    memcpy(dims + axis + indices->rank, x->dims + axis + 1, (size_t)(x->rank - axis - 1) * sizeof *dims);
    for (int64_t i = 0; i < count; i++) {
        int64_t index = vt_tensor_get_int(indices, i);
        if (index < -size || index >= size)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "index %lld is outside axis %d of size %lld",
                (long long)index, axis, (long long)size);
    }
    struct vt_tensor *out;
    status = vt_op_alloc(call, x->dtype, rank, dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    size_t unit = (size_t)vt_dims_product(x->dims, axis + 1, x->rank) * vt_dtype_size(x->dtype);
    char *to = out->data;
    for (int64_t block = 0; block < vt_dims_product(x->dims, 0, axis); block++)
        for (int64_t i = 0; i < count; i++, to += unit) {
            int64_t index = vt_tensor_get_int(indices, i);
            memcpy(
                to, (const char *)x->data + (size_t)(block * size + (index < 0 ? index + size : index)) * unit, unit);
        }
    return VULTUS_OK;
}
