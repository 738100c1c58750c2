/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shape inference against the reference operators: whatever shape an operator's result really has, inference must say
 * so for known sizes, and for sizes that are symbols give an expression with that value, or "unknown".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evaluate.h"
#include "graph/graph.h"

#define MOST_INPUTS 6
#define MOST_ATTRS 8
#define MOST_OUTPUTS 4
#define ROUNDS 400

static uint32_t random_state;

static int64_t pick(int64_t low, int64_t high) {
    random_state = random_state * 1664525U + 1013904223U; /* Numerical Recipes' generator */
    return low + (int64_t)((random_state >> 8) % (uint32_t)(high - low + 1));
}

/* One call of an operator: float32 inputs are data whose sizes may become symbols, int64 inputs are constants. */
struct call {
    enum vt_op op;
    struct vt_arena arena;
    struct vt_tensor inputs[MOST_INPUTS];
    bool given[MOST_INPUTS];
    size_t n_inputs;
    struct vt_attr attrs[MOST_ATTRS];
    size_t n_attrs, n_outputs; /* 0: one */
};

static struct vt_tensor *add_input(struct call *call, enum vt_dtype dtype, int rank, const int64_t *dims) {
    struct vt_tensor *tensor = &call->inputs[call->n_inputs];
    call->given[call->n_inputs++] = true;
    assert_int_equal(vt_tensor_alloc(&call->arena, dtype, rank, dims, tensor, NULL), VULTUS_OK);
    return tensor;
}

static void add_data(struct call *call, int rank, const int64_t *dims) { add_input(call, VT_DTYPE_F32, rank, dims); }

static void add_numbers(struct call *call, int64_t count, const int64_t *numbers) {
    struct vt_tensor *tensor = add_input(call, VT_DTYPE_I64, 1, &count);
    if (count) memcpy(tensor->data, numbers, (size_t)count * sizeof *numbers);
}

static void add_scales(struct call *call, int64_t count, const float *scales) {
    memcpy(add_input(call, VT_DTYPE_F32, 1, &count)->data, scales, (size_t)count * sizeof *scales);
}

static void skip_input(struct call *call) { call->given[call->n_inputs++] = false; }

static void add_int(struct call *call, const char *name, int64_t value) {
    call->attrs[call->n_attrs++] = (struct vt_attr){.name = name, .kind = VT_ATTR_INT, .i = value};
}

static void add_text(struct call *call, const char *name, const char *text) {
    call->attrs[call->n_attrs++] = (struct vt_attr){.name = name, .kind = VT_ATTR_STRING, .s = text};
}

static void add_ints(struct call *call, const char *name, size_t count, const int64_t *values) {
    int64_t *copy = vt_arena_alloc_array(&call->arena, count, sizeof *copy);
    if (count) memcpy(copy, values, count * sizeof *copy);
    call->attrs[call->n_attrs++] = (struct vt_attr){.name = name, .kind = VT_ATTR_INTS, .count = count, .ints = copy};
}

static int random_dims(int64_t dims[VT_MAX_RANK], int least_rank, int most_rank, int64_t most) {
    int rank = (int)pick(least_rank, most_rank);
    for (int i = 0; i < rank; ++i) dims[i] = pick(1, most);
    return rank;
}

static int64_t random_axis(int rank) { return pick(-rank, rank - 1); }

/* A random subset of the axes in random order, some counted from the end. */
static int random_axes(int rank, int64_t axes[VT_MAX_RANK]) {
    int count = 0;
    for (int axis = 0; axis < rank; ++axis) {
        if (pick(0, 1)) continue;
        int at = (int)pick(0, count);
        memmove(&axes[at + 1], &axes[at], (size_t)(count++ - at) * sizeof *axes);
        axes[at] = pick(0, 1) ? axis : axis - rank;
    }
    return count;
}

