/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "ops/run.h"

/* Which scale belongs to an element: one for all, one per index of an axis, or one per block along an axis. */
struct grid {
    int64_t strides[VT_MAX_RANK]; /* of the scales along x's axes, 0: the same for all */
    int axis;
    int64_t block; /* elements along the axis that share a scale */
    const struct vt_tensor *scale, *zero;
};

static bool is_blocked_shape(const struct vt_tensor *x, const struct grid *g) {
    if (g->scale->rank != x->rank) return false;
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t blocks = axis == g->axis ? vt_div_up(x->dims[axis], g->block) : x->dims[axis];
        if (g->scale->dims[axis] != blocks) return false;
    }
    return true;
}

static enum vultus_status resolve(const struct vt_op_call *call, struct grid *g, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    *g = (struct grid){.block = vt_attr_int(&call->attrs, "block_size", 0)};
    g->scale = vt_op_input(call, 1);
    g->zero = vt_op_input(call, 2);
    int64_t axis = vt_attr_int(&call->attrs, "axis", 1);
    bool single = vt_tensor_count(g->scale) == 1 && g->block == 0, fits = single;
    enum vultus_status status = single ? VULTUS_OK : vt_op_axis(call, axis, x->rank, &g->axis, error);
    if (status) return status;
    if (g->block > 0) {
        fits = is_blocked_shape(x, g);
        if (fits) vt_dense_strides(x->rank, g->scale->dims, g->strides);
    } else if (!single) {
        fits = g->block == 0 && g->scale->rank == 1 && g->scale->dims[0] == x->dims[g->axis];
        g->strides[g->axis] = 1;
    }
    g->block = vt_max_i64(g->block, 1);
    if (g->zero) fits = fits && vt_tensor_count(g->zero) == vt_tensor_count(g->scale);
    char x_text[128], scale_text[128];
    if (fits && vt_dtype_is_float(g->scale->dtype)) return VULTUS_OK;
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "a scale of %s (and as many zero points) does not fit %s",
        vt_tensor_describe(g->scale, scale_text, sizeof scale_text), vt_tensor_describe(x, x_text, sizeof x_text));
}

static int64_t scale_of(const struct grid *g, int rank, const int64_t *index) {
    int64_t offset = 0;
    for (int axis = 0; axis < rank; axis++)
        offset += (axis == g->axis ? index[axis] / g->block : index[axis]) * g->strides[axis];
    return offset;
}

static bool is_quantized(enum vt_dtype dtype) {
    return dtype == VT_DTYPE_U8 || dtype == VT_DTYPE_I8 || dtype == VT_DTYPE_U16 || dtype == VT_DTYPE_I16;
}

enum vultus_status vt_run_quantize(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct grid g;
    enum vultus_status status = resolve(call, &g, error);
    if (status) return status;
    int64_t number = vt_attr_int(&call->attrs, "output_dtype", 0);
    enum vt_dtype dtype = g.zero ? g.zero->dtype : number ? vt_dtype_from_onnx(number) : VT_DTYPE_U8;
    if (!is_quantized(dtype) || !(vt_dtype_is_float(x->dtype) || x->dtype == VT_DTYPE_I32))
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED,
            "%s to %s is not supported; floats and int32 to 8 and 16 bit integers are", vt_dtype_name(x->dtype),
            vt_dtype_name(dtype));
    struct vt_tensor *out;
    status = vt_op_alloc(call, dtype, x->rank, x->dims, &out, error);
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; !status && i < vt_tensor_count(x); i++, vt_index_next(x->rank, x->dims, index)) {
        int64_t at = scale_of(&g, x->rank, index);
        /* In single precision, as runtimes divide: the rounding decides ties. */
        float quotient = (float)vt_tensor_get(x, i) / (float)vt_tensor_get(g.scale, at);
        vt_tensor_set(out, i, rint(quotient) + (g.zero ? vt_tensor_get(g.zero, at) : 0));
    }
    return status;
}

enum vultus_status vt_run_dequantize(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct grid g;
    enum vultus_status status = resolve(call, &g, error);
    if (status) return status;
    if (!(is_quantized(x->dtype) || x->dtype == VT_DTYPE_I32) || (g.zero && g.zero->dtype != x->dtype))
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED,
            "%s with a zero point of %s is not supported; 8, 16 and 32 bit integers and a zero point of their type are",
            vt_dtype_name(x->dtype), g.zero ? vt_dtype_name(g.zero->dtype) : "the same");
    struct vt_tensor *out;
    status = vt_op_alloc(call, g.scale->dtype, x->rank, x->dims, &out, error);
    int64_t index[VT_MAX_RANK] = {0};
    for (int64_t i = 0; !status && i < vt_tensor_count(x); i++, vt_index_next(x->rank, x->dims, index)) {
        int64_t at = scale_of(&g, x->rank, index);
        double steps = vt_tensor_get(x, i) - (g.zero ? vt_tensor_get(g.zero, at) : 0);
        vt_tensor_set(out, i, steps * vt_tensor_get(g.scale, at));
    }
    return status;
}
