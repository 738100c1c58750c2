/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "graph/infer.h"

/* Stands in for a size that is not known yet, so that attributes can be read and checked: what vt_window_resolve takes
 * at most. */
#define UNKNOWN_SIZE (INT64_C(1) << 40)
/* What vt_window_resolve_transposed takes at most. */
#define UNKNOWN_TRANSPOSED_SIZE (INT64_C(1) << 20)

/* floor((dim + add) / divisor) */
static const struct vt_dim *shifted_quotient(
    const struct vt_infer *infer, const struct vt_dim *dim, int64_t add, int64_t divisor) {
    const struct vt_dim *sum = vt_dim_add(infer->arena, dim, vt_infer_const(infer, add));
    return vt_dim_floor_div(infer->arena, sum, vt_infer_const(infer, divisor));
}

/* One axis of a convolution's or pooling's result for an input size that is an expression. */
static const struct vt_dim *window_output(
    const struct vt_infer *infer, const struct vt_window *window, int axis, const struct vt_dim *in) {
    int64_t stride = window->stride[axis];
    const char *auto_pad = vt_attr_string(&infer->node->attrs, "auto_pad", "NOTSET");
    if (strncmp(auto_pad, "SAME_", 5) == 0) return shifted_quotient(infer, in, stride - 1, stride);

    int64_t before = window->pad[axis], after = window->pad[axis + 2];
    int64_t extent = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    int64_t slack = before + after - extent;
    if (window->ceil_mode) {
        /* The last window may start behind the input, and is then dropped, only if the stride leaps over it. */
        if (stride + after > extent) return NULL;
        slack += stride - 1;
    }
    return vt_dim_add(infer->arena, shifted_quotient(infer, in, slack, stride), vt_infer_const(infer, 1));
}

/* Output dims 2 and 3 from the input's; `weight_dims` as vt_window_resolve takes them. */
static enum vultus_status infer_spatial(struct vt_infer *infer, const int64_t *weight_dims) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    int64_t in[2], size[2];
    bool known[2];
    for (int axis = 0; axis < 2; ++axis) {
        known[axis] = vt_dim_is_constant(x->dims[2 + axis], &in[axis]);
        if (!known[axis]) in[axis] = UNKNOWN_SIZE;
    }
    struct vt_window window;
    enum vultus_status status = vt_window_resolve(&infer->node->attrs, weight_dims, in, &window, size, infer->error);
    for (int axis = 0; !status && axis < 2; ++axis)
        out->dims[2 + axis] =
            known[axis] ? vt_infer_const(infer, size[axis]) : window_output(infer, &window, axis, x->dims[2 + axis]);
    return status;
}

/* Channels of input and weight [M, C/group, kh, kw] must agree. */
static enum vultus_status check_channels(const struct vt_infer *infer, const int64_t weight_dims[4]) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    int64_t channels, group = vt_attr_int(&infer->node->attrs, "group", 1), expected;
    if (group < 1 || weight_dims[0] % group)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "%lld output channels cannot be split into %lld groups",
            (long long)weight_dims[0], (long long)group);
    if (x->rank < 0 || !vt_dim_is_constant(x->dims[1], &channels)) return VULTUS_OK;
    if (vt_mul_i64(weight_dims[1], group, &expected) && expected == channels) return VULTUS_OK;
    return vt_fail(infer->error, VULTUS_ERROR_FORMAT,
        "the input has %lld channels, the weight takes %lld in each of %lld groups", (long long)channels,
        (long long)weight_dims[1], (long long)group);
}