static void random_window(struct call *call, const int64_t kernel[2], bool is_pool) {
    static const char *const modes[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    if (is_pool || pick(0, 1)) add_ints(call, "kernel_shape", 2, kernel);
    if (pick(0, 2)) add_ints(call, "strides", 2, (const int64_t[]){pick(1, 3), pick(1, 3)});
    if (pick(0, 1)) add_ints(call, "dilations", 2, (const int64_t[]){pick(1, 2), pick(1, 3)});
    if (is_pool && pick(0, 1)) add_int(call, "ceil_mode", 1);
    int64_t most = is_pool ? (kernel[0] < kernel[1] ? kernel[0] : kernel[1]) - 1 : 3;
    if (!pick(0, 3))
        add_text(call, "auto_pad", modes[pick(0, 2)]);
    else if (pick(0, 1))
        add_ints(call, "pads", 4, (const int64_t[]){pick(0, most), pick(0, most), pick(0, most), pick(0, most)});
}

static void make_conv(struct call *call) {
    int64_t group = pick(1, 3), in = group * pick(1, 3), out = group * pick(1, 3);
    const int64_t kernel[2] = {pick(1, 4), pick(1, 3)};
    add_data(call, 4, (const int64_t[]){pick(1, 2), in, pick(9, 20), pick(9, 20)});
    add_data(call, 4, (const int64_t[]){out, in / group, kernel[0], kernel[1]});
    if (pick(0, 1)) add_data(call, 1, &out);
    if (group > 1) add_int(call, "group", group);
    random_window(call, kernel, false);
}

static void make_pool(struct call *call) {
    const int64_t kernel[2] = {pick(1, 4), pick(1, 3)};
    add_data(call, 4, (const int64_t[]){pick(1, 2), pick(1, 3), pick(9, 20), pick(9, 20)});
    random_window(call, kernel, true);
}

static void make_global_pool(struct call *call) {
    add_data(call, 4, (const int64_t[]){pick(1, 2), pick(1, 3), pick(1, 5), pick(1, 5)});
}

static void make_unary(struct call *call) {
    int64_t dims[VT_MAX_RANK];
    add_data(call, random_dims(dims, 1, 4, 4), dims);
}

static void make_binary(struct call *call) {
    int64_t dims[VT_MAX_RANK], other[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), cut = (int)pick(0, rank);
    for (int i = 0; i < rank; ++i) {
        other[i] = pick(0, 2) ? dims[i] : 1;
        if (!pick(0, 3)) dims[i] = 1;
    }
    add_data(call, rank, dims);
    add_data(call, rank - cut, other + cut);
}

static void make_prelu(struct call *call) {
    int64_t dims[VT_MAX_RANK], slope[VT_MAX_RANK];
    int rank = random_dims(dims, 2, 4, 4), cut = (int)pick(0, rank);
    for (int i = 0; i < rank; ++i) slope[i] = pick(0, 1) ? dims[i] : 1;
    add_data(call, rank, dims);
    add_data(call, rank - cut, slope + cut);
}

static void make_norm(struct call *call, int parameters) {
    int64_t dims[VT_MAX_RANK] = {pick(1, 2), 2 * pick(1, 3), pick(1, 4), pick(1, 4)};
    add_data(call, 4, dims);
    for (int i = 0; i < parameters; ++i) add_data(call, 1, &dims[1]);
}
static void make_batch_norm(struct call *call) { make_norm(call, 4); }
static void make_instance_norm(struct call *call) { make_norm(call, 2); }
static void make_group_norm(struct call *call) {
    make_norm(call, 2);
    add_int(call, "num_groups", 2);
}
static void make_affine(struct call *call) { make_norm(call, 2); }

static void make_softmax(struct call *call) {
    make_unary(call);
    add_int(call, "axis", random_axis(call->inputs[0].rank));
}

static void make_matmul(struct call *call) {
    int64_t a[VT_MAX_RANK], b[VT_MAX_RANK], inner = pick(1, 4);
    int rank_a = random_dims(a, 1, 4, 3), rank_b = random_dims(b, 1, 4, 3);
    for (int i = 2; i < 4; ++i) /* batch dims, from the end */
        if (i < rank_a && i < rank_b) {
            b[rank_b - 1 - i] = pick(0, 1) ? a[rank_a - 1 - i] : 1;
            if (!pick(0, 2)) a[rank_a - 1 - i] = 1;
        }
    a[rank_a - 1] = inner;
    b[rank_b > 1 ? rank_b - 2 : 0] = inner;
    add_data(call, rank_a, a);
    add_data(call, rank_b, b);
}

static void make_gemm(struct call *call) {
    int64_t m = pick(1, 4), n = pick(1, 4), k = pick(1, 4), rank = pick(0, 2);
    bool transpose_a = pick(0, 1), transpose_b = pick(0, 1);
    const int64_t c[2] = {pick(0, 1) ? m : 1, pick(0, 1) ? n : 1};
    add_data(call, 2, transpose_a ? (const int64_t[]){k, m} : (const int64_t[]){m, k});
    add_data(call, 2, transpose_b ? (const int64_t[]){n, k} : (const int64_t[]){k, n});
    if (pick(0, 1)) add_data(call, (int)rank, c + 2 - rank);
    if (transpose_a) add_int(call, "transA", 1);
    if (transpose_b) add_int(call, "transB", 1);
}

static void make_fused_gemm(struct call *call) {
    int64_t m = pick(1, 4), n = pick(1, 4), k = pick(1, 4);
    add_data(call, 2, (const int64_t[]){m, k});
    add_data(call, 2, (const int64_t[]){k, n});
    add_data(call, 1, &n);
    skip_input(call);
    add_data(call, 2, (const int64_t[]){m, n});
}

static void make_fused_conv(struct call *call) {
    int64_t in = pick(1, 3), out = pick(1, 3), size = pick(5, 9);
    add_data(call, 4, (const int64_t[]){1, in, size, size});
    add_data(call, 4, (const int64_t[]){out, in, 3, 3});
    add_data(call, 1, &out);
    add_data(call, 1, &in);
    skip_input(call);
    add_data(call, 4, (const int64_t[]){1, out, size, size});
    add_ints(call, "pads", 4, (const int64_t[]){1, 1, 1, 1});
}

static void make_reduce(struct call *call) {
    int64_t axes[VT_MAX_RANK];
    make_unary(call);
    if (pick(0, 3)) add_numbers(call, random_axes(call->inputs[0].rank, axes), axes);
    if (pick(0, 1)) add_int(call, "keepdims", pick(0, 1));
    if (pick(0, 1)) add_int(call, "noop_with_empty_axes", pick(0, 1));
}

static void make_resize(struct call *call) {
    static const float factors[] = {2, 3, 1, 0.5F, 0.25F, 1.7F, 0.6F};
    int64_t sizes[4];
    float scales[4];
    for (int i = 0; i < 4; ++i) {
        sizes[i] = pick(1, 9);
        scales[i] = factors[pick(0, 6)];
    }
    add_data(call, 4, (const int64_t[]){pick(4, 8), pick(4, 8), pick(4, 8), pick(4, 8)});
    skip_input(call);
    const int64_t axes[2] = {-1, 2};
    int64_t count = pick(0, 1) ? 2 : 4;
    if (count == 2) add_ints(call, "axes", 2, axes);
    if (pick(0, 1)) {
        add_scales(call, count, scales);
    } else {
        skip_input(call);
        add_numbers(call, count, sizes);
    }
}

static void make_reshape(struct call *call) {
    int64_t dims[VT_MAX_RANK], target[VT_MAX_RANK];
    int rank = random_dims(dims, 2, 4, 4), n = rank;
    memcpy(target, dims, sizeof target);
    if (pick(0, 1)) { /* join two neighbours */
        int at = (int)pick(0, rank - 2);
        target[at] *= target[at + 1];
        memmove(&target[at + 1], &target[at + 2], (size_t)(rank - at - 2) * sizeof *target);
        --n;
    }
    if (pick(0, 1)) target[n++] = 1;
    int wildcard = pick(0, 2) ? (int)pick(0, n - 1) : -1;
    for (int i = 0; i < n && i < rank; ++i)
        if (target[i] == dims[i] && pick(0, 1)) target[i] = 0;
    if (wildcard >= 0) target[wildcard] = -1;
    add_data(call, rank, dims);
    add_numbers(call, n, target);
}

static void make_flatten(struct call *call) {
    make_unary(call);
    if (pick(0, 3)) add_int(call, "axis", pick(-call->inputs[0].rank, call->inputs[0].rank));
}

static void make_transpose(struct call *call) {
    int64_t perm[VT_MAX_RANK];
    make_unary(call);
    int rank = call->inputs[0].rank;
    for (int i = 0; i < rank; ++i) {
        int at = (int)pick(0, i);
        memmove(&perm[at + 1], &perm[at], (size_t)(i - at) * sizeof *perm);
        perm[at] = i;
    }
    if (pick(0, 3)) add_ints(call, "perm", (size_t)rank, perm);
}

static void make_squeeze(struct call *call) {
    int64_t dims[VT_MAX_RANK], axes[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), count = random_axes(rank, axes);
    for (int i = 0; i < count; ++i) dims[axes[i] < 0 ? axes[i] + rank : axes[i]] = 1;
    add_data(call, rank, dims);
    if (pick(0, 4)) add_numbers(call, count, axes);
}

static void make_unsqueeze(struct call *call) {
    int64_t dims[VT_MAX_RANK], axes[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 3, 4), total = rank + (int)pick(0, 3), count;
    do count = random_axes(total, axes);
    while (count != total - rank);
    add_data(call, rank, dims);
    add_numbers(call, count, axes);
}

static void make_concat(struct call *call) {
    int64_t dims[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), axis = (int)pick(0, rank - 1);
    for (int i = (int)pick(1, 4); i; --i) {
        add_data(call, rank, dims);
        dims[axis] = pick(1, 4);
    }
    add_int(call, "axis", pick(0, 1) ? axis : axis - rank);
}

static int64_t random_bound(int64_t size) {
    static const int64_t ends[] = {INT64_MAX, INT32_MAX, INT64_MIN, -INT32_MAX, 0};
    return pick(0, 1) ? ends[pick(0, 4)] : pick(-size - 2, size + 2);
}

static void make_slice(struct call *call) {
    int64_t dims[VT_MAX_RANK], axes[VT_MAX_RANK], starts[VT_MAX_RANK], ends[VT_MAX_RANK], steps[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 3, 6), count = random_axes(rank, axes);
    bool leading = pick(0, 1); /* no list of axes: the first ones */
    for (int i = 0; i < count; ++i) {
        int64_t size = dims[leading ? i : axes[i] < 0 ? axes[i] + rank : axes[i]];
        starts[i] = random_bound(size);
        ends[i] = random_bound(size);
        steps[i] = pick(0, 1) ? pick(1, 3) : pick(-3, -1);
        if (!pick(0, 9)) steps[i] = INT64_MAX;
    }
    add_data(call, rank, dims);
    add_numbers(call, count, starts);
    add_numbers(call, count, ends);
    if (leading)
        skip_input(call);
    else
        add_numbers(call, count, axes);
    if (pick(0, 1)) add_numbers(call, count, steps);
}

static void make_gather(struct call *call) {
    int64_t dims[VT_MAX_RANK], indices[4];
    int rank = random_dims(dims, 1, 4, 4), axis = (int)pick(0, rank - 1);
    int64_t count = pick(0, 4);
    for (int i = 0; i < count; ++i) indices[i] = pick(-dims[axis], dims[axis] - 1);
    add_data(call, rank, dims);
    add_numbers(call, count, indices);
    if (count == 1 && pick(0, 1)) call->inputs[1].rank = 0;
    if (axis || pick(0, 1)) add_int(call, "axis", pick(0, 1) ? axis : axis - rank);
}

static void make_pad(struct call *call) {
    int64_t dims[VT_MAX_RANK], axes[VT_MAX_RANK], pads[2 * VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), count = random_axes(rank, axes);
    bool all = pick(0, 1);
    if (all) count = rank;
    for (int i = 0; i < 2 * count; ++i) pads[i] = pick(0, 3);
    add_data(call, rank, dims);
    add_numbers(call, 2 * count, pads);
    skip_input(call);
    if (!all) add_numbers(call, count, axes);
}

static void make_shape(struct call *call) {
    make_unary(call);
    if (pick(0, 1)) add_int(call, "start", pick(-6, 6));
    if (pick(0, 1)) add_int(call, "end", pick(-6, 6));
}

static void make_cast(struct call *call) {
    make_unary(call);
    add_int(call, "to", pick(0, 1) ? 7 : 1);
}

static void make_constant_of_shape(struct call *call) {
    const int64_t dims[3] = {pick(0, 3), pick(1, 3), pick(1, 3)};
    add_numbers(call, pick(0, 3), dims);
}

static void make_conv_transpose(struct call *call) {
    int64_t group = pick(1, 3), in = group * pick(1, 3), out = pick(1, 3);
    const int64_t kernel[2] = {pick(1, 4), pick(1, 3)};
    add_data(call, 4, (const int64_t[]){pick(1, 2), in, pick(4, 9), pick(4, 9)});
    add_data(call, 4, (const int64_t[]){in, out, kernel[0], kernel[1]});
    if (group > 1) add_int(call, "group", group);
    random_window(call, kernel, false);
    if (pick(0, 1)) add_ints(call, "output_padding", 2, (const int64_t[]){pick(0, 1), pick(0, 1)});
    if (!pick(0, 3)) add_ints(call, "output_shape", 2, (const int64_t[]){pick(4, 30), pick(4, 30)});
}

static void make_fused_conv_transpose(struct call *call) {
    int64_t in = pick(1, 3), out = pick(1, 3), size = pick(3, 5);
    add_data(call, 4, (const int64_t[]){1, in, size, size});
    add_data(call, 4, (const int64_t[]){in, out, 2, 2});
    add_data(call, 1, &out);
    skip_input(call);
    skip_input(call);
    add_data(call, 4, (const int64_t[]){1, out, 2 * size, 2 * size});
    add_ints(call, "strides", 2, (const int64_t[]){2, 2});
}

static void make_places(struct call *call) {
    make_pool(call);
    call->n_outputs = 2;
}

static void make_layer_norm(struct call *call) {
    int64_t dims[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), axis = (int)pick(0, rank - 1);
    add_data(call, rank, dims);
    add_data(call, rank - axis, dims + axis);
    add_int(call, "axis", pick(0, 1) ? axis : axis - rank);
    call->n_outputs = (size_t)pick(1, 3);
}

static void make_split(struct call *call) {
    int64_t dims[VT_MAX_RANK], parts[3] = {pick(0, 3), pick(0, 3), pick(0, 3)};
    int rank = random_dims(dims, 1, 4, 6), axis = (int)pick(0, rank - 1);
    bool given = pick(0, 1);
    if (given) dims[axis] = parts[0] + parts[1] + parts[2];
    add_data(call, rank, dims);
    if (given) add_numbers(call, 3, parts);
    add_int(call, "axis", pick(0, 1) ? axis : axis - rank);
    call->n_outputs = given ? 3 : (size_t)pick(1, 4);
}

static void make_expand(struct call *call) {
    int64_t dims[VT_MAX_RANK], target[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), cut = (int)pick(0, rank);
    for (int i = 0; i < rank; ++i) {
        target[i] = pick(0, 1) ? dims[i] : 1;
        if (!pick(0, 2)) dims[i] = 1;
    }
    add_data(call, rank, dims);
    add_numbers(call, rank - cut, target + cut);
}

static void make_tile(struct call *call) {
    int64_t dims[VT_MAX_RANK], repeats[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4);
    for (int i = 0; i < rank; ++i) repeats[i] = pick(0, 3);
    add_data(call, rank, dims);
    add_numbers(call, rank, repeats);
}

static void make_top_k(struct call *call) {
    int64_t dims[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4), axis = (int)pick(0, rank - 1);
    const int64_t k = pick(0, dims[axis]);
    add_data(call, rank, dims);
    add_numbers(call, 1, &k);
    add_int(call, "axis", pick(0, 1) ? axis : axis - rank);
    call->n_outputs = (size_t)pick(1, 2);
}

static void make_arg_max(struct call *call) {
    int64_t dims[VT_MAX_RANK];
    int rank = random_dims(dims, 1, 4, 4);
    add_data(call, rank, dims);
    add_int(call, "axis", random_axis(rank));
    if (pick(0, 1)) add_int(call, "keepdims", pick(0, 1));
}

static void make_range(struct call *call) {
    for (int i = 0; i < 3; ++i) {
        const int64_t number = i == 2 ? pick(1, 4) * (pick(0, 1) ? 1 : -1) : pick(-9, 9);
        add_numbers(call, 1, &number);
        call->inputs[i].rank = 0;
    }
}

static void make_dropout(struct call *call) {
    make_unary(call);
    call->n_outputs = (size_t)pick(1, 2);
}

static void make_quantize(struct call *call) {
    make_unary(call);
    add_data(call, 0, NULL);
    if (pick(0, 1)) add_int(call, "output_dtype", 3);
}

/* The symbols that stand for sizes in one round. */
struct symbols {
    char names[MOST_INPUTS * VT_MAX_RANK][8];
    struct binding bindings[MOST_INPUTS * VT_MAX_RANK];
    size_t count;
};

static const struct vt_dim *make_symbol(struct vt_graph *graph, struct symbols *symbols, int64_t size) {
    char *name = symbols->names[symbols->count];
    snprintf(name, sizeof symbols->names[0], "s%02zu", symbols->count);
    symbols->bindings[symbols->count++] = (struct binding){name, size};
    return vt_dim_symbol(&graph->arena, name);
}

static struct vt_value *make_input(
    struct vt_graph *graph, const struct vt_tensor *tensor, bool is_data, struct symbols *symbols) {
    if (!is_data) return vt_graph_add_constant(graph, "constant", tensor);
    struct vt_value *value = vt_graph_add_value(graph, "data");
    value->dtype = tensor->dtype;
    value->rank = tensor->rank;
    for (int i = 0; i < tensor->rank; ++i)
        value->dims[i] = symbols && pick(0, 1) ? make_symbol(graph, symbols, tensor->dims[i])
                                               : vt_dim_constant(&graph->arena, tensor->dims[i]);
    assert_true(vt_graph_add_input(graph, value));
    return value;
}

static size_t outputs_of(const struct call *call) { return call->n_outputs ? call->n_outputs : 1; }

/* A graph of just the call, inferred; its output is the last node's. */
static struct vt_graph *infer_call(const struct call *call, struct symbols *symbols) {
    struct vt_graph *graph;
    struct vultus_error error;
    struct vt_value *inputs[MOST_INPUTS] = {NULL};
    assert_int_equal(vt_graph_create(0, &graph, &error), VULTUS_OK);
    for (size_t i = 0; i < call->n_inputs; ++i) {
        bool is_data = call->inputs[i].dtype == VT_DTYPE_F32 && !(call->op == VT_OP_RESIZE && i == 2);
        bool is_convolution = call->op == VT_OP_CONV || call->op == VT_OP_FUSED_CONV ||
                              call->op == VT_OP_CONV_TRANSPOSE || call->op == VT_OP_FUSED_CONV_TRANSPOSE;
        bool is_weight = is_convolution && i == 1;
        if (call->given[i]) inputs[i] = make_input(graph, &call->inputs[i], is_data, is_weight ? NULL : symbols);
    }
    assert_non_null(vt_graph_add_node(
        graph, NULL, call->op, NULL, inputs, call->n_inputs, NULL, outputs_of(call), call->attrs, call->n_attrs));
    if (vt_graph_infer(graph, &error)) fail_msg("inference failed: %s", error.text);
    return graph;
}

static bool run_call(struct call *call, struct vt_tensor *result) {
    const struct vt_tensor *inputs[MOST_INPUTS];
    for (size_t i = 0; i < call->n_inputs; ++i) inputs[i] = call->given[i] ? &call->inputs[i] : NULL;
    const struct vt_op_call op_call = {.op = call->op,
        .attrs = {call->attrs, call->n_attrs},
        .inputs = inputs,
        .n_inputs = call->n_inputs,
        .outputs = result,
        .n_outputs = outputs_of(call),
        .arena = &call->arena};
    return vt_op_run(&op_call, NULL) == VULTUS_OK;
}

static void compare_static(const struct call *call, size_t index, const struct vt_tensor *result) {
    struct vt_graph *graph = infer_call(call, NULL);
    const struct vt_value *out = graph->last->outputs[index];
    int64_t dims[VT_MAX_RANK];
    assert_int_equal(out->dtype, result->dtype);
    assert_int_equal(out->rank, result->rank);
    assert_true(vt_value_static_dims(out, dims));
    for (int i = 0; i < out->rank; ++i) assert_int_equal(dims[i], result->dims[i]);
    if (call->op == VT_OP_SHAPE) {
        assert_int_equal(out->n_elements, result->dims[0]);
        for (size_t i = 0; i < out->n_elements; ++i)
            assert_int_equal(evaluate_dim(out->elements[i], NULL, 0), vt_tensor_get_int(result, (int64_t)i));
    }
    vt_graph_destroy(graph);
}

static void compare_symbolic(
    const struct call *call, size_t index, const struct vt_tensor *result, int *known, int *unknown) {
    struct symbols symbols = {.count = 0};
    struct vt_graph *graph = infer_call(call, &symbols);
    const struct vt_value *out = graph->last->outputs[index];
    assert_int_equal(out->dtype, result->dtype);
    if (out->rank < 0) {
        ++*unknown;
    } else {
        assert_int_equal(out->rank, result->rank);
        for (int i = 0; i < out->rank; ++i) {
            ++*(out->dims[i] ? known : unknown);
            if (out->dims[i])
                assert_int_equal(evaluate_dim(out->dims[i], symbols.bindings, symbols.count), result->dims[i]);
        }
    }
    vt_graph_destroy(graph);
}

struct plan {
    enum vt_op op;
    void (*make)(struct call *call);
    int least_percent; /* of symbolic dims that inference must decide */
};

static void check_operator(void **state) {
    const struct plan *plan = *state;
    int ran = 0, known = 0, unknown = 0;
    random_state = (uint32_t)plan->op;
    for (int round = 0; round < ROUNDS; ++round) {
        struct call call = {.op = plan->op};
        struct vt_tensor results[MOST_OUTPUTS] = {{.rank = 0}};
        vt_arena_init(&call.arena, 0);
        plan->make(&call);
        bool runs = run_call(&call, results);
        ran += runs;
        for (size_t i = 0; runs && i < outputs_of(&call); ++i) {
            compare_static(&call, i, &results[i]);
            compare_symbolic(&call, i, &results[i], &known, &unknown);
        }
        vt_arena_fini(&call.arena);
    }
    assert_true(ran > ROUNDS / 2);
    if (100 * known < plan->least_percent * (known + unknown))
        fail_msg("%s: only %d of %d symbolic sizes are decided", vt_op_info(plan->op)->name, known, known + unknown);
}

static struct plan plans[] = {
    {VT_OP_CONV, make_conv, 80},
    {VT_OP_GEMM, make_gemm, 100},
    {VT_OP_MATMUL, make_matmul, 80},
    {VT_OP_BATCH_NORM, make_batch_norm, 100},
    {VT_OP_INSTANCE_NORM, make_instance_norm, 100},
    {VT_OP_PRELU, make_prelu, 100},
    {VT_OP_RELU, make_unary, 100},
    {VT_OP_CLIP, make_unary, 100},
    {VT_OP_SOFTMAX, make_softmax, 100},
    {VT_OP_ADD, make_binary, 75},
    {VT_OP_DIV, make_binary, 75},
    {VT_OP_POW, make_binary, 75},
    {VT_OP_MAX_POOL, make_pool, 80},
    {VT_OP_AVERAGE_POOL, make_pool, 80},
    {VT_OP_GLOBAL_AVERAGE_POOL, make_global_pool, 100},
    {VT_OP_REDUCE_MEAN, make_reduce, 100},
    {VT_OP_REDUCE_L2, make_reduce, 100},
    {VT_OP_RESIZE, make_resize, 80},
    {VT_OP_RESHAPE, make_reshape, 100},
    {VT_OP_FLATTEN, make_flatten, 100},
    {VT_OP_TRANSPOSE, make_transpose, 100},
    {VT_OP_SQUEEZE, make_squeeze, 80},
    {VT_OP_UNSQUEEZE, make_unsqueeze, 100},
    {VT_OP_CONCAT, make_concat, 100},
    {VT_OP_SLICE, make_slice, 75},
    {VT_OP_GATHER, make_gather, 100},
    {VT_OP_PAD, make_pad, 100},
    {VT_OP_SHAPE, make_shape, 100},
    {VT_OP_CAST, make_cast, 100},
    {VT_OP_CONSTANT_OF_SHAPE, make_constant_of_shape, 100},
    {VT_OP_IDENTITY, make_unary, 100},
    {VT_OP_DROPOUT, make_unary, 100},
    {VT_OP_FUSED_CONV, make_fused_conv, 80},
    {VT_OP_FUSED_GEMM, make_fused_gemm, 100},
    {VT_OP_GROUP_NORM, make_group_norm, 100},
    {VT_OP_AFFINE, make_affine, 100},
    {VT_OP_CONV_TRANSPOSE, make_conv_transpose, 100},
    {VT_OP_FUSED_CONV_TRANSPOSE, make_fused_conv_transpose, 80},
    {VT_OP_MAX_POOL, make_places, 80},
    {VT_OP_LAYER_NORM, make_layer_norm, 100},
    {VT_OP_LP_NORM, make_softmax, 100},
    {VT_OP_ELU, make_unary, 100},
    {VT_OP_MAX, make_binary, 75},
    {VT_OP_EQUAL, make_binary, 75},
    {VT_OP_GLOBAL_MAX_POOL, make_global_pool, 100},
    {VT_OP_REDUCE_MAX, make_reduce, 100},
    {VT_OP_SPLIT, make_split, 75},
    {VT_OP_EXPAND, make_expand, 75},
    {VT_OP_TILE, make_tile, 100},
    {VT_OP_SIZE, make_unary, 0},
    {VT_OP_RANGE, make_range, 100},
    {VT_OP_ARG_MAX, make_arg_max, 100},
    {VT_OP_TOP_K, make_top_k, 100},
    {VT_OP_QUANTIZE_LINEAR, make_quantize, 100},
    {VT_OP_DROPOUT, make_dropout, 100},
};

int main(void) {
    enum { COUNT = sizeof plans / sizeof *plans };
    struct CMUnitTest tests[COUNT];
    for (int i = 0; i < COUNT; ++i)
        tests[i] = (struct CMUnitTest){vt_op_info(plans[i].op)->name, check_operator, NULL, NULL, &plans[i]};
    return cmocka_run_group_tests_name("infer-random", tests, NULL, NULL);
}
