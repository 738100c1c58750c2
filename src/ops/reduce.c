/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
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

static bool is_extreme(enum vt_op op) { return op == VT_OP_REDUCE_MAX || op == VT_OP_REDUCE_MIN; }

/* What nothing at all reduces to; the largest and least of nothing are infinite. */
static double neutral(enum vt_op op) {
    return op == VT_OP_REDUCE_MAX ? -INFINITY : op == VT_OP_REDUCE_MIN ? INFINITY : 0;
}

static double gather(enum vt_op op, double sum, double value) {
    switch (op) {
    case VT_OP_REDUCE_L2: return sum + value * value;
    case VT_OP_REDUCE_MAX: return value > sum || isnan(value) ? value : sum;
    case VT_OP_REDUCE_MIN: return value < sum || isnan(value) ? value : sum;
    default: return sum + value;
    }
}

static void reduce_floats(enum vt_op op, const struct reduction *r, double *sums, const struct vt_tensor *out) {
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; i < vt_tensor_count(out); i++) sums[i] = neutral(op);
    for (int64_t i = 0; i < vt_tensor_count(r->x); i++) {
        double *sum = &sums[vt_index_offset(r->x->rank, index, r->strides)];
        *sum = gather(op, *sum, vt_tensor_get(r->x, i));
        vt_index_next(r->x->rank, r->x->dims, index);
    }
    for (int64_t i = 0; i < vt_tensor_count(out); i++) {
        double result = sums[i];
        if (op == VT_OP_REDUCE_MEAN) result /= (double)r->terms;
        if (op == VT_OP_REDUCE_L2) result = sqrt(result);
        vt_tensor_set(out, i, result);
    }
}

static int64_t gather_integer(enum vt_op op, int64_t sum, int64_t value) {
    if (op == VT_OP_REDUCE_MAX) return vt_max_i64(sum, value);
    if (op == VT_OP_REDUCE_MIN) return vt_min_i64(sum, value);
    return (int64_t)((uint64_t)sum + (uint64_t)value);
}

/* Sums wrap around; means are truncated towards 0. */
static void reduce_integers(enum vt_op op, const struct reduction *r, int64_t *sums, const struct vt_tensor *out) {
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; is_extreme(op) && i < vt_tensor_count(out); i++)
        sums[i] = op == VT_OP_REDUCE_MAX ? INT64_MIN : INT64_MAX;
    for (int64_t i = 0; i < vt_tensor_count(r->x); i++) {
        int64_t *sum = &sums[vt_index_offset(r->x->rank, index, r->strides)];
        *sum = gather_integer(op, *sum, vt_tensor_get_int(r->x, i));
        vt_index_next(r->x->rank, r->x->dims, index);
    }
    for (int64_t i = 0; i < vt_tensor_count(out); i++)
        vt_tensor_set_int(out, i, op == VT_OP_REDUCE_MEAN ? sums[i] / r->terms : sums[i]);
}

static bool is_supported(enum vt_op op, enum vt_dtype dtype) {
    if (dtype == VT_DTYPE_F32 || dtype == VT_DTYPE_F64) return true;
    if (is_extreme(op)) return dtype != VT_DTYPE_U64;
    return op != VT_OP_REDUCE_L2 && (dtype == VT_DTYPE_I64 || dtype == VT_DTYPE_I32);
}

enum vultus_status vt_run_reduce(const struct vt_op_call *call, struct vultus_error *error) {
    struct reduction r = {.x = vt_op_input(call, 0)};
    if (!is_supported(call->op, r.x->dtype))
        return vt_op_fail(
            call, error, VULTUS_ERROR_UNSUPPORTED, "elements of type %s are not supported", vt_dtype_name(r.x->dtype));
    bool is_float = vt_dtype_is_float(r.x->dtype);
    struct vt_tensor *out;
    void *sums = NULL;
    enum vultus_status status = resolve(call, &r, error);
    if (!status && r.terms == 0 && (call->op == VT_OP_REDUCE_MEAN || (is_extreme(call->op) && !is_float)))
        status = vt_op_fail(call, error, VULTUS_ERROR_INVALID, "there are no elements to reduce");
    if (!status) status = vt_op_alloc(call, r.x->dtype, r.rank, r.dims, &out, error);
    if (!status) status = vt_op_scratch(call, vt_tensor_count(out), sizeof(double), &sums, error);
    if (status) return status;
    if (is_float)
        reduce_floats(call->op, &r, sums, out);
    else
        reduce_integers(call->op, &r, sums, out);
    return VULTUS_OK;
}
