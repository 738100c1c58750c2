/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

static struct vt_graph *graph;
static struct vultus_error error;

static int set_up(void **state) {
    (void)state;
    return vt_graph_create(0, &graph, &error);
}

static int tear_down(void **state) {
    (void)state;
    vt_graph_destroy(graph);
    return 0;
}

/* A float32 input of the given sizes; 0 becomes a symbol: n, c, h, w by position. */
static struct vt_value *input(const char *name, int rank, const int64_t *dims) {
    static const char *const symbols[] = {"n", "c", "h", "w"};
    struct vt_value *value = vt_graph_add_value(graph, name);
    value->dtype = VT_DTYPE_F32;
    value->rank = rank;
    for (int i = 0; i < rank; ++i)
        value->dims[i] = dims[i] ? vt_dim_constant(&graph->arena, dims[i]) : vt_dim_symbol(&graph->arena, symbols[i]);
    assert_true(vt_graph_add_input(graph, value));
    return value;
}
#define INPUT(name, ...)                                                                                               \
    input(name, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static struct vt_value *numbers(size_t count, const int64_t *values) {
    return vt_graph_add_i64(graph, "numbers", values, count);
}
#define NUMBERS(...) numbers(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static struct vt_value *number(int64_t value) {
    struct vt_tensor scalar;
    assert_int_equal(vt_tensor_alloc(&graph->arena, VT_DTYPE_I64, 0, NULL, &scalar, NULL), VULTUS_OK);
    *(int64_t *)scalar.data = value;
    return vt_graph_add_constant(graph, "number", &scalar);
}

static struct vt_value *op(enum vt_op which, struct vt_value *a, struct vt_value *b, struct vt_attr attr) {
    struct vt_value *const inputs[2] = {a, b};
    struct vt_node *node =
        vt_graph_add_node(graph, NULL, which, "the node", inputs, b ? 2 : 1, NULL, 1, &attr, attr.name ? 1 : 0);
    assert_non_null(node);
    return node->outputs[0];
}

static const struct vt_attr none = {.name = NULL};
static struct vt_attr int_attr(const char *name, int64_t i) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_INT, .i = i};
}

static void infer(void) {
    if (vt_graph_infer(graph, &error)) fail_msg("%s", error.text);
}

static void expect_dims(const struct vt_value *value, const char *expected) {
    char text[512] = "", dim[128];
    assert_true(value->rank >= 0);
    for (int i = 0; i < value->rank; ++i) {
        if (i) strcat(text, ", ");
        strcat(text, vt_dim_format(value->dims[i], dim, sizeof dim));
    }
    assert_string_equal(text, expected);
}

static void expect_elements(const struct vt_value *value, const char *expected) {
    char text[512] = "", dim[128];
    assert_non_null(value->elements);
    for (size_t i = 0; i < value->n_elements; ++i) {
        if (i) strcat(text, ", ");
        strcat(text, vt_dim_format(value->elements[i], dim, sizeof dim));
    }
    assert_string_equal(text, expected);
}

/* Inference must fail with a sentence that names the node, the operator and `part`. */
static void expect_failure(const char *operator_name, const char *part) {
    enum vultus_status status = vt_graph_infer(graph, &error);
    if (!status) fail_msg("inference accepted what must fail on '%s'", part);
    if (!strstr(error.text, "'the node'") || !strstr(error.text, operator_name) || !strstr(error.text, part))
        fail_msg("'%s' does not tell '%s' and '%s'", error.text, operator_name, part);
}

