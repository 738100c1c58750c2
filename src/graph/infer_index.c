/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "base/checked.h"
#include "graph/infer.h"

static void concat_elements(struct vt_infer *infer) {
    const struct vt_node *node = infer->node;
    const struct vt_dim *joined[VT_INFER_MOST_ELEMENTS];
    size_t total = 0;
    for (size_t i = 0; i < node->n_inputs; ++i) {
        size_t count;
        const struct vt_dim **elements = vt_infer_elements(infer, node->inputs[i], &count);
        if (!elements || count > VT_INFER_MOST_ELEMENTS - total) return;
        for (size_t k = 0; k < count; ++k) joined[total++] = elements[k];
    }
    const struct vt_dim **out = vt_infer_make_elements(infer, total);
    for (size_t i = 0; out && i < total; ++i) out[i] = joined[i];
}

enum vultus_status vt_infer_concat(struct vt_infer *infer) {
    const struct vt_node *node = infer->node;
    struct vt_value *out = vt_infer_output(infer);
    const struct vt_value *first = node->inputs[0];
    const struct vt_attr *attr = vt_attr_find(&node->attrs, "axis", VT_ATTR_INT);
    if (!attr) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "attribute axis is missing");
    for (size_t i = 0; i < node->n_inputs; ++i) {
        if (!node->inputs[i]) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "input %zu is missing", i);
        enum vultus_status status = vt_infer_require_same_dtype(infer, first, node->inputs[i]);
        if (status) return status;
        if (node->inputs[i]->rank < 0) return vt_infer_set_rank(infer, first->dtype, -1);
    }
    vt_infer_copy_type(infer, first);
    int axis;
    enum vultus_status status = vt_infer_axis(infer, attr->i, first->rank, &axis);
    for (size_t i = 1; !status && i < node->n_inputs; ++i) {
        const struct vt_value *next = node->inputs[i];
        if (next->rank != first->rank)
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "inputs 0 and %zu have %d and %d dimensions", i,
                first->rank, next->rank);
        for (int k = 0; !status && k < first->rank; ++k) {
            if (k == axis)
                out->dims[k] = vt_dim_add(infer->arena, out->dims[k], next->dims[k]);
            else
                status = vt_infer_unify(infer, out->dims[k], next->dims[k], &out->dims[k]);
        }
    }
    if (!status && first->rank == 1) concat_elements(infer);
    return status;
}

/* Whether a - b is never negative. */
static bool at_least(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    int64_t bound;
    return vt_dim_lower_bound(vt_dim_sub(arena, a, b), &bound) && bound >= 0;
}

/* Where a slice along a dim of size `size` starts or ends, negative positions counted from the end and clamped to
 * [low, size + high]; NULL when undecidable. */
static const struct vt_dim *resolve_bound(
    struct vt_arena *arena, const struct vt_dim *bound, const struct vt_dim *size, int64_t low, int64_t high) {
    const struct vt_dim *least = vt_dim_constant(arena, low);
    const struct vt_dim *most = vt_dim_add(arena, size, vt_dim_constant(arena, high));
    int64_t number, least_bound;
    bool is_number = vt_dim_is_constant(bound, &number);
    if (is_number && number >= INT_MAX) return most; /* how exporters write "to the end" */
    if (is_number && number <= -INT_MAX) return least;
    if (is_number && number < 0)
        bound = vt_dim_add(arena, bound, size);
    else if (!is_number && (!vt_dim_lower_bound(bound, &least_bound) || least_bound < 0))
        return NULL;
    if (at_least(arena, bound, most)) return most;
    if (at_least(arena, least, bound)) return least;
    return at_least(arena, bound, least) && at_least(arena, most, bound) ? bound : NULL;
}

/* ceil((end - start) / step), at least 0; NULL when undecidable. */
static const struct vt_dim *slice_length(struct vt_arena *arena, const struct vt_dim *start, const struct vt_dim *end,
    int64_t step, const struct vt_dim *size) {
    const struct vt_dim *zero = vt_dim_constant(arena, 0);
    int64_t low = step < 0 ? -1 : 0, magnitude = step < 0 ? -step : step;
    start = resolve_bound(arena, start, size, 0, low);
    end = resolve_bound(arena, end, size, low, low);
    const struct vt_dim *span = step < 0 ? vt_dim_sub(arena, start, end) : vt_dim_sub(arena, end, start);
    if (at_least(arena, zero, span)) return zero;
    if (!at_least(arena, span, zero)) return NULL;
    const struct vt_dim *rounded = vt_dim_add(arena, span, vt_dim_constant(arena, magnitude - 1));
    return vt_dim_floor_div(arena, rounded, vt_dim_constant(arena, magnitude));
}

/* The inputs of a Slice, one entry per sliced axis. */
struct slices {
    const struct vt_dim **starts, **ends;
    int64_t axes[VT_MAX_RANK], steps[VT_MAX_RANK];
    size_t count;
};

