/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"

enum vultus_status vt_infer_same_shape(struct vt_infer *infer) {
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    return VULTUS_OK;
}

static void copy_elements(const struct vt_infer *infer, struct vt_value *from) {
    size_t count;
    const struct vt_dim **elements = vt_infer_elements(infer, from, &count);
    const struct vt_dim **copy = elements ? vt_infer_make_elements(infer, count) : NULL;
    for (size_t i = 0; copy && i < count; ++i) copy[i] = vt_infer_fit(vt_infer_output(infer)->dtype, elements[i]);
}

enum vultus_status vt_infer_identity(struct vt_infer *infer) {
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    copy_elements(infer, vt_infer_input(infer, 0));
    return VULTUS_OK;
}

enum vultus_status vt_infer_dropout(struct vt_infer *infer) {
    enum vultus_status status = vt_infer_identity(infer);
    if (status || infer->node->n_outputs < 2) return status;
    vt_infer_copy_shape(infer, 1, VT_DTYPE_BOOL);
    return VULTUS_OK;
}

enum vultus_status vt_infer_softmax(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    int axis;
    vt_infer_copy_type(infer, x);
    if (x->rank < 0) return VULTUS_OK;
    return vt_infer_axis(infer, vt_attr_int(&infer->node->attrs, "axis", -1), x->rank, &axis);
}

enum vultus_status vt_infer_cast(struct vt_infer *infer) {
    int64_t number = vt_attr_int(&infer->node->attrs, "to", 0);
    enum vt_dtype dtype = vt_dtype_from_onnx(number);
    if (dtype == VT_DTYPE_NONE)
        return vt_fail(infer->error, VULTUS_ERROR_UNSUPPORTED, "attribute to = %lld is no supported element type",
            (long long)number);
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    vt_infer_output(infer)->dtype = dtype;
    copy_elements(infer, vt_infer_input(infer, 0));
    return VULTUS_OK;
}

enum vultus_status vt_infer_cast_like(struct vt_infer *infer) {
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    vt_infer_output(infer)->dtype = vt_infer_input(infer, 1)->dtype;
    copy_elements(infer, vt_infer_input(infer, 0));
    return VULTUS_OK;
}

/* A scale for all, for each index of an axis, or for each block: which of them is checked when it runs. */
enum vultus_status vt_infer_quantize(struct vt_infer *infer) {
    const struct vt_value *zero = vt_infer_input(infer, 2);
    int64_t number = vt_attr_int(&infer->node->attrs, "output_dtype", 0);
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    vt_infer_output(infer)->dtype = zero ? zero->dtype : number ? vt_dtype_from_onnx(number) : VT_DTYPE_U8;
    return VULTUS_OK;
}

enum vultus_status vt_infer_dequantize(struct vt_infer *infer) {
    vt_infer_copy_type(infer, vt_infer_input(infer, 0));
    vt_infer_output(infer)->dtype = vt_infer_input(infer, 1)->dtype;
    return VULTUS_OK;
}

enum vultus_status vt_infer_layer_norm(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    int axis;
    enum vultus_status status = vt_infer_softmax(infer); /* checks the axis, which has the same default */
    if (status || x->rank < 0) return status;
    status = vt_infer_axis(infer, vt_attr_int(&infer->node->attrs, "axis", -1), x->rank, &axis);
    for (size_t i = 1; !status && i < infer->node->n_outputs; ++i) {
        vt_infer_copy_shape(infer, i, x->dtype);
        for (int k = axis; k < x->rank; ++k) infer->node->outputs[i]->dims[k] = vt_infer_const(infer, 1);
    }
    return status;
}

static enum vultus_status broadcast_inputs(struct vt_infer *infer) {
    const struct vt_value *a = vt_infer_input(infer, 0), *b = vt_infer_input(infer, 1);
    bool known = a->rank >= 0 && b->rank >= 0;
    int rank = a->rank > b->rank ? a->rank : b->rank;
    enum vultus_status status = vt_infer_set_rank(infer, a->dtype, known ? rank : -1);
    if (status || !known) return status;
    return vt_infer_broadcast_dims(infer, a->dims, a->rank, b->dims, b->rank, vt_infer_output(infer)->dims);
}

/* ONNX divides integers as C does, toward zero; that is the floor where neither sign is negative. */
static const struct vt_dim *divide(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    int64_t dividend, divisor;
    if (vt_dim_is_constant(a, &dividend) && vt_dim_is_constant(b, &divisor)) {
        bool overflows = dividend == INT64_MIN && divisor == -1;
        return divisor && !overflows ? vt_dim_constant(arena, dividend / divisor) : NULL;
    }
    bool floors = vt_dim_lower_bound(a, &dividend) && dividend >= 0 && vt_dim_lower_bound(b, &divisor) && divisor > 0;
    return floors ? vt_dim_floor_div(arena, a, b) : NULL;
}

/* The larger or smaller of two, where their difference shows which that is. */
static const struct vt_dim *extreme(
    struct vt_arena *arena, bool larger, const struct vt_dim *a, const struct vt_dim *b) {
    int64_t bound;
    bool a_is_larger = vt_dim_lower_bound(vt_dim_sub(arena, a, b), &bound) && bound >= 0;
    bool b_is_larger = vt_dim_lower_bound(vt_dim_sub(arena, b, a), &bound) && bound >= 0;
    if (!a_is_larger && !b_is_larger) return NULL;
    return a_is_larger == larger ? a : b;
}