enum vultus_status vt_infer_conv(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0), *weight = vt_infer_input(infer, 1);
    const struct vt_value *bias = vt_infer_input(infer, 2);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_require_rank(infer, x, 4);
    if (!status) status = vt_infer_require_rank(infer, weight, 4);
    if (!status) status = vt_infer_require_same_dtype(infer, x, weight);
    if (!status) status = vt_infer_require_same_dtype(infer, x, bias);
    if (!status) status = vt_infer_set_rank(infer, x->dtype, 4);
    if (status) return status;
    out->dims[0] = x->rank < 0 ? NULL : x->dims[0];
    out->dims[1] = weight->rank < 0 ? NULL : weight->dims[0];
    int64_t weight_dims[VT_MAX_RANK];
    if (!vt_value_static_dims(weight, weight_dims)) return vt_infer_require_vector(infer, bias, out->dims[1]);
    status = check_channels(infer, weight_dims);
    if (!status) status = vt_infer_require_vector(infer, bias, out->dims[1]);
    if (status || x->rank < 0) return status;
    return infer_spatial(infer, weight_dims);
}

/* Slope and residual of a fused convolution whose result is known but for what the residual says of it. */
static enum vultus_status infer_tail(struct vt_infer *infer) {
    const struct vt_value *residual = vt_infer_input(infer, 5);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_require_vector(infer, vt_infer_input(infer, 4), out->dims[1]);
    if (status || !residual || residual->rank < 0) return status;
    status = vt_infer_require_rank(infer, residual, 4);
    for (int i = 0; !status && i < 4; ++i)
        status = vt_infer_unify(infer, out->dims[i], residual->dims[i], &out->dims[i]);
    return status;
}

enum vultus_status vt_infer_fused_conv(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    enum vultus_status status = vt_infer_conv(infer);
    if (!status) status = vt_infer_require_vector(infer, vt_infer_input(infer, 3), x->rank < 0 ? NULL : x->dims[1]);
    return status ? status : infer_tail(infer);
}

/* Every pixel more gives a stride more: the size for any input from that for one, unless the result's size is given. */
static const struct vt_dim *transposed_output(
    const struct vt_infer *infer, const struct vt_dim *dim, int64_t stride, int64_t in, int64_t size) {
    if (vt_dim_is_constant(dim, NULL) || vt_attr_find(&infer->node->attrs, "output_shape", VT_ATTR_INTS))
        return vt_infer_const(infer, size);
    const struct vt_dim *scaled = vt_dim_mul(infer->arena, dim, vt_infer_const(infer, stride));
    return vt_dim_add(infer->arena, scaled, vt_infer_const(infer, size - stride * in));
}

enum vultus_status vt_infer_conv_transpose(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0), *weight = vt_infer_input(infer, 1);
    struct vt_value *out = vt_infer_output(infer);
    int64_t weight_dims[VT_MAX_RANK], in[2], size[2], group = vt_attr_int(&infer->node->attrs, "group", 1);
    enum vultus_status status = vt_infer_require_rank(infer, x, 4);
    if (!status) status = vt_infer_require_rank(infer, weight, 4);
    if (!status) status = vt_infer_require_same_dtype(infer, x, weight);
    if (!status) status = vt_infer_set_rank(infer, x->dtype, 4);
    if (status || x->rank < 0) return status;
    out->dims[0] = x->dims[0];
    if (!vt_value_static_dims(weight, weight_dims)) return VULTUS_OK;
    out->dims[1] = vt_dim_mul(infer->arena, weight->dims[1], vt_infer_const(infer, group));
    for (int axis = 0; axis < 2; ++axis)
        if (!vt_dim_is_constant(x->dims[2 + axis], &in[axis])) in[axis] = UNKNOWN_TRANSPOSED_SIZE;
    struct vt_window window;
    status = vt_window_resolve_transposed(&infer->node->attrs, weight_dims, in, &window, size, infer->error);
    for (int axis = 0; !status && axis < 2; ++axis)
        out->dims[2 + axis] = transposed_output(infer, x->dims[2 + axis], window.stride[axis], in[axis], size[axis]);
    return status;
}

enum vultus_status vt_infer_fused_conv_transpose(struct vt_infer *infer) {
    enum vultus_status status = vt_infer_conv_transpose(infer);
    return status ? status : infer_tail(infer);
}