/* False when something is not known; the lists' lengths are checked against each other. */
static bool read_slices(const struct vt_infer *infer, struct slices *slices) {
    struct vt_value *axes = vt_infer_input(infer, 3), *steps = vt_infer_input(infer, 4);
    size_t n_starts, n_ends, n_axes, n_steps;
    slices->starts = vt_infer_elements(infer, vt_infer_input(infer, 1), &n_starts);
    slices->ends = vt_infer_elements(infer, vt_infer_input(infer, 2), &n_ends);
    if (!slices->starts || !slices->ends || n_starts != n_ends || n_starts > VT_MAX_RANK) return false;
    slices->count = n_axes = n_steps = n_starts;
    for (size_t i = 0; i < n_starts; ++i) {
        slices->axes[i] = (int64_t)i;
        slices->steps[i] = 1;
    }
    if (axes && !vt_infer_ints(infer, axes, slices->axes, VT_MAX_RANK, &n_axes)) return false;
    if (steps && !vt_infer_ints(infer, steps, slices->steps, VT_MAX_RANK, &n_steps)) return false;
    return n_axes == n_starts && n_steps == n_starts;
}

/* The content of a sliced shape tensor whose bounds are numbers; `length` was computed by the caller. */
static void slice_elements(struct vt_infer *infer, const struct slices *slices) {
    struct vt_value *x = vt_infer_input(infer, 0);
    const struct vt_value *out = vt_infer_output(infer);
    size_t count;
    const struct vt_dim **elements = vt_infer_elements(infer, x, &count);
    int64_t start, length, step = slices->steps[0];
    if (!elements || slices->count != 1 || !vt_dim_is_constant(out->dims[0], &length)) return;
    const struct vt_dim *first = resolve_bound(infer->arena, slices->starts[0], x->dims[0], 0, step < 0 ? -1 : 0);
    if (!vt_dim_is_constant(first, &start)) return;
    const struct vt_dim **sliced = vt_infer_make_elements(infer, (size_t)length);
    for (int64_t i = 0; sliced && i < length; ++i) {
        int64_t from = start + i * step;
        sliced[i] = from >= 0 && from < (int64_t)count ? elements[from] : NULL;
    }
}

enum vultus_status vt_infer_slice(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    struct slices slices;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, x->rank);
    if (status || x->rank < 0 || !read_slices(infer, &slices)) return status;
    bool sliced[VT_MAX_RANK] = {false};
    vt_infer_copy_type(infer, x);
    for (size_t i = 0; i < slices.count; ++i) {
        int axis;
        int64_t step = slices.steps[i];
        status = vt_infer_axis(infer, slices.axes[i], x->rank, &axis);
        if (status) return status;
        if (sliced[axis]) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "axis %d is sliced twice", axis);
        if (step == 0) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "the step along axis %d is 0", axis);
        sliced[axis] = true;
        /* A longer step takes one element at most: the same as the longest that cannot overflow. */
        slices.steps[i] = step = vt_max_i64(vt_min_i64(step, INT_MAX), -INT_MAX);
        out->dims[axis] = slice_length(infer->arena, slices.starts[i], slices.ends[i], step, x->dims[axis]);
    }
    if (x->rank == 1) slice_elements(infer, &slices);
    return VULTUS_OK;
}

static void gather_elements(struct vt_infer *infer) {
    struct vt_value *indices = vt_infer_input(infer, 1);
    size_t n_data, n_indices;
    int64_t from[VT_INFER_MOST_ELEMENTS];
    const struct vt_dim **elements = vt_infer_elements(infer, vt_infer_input(infer, 0), &n_data);
    if (!elements || !vt_infer_ints(infer, indices, from, VT_INFER_MOST_ELEMENTS, &n_indices)) return;
    const struct vt_dim **out = vt_infer_make_elements(infer, n_indices);
    for (size_t i = 0; out && i < n_indices; ++i) {
        int64_t at = from[i] < 0 ? from[i] + (int64_t)n_data : from[i];
        out[i] = at >= 0 && at < (int64_t)n_data ? elements[at] : NULL;
    }
}

/* Indices that are known must lie inside the gathered dim. */
static enum vultus_status check_indices(const struct vt_infer *infer, int axis) {
    int64_t size, indices[VT_INFER_MOST_ELEMENTS];
    size_t count;
    if (!vt_dim_is_constant(vt_infer_input(infer, 0)->dims[axis], &size)) return VULTUS_OK;
    if (!vt_infer_ints(infer, vt_infer_input(infer, 1), indices, VT_INFER_MOST_ELEMENTS, &count)) return VULTUS_OK;
    for (size_t i = 0; i < count; ++i)
        if (indices[i] < -size || indices[i] >= size)
            return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "index %lld is outside a dimension of size %lld",
                (long long)indices[i], (long long)size);
    return VULTUS_OK;
}