/* As PyTorch exports an upsampling to another map's size. */
static void resize_follows_a_shape_chain(void **state) {
    (void)state;
    struct vt_value *large = INPUT("large", 1, 16, 0, 0), *small = INPUT("small", 1, 16, 20, 20);
    struct vt_value *shape = op(VT_OP_SHAPE, large, NULL, none);
    struct vt_value *height = op(VT_OP_UNSQUEEZE, op(VT_OP_GATHER, shape, number(2), none), NUMBERS(0), none);
    struct vt_value *width = op(VT_OP_UNSQUEEZE, op(VT_OP_GATHER, shape, number(-1), none), NUMBERS(0), none);
    struct vt_value *const slice_inputs[4] = {op(VT_OP_SHAPE, small, NULL, none), NUMBERS(0), NUMBERS(2), NUMBERS(0)};
    struct vt_node *slice = vt_graph_add_node(graph, NULL, VT_OP_SLICE, NULL, slice_inputs, 4, NULL, 1, NULL, 0);
    struct vt_value *const parts[3] = {slice->outputs[0], height, width};
    const struct vt_attr axis = int_attr("axis", 0);
    struct vt_node *concat = vt_graph_add_node(graph, NULL, VT_OP_CONCAT, NULL, parts, 3, NULL, 1, &axis, 1);
    struct vt_value *const resize_inputs[4] = {small, NULL, NULL, concat->outputs[0]};
    struct vt_node *resize = vt_graph_add_node(graph, NULL, VT_OP_RESIZE, NULL, resize_inputs, 4, NULL, 1, NULL, 0);
    infer();
    expect_elements(concat->outputs[0], "1, 16, h, w");
    expect_dims(resize->outputs[0], "1, 16, h, w");

    const int64_t dims[4] = {1, 16, 41, 43};
    int64_t bound[VT_MAX_RANK];
    assert_int_equal(vt_graph_bind_input(graph, large, dims, 4, &error), VULTUS_OK);
    infer();
    expect_dims(resize->outputs[0], "1, 16, 41, 43");
    for (const struct vt_node *node = graph->first; node; node = node->next)
        assert_true(vt_value_static_dims(node->outputs[0], bound));
}

static void shape_arithmetic_is_symbolic(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 3, 0, 0), *shape = op(VT_OP_SHAPE, x, NULL, none);
    struct vt_value *half = op(VT_OP_DIV, shape, number(2), none);
    struct vt_value *mixed = op(VT_OP_ADD, op(VT_OP_MUL, shape, NUMBERS(1, 2, 1, 1), none), half, none);
    struct vt_value *minus = op(VT_OP_SUB, number(1), shape, none);
    struct vt_value *as_int32 = op(VT_OP_CAST, mixed, NULL, int_attr("to", 6));
    struct vt_value *as_float = op(VT_OP_CAST, mixed, NULL, int_attr("to", 1));
    struct vt_value *of_negative = op(VT_OP_DIV, minus, number(2), none);
    infer();
    expect_elements(half, "floor(n/2), 1, floor(h/2), floor(w/2)");
    expect_elements(mixed, "n + floor(n/2), 7, h + floor(h/2), w + floor(w/2)");
    expect_elements(as_int32, "n + floor(n/2), 7, h + floor(h/2), w + floor(w/2)");
    assert_int_equal(as_int32->dtype, VT_DTYPE_I32);
    assert_null(as_float->elements);
    expect_elements(of_negative, "?, -1, ?, ?"); /* toward zero, which a floor is not */
}

static void integers_wrap_to_unknown(void **state) {
    (void)state;
    struct vt_value *large = NUMBERS(INT64_C(1) << 31, 5), *cast = op(VT_OP_CAST, large, NULL, int_attr("to", 6));
    struct vt_value *zero = op(VT_OP_DIV, large, NUMBERS(0, 2), none);
    struct vt_value *least = op(VT_OP_DIV, NUMBERS(INT64_MIN), NUMBERS(-1), none);
    struct vt_value *huge = op(VT_OP_MUL, large, number(INT64_MAX), none);
    infer();
    expect_elements(cast, "?, 5");
    expect_elements(zero, "?, 2");
    expect_elements(least, "?");
    expect_elements(huge, "?, ?");
}

static void reshape_resolves_its_target(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 80, 0, 0);
    struct vt_value *rows = op(VT_OP_RESHAPE, x, NUMBERS(0, -1, 4), none);
    struct vt_value *flat = op(VT_OP_RESHAPE, x, NUMBERS(-1, 10), none);
    struct vt_value *groups = op(VT_OP_RESHAPE, x, NUMBERS(0, 16, -1), none);
    struct vt_value *back = op(VT_OP_RESHAPE, groups, op(VT_OP_SHAPE, x, NULL, none), none);
    struct vt_value *same = op(VT_OP_RESHAPE, x, NUMBERS(0, 0, 0, 0), none);
    infer();
    expect_dims(rows, "n, 20*h*w, 4");
    expect_dims(flat, "8*h*n*w, 10");
    expect_dims(groups, "n, 16, 5*h*w");
    expect_dims(back, "n, 80, h, w");
    expect_dims(same, "n, 80, h, w");
}

