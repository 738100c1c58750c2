/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

enum coordinate_mode { ASYMMETRIC, HALF_PIXEL, ALIGN_CORNERS, PYTORCH_HALF_PIXEL };
enum nearest_mode { FLOOR, CEIL, ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL };

/* One output position's two neighbours along an axis; nearest uses the first alone. */
struct neighbours {
    int64_t first, second;
    float weight; /* of the second */
};

struct resizing {
    bool linear;
    enum coordinate_mode coordinates;
    enum nearest_mode nearest;
    int64_t dims[VT_MAX_RANK];
    float scales[VT_MAX_RANK];
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
    static const char *const coordinates[] = {"asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"};
    static const char *const roundings[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
    static const char *const policies[] = {"stretch"};
    int mode = 0, coordinate = 0, rounding = 0, policy = 0;
    enum vultus_status status = read_choice(call, "mode", "nearest", modes, 2, &mode, error);
    if (!status)
        status = read_choice(call, "coordinate_transformation_mode", "half_pixel", coordinates, 4, &coordinate, error);
    if (!status) status = read_choice(call, "nearest_mode", "round_prefer_floor", roundings, 4, &rounding, error);
    if (!status) status = read_choice(call, "keep_aspect_ratio_policy", "stretch", policies, 1, &policy, error);
    if (!status && vt_attr_int(&call->attrs, "antialias", 0))
        status = vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "antialias is set, which is not supported");
    r->linear = mode == 1;
    r->coordinates = (enum coordinate_mode)coordinate;
    r->nearest = (enum nearest_mode)rounding;
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
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        float in = (float)x->dims[axis];
        float wanted = by_scale ? ((const float *)scales->data)[i] * in : (float)vt_tensor_get_int(sizes, i);
        if (!(wanted >= 0 && wanted < 0x1p40f) || (wanted > 0 && in == 0))
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d of size %lld cannot become %g", axis,
                (long long)x->dims[axis], wanted);
        r->dims[axis] = by_scale ? (int64_t)wanted : vt_tensor_get_int(sizes, i);
        if (in > 0) r->scales[axis] = by_scale ? ((const float *)scales->data)[i] : wanted / in;
    }
    return VULTUS_OK;
}

/*
 * The position in the input. In single precision, as onnxruntime computes it: the rounding decides which pixel a
 * position on a border takes.
 */
static float input_position(enum coordinate_mode mode, int64_t at, float scale, int64_t in, int64_t out) {
    switch (mode) {
    case ASYMMETRIC: return (float)at / scale;
    case ALIGN_CORNERS: return out == 1 ? 0 : (float)at * (float)(in - 1) / (float)(out - 1);
    case PYTORCH_HALF_PIXEL: return out > 1 ? ((float)at + 0.5f) / scale - 0.5f : 0;
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
        bool kept = out == in && r->scales[axis] == 1;
        float position = kept ? 0 : input_position(r->coordinates, i, r->scales[axis], in, out);
        r->maps[axis][i] = kept ? (struct neighbours){i, i, 0} : find_neighbours(r, position, in);
    }
    return VULTUS_OK;
}

static void resize_nearest(const struct vt_tensor *x, const struct resizing *r, const struct vt_tensor *out) {
    int64_t strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    size_t size = vt_dtype_size(x->dtype);
    vt_dense_strides(x->rank, x->dims, strides);
    char *to = out->data;
    do {
        int64_t offset = 0;
        for (int axis = 0; axis < x->rank; axis++) offset += r->maps[axis][index[axis]].first * strides[axis];
        memcpy(to, (const char *)x->data + (size_t)offset * size, size);
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
        *to++ = (float)interpolate(x->data, r, strides, x->rank, 0, index, 0);
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
