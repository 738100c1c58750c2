/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "ops/ops.h"

/* Bounds that keep every product below far from overflow. */
#define LARGEST_WINDOW_VALUE (INT64_C(1) << 20)
#define LARGEST_SIZE (INT64_C(1) << 40)

static const char *const axis_names[2] = {"height", "width"};

enum auto_pad { AUTO_PAD_NOTSET, AUTO_PAD_VALID, AUTO_PAD_SAME_UPPER, AUTO_PAD_SAME_LOWER };

/* Copies the integers of `name` when it is there; otherwise values[] keep what they hold. */
static enum vultus_status read_ints(const struct vt_attrs *attrs, const char *name, int64_t least, int64_t *values,
    size_t count, struct vultus_error *error) {
    const struct vt_attr *attr = vt_attr_find(attrs, name, VT_ATTR_INTS);
    if (!attr) return VULTUS_OK;
    if (attr->count != count)
        return vt_fail(error, VULTUS_ERROR_INVALID, "attribute %s has %zu values, a 4-D input needs %zu", name,
            attr->count, count);
    for (size_t i = 0; i < count; i++) {
        if (attr->ints[i] < least || attr->ints[i] > LARGEST_WINDOW_VALUE)
            return vt_fail(error, VULTUS_ERROR_INVALID, "attribute %s holds %lld, allowed are %lld to %lld", name,
                (long long)attr->ints[i], (long long)least, (long long)LARGEST_WINDOW_VALUE);
        values[i] = attr->ints[i];
    }
    return VULTUS_OK;
}

static enum vultus_status read_auto_pad(const struct vt_attrs *attrs, enum auto_pad *mode, struct vultus_error *error) {
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *text = vt_attr_string(attrs, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *mode = (enum auto_pad)i;
        return VULTUS_OK;
    }
    return vt_fail(error, VULTUS_ERROR_INVALID,
        "attribute auto_pad is \"%.32s\", allowed are NOTSET, VALID, SAME_UPPER and SAME_LOWER", text);
}

static enum vultus_status read_flags(
    const struct vt_attrs *attrs, bool is_convolution, struct vt_window *window, struct vultus_error *error) {
    window->group = is_convolution ? vt_attr_int(attrs, "group", 1) : 1;
    if (window->group < 1 || window->group > LARGEST_WINDOW_VALUE)
        return vt_fail(error, VULTUS_ERROR_INVALID, "attribute group is %lld, allowed are 1 to %lld",
            (long long)window->group, (long long)LARGEST_WINDOW_VALUE);
    int64_t ceil_mode = is_convolution ? 0 : vt_attr_int(attrs, "ceil_mode", 0);
    int64_t count_include_pad = is_convolution ? 0 : vt_attr_int(attrs, "count_include_pad", 0);
    if ((ceil_mode | count_include_pad) & ~INT64_C(1))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "attributes ceil_mode %lld and count_include_pad %lld: each must be 0 or 1", (long long)ceil_mode,
            (long long)count_include_pad);
    window->ceil_mode = ceil_mode;
    window->count_include_pad = count_include_pad;
    return VULTUS_OK;
}

static enum vultus_status read_kernel(
    const struct vt_attrs *attrs, const int64_t *weight_dims, struct vt_window *window, struct vultus_error *error) {
    if (!weight_dims && !vt_attr_find(attrs, "kernel_shape", VT_ATTR_INTS))
        return vt_fail(error, VULTUS_ERROR_INVALID, "attribute kernel_shape is missing");
    for (int axis = 0; weight_dims && axis < 2; axis++) {
        window->kernel[axis] = weight_dims[2 + axis];
        if (window->kernel[axis] < 1 || window->kernel[axis] > LARGEST_WINDOW_VALUE)
            return vt_fail(error, VULTUS_ERROR_INVALID, "the weight's kernel %s is %lld, allowed are 1 to %lld",
                axis_names[axis], (long long)window->kernel[axis], (long long)LARGEST_WINDOW_VALUE);
    }
    enum vultus_status status = read_ints(attrs, "kernel_shape", 1, window->kernel, 2, error);
    if (status) return status;
    if (weight_dims && (window->kernel[0] != weight_dims[2] || window->kernel[1] != weight_dims[3]))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "attribute kernel_shape is %lldx%lld but the weight's kernel is %lldx%lld", (long long)window->kernel[0],
            (long long)window->kernel[1], (long long)weight_dims[2], (long long)weight_dims[3]);
    return VULTUS_OK;
}