/* A dim that nothing is known of cancels where 0 copies it. */
static void reshape_bridges_unknown_dims(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 6, 5, 4);
    x->dims[0] = NULL;
    struct vt_value *y = op(VT_OP_RESHAPE, x, NUMBERS(0, 3, -1), none);
    infer();
    expect_dims(y, "?, 3, 40");
}

static void reshape_to_an_unknown_target_keeps_the_rank(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 4, 6), *target = vt_graph_add_value(graph, "target");
    target->dtype = VT_DTYPE_I64;
    target->rank = 1;
    target->dims[0] = vt_dim_constant(&graph->arena, 3);
    vt_graph_add_input(graph, target);
    struct vt_value *y = op(VT_OP_RESHAPE, x, target, none);
    infer();
    expect_dims(y, "?, ?, ?");
}

static void windows_of_symbols(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 3, 0, 0), *weight = INPUT("weight", 16, 3, 3, 3);
    const int64_t pads[4] = {1, 1, 1, 1}, two[2] = {2, 2};
    const struct vt_attr conv_attrs[2] = {{.name = "pads", .kind = VT_ATTR_INTS, .count = 4, .ints = pads},
        {.name = "strides", .kind = VT_ATTR_INTS, .count = 2, .ints = two}};
    struct vt_value *const conv_inputs[2] = {x, weight};
    struct vt_node *conv = vt_graph_add_node(graph, NULL, VT_OP_CONV, NULL, conv_inputs, 2, NULL, 1, conv_attrs, 2);
    const struct vt_attr pool_attrs[3] = {{.name = "kernel_shape", .kind = VT_ATTR_INTS, .count = 2, .ints = two},
        {.name = "strides", .kind = VT_ATTR_INTS, .count = 2, .ints = two}, int_attr("ceil_mode", 1)};
    struct vt_node *pool =
        vt_graph_add_node(graph, NULL, VT_OP_AVERAGE_POOL, NULL, conv->outputs, 1, NULL, 1, pool_attrs, 3);
    struct vt_node *floor_pool =
        vt_graph_add_node(graph, NULL, VT_OP_MAX_POOL, NULL, conv->outputs, 1, NULL, 1, pool_attrs, 2);
    struct vt_node *global =
        vt_graph_add_node(graph, NULL, VT_OP_GLOBAL_AVERAGE_POOL, NULL, pool->outputs, 1, NULL, 1, NULL, 0);
    infer();
    expect_dims(conv->outputs[0], "n, 16, floor((h + 1)/2), floor((w + 1)/2)");
    expect_dims(pool->outputs[0], "n, 16, floor((h + 3)/4), floor((w + 3)/4)");
    expect_dims(floor_pool->outputs[0], "n, 16, floor((h + 1)/4), floor((w + 1)/4)");
    expect_dims(global->outputs[0], "n, 16, 1, 1");
}

static void broadcasting_decides_what_it_can(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 3, 0, 1), *y = INPUT("y", 1, 0, 0, 7);
    struct vt_value *sum = op(VT_OP_ADD, x, y, none), *mirrored = op(VT_OP_ADD, y, x, none);
    infer();
    expect_dims(sum, "n, 3, h, 7");
    expect_dims(mirrored, "n, 3, h, 7");
    y->dims[2] = vt_dim_symbol(&graph->arena, "other");
    infer();
    expect_dims(sum, "n, 3, ?, 7");
}

static void slices_of_symbols(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 3, 0, 0);
    struct vt_value *const starts_at[5] = {
        x, NUMBERS(0, -1, 1), NUMBERS(INT64_MAX, INT64_MIN, 5), NUMBERS(2, 3, 1), NUMBERS(2, -1, 1)};
    struct vt_node *slice = vt_graph_add_node(graph, NULL, VT_OP_SLICE, NULL, starts_at, 5, NULL, 1, NULL, 0);
    struct vt_value *const to_the_ends[5] = {
        x, NUMBERS(-INT32_MAX, INT32_MAX), NUMBERS(INT32_MAX, -INT32_MAX), NUMBERS(2, 3), NUMBERS(1, -1)};
    struct vt_node *whole = vt_graph_add_node(graph, NULL, VT_OP_SLICE, NULL, to_the_ends, 5, NULL, 1, NULL, 0);
    infer();
    expect_dims(slice->outputs[0], "n, 2, floor((h + 1)/2), w"); /* 1:5 of 3, ::2 of h, ::-1 of w */
    expect_dims(whole->outputs[0], "n, 3, h, w");
}

