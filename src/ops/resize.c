/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

enum coordinate_mode {
    ASYMMETRIC,
    HALF_PIXEL,
    ALIGN_CORNERS,
    PYTORCH_HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    HALF_PIXEL_FOR_NEAREST, /* of opsets 11 and 12 */
    CROP_AND_RESIZE
};
enum aspect_policy { STRETCH, NOT_LARGER, NOT_SMALLER };
enum nearest_mode { FLOOR, CEIL, ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL };

/* One output position's two neighbours along an axis; nearest uses the first alone. */
struct neighbours {
    int64_t first, second;
    float weight; /* of the second */
    bool outside; /* the input: the extrapolation value is taken */
};

struct resizing {
    bool linear;
    enum coordinate_mode coordinates;
    enum nearest_mode nearest;
    enum aspect_policy policy;
    float extrapolation;
    int64_t dims[VT_MAX_RANK];
    float scales[VT_MAX_RANK];
    float crop[VT_MAX_RANK][2]; /* CROP_AND_RESIZE: start and end in parts of the axis */
    struct neighbours *maps[VT_MAX_RANK];
};

static enum vultus_status read_choice(const struct vt_op_call *call, const char *attribute, const char *fallback,
    const char *const *names, int count, int *choice, struct vultus_error *error) {
    const char *text = vt_attr_string(&call->attrs, attribute, fallback);
    for (*choice = 0; *choice < count; ++*choice)
        if (strcmp(text, names[*choice]) == 0) return VULTUS_OK;
    return vt_op_fail(
        call, error, VULTUS_ERROR_UNSUPPORTED, "attribute %s is \"%.32s\", which is not supported", attribute, text);
}

static enum vultus_status read_modes(const struct vt_op_call *call, struct resizing *r, struct vultus_error *error) {
    static const char *const modes[] = {"nearest", "linear"};
    static const char *const coordinates[] = {"asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel",
        "half_pixel_symmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    static const char *const roundings[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int mode = 0, coordinate = 0, rounding = 0, policy = 0;
    enum vultus_status status = read_choice(call, "mode", "nearest", modes, 2, &mode, error);
    if (!status)
        status = read_choice(call, "coordinate_transformation_mode", "half_pixel", coordinates, 7, &coordinate, error);
    if (!status) status = read_choice(call, "nearest_mode", "round_prefer_floor", roundings, 4, &rounding, error);
    if (!status) status = read_choice(call, "keep_aspect_ratio_policy", "stretch", policies, 3, &policy, error);
    if (!status && vt_attr_int(&call->attrs, "antialias", 0))
        status = vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "antialias is set, which is not supported");
    r->linear = mode == 1;
    r->coordinates = (enum coordinate_mode)coordinate;
    r->nearest = (enum nearest_mode)rounding;
    r->policy = (enum aspect_policy)policy;
    r->extrapolation = vt_attr_float(&call->attrs, "extrapolation_value", 0);
    return status;
}

/* Which axis the i-th scale or size belongs to. */
static enum vultus_status read_axes(
    const struct vt_op_call *call, int axes[VT_MAX_RANK], int *count, struct vultus_error *error) {
    int rank = vt_op_input(call, 0)->rank;
    const struct vt_attr *attr = vt_attr_find(&call->attrs, "axes", VT_ATTR_INTS);
    bool taken[VT_MAX_RANK] = {false};
    *count = attr ? (int)vt_min_i64((int64_t)attr->count, VT_MAX_RANK + 1) : rank;
    if (*count > rank)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "attribute axes names %zu axes of a tensor of rank %d",
            attr->count, rank);
    for (int i = 0; i < *count; i++) {
        enum vultus_status status = vt_op_axis(call, attr ? attr->ints[i] : i, rank, &axes[i], error);
        if (status) return status;
        if (taken[axes[i]]) return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d is named twice", axes[i]);
        taken[axes[i]] = true;
    }
    return VULTUS_OK;
}

/* The one scale of all axes that a policy keeps; 0 where each has its own. */
static float common_scale(
    enum aspect_policy policy, const struct vt_tensor *x, const struct vt_tensor *sizes, const int *axes, int count) {
    float common = 0;
    for (int i = 0; sizes && policy != STRETCH && i < count; i++) {
        float scale = (float)vt_tensor_get_int(sizes, i) / (float)x->dims[axes[i]];
        bool better = policy == NOT_LARGER ? scale < common : scale > common;
        if (i == 0 || better) common = scale;
    }
    return common;
}