enum vultus_status vt_infer_pool(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    enum vultus_status status = vt_infer_require_rank(infer, x, 4);
    if (!status) status = vt_infer_set_rank(infer, x->dtype, 4);
    if (status || x->rank < 0) return status;
    vt_infer_output(infer)->dims[0] = x->dims[0];
    vt_infer_output(infer)->dims[1] = x->dims[1];
    status = infer_spatial(infer, NULL);
    if (!status && infer->node->n_outputs > 1) vt_infer_copy_shape(infer, 1, VT_DTYPE_I64);
    return status;
}

enum vultus_status vt_infer_global_pool(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    vt_infer_copy_type(infer, x);
    if (x->rank >= 0 && x->rank < 3)
        return vt_fail(
            infer->error, VULTUS_ERROR_FORMAT, "the input has %d dimensions, at least 3 are needed", x->rank);
    for (int i = 2; i < x->rank; ++i) vt_infer_output(infer)->dims[i] = vt_infer_const(infer, 1);
    return VULTUS_OK;
}

/* floor(dim * scale); of an expression only when the scale or its inverse is a whole number. */
static const struct vt_dim *scale_dim(const struct vt_infer *infer, const struct vt_dim *dim, float scale) {
    int64_t size;
    if (vt_dim_is_constant(dim, &size)) {
        double scaled = floor((double)((float)size * scale));
        return scaled < (double)UNKNOWN_SIZE ? vt_infer_const(infer, (int64_t)scaled) : NULL;
    }
    const float most = 65536.0F, inverse = 1.0F / scale;
    if (scale == floorf(scale) && scale <= most)
        return vt_dim_mul(infer->arena, dim, vt_infer_const(infer, (int64_t)scale));
    if (inverse == floorf(inverse) && inverse <= most && 1.0F / inverse == scale)
        return vt_dim_floor_div(infer->arena, dim, vt_infer_const(infer, (int64_t)inverse));
    return NULL;
}

static enum vultus_status check_count(const struct vt_infer *infer, const char *what, int64_t count, int needed) {
    if (count == needed) return VULTUS_OK;
    return vt_fail(
        infer->error, VULTUS_ERROR_FORMAT, "there are %lld %s where %d are needed", (long long)count, what, needed);
}

/* The axes that an attribute of Resize or input 3 of Pad picks; all of them by default. */
struct axes {
    int items[VT_MAX_RANK], count;
};

static enum vultus_status pick_axes(
    const struct vt_infer *infer, const int64_t *listed, size_t count, struct axes *axes) {
    int rank = vt_infer_input(infer, 0)->rank;
    bool taken[VT_MAX_RANK] = {false};
    if (listed && count > (size_t)rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "%zu axes are listed of %d dimensions", count, rank);
    axes->count = listed ? (int)count : rank;
    for (int i = 0; i < axes->count; ++i) {
        enum vultus_status status = vt_infer_axis(infer, listed ? listed[i] : i, rank, &axes->items[i]);
        if (status) return status;
        if (taken[axes->items[i]])
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %d is listed twice", axes->items[i]);
        taken[axes->items[i]] = true;
    }
    return VULTUS_OK;
}

static enum vultus_status resize_by_scales(
    const struct vt_infer *infer, const struct axes *axes, const struct vt_tensor *scales) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    enum vultus_status status = check_count(infer, "scales", vt_tensor_count(scales), axes->count);
    for (int i = 0; !status && i < axes->count; ++i) {
        int axis = axes->items[i];
        double scale = vt_tensor_get(scales, i);
        if (!(scale > 0) || isinf(scale))
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "scale %g of dimension %d is not positive", scale, axis);
        vt_infer_output(infer)->dims[axis] = scale_dim(infer, x->dims[axis], (float)scale);
    }
    return status;
}