static void unknown_ranks_spread(void **state) {
    (void)state;
    struct vt_value *x = vt_graph_add_value(graph, "x");
    x->dtype = VT_DTYPE_F32;
    vt_graph_add_input(graph, x);
    struct vt_value *values[] = {op(VT_OP_RELU, x, NULL, none), op(VT_OP_ADD, x, x, none),
        op(VT_OP_TRANSPOSE, x, NULL, none), op(VT_OP_MATMUL, x, x, none), op(VT_OP_SQUEEZE, x, NULL, none),
        op(VT_OP_UNSQUEEZE, x, NUMBERS(0), none), op(VT_OP_CONCAT, x, x, int_attr("axis", 0)),
        op(VT_OP_GATHER, x, NUMBERS(0), none), op(VT_OP_SOFTMAX, x, NULL, none)};
    struct vt_value *flat = op(VT_OP_FLATTEN, x, NULL, none), *shape = op(VT_OP_SHAPE, x, NULL, none);
    struct vt_value *reshaped = op(VT_OP_RESHAPE, x, NUMBERS(0, 5, -1), none);
    infer();
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i) {
        assert_int_equal(values[i]->rank, -1);
        assert_int_equal(values[i]->dtype, VT_DTYPE_F32);
    }
    expect_dims(flat, "?, ?");
    expect_dims(shape, "?");
    expect_dims(reshaped, "?, 5, ?");
}

static void constant_of_shape_has_content(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 0, 3);
    struct vt_tensor seven;
    const int64_t one[1] = {1};
    assert_int_equal(vt_tensor_alloc(&graph->arena, VT_DTYPE_I64, 1, one, &seven, NULL), VULTUS_OK);
    *(int64_t *)seven.data = 7;
    const struct vt_attr value = {.name = "value", .kind = VT_ATTR_TENSOR, .tensor = &seven};
    struct vt_value *filled = op(VT_OP_CONSTANT_OF_SHAPE, NUMBERS(2), NULL, value);
    struct vt_value *like_x = op(VT_OP_CONSTANT_OF_SHAPE, op(VT_OP_SHAPE, x, NULL, none), NULL, none);
    struct vt_node *constant = vt_graph_add_node(graph, NULL, VT_OP_CONSTANT, NULL, NULL, 0, NULL, 1, &value, 1);
    struct vt_value *sum = op(VT_OP_ADD, constant->outputs[0], filled, none);
    infer();
    expect_elements(filled, "7, 7");
    expect_dims(like_x, "n, 3");
    assert_int_equal(like_x->dtype, VT_DTYPE_F32);
    expect_elements(sum, "14, 14");
}

static void stale_shapes_are_replaced(void **state) {
    (void)state;
    struct vt_value *x = INPUT("x", 2, 3), *y = op(VT_OP_RELU, x, NULL, none);
    y->rank = 5;
    y->dtype = VT_DTYPE_I8;
    y->dims[4] = vt_dim_constant(&graph->arena, 9);
    infer();
    expect_dims(y, "2, 3");
    assert_int_equal(y->dtype, VT_DTYPE_F32);
    assert_null(y->dims[4]);
}

static void wrong_channels_fail(void **state) {
    (void)state;
    op(VT_OP_CONV, INPUT("x", 1, 4, 8, 8), INPUT("weight", 8, 3, 3, 3), none);
    expect_failure("(Conv)", "4 channels");
}

static void wrong_groups_fail(void **state) {
    (void)state;
    op(VT_OP_CONV, INPUT("x", 1, 6, 8, 8), INPUT("weight", 8, 2, 3, 3), int_attr("group", 3));
    expect_failure("(Conv)", "3 groups");
}

static void kernels_larger_than_the_picture_fail(void **state) {
    (void)state;
    op(VT_OP_CONV, INPUT("x", 1, 3, 4, 8), INPUT("weight", 8, 3, 5, 5), none);
    expect_failure("(Conv)", "5");
}

static void one_dimensional_convolutions_are_unsupported(void **state) {
    (void)state;
    op(VT_OP_CONV, INPUT("x", 1, 3, 8), INPUT("weight", 8, 3, 5), none);
    expect_failure("(Conv)", "3 dimensions");
    assert_int_equal(error.status, VULTUS_ERROR_UNSUPPORTED);
}

