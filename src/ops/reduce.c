/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ops/run.h"

struct reduction {
    const struct vt_tensor *x;
    bool reduced[VT_MAX_RANK];
    int64_t terms; /* elements that one result gathers */
    int rank;      /* of the output */
    int64_t dims[VT_MAX_RANK];
    int64_t strides[VT_MAX_RANK]; /* of the output along x's axes, 0 along the reduced ones */
};

static enum vultus_status resolve(const struct vt_op_call *call, struct reduction *r, struct vultus_error *error) {
    int count = 0;
    enum vultus_status status = vt_op_read_axes(call, 1, r->x->rank, r->reduced, &count, error);
    if (status) return status;
    if (count <= 0 && !vt_attr_int(&call->attrs, "noop_with_empty_axes", 0))
        for (int axis = 0; axis < r->x->rank; axis++) r->reduced[axis] = true;

    bool keep = vt_attr_int(&call->attrs, "keepdims", 1);
    int64_t kept[VT_MAX_RANK];
    r->terms = 1;
    for (int axis = 0; axis < r->x->rank; axis++) {
        kept[axis] = r->reduced[axis] ? 1 : r->x->dims[axis];
        if (r->reduced[axis]) r->terms *= r->x->dims[axis];
        if (keep || !r->reduced[axis]) r->dims[r->rank++] = kept[axis];
    }
    vt_dense_strides(r->x->rank, kept, r->strides);
    for (int axis = 0; axis < r->x->rank; axis++)
        if (r->reduced[axis]) r->strides[axis] = 0;
    return VULTUS_OK;
}

static void reduce_floats(enum vt_op op, const struct reduction *r, double *sums, const struct vt_tensor *out) {
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; i < vt_tensor_count(r->x); i++) {
        double value = vt_tensor_get(r->x, i);
        sums[vt_index_offset(r->x->rank, index, r->strides)] += op == VT_OP_REDUCE_L2 ? value * value : value;
        vt_index_next(r->x->rank, r->x->dims, index);
    }
    for (int64_t i = 0; i < vt_tensor_count(out); i++) {
        double result = sums[i];
        if (op == VT_OP_REDUCE_MEAN) result /= (double)r->terms;
        if (op == VT_OP_REDUCE_L2) result = sqrt(result);
        if (out->dtype == VT_DTYPE_F32)
            ((float *)out->data)[i] = (float)result;
        else
            ((double *)out->data)[i] = result;
    }
}

/* Sums wrap around; means are truncated towards 0. */
static void reduce_integers(enum vt_op op, const struct reduction *r, uint64_t *sums, const struct vt_tensor *out) {
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; i < vt_tensor_count(r->x); i++) {
        sums[vt_index_offset(r->x->rank, index, r->strides)] += (uint64_t)vt_tensor_get_int(r->x, i);
        vt_index_next(r->x->rank, r->x->dims, index);
    }
    for (int64_t i = 0; i < vt_tensor_count(out); i++) {
        int64_t result = (int64_t)sums[i];
        if (op == VT_OP_REDUCE_MEAN) result /= r->terms;
        if (out->dtype == VT_DTYPE_I64)
            ((int64_t *)out->data)[i] = result;
        else
            ((int32_t *)out->data)[i] = (int32_t)result;
    }
}

enum vultus_status vt_run_reduce(const struct vt_op_call *call, struct vultus_error *error) {
    struct reduction r = {.x = vt_op_input(call, 0)};
    bool is_float = r.x->dtype == VT_DTYPE_F32 || r.x->dtype == VT_DTYPE_F64;
    bool is_integer = r.x->dtype == VT_DTYPE_I64 || r.x->dtype == VT_DTYPE_I32;
    if (!is_float && !(is_integer && call->op != VT_OP_REDUCE_L2))
        return vt_op_fail(
            call, error, VULTUS_ERROR_UNSUPPORTED, "elements of type %s are not supported", vt_dtype_name(r.x->dtype));
    struct vt_tensor *out;
    void *sums = NULL;
    enum vultus_status status = resolve(call, &r, error);
    if (!status && r.terms == 0 && call->op == VT_OP_REDUCE_MEAN)
        status = vt_op_fail(call, error, VULTUS_ERROR_INVALID, "there are no elements to average");
    if (!status) status = vt_op_alloc(call, r.x->dtype, r.rank, r.dims, &out, error);
    if (!status) status = vt_op_scratch(call, vt_tensor_count(out), sizeof(double), &sums, error);
    if (status) return status;
    if (is_float)
        reduce_floats(call->op, &r, sums, out);
    else
        reduce_integers(call->op, &r, sums, out);
    return VULTUS_OK;
}