/* One scale for all axes: the smallest or largest that the sizes ask for. Sizes that are no numbers stay unknown. */
static enum vultus_status resize_in_proportion(
    const struct vt_infer *infer, const struct axes *axes, const struct vt_dim **sizes, bool smallest) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    float common = 0;
    for (int i = 0; i < axes->count; ++i) vt_infer_output(infer)->dims[axes->items[i]] = NULL;
    for (int i = 0; i < axes->count; ++i) {
        int64_t in, wanted;
        if (!vt_dim_is_constant(x->dims[axes->items[i]], &in) || !vt_dim_is_constant(sizes[i], &wanted) || in < 1)
            return VULTUS_OK;
        float scale = (float)wanted / (float)in;
        if (i == 0 || (smallest ? scale < common : scale > common)) common = scale;
    }
    for (int i = 0; i < axes->count; ++i) {
        int64_t in = 0;
        vt_dim_is_constant(x->dims[axes->items[i]], &in);
        float wanted = floorf(common * (float)in + 0.5F);
        if (wanted >= 0 && wanted < (float)UNKNOWN_SIZE)
            vt_infer_output(infer)->dims[axes->items[i]] = vt_infer_const(infer, (int64_t)wanted);
    }
    return VULTUS_OK;
}

/* An input that is there but holds nothing counts as missing: so exporters wrote it before opset 13. */
static bool is_empty(const struct vt_value *value) {
    int64_t size;
    return !value || (value->rank == 1 && vt_dim_is_constant(value->dims[0], &size) && size == 0);
}

enum vultus_status vt_infer_resize(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *scales = vt_infer_input(infer, 2), *sizes = vt_infer_input(infer, 3);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, x->rank);
    if (status || x->rank < 0) return status;
    if (is_empty(scales) == is_empty(sizes))
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "exactly one of scales and sizes must be given");
    const struct vt_attr *attr = vt_attr_find(&infer->node->attrs, "axes", VT_ATTR_INTS);
    struct axes axes;
    size_t count;
    status = pick_axes(infer, attr ? attr->ints : NULL, attr ? attr->count : 0, &axes);
    if (status) return status;
    const struct vt_tensor *factors = is_empty(sizes) ? vt_infer_tensor(scales) : NULL;
    const struct vt_dim **elements = is_empty(sizes) ? NULL : vt_infer_elements(infer, sizes, &count);
    if (!factors && !elements) return VULTUS_OK;
    vt_infer_copy_type(infer, x);
    if (factors) return resize_by_scales(infer, &axes, factors);
    status = check_count(infer, "sizes", (int64_t)count, axes.count);
    const char *policy = vt_attr_string(&infer->node->attrs, "keep_aspect_ratio_policy", "stretch");
    if (!status && strcmp(policy, "stretch") != 0)
        return resize_in_proportion(infer, &axes, elements, strcmp(policy, "not_larger") == 0);
    for (int i = 0; !status && i < axes.count; ++i) out->dims[axes.items[i]] = elements[i];
    return status;
}

enum vultus_status vt_infer_pad(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, x->rank);
    if (status || x->rank < 0) return status;
    struct vt_value *listed = vt_infer_input(infer, 3);
    struct axes axes;
    int64_t numbers[VT_MAX_RANK];
    size_t n_listed = 0, n_pads;
    if (listed && !vt_infer_ints(infer, listed, numbers, VT_MAX_RANK, &n_listed)) return VULTUS_OK;
    status = pick_axes(infer, listed ? numbers : NULL, n_listed, &axes);
    const struct vt_dim **pads = vt_infer_elements(infer, vt_infer_input(infer, 1), &n_pads);
    if (status || !pads) return status;
    status = check_count(infer, "pads", (int64_t)n_pads, 2 * axes.count);
    if (status) return status;
    vt_infer_copy_type(infer, x);
    for (int i = 0; i < axes.count; ++i) {
        const struct vt_dim **dim = &out->dims[axes.items[i]];
        *dim = vt_dim_add(infer->arena, *dim, vt_dim_add(infer->arena, pads[i], pads[i + axes.count]));
    }
    return VULTUS_OK;
}