enum vultus_status vt_infer_gather(struct vt_infer *infer) {
    const struct vt_value *data = vt_infer_input(infer, 0), *indices = vt_infer_input(infer, 1);
    struct vt_value *out = vt_infer_output(infer);
    bool known = data->rank >= 0 && indices->rank >= 0;
    enum vultus_status status =
        vt_infer_set_rank(infer, data->dtype, known ? (int64_t)data->rank + indices->rank - 1 : -1);
    int axis;
    if (!status && known) status = vt_infer_axis(infer, vt_attr_int(&infer->node->attrs, "axis", 0), data->rank, &axis);
    if (!status && known) status = check_indices(infer, axis);
    if (status || !known) return status;
    int at = 0;
    for (int i = 0; i < axis; ++i) out->dims[at++] = data->dims[i];
    for (int i = 0; i < indices->rank; ++i) out->dims[at++] = indices->dims[i];
    for (int i = axis + 1; i < data->rank; ++i) out->dims[at++] = data->dims[i];
    if (data->rank == 1) gather_elements(infer);
    return VULTUS_OK;
}

/* Equal parts of a dim that is an expression, where they come out even. */
static const struct vt_dim *equal_part(const struct vt_infer *infer, const struct vt_dim *dim, int64_t count) {
    const struct vt_dim *part = vt_dim_floor_div(infer->arena, dim, vt_infer_const(infer, count));
    const struct vt_dim *whole = vt_dim_mul(infer->arena, part, vt_infer_const(infer, count));
    return vt_dim_equal(whole, dim) ? part : NULL;
}

enum vultus_status vt_infer_split(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    const struct vt_node *node = infer->node;
    struct vt_value *sizes = vt_infer_input(infer, 1);
    int64_t size, count = (int64_t)node->n_outputs;
    size_t n_sizes = 0;
    int axis = 0;
    vt_infer_copy_type(infer, x);
    for (size_t i = 1; i < node->n_outputs; ++i) vt_infer_copy_shape(infer, i, x->dtype);
    if (x->rank < 0) return VULTUS_OK;
    enum vultus_status status = vt_infer_axis(infer, vt_attr_int(&node->attrs, "axis", 0), x->rank, &axis);
    if (status) return status;
    const struct vt_dim **given = vt_infer_elements(infer, sizes, &n_sizes);
    if (given && n_sizes != node->n_outputs)
        return vt_fail(
            infer->error, VULTUS_ERROR_FORMAT, "there are %zu sizes for %zu outputs", n_sizes, node->n_outputs);
    bool known = vt_dim_is_constant(x->dims[axis], &size);
    int64_t part = known ? vt_div_up(size, count) : 0;
    for (int64_t i = 0; i < count; ++i) {
        const struct vt_dim **dim = &node->outputs[i]->dims[axis];
        if (sizes)
            *dim = given ? given[i] : NULL;
        else if (known)
            *dim = vt_infer_const(infer, vt_max_i64(vt_min_i64(part, size - i * part), 0));
        else
            *dim = equal_part(infer, x->dims[axis], count);
    }
    return VULTUS_OK;
}

enum vultus_status vt_infer_expand(struct vt_infer *infer) {
    struct vt_value *x = vt_infer_input(infer, 0), *shape = vt_infer_input(infer, 1), *out = vt_infer_output(infer);
    int64_t length;
    size_t count = 0, n_elements = 0;
    bool known = shape->rank == 1 && vt_dim_is_constant(shape->dims[0], &length) && x->rank >= 0;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, known ? vt_max_i64(length, x->rank) : -1);
    const struct vt_dim **dims = vt_infer_elements(infer, shape, &count);
    if (status || !known || !dims || count > VT_MAX_RANK) return status;
    status = vt_infer_broadcast_dims(infer, x->dims, x->rank, dims, (int)count, out->dims);
    const struct vt_dim **elements = status ? NULL : vt_infer_elements(infer, x, &n_elements);
    if (!elements || n_elements != 1 || out->rank != 1 || !vt_dim_is_constant(out->dims[0], &length)) return status;
    const struct vt_dim **repeated =
        length <= VT_INFER_MOST_ELEMENTS ? vt_infer_make_elements(infer, (size_t)length) : NULL;
    for (int64_t i = 0; repeated && i < length; ++i) repeated[i] = elements[0];
    return VULTUS_OK;
}

enum vultus_status vt_infer_tile(struct vt_infer *infer) {
    const struct vt_value *x = vt_infer_input(infer, 0);
    struct vt_value *out = vt_infer_output(infer);
    size_t count = 0;
    enum vultus_status status = vt_infer_set_rank(infer, x->dtype, x->rank);
    const struct vt_dim **repeats = vt_infer_elements(infer, vt_infer_input(infer, 1), &count);
    if (status || x->rank < 0 || !repeats) return status;
    if (count != (size_t)x->rank)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "there are %zu repeats for %d dimensions", count, x->rank);
    for (int i = 0; i < x->rank; ++i) out->dims[i] = vt_dim_mul(infer->arena, x->dims[i], repeats[i]);
    return VULTUS_OK;
}