static enum vultus_status read_crop(
    const struct vt_op_call *call, struct resizing *r, const int *axes, int count, struct vultus_error *error) {
    const struct vt_tensor *roi = vt_op_input(call, 1);
    if (r->coordinates != CROP_AND_RESIZE) return VULTUS_OK;
    for (int axis = 0; axis < VT_MAX_RANK; axis++) r->crop[axis][1] = 1;
    if (!roi || !vt_dtype_is_float(roi->dtype) || vt_tensor_count(roi) != 2 * count)
        return vt_op_fail(
            call, error, VULTUS_ERROR_INVALID, "cropping %d axes needs a roi of %d floats", count, 2 * count);
    for (int i = 0; i < count; i++) {
        r->crop[axes[i]][0] = (float)vt_tensor_get(roi, i);
        r->crop[axes[i]][1] = (float)vt_tensor_get(roi, count + i);
    }
    return VULTUS_OK;
}

/* Output size and scale of every axis; onnxruntime computes both in single precision. */
static enum vultus_status resolve_sizes(const struct vt_op_call *call, struct resizing *r, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *scales = vt_op_input(call, 2), *sizes = vt_op_input(call, 3);
    int axes[VT_MAX_RANK], count = 0;
    enum vultus_status status = read_axes(call, axes, &count, error);
    if (status) return status;
    bool by_scale = scales && vt_tensor_count(scales) > 0, by_size = sizes && vt_tensor_count(sizes) > 0;
    const struct vt_tensor *given = by_scale ? scales : sizes;
    if (by_scale == by_size || vt_tensor_count(given) != count ||
        given->dtype != (by_scale ? VT_DTYPE_F32 : VT_DTYPE_I64))
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "either float32 scales or int64 sizes must be given, one for each of %d axes", count);
    for (int axis = 0; axis < x->rank; axis++) {
        r->dims[axis] = x->dims[axis];
        r->scales[axis] = 1;
    }
    float common = common_scale(r->policy, x, by_size ? sizes : NULL, axes, count);
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        float in = (float)x->dims[axis];
        float wanted = by_scale ? ((const float *)scales->data)[i] * in : (float)vt_tensor_get_int(sizes, i);
        if (common > 0) wanted = floorf(common * in + 0.5f);
        if (!(wanted >= 0 && wanted < 0x1p40f) || (wanted > 0 && in == 0))
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d of size %lld cannot become %g", axis,
                (long long)x->dims[axis], wanted);
        r->dims[axis] = by_scale || common > 0 ? (int64_t)wanted : vt_tensor_get_int(sizes, i);
        if (in > 0) r->scales[axis] = by_scale ? ((const float *)scales->data)[i] : wanted / in;
        if (common > 0) r->scales[axis] = common;
    }
    return read_crop(call, r, axes, count, error);
}

/*
 * The position in the input. In single precision, as onnxruntime computes it: the rounding decides which pixel a
 * position on a border takes.
 */
static float input_position(const struct resizing *r, int axis, int64_t at, int64_t in) {
    float scale = r->scales[axis], last = (float)(in - 1);
    int64_t out = r->dims[axis];
    const float *crop = r->crop[axis];
    switch (r->coordinates) {
    case ASYMMETRIC: return (float)at / scale;
    case ALIGN_CORNERS: return out == 1 ? 0 : (float)at * last / (float)(out - 1);
    case PYTORCH_HALF_PIXEL: return out > 1 ? ((float)at + 0.5f) / scale - 0.5f : 0;
    case HALF_PIXEL_SYMMETRIC: {
        float adjustment = (float)out / (scale * (float)in);
        return (float)in / 2 * (1 - adjustment) + ((float)at + 0.5f) / scale - 0.5f;
    }
    case HALF_PIXEL_FOR_NEAREST: return ((float)at + 0.5f) / scale;
    case CROP_AND_RESIZE:
        if (out == 1) return 0.5f * (crop[0] + crop[1]) * last;
        return crop[0] * last + (float)at * (crop[1] - crop[0]) * last / (float)(out - 1);
    default: return ((float)at + 0.5f) / scale - 0.5f;
    }
}

/* A position this close to a half is a tie, as in onnxruntime: the error of the division must not decide. */
#define TIE_TOLERANCE 1e-6f

static float round_position(enum nearest_mode mode, float position) {
    float below = floorf(position), rest = position - below;
    if (mode == FLOOR) return below;
    if (mode == CEIL) return ceilf(position);
    bool tie = fabsf(rest - 0.5f) <= TIE_TOLERANCE;
    bool up = tie ? mode == ROUND_PREFER_CEIL : rest > 0.5f;
    return up ? below + 1 : below;
}

