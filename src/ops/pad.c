/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "ops/run.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

/* Where one axis of the output takes its elements: maps[i] is an index into the input, or -1 for the constant. */
struct padding {
    enum pad_mode mode;
    int64_t before[VT_MAX_RANK], after[VT_MAX_RANK]; /* negative: removes */
    int64_t dims[VT_MAX_RANK];
    int64_t *maps[VT_MAX_RANK];
};

static enum vultus_status read_mode(const struct vt_op_call *call, struct padding *p, struct vultus_error *error) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *text = vt_attr_string(&call->attrs, "mode", "constant");
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        p->mode = (enum pad_mode)i;
        return VULTUS_OK;
    }
    return vt_op_fail(
        call, error, VULTUS_ERROR_UNSUPPORTED, "mode \"%.32s\", supported are constant, reflect, edge and wrap", text);
}

static enum vultus_status read_pads(const struct vt_op_call *call, struct padding *p, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *pads = vt_op_input(call, 1);
    int64_t axes[VT_MAX_RANK];
    bool named[VT_MAX_RANK];
    int count = 0;
    enum vultus_status status = vt_op_read_axes(call, 3, x->rank, named, &count, error);
    if (!status) status = vt_op_read_ints(call, 3, axes, &count, error);
    if (status) return status;
    bool all = count < 0;
    if (all) count = x->rank;
    bool integer = pads->dtype == VT_DTYPE_I64 || pads->dtype == VT_DTYPE_I32;
    if (!integer || vt_tensor_count(pads) != 2 * count) {
        char text[128];
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the pads are %s, %d axes need %d integers",
            vt_tensor_describe(pads, text, sizeof text), count, 2 * count);
    }
    for (int i = 0; i < count; i++) {
        int64_t axis = all ? i : axes[i];
        if (axis < 0) axis += x->rank;
        p->before[axis] = vt_tensor_get_int(pads, i);
        p->after[axis] = vt_tensor_get_int(pads, count + i);
    }
    return VULTUS_OK;
}

/* The input index for position `at` relative to the input, whose part [first, last] remains. */
static int64_t source_index(enum pad_mode mode, int64_t at, int64_t first, int64_t last) {
    if (at >= first && at <= last) return at;
    if (mode == PAD_CONSTANT) return -1;
    if (mode == PAD_EDGE) return at < first ? first : last;
    if (mode == PAD_WRAP) {
        int64_t size = last - first + 1, rest = (at - first) % size;
        return first + (rest < 0 ? rest + size : rest);
    }
    return at < first ? 2 * first - at : 2 * last - at;
}

static enum vultus_status map_axis(
    const struct vt_op_call *call, struct padding *p, int axis, struct vultus_error *error) {
    int64_t size = vt_op_input(call, 0)->dims[axis], before = p->before[axis], after = p->after[axis];
    int64_t limit = INT64_C(1) << 40, remaining = -1, first = 0, last = 0;
    if (before >= -size && after >= -size) {
        first = vt_max_i64(0, -before);
        last = size - 1 - vt_max_i64(0, -after);
        remaining = last - first + 1;
    }
    if ((p->mode == PAD_EDGE || p->mode == PAD_WRAP) && remaining == 0) limit = 0;
    if (p->mode == PAD_REFLECT) limit = vt_max_i64(remaining - 1, 0);
    if (remaining < 0 || before > limit || after > limit)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d of size %lld cannot be padded by %lld and %lld",
            axis, (long long)size, (long long)before, (long long)after);
    p->dims[axis] = size + before + after;
    void *map = NULL;
    enum vultus_status status = vt_op_scratch(call, p->dims[axis], sizeof(int64_t), &map, error);
    if (status) return status;
    p->maps[axis] = map;
    for (int64_t i = 0; i < p->dims[axis]; i++) p->maps[axis][i] = source_index(p->mode, i - before, first, last);
    return VULTUS_OK;
}

static void fill(
    const struct vt_tensor *x, const struct vt_tensor *constant, const struct padding *p, const struct vt_tensor *out) {
    int64_t strides[VT_MAX_RANK], index[VT_MAX_RANK] = {0};
    size_t size = vt_dtype_size(x->dtype);
    vt_dense_strides(x->rank, x->dims, strides);
    char *to = out->data;
    do {
        int64_t offset = 0;
        for (int axis = 0; axis < x->rank && offset >= 0; axis++) {
            int64_t source = p->maps[axis][index[axis]];
            offset = source < 0 ? -1 : offset + source * strides[axis];
        }
        /* The output starts zeroed, which is the constant's default. */
        if (offset >= 0)
            memcpy(to, (const char *)x->data + (size_t)offset * size, size);
        else if (constant)
            memcpy(to, constant->data, size);
        to += size;
    } while (vt_index_next(out->rank, out->dims, index));
}

enum vultus_status vt_run_pad(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *constant = vt_op_input(call, 2);
    struct padding p = {0};
    enum vultus_status status = read_mode(call, &p, error);
    if (!status) status = read_pads(call, &p, error);
    for (int axis = 0; !status && axis < x->rank; axis++) status = map_axis(call, &p, axis, error);
    if (status) return status;
    if (constant && (constant->dtype != x->dtype || vt_tensor_count(constant) != 1)) {
        char text[128];
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the constant is %s, it must be one %s",
            vt_tensor_describe(constant, text, sizeof text), vt_dtype_name(x->dtype));
    }
    struct vt_tensor *out;
    status = vt_op_alloc(call, x->dtype, x->rank, p.dims, &out, error);
    if (!status && vt_tensor_count(out) > 0) fill(x, constant, &p, out);
    return status;
}
