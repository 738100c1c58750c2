/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "ops/run.h"

/* An element with its place on the axis. NaN is above all numbers. */
struct entry {
    double value;
    int64_t exact; /* of integers, which double cannot tell apart beyond 2^53 */
    int64_t place;
};

static int by_size(const struct entry *p, const struct entry *q) {
    if (isnan(p->value) || isnan(q->value)) return !!isnan(p->value) - !!isnan(q->value);
    if (p->value != q->value) return p->value < q->value ? -1 : 1;
    return (p->exact > q->exact) - (p->exact < q->exact);
}

/* Equal elements keep their order. */
static int smallest_first(const void *a, const void *b) {
    const struct entry *p = a, *q = b;
    int order = by_size(p, q);
    return order ? order : p->place < q->place ? -1 : 1;
}

static int largest_first(const void *a, const void *b) {
    const struct entry *p = a, *q = b;
    int order = by_size(q, p);
    return order ? order : p->place < q->place ? -1 : 1;
}

/* A tensor as lines along one axis. */
struct lines {
    const struct vt_tensor *x;
    int axis;
    int64_t count, length, step;
    struct entry *entries; /* [length] */
};

static enum vultus_status find_lines(
    const struct vt_op_call *call, int64_t axis, struct lines *lines, struct vultus_error *error) {
    void *entries = NULL;
    lines->x = vt_op_input(call, 0);
    enum vultus_status status = vt_op_axis(call, axis, lines->x->rank, &lines->axis, error);
    if (status) return status;
    lines->length = lines->x->dims[lines->axis];
    lines->step = vt_dims_product(lines->x->dims, lines->axis + 1, lines->x->rank);
    lines->count = vt_dims_product(lines->x->dims, 0, lines->axis) * lines->step;
    status = vt_op_scratch(call, lines->length, sizeof(struct entry), &entries, error);
    lines->entries = entries;
    return status;
}

static void read_line(const struct lines *lines, int64_t line) {
    int64_t at = line / lines->step * lines->step * lines->length + line % lines->step;
    bool exact = !vt_dtype_is_float(lines->x->dtype);
    for (int64_t i = 0; i < lines->length; i++, at += lines->step)
        lines->entries[i] = (struct entry){vt_tensor_get(lines->x, at), exact ? vt_tensor_get_int(lines->x, at) : 0, i};
}

enum vultus_status vt_run_arg_max(const struct vt_op_call *call, struct vultus_error *error) {
    struct lines lines;
    enum vultus_status status = find_lines(call, vt_attr_int(&call->attrs, "axis", 0), &lines, error);
    if (status) return status;
    if (lines.length == 0) return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d is empty", lines.axis);
    bool keep = vt_attr_int(&call->attrs, "keepdims", 1), last = vt_attr_int(&call->attrs, "select_last_index", 0);
    int64_t dims[VT_MAX_RANK];
    int rank = 0;
    for (int axis = 0; axis < lines.x->rank; axis++)
        if (keep || axis != lines.axis) dims[rank++] = axis == lines.axis ? 1 : lines.x->dims[axis];
    struct vt_tensor *out;
    status = vt_op_alloc(call, VT_DTYPE_I64, rank, dims, &out, error);
    for (int64_t line = 0; !status && line < lines.count; line++) {
        const struct entry *best = lines.entries;
        read_line(&lines, line);
        for (int64_t i = 1; i < lines.length; i++) {
            int order = by_size(&lines.entries[i], best);
            if (order > 0 || (order == 0 && last)) best = &lines.entries[i];
        }
        ((int64_t *)out->data)[line] = best->place;
    }
    return status;
}

enum vultus_status vt_run_top_k(const struct vt_op_call *call, struct vultus_error *error) {
    struct lines lines;
    int64_t ks[VT_MAX_RANK], dims[VT_MAX_RANK];
    int n_ks = 0;
    enum vultus_status status = find_lines(call, vt_attr_int(&call->attrs, "axis", -1), &lines, error);
    if (!status) status = vt_op_read_ints(call, 1, ks, &n_ks, error);
    if (status) return status;
    if (n_ks != 1 || ks[0] < 0 || ks[0] > lines.length)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "k must be one number from 0 to %lld, the size of axis %d",
            (long long)lines.length, lines.axis);
    for (int axis = 0; axis < lines.x->rank; axis++) dims[axis] = axis == lines.axis ? ks[0] : lines.x->dims[axis];
    struct vt_tensor *values, *places = NULL;
    status = vt_op_alloc(call, lines.x->dtype, lines.x->rank, dims, &values, error);
    if (!status && call->n_outputs > 1)
        status = vt_op_alloc_at(call, 1, VT_DTYPE_I64, lines.x->rank, dims, &places, error);
    bool largest = vt_attr_int(&call->attrs, "largest", 1);
    for (int64_t line = 0; !status && line < lines.count; line++) {
        read_line(&lines, line);
        qsort(lines.entries, (size_t)lines.length, sizeof *lines.entries, largest ? largest_first : smallest_first);
        int64_t at = line / lines.step * lines.step * ks[0] + line % lines.step;
        for (int64_t i = 0; i < ks[0]; i++, at += lines.step) {
            if (vt_dtype_is_float(lines.x->dtype))
                vt_tensor_set(values, at, lines.entries[i].value);
            else
                vt_tensor_set_int(values, at, lines.entries[i].exact);
            if (places) ((int64_t *)places->data)[at] = lines.entries[i].place;
        }
    }
    return status;
}