static struct neighbours find_neighbours(const struct resizing *r, float position, int64_t in) {
    float last = (float)(in - 1);
    float at = r->linear ? position : round_position(r->nearest, position);
    at = fminf(fmaxf(at, 0), last);
    struct neighbours n = {.first = vt_min_i64((int64_t)at, in - 1)};
    n.second = vt_min_i64(n.first + 1, in - 1);
    n.weight = n.second == n.first ? 0 : at - (float)n.first;
    return n;
}

static enum vultus_status map_axis(
    const struct vt_op_call *call, struct resizing *r, int axis, struct vultus_error *error) {
    int64_t in = vt_op_input(call, 0)->dims[axis], out = r->dims[axis];
    void *map = NULL;
    enum vultus_status status = vt_op_scratch(call, out, sizeof(struct neighbours), &map, error);
    if (status) return status;
    r->maps[axis] = map;
    for (int64_t i = 0; i < out; i++) {
        bool whole = r->coordinates != CROP_AND_RESIZE || (r->crop[axis][0] == 0 && r->crop[axis][1] == 1);
        bool kept = out == in && r->scales[axis] == 1 && whole;
        float position = kept ? 0 : input_position(r, axis, i, in);
        r->maps[axis][i] = kept ? (struct neighbours){i, i, 0, false} : find_neighbours(r, position, in);
        if (r->coordinates == CROP_AND_RESIZE && !kept)
            r->maps[axis][i].outside = !(position >= 0 && position <= (float)(in - 1));
    }
    return VULTUS_OK;
}

static bool is_outside(const struct resizing *r, int rank, const int64_t *index) {
    for (int axis = 0; axis < rank; axis++)
        if (r->maps[axis][index[axis]].outside) return true;
    return false;
}

static void resize_nearest(const struct vt_tensor *x, const struct resizing *r, const struct vt_tensor *out) {
    int64_t strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    size_t size = vt_dtype_size(x->dtype);
    vt_dense_strides(x->rank, x->dims, strides);
    char *to = out->data;
    for (int64_t i = 0; r->coordinates == CROP_AND_RESIZE && i < vt_tensor_count(out); i++)
        vt_tensor_set(out, i, r->extrapolation);
    do {
        int64_t offset = 0;
        for (int axis = 0; axis < x->rank; axis++) offset += r->maps[axis][index[axis]].first * strides[axis];
        if (!is_outside(r, x->rank, index)) memcpy(to, (const char *)x->data + (size_t)offset * size, size);
        to += size;
    } while (vt_index_next(out->rank, out->dims, index));
}

/* The weighted mean of the corners around `index`, axis by axis. */
static double interpolate(const float *x, const struct resizing *r, const int64_t *strides, int rank, int axis,
    const int64_t *index, int64_t offset) {
    if (axis == rank) return x[offset];
    const struct neighbours *n = &r->maps[axis][index[axis]];
    double first = interpolate(x, r, strides, rank, axis + 1, index, offset + n->first * strides[axis]);
    if (n->weight == 0) return first;
    double second = interpolate(x, r, strides, rank, axis + 1, index, offset + n->second * strides[axis]);
    return first * (1 - (double)n->weight) + second * n->weight;
}

static void resize_linear(const struct vt_tensor *x, const struct resizing *r, const struct vt_tensor *out) {
    int64_t strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    vt_dense_strides(x->rank, x->dims, strides);
    float *to = out->data;
    do {
        bool outside = is_outside(r, x->rank, index);
        *to++ = outside ? r->extrapolation : (float)interpolate(x->data, r, strides, x->rank, 0, index, 0);
    } while (vt_index_next(out->rank, out->dims, index));
}

enum vultus_status vt_run_resize(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    struct resizing r = {0};
    struct vt_tensor *out;
    enum vultus_status status = read_modes(call, &r, error);
    if (!status && r.linear) status = vt_op_expect_f32(call, 0, 0, VT_MAX_RANK, error);
    if (!status) status = resolve_sizes(call, &r, error);
    if (!status) status = vt_op_alloc(call, x->dtype, x->rank, r.dims, &out, error);
    for (int axis = 0; !status && axis < x->rank; axis++) status = map_axis(call, &r, axis, error);
    if (status || vt_tensor_count(out) == 0) return status;
    if (r.linear)
        resize_linear(x, &r, out);
    else
        resize_nearest(x, &r, out);
    return VULTUS_OK;
}
