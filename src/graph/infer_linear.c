/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"

/* NumPy's matmul: vectors are rows or columns for the time being, leading dims broadcast. */
enum vultus_status vt_infer_matmul(struct vt_infer *infer) {
    const struct vt_value *a = vt_infer_input(infer, 0), *b = vt_infer_input(infer, 1);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_require_same_dtype(infer, a, b);
    if (!status) status = vt_infer_set_rank(infer, a->dtype, -1);
    if (status || a->rank < 0 || b->rank < 0) return status;
    if (a->rank == 0 || b->rank == 0)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "a scalar cannot be a factor of a matrix product");

    const struct vt_dim *inner;
    status = vt_infer_unify(infer, a->dims[a->rank - 1], b->dims[b->rank > 1 ? b->rank - 2 : 0], &inner);
    int batch_a = a->rank > 2 ? a->rank - 2 : 0, batch_b = b->rank > 2 ? b->rank - 2 : 0;
    int rank = batch_a > batch_b ? batch_a : batch_b;
    if (!status) status = vt_infer_broadcast_dims(infer, a->dims, batch_a, b->dims, batch_b, out->dims);
    if (status) return status;
    if (a->rank > 1) out->dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) out->dims[rank++] = b->dims[b->rank - 1];
    out->rank = rank;
    return VULTUS_OK;
}

/* One way: the result's shape is given, `value` must broadcast to it. */
static enum vultus_status check_broadcast_to_output(const struct vt_infer *infer, const struct vt_value *value) {
    struct vt_value *out = vt_infer_output(infer);
    if (!value || value->rank < 0) return VULTUS_OK;
    if (value->rank > out->rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "'%.100s' has %d dimensions, the result only %d", value->name,
            value->rank, out->rank);
    const struct vt_dim *dims[VT_MAX_RANK];
    enum vultus_status status = vt_infer_broadcast_dims(infer, out->dims, out->rank, value->dims, value->rank, dims);
    for (int i = 0; !status && i < out->rank; ++i) status = vt_infer_unify(infer, out->dims[i], dims[i], &dims[i]);
    return status;
}

/* [M,K] x [K,N] with either factor transposed. */
static enum vultus_status infer_product(struct vt_infer *infer, bool transpose_a, bool transpose_b) {
    const struct vt_value *a = vt_infer_input(infer, 0), *b = vt_infer_input(infer, 1);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_require_rank(infer, a, 2);
    if (!status) status = vt_infer_require_rank(infer, b, 2);
    if (!status) status = vt_infer_require_same_dtype(infer, a, b);
    if (!status) status = vt_infer_set_rank(infer, a->dtype, 2);
    if (status) return status;
    out->dims[0] = a->rank < 0 ? NULL : a->dims[transpose_a ? 1 : 0];
    out->dims[1] = b->rank < 0 ? NULL : b->dims[transpose_b ? 0 : 1];
    if (a->rank < 0 || b->rank < 0) return VULTUS_OK;
    const struct vt_dim *inner;
    return vt_infer_unify(infer, a->dims[transpose_a ? 0 : 1], b->dims[transpose_b ? 1 : 0], &inner);
}

enum vultus_status vt_infer_gemm(struct vt_infer *infer) {
    const struct vt_attrs *attrs = &infer->node->attrs;
    enum vultus_status status =
        infer_product(infer, vt_attr_int(attrs, "transA", 0) != 0, vt_attr_int(attrs, "transB", 0) != 0);
    return status ? status : check_broadcast_to_output(infer, vt_infer_input(infer, 2));
}

enum vultus_status vt_infer_fused_gemm(struct vt_infer *infer) {
    const struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = infer_product(infer, false, false);
    if (!status) status = vt_infer_require_vector(infer, vt_infer_input(infer, 2), out->dims[1]);
    if (!status) status = vt_infer_require_vector(infer, vt_infer_input(infer, 3), out->dims[1]);
    return status ? status : check_broadcast_to_output(infer, vt_infer_input(infer, 4));
}

/* Which axes a reduction removes; no list, or an empty one, is all of them unless the attribute says none. */
static enum vultus_status reduced_axes(
    const struct vt_infer *infer, bool reduced[VT_MAX_RANK], size_t *n_reduced, bool *known) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *listed = vt_infer_input(infer, 1);
    int64_t axes[VT_MAX_RANK];
    size_t count = 0;
    *known = !listed || vt_infer_ints(infer, listed, axes, VT_MAX_RANK, &count);
    bool all = !count && !vt_attr_int(&infer->node->attrs, "noop_with_empty_axes", 0);
    for (int i = 0; i < VT_MAX_RANK; ++i) reduced[i] = all;
    *n_reduced = all ? (size_t)x->rank : count;
    for (size_t i = 0; *known && i < count; ++i) {
        int axis;
        enum vultus_status status = vt_infer_axis(infer, axes[i], x->rank, &axis);
        if (status) return status;
        if (reduced[axis]) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %d is listed twice", axis);
        reduced[axis] = true;
    }
    return VULTUS_OK;
}

enum vultus_status vt_infer_reduce(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    bool keep = vt_attr_int(&infer->node->attrs, "keepdims", 1) != 0, known, reduced[VT_MAX_RANK];
    size_t n_reduced;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, -1);
    if (status || x->rank < 0) return status;
    status = reduced_axes(infer, reduced, &n_reduced, &known);
    if (status) return status;
    if (!known) return vt_infer_set_rank(infer, x->dtype, keep ? x->rank : -1);
    int rank = 0;
    for (int i = 0; i < x->rank; ++i)
        if (!reduced[i] || keep) out->dims[rank++] = reduced[i] ? vt_infer_const(infer, 1) : x->dims[i];
    return vt_infer_set_rank(infer, x->dtype, rank);
}

enum vultus_status vt_infer_arg_max(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    bool keep = vt_attr_int(&infer->node->attrs, "keepdims", 1) != 0;
    int axis, rank = 0;
    enum vultus_status status = vt_infer_set_rank(infer, VT_DTYPE_I64, -1);
    if (status || x->rank < 0) return status;
    status = vt_infer_axis(infer, vt_attr_int(&infer->node->attrs, "axis", 0), x->rank, &axis);
    for (int i = 0; !status && i < x->rank; ++i)
        if (i != axis || keep) out->dims[rank++] = i == axis ? vt_infer_const(infer, 1) : x->dims[i];
    return status ? status : vt_infer_set_rank(infer, VT_DTYPE_I64, rank);
}

enum vultus_status vt_infer_top_k(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    size_t count;
    int axis = 0;
    vt_infer_copy_type(infer, x);
    if (x->rank >= 0) {
        enum vultus_status status = vt_infer_axis(infer, vt_attr_int(&infer->node->attrs, "axis", -1), x->rank, &axis);
        if (status) return status;
        const struct vt_dim **k = vt_infer_elements(infer, vt_infer_input(infer, 1), &count);
        vt_infer_output(infer)->dims[axis] = k && count == 1 ? k[0] : NULL;
    }
    if (infer->node->n_outputs > 1) vt_infer_copy_shape(infer, 1, VT_DTYPE_I64);
    return VULTUS_OK;
}