/* ONNX's rules for one axis: the output's size, and the padding where auto_pad decides it. */
static enum vultus_status resolve_axis(
    struct vt_window *window, int axis, enum auto_pad mode, int64_t in, int64_t *out, struct vultus_error *error) {
    int64_t *before = &window->pad[axis], *after = &window->pad[axis + 2];
    int64_t stride = window->stride[axis];
    int64_t extent = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    if (in < 0 || in > LARGEST_SIZE)
        return vt_fail(error, VULTUS_ERROR_INVALID, "the input's %s is %lld, allowed are 0 to %lld", axis_names[axis],
            (long long)in, (long long)LARGEST_SIZE);
    if (mode == AUTO_PAD_VALID) *before = *after = 0;
    if (mode == AUTO_PAD_SAME_UPPER || mode == AUTO_PAD_SAME_LOWER) {
        *out = vt_div_up(in, stride);
        int64_t total = vt_max_i64(0, (*out - 1) * stride + extent - in);
        *before = (total + (mode == AUTO_PAD_SAME_LOWER)) / 2;
        *after = total - *before;
        return VULTUS_OK;
    }
    int64_t room = in + *before + *after - extent;
    bool fits = room >= 0 || (window->ceil_mode && room > -stride);
    if (!fits)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "the kernel spans %lld pixels of %s, the padded input has only %lld", (long long)extent, axis_names[axis],
            (long long)(room + extent));
    *out = room / stride + 1;
    if (window->ceil_mode) {
        *out = vt_div_up(room, stride) + 1;
        /* A window that would start behind the input is dropped. */
        if ((*out - 1) * stride >= in + *before) --*out;
    }
    return VULTUS_OK;
}

static enum vultus_status check_pooling_pads(
    const struct vt_attrs *attrs, const struct vt_window *window, struct vultus_error *error) {
    if (!vt_attr_find(attrs, "pads", VT_ATTR_INTS)) return VULTUS_OK;
    for (int side = 0; side < 4; side++)
        if (window->pad[side] >= window->kernel[side % 2])
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "attribute pads adds %lld pixels of %s, a pooling's padding must be smaller than its kernel (%lld)",
                (long long)window->pad[side], axis_names[side % 2], (long long)window->kernel[side % 2]);
    return VULTUS_OK;
}

enum vultus_status vt_window_resolve(const struct vt_attrs *attrs, const int64_t *weight_dims, const int64_t in[2],
    struct vt_window *window, int64_t out[2], struct vultus_error *error) {
    *window = (struct vt_window){.stride = {1, 1}, .dilation = {1, 1}};
    enum auto_pad mode = AUTO_PAD_NOTSET;
    enum vultus_status status = read_kernel(attrs, weight_dims, window, error);
    if (!status) status = read_ints(attrs, "strides", 1, window->stride, 2, error);
    if (!status) status = read_ints(attrs, "dilations", 1, window->dilation, 2, error);
    if (!status) status = read_ints(attrs, "pads", 0, window->pad, 4, error);
    if (!status && !weight_dims) status = check_pooling_pads(attrs, window, error);
    if (!status) status = read_auto_pad(attrs, &mode, error);
    if (!status) status = read_flags(attrs, weight_dims != NULL, window, error);
    for (int axis = 0; !status && axis < 2; axis++)
        status = resolve_axis(window, axis, mode, in[axis], &out[axis], error);
    return status;
}

/* `out` comes with the size that the attribute output_shape or auto_pad demands, or -1. */
static enum vultus_status resolve_transposed_axis(struct vt_window *window, int axis, enum auto_pad mode, int64_t in,
    int64_t more, int64_t *out, struct vultus_error *error) {
    int64_t *before = &window->pad[axis], *after = &window->pad[axis + 2];
    int64_t extent = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    if (in < 1 || in > LARGEST_SIZE >> 20)
        return vt_fail(error, VULTUS_ERROR_INVALID, "the input's %s is %lld, allowed are 1 to %lld", axis_names[axis],
            (long long)in, (long long)(LARGEST_SIZE >> 20));
    int64_t whole = window->stride[axis] * (in - 1) + more + extent;
    if (mode == AUTO_PAD_VALID) *before = *after = 0;
    if (*out < 0 && (mode == AUTO_PAD_SAME_UPPER || mode == AUTO_PAD_SAME_LOWER)) *out = in * window->stride[axis];
    if (*out < 0) {
        *out = whole - *before - *after;
    } else {
        int64_t total = vt_max_i64(whole - *out, 0);
        *before = mode == AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        *after = total - *before;
    }
    if (*out >= 0) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "the padding takes more than the whole %lld pixels of %s",
        (long long)whole, axis_names[axis]);
}

enum vultus_status vt_window_resolve_transposed(const struct vt_attrs *attrs, const int64_t *weight_dims,
    const int64_t in[2], struct vt_window *window, int64_t out[2], struct vultus_error *error) {
    *window = (struct vt_window){.stride = {1, 1}, .dilation = {1, 1}};
    enum auto_pad mode = AUTO_PAD_NOTSET;
    int64_t more[2] = {0, 0};
    out[0] = out[1] = -1;
    enum vultus_status status = read_kernel(attrs, weight_dims, window, error);
    if (!status) status = read_ints(attrs, "strides", 1, window->stride, 2, error);
    if (!status) status = read_ints(attrs, "dilations", 1, window->dilation, 2, error);
    if (!status) status = read_ints(attrs, "pads", 0, window->pad, 4, error);
    if (!status) status = read_ints(attrs, "output_padding", 0, more, 2, error);
    if (!status) status = read_ints(attrs, "output_shape", 0, out, 2, error);
    if (!status) status = read_auto_pad(attrs, &mode, error);
    if (!status) status = read_flags(attrs, true, window, error);
    for (int axis = 0; !status && axis < 2; axis++)
        status = resolve_transposed_axis(window, axis, mode, in[axis], more[axis], &out[axis], error);
    return status;
}