static void impossible_broadcasts_fail(void **state) {
    (void)state;
    op(VT_OP_ADD, INPUT("x", 2, 3), INPUT("y", 2, 4), none);
    expect_failure("(Add)", "3 and 4");
}

static void mixed_types_fail(void **state) {
    (void)state;
    op(VT_OP_MUL, INPUT("x", 2), NUMBERS(1, 2), none);
    expect_failure("(Mul)", "int64");
}

static void impossible_reshapes_fail(void **state) {
    (void)state;
    op(VT_OP_RESHAPE, INPUT("x", 2, 3), NUMBERS(4, -1), none);
    expect_failure("(Reshape)", "-1");
}

static void reshapes_to_another_count_fail(void **state) {
    (void)state;
    op(VT_OP_RESHAPE, INPUT("x", 2, 3), NUMBERS(4, 2), none);
    expect_failure("(Reshape)", "6 elements");
}

static void two_wildcards_fail(void **state) {
    (void)state;
    op(VT_OP_RESHAPE, INPUT("x", 2, 3), NUMBERS(-1, -1), none);
    expect_failure("(Reshape)", "twice");
}

static void negative_sizes_fail(void **state) {
    (void)state;
    op(VT_OP_RESHAPE, INPUT("x", 2, 3), NUMBERS(-2, 3), none);
    expect_failure("(Reshape)", "-2");
}

static void wrong_permutations_fail(void **state) {
    (void)state;
    const int64_t perm[2] = {1, 1};
    op(VT_OP_TRANSPOSE, INPUT("x", 2, 3), NULL,
        (struct vt_attr){.name = "perm", .kind = VT_ATTR_INTS, .count = 2, .ints = perm});
    expect_failure("(Transpose)", "permutation");
}

static void axes_outside_fail(void **state) {
    (void)state;
    op(VT_OP_SOFTMAX, INPUT("x", 2, 3), NULL, int_attr("axis", 2));
    expect_failure("(Softmax)", "axis 2");
}

static void inner_sizes_must_match(void **state) {
    (void)state;
    op(VT_OP_MATMUL, INPUT("x", 2, 3), INPUT("y", 4, 5), none);
    expect_failure("(MatMul)", "3 and 4");
}

static void indices_outside_fail(void **state) {
    (void)state;
    op(VT_OP_GATHER, INPUT("x", 2, 3), NUMBERS(2), none);
    expect_failure("(Gather)", "index 2");
}

static void too_many_dimensions_fail(void **state) {
    (void)state;
    op(VT_OP_UNSQUEEZE, INPUT("x", 2, 3, 1, 1, 1, 1, 1), NUMBERS(0, 1), none);
    expect_failure("(Unsqueeze)", "9 dimensions");
}

static void sizes_beyond_memory_fail(void **state) {
    (void)state;
    const int64_t large = INT64_C(1) << 40;
    op(VT_OP_CONSTANT_OF_SHAPE, NUMBERS(large, large), NULL, none);
    expect_failure("(ConstantOfShape)", "too large");
    assert_int_equal(error.status, VULTUS_ERROR_LIMIT);
}

static void concatenated_ranks_must_agree(void **state) {
    (void)state;
    op(VT_OP_CONCAT, INPUT("x", 2, 3), INPUT("y", 2, 3, 4), int_attr("axis", 0));
    expect_failure("(Concat)", "2 and 3 dimensions");
}

static void fills_are_single(void **state) {
    (void)state;
    const int64_t two[1] = {2};
    struct vt_tensor pair;
    assert_int_equal(vt_tensor_alloc(&graph->arena, VT_DTYPE_I64, 1, two, &pair, NULL), VULTUS_OK);
    op(VT_OP_CONSTANT_OF_SHAPE, NUMBERS(2), NULL,
        (struct vt_attr){.name = "value", .kind = VT_ATTR_TENSOR, .tensor = &pair});
    expect_failure("(ConstantOfShape)", "one element");
}

static void copied_dims_must_exist(void **state) {
    (void)state;
    op(VT_OP_RESHAPE, INPUT("x", 6), NUMBERS(6, 0), none);
    expect_failure("(Reshape)", "0 at 1");
}

static void axes_are_listed_once(void **state) {
    (void)state;
    struct vt_value *const inputs[4] = {INPUT("x", 6, 5), NUMBERS(1, 1, 1, 1), NULL, NUMBERS(1, -1)};
    vt_graph_add_node(graph, NULL, VT_OP_PAD, "the node", inputs, 4, NULL, 1, NULL, 0);
    expect_failure("(Pad)", "axis 1 is listed twice");
    vt_graph_set_input(graph->last, 3, NUMBERS(0, 1, 0));
    expect_failure("(Pad)", "3 axes are listed of 2");
}