static const struct vt_dim *calculate(
    struct vt_arena *arena, enum vt_op op, const struct vt_dim *a, const struct vt_dim *b) {
    switch (op) {
    case VT_OP_ADD: return vt_dim_add(arena, a, b);
    case VT_OP_SUB: return vt_dim_sub(arena, a, b);
    case VT_OP_MUL: return vt_dim_mul(arena, a, b);
    case VT_OP_DIV: return divide(arena, a, b);
    case VT_OP_MIN:
    case VT_OP_MAX: return extreme(arena, op == VT_OP_MAX, a, b);
    default: return NULL;
    }
}

enum vultus_status vt_infer_arithmetic(struct vt_infer *infer) {
    struct vt_value *a = vt_infer_input(infer, 0), *b = vt_infer_input(infer, 1), *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_require_same_dtype(infer, a, b);
    if (!status) status = broadcast_inputs(infer);
    if (status || out->rank > 1) return status;

    size_t n_a, n_b;
    const struct vt_dim **of_a = vt_infer_elements(infer, a, &n_a), **of_b = vt_infer_elements(infer, b, &n_b);
    if (!of_a || !of_b || (n_a != n_b && n_a != 1 && n_b != 1)) return VULTUS_OK;
    size_t count = n_a == 1 ? n_b : n_a;
    const struct vt_dim **result = vt_infer_make_elements(infer, count);
    for (size_t i = 0; result && i < count; ++i) {
        const struct vt_dim *element =
            calculate(infer->arena, infer->node->op, of_a[n_a == 1 ? 0 : i], of_b[n_b == 1 ? 0 : i]);
        result[i] = vt_infer_fit(out->dtype, element);
    }
    return VULTUS_OK;
}

enum vultus_status vt_infer_compare(struct vt_infer *infer) {
    const struct vt_value *a = vt_infer_input(infer, 0), *b = vt_infer_input(infer, 1);
    enum vultus_status status = vt_infer_require_same_dtype(infer, a, b);
    if (!status) status = broadcast_inputs(infer);
    vt_infer_output(infer)->dtype = VT_DTYPE_BOOL;
    return status;
}

enum vultus_status vt_infer_where(struct vt_infer *infer) {
    const struct vt_value *condition = vt_infer_input(infer, 0), *x = vt_infer_input(infer, 1);
    const struct vt_value *y = vt_infer_input(infer, 2);
    struct vt_value *out = vt_infer_output(infer);
    const struct vt_dim *chosen[VT_MAX_RANK];
    enum vultus_status status = vt_infer_require_same_dtype(infer, x, y);
    bool known = condition->rank >= 0 && x->rank >= 0 && y->rank >= 0;
    if (!status) status = vt_infer_set_rank(infer, x->dtype, -1);
    if (status || !known) return status;
    int rank = x->rank > y->rank ? x->rank : y->rank;
    status = vt_infer_broadcast_dims(infer, x->dims, x->rank, y->dims, y->rank, chosen);
    if (!status) status = vt_infer_broadcast_dims(infer, chosen, rank, condition->dims, condition->rank, out->dims);
    return status ? status : vt_infer_set_rank(infer, x->dtype, rank > condition->rank ? rank : condition->rank);
}

enum vultus_status vt_infer_pow(struct vt_infer *infer) { return broadcast_inputs(infer); }

/* The slope is broadcast to x, never x to the slope. */
enum vultus_status vt_infer_prelu(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0), *slope = vt_infer_input(infer, 1);
    vt_infer_copy_type(infer, x);
    enum vultus_status status = vt_infer_require_same_dtype(infer, x, slope);
    if (status || x->rank < 0 || slope->rank < 0) return status;
    if (slope->rank > x->rank)
        return vt_fail(
            infer->error, VULTUS_ERROR_FORMAT, "the slope has %d dimensions, its input only %d", slope->rank, x->rank);
    for (int i = 0; i < slope->rank; ++i) {
        int64_t size;
        const struct vt_dim *unified;
        if (vt_dim_is_constant(slope->dims[i], &size) && size == 1) continue;
        status = vt_infer_unify(infer, x->dims[x->rank - slope->rank + i], slope->dims[i], &unified);
        if (status) return status;
    }
    return VULTUS_OK;
}

/* Normalisations and Affine: the result is shaped like x, all other inputs are vectors over axis 1. */
enum vultus_status vt_infer_channel_parameters(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    vt_infer_copy_type(infer, x);
    if (x->rank == 0 || x->rank == 1)
        return vt_fail(
            infer->error, VULTUS_ERROR_FORMAT, "the input has %d dimensions, at least 2 are needed", x->rank);
    const struct vt_dim *channels = x->rank < 0 ? NULL : x->dims[1];
    for (size_t i = 1; i < infer->node->n_inputs; ++i) {
        const struct vt_value *parameter = infer->node->inputs[i];
        enum vultus_status status = vt_infer_require_vector(infer, parameter, channels);
        if (status) return status;
    }
    return VULTUS_OK;
}
