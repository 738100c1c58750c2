/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

enum vultus_status vt_run_expand(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct vt_tensor shape = {.dtype = x->dtype}, *out;
    struct vt_broadcast both;
    enum vultus_status status = vt_op_read_ints(call, 1, shape.dims, &shape.rank, error);
    if (!status && !vt_dims_valid(shape.rank, shape.dims, shape.dtype, NULL))
        status = vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the shape has a negative or too large dimension");
    if (!status) status = vt_op_broadcast(call, x, &shape, &both, error);
    if (!status) status = vt_op_alloc(call, x->dtype, both.rank, both.dims, &out, error);
    if (!status) vt_copy_strided(out, x->data, 0, both.a_strides);
    return status;
}

enum vultus_status vt_run_tile(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    int64_t repeats[VT_MAX_RANK], dims[VT_MAX_RANK], strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    int count = 0;
    enum vultus_status status = vt_op_read_ints(call, 1, repeats, &count, error);
    if (status) return status;
    bool fits = count == x->rank;
    for (int axis = 0; fits && axis < x->rank; axis++)
        fits = repeats[axis] >= 0 && vt_mul_i64(x->dims[axis], repeats[axis], &dims[axis]);
    char text[128];
    if (!fits)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "%d repeats for %s: there must be one for each dimension, at least 0, and the result addressable", count,
            vt_tensor_describe(x, text, sizeof text));
    struct vt_tensor *out;
    status = vt_op_alloc(call, x->dtype, x->rank, dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    vt_dense_strides(x->rank, x->dims, strides);
    size_t size = vt_dtype_size(x->dtype);
    char *to = out->data;
    do {
        int64_t offset = 0;
        for (int axis = 0; axis < x->rank; axis++) offset += index[axis] % x->dims[axis] * strides[axis];
        memcpy(to, (const char *)x->data + (size_t)offset * size, size);
        to += size;
    } while (vt_index_next(x->rank, dims, index));
    return VULTUS_OK;
}