static void biases_must_fit_the_product(void **state) {
    (void)state;
    struct vt_value *const inputs[3] = {INPUT("x", 2, 3), INPUT("w", 3, 4), INPUT("b", 1, 2, 4)};
    vt_graph_add_node(graph, NULL, VT_OP_GEMM, "the node", inputs, 3, NULL, 1, NULL, 0);
    expect_failure("(Gemm)", "'b' has 3 dimensions");
}

static void operators_without_rule_fail(void **state) {
    (void)state;
    op(VT_OP_NONE, INPUT("x", 2), NULL, none);
    expect_failure("(none)", "operator 0");
}

static void missing_inputs_fail(void **state) {
    (void)state;
    op(VT_OP_ADD, INPUT("x", 2), NULL, none);
    expect_failure("(Add)", "1 inputs");
}

static void unknown_casts_fail(void **state) {
    (void)state;
    op(VT_OP_CAST, INPUT("x", 2), NULL, int_attr("to", 8));
    expect_failure("(Cast)", "8");
}

/* However little memory there is, inference ends with an error or with what it says with plenty. */
static void memory_limits_are_reported(void **state) {
    (void)state;
    int failures = 0, successes = 0;
    for (size_t limit = 8000; limit < 80000; limit += 1511) {
        struct vt_graph *plenty = graph;
        struct vt_value *y;
        assert_int_equal(vt_graph_create(limit, &graph, &error), VULTUS_OK);
        struct vt_value *x = vt_graph_add_value(graph, "x");
        bool fits = x && vt_graph_add_input(graph, x) && (x->dims[0] = vt_dim_symbol(&graph->arena, "n"));
        if (fits) {
            x->dtype = VT_DTYPE_F32;
            x->rank = 1;
        }
        y = x;
        for (int i = 0; fits && i < 30; ++i) {
            struct vt_value *const inputs[2] = {y, y};
            const struct vt_attr axis = int_attr("axis", 0);
            struct vt_node *node = vt_graph_add_node(graph, NULL, VT_OP_CONCAT, "n", inputs, 2, NULL, 1, &axis, 1);
            fits = node != NULL;
            if (node) y = node->outputs[0];
        }
        enum vultus_status status = fits ? vt_graph_infer(graph, &error) : VULTUS_ERROR_MEMORY;
        if (status) {
            assert_int_equal(status, VULTUS_ERROR_MEMORY);
            ++failures;
        } else {
            expect_dims(y, "1073741824*n");
            ++successes;
        }
        vt_graph_destroy(graph);
        graph = plenty;
    }
    assert_true(failures > 3 && successes > 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(resize_follows_a_shape_chain), TEST(shape_arithmetic_is_symbolic),
        TEST(integers_wrap_to_unknown), TEST(reshape_resolves_its_target), TEST(reshape_bridges_unknown_dims),
        TEST(reshape_to_an_unknown_target_keeps_the_rank), TEST(windows_of_symbols),
        TEST(broadcasting_decides_what_it_can), TEST(slices_of_symbols), TEST(unknown_ranks_spread),
        TEST(constant_of_shape_has_content), TEST(stale_shapes_are_replaced), TEST(wrong_channels_fail),
        TEST(wrong_groups_fail), TEST(kernels_larger_than_the_picture_fail),
        TEST(one_dimensional_convolutions_are_unsupported), TEST(impossible_broadcasts_fail), TEST(mixed_types_fail),
        TEST(impossible_reshapes_fail), TEST(reshapes_to_another_count_fail), TEST(two_wildcards_fail),
        TEST(negative_sizes_fail), TEST(wrong_permutations_fail), TEST(axes_outside_fail), TEST(inner_sizes_must_match),
        TEST(indices_outside_fail), TEST(too_many_dimensions_fail), TEST(sizes_beyond_memory_fail),
        TEST(concatenated_ranks_must_agree), TEST(fills_are_single), TEST(copied_dims_must_exist),
        TEST(axes_are_listed_once), TEST(biases_must_fit_the_product), TEST(operators_without_rule_fail),
        TEST(missing_inputs_fail), TEST(unknown_casts_fail), TEST(memory_limits_are_reported)};
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
