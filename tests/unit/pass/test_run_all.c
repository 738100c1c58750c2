/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/file.h"
#include "onnx/onnx.h"
#include "pass_test.h"
#include "test_data.h"

static const struct vt_attr pads = {
    .name = "pads", .kind = VT_ATTR_INTS, .count = 4, .ints = (const int64_t[]){1, 1, 1, 1}};

static void expect_all_passes(struct pass_test *t) {
    struct vultus_error error = {0};
    record(t);
    if (vt_pass_run_all(t->graph, &error)) fail_msg("%s", error.text);
    expect_consistent(t->graph);
    expect_same_results(t, 1e-5);
}

/* ------------------------------------------------------------ blocks of the networks this is for */

static struct vt_value *residual_block(struct pass_test *t, struct vt_value *x, int64_t channels, int64_t stride) {
    struct vt_attr strides = ATTR_INTS("strides", stride, stride);
    struct vt_value *y = batch_norm(t, conv(t, batch_norm(t, x), channels, 3, ATTRS(pads)));
    y = NODE(t, VT_OP_PRELU, NO_ATTRS, y, uniform(t, 0, 0.5f, DIMS(channels, 1, 1)));
    y = batch_norm(t, conv(t, y, channels, 3, ATTRS(pads, strides)));
    if (stride != 1) x = batch_norm(t, conv(t, x, channels, 1, ATTRS(strides)));
    return NODE(t, VT_OP_ADD, NO_ATTRS, y, x);
}

static void test_improved_residual_network(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = batch_norm(t, conv(t, input(t, DIMS(1, 3, 12, 12)), 4, 3, ATTRS(pads)));
    x = NODE(t, VT_OP_PRELU, NO_ATTRS, x, uniform(t, 0, 0.5f, DIMS(4, 1, 1)));
    x = residual_block(t, x, 4, 1);
    x = residual_block(t, x, 6, 2);
    x = residual_block(t, x, 6, 1);
    x = NODE(t, VT_OP_DROPOUT, NO_ATTRS, batch_norm(t, x));
    x = NODE(t, VT_OP_FLATTEN, NO_ATTRS, x);
    x = NODE(
        t, VT_OP_GEMM, ATTRS(attr_int("transB", 1)), x, uniform(t, -1, 1, DIMS(5, 6 * 36)), uniform(t, 0, 1, DIMS(5)));
    output(t, batch_norm(t, x));
    expect_all_passes(t);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 8);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 1);
    assert_int_equal(t->graph->n_nodes, 10);
}

static struct vt_value *exported_group_norm(struct pass_test *t, struct vt_value *x, int64_t channels) {
    const float ones[2] = {1, 1}, zeros[2] = {0, 0};
    struct vt_value *y = NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 0, 2, -1));
    y = NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, y, filled(t, ones, DIMS(2)), filled(t, zeros, DIMS(2)));
    y = NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, NODE(t, VT_OP_SHAPE, NO_ATTRS, x));
    y = NODE(t, VT_OP_MUL, NO_ATTRS, y, uniform(t, -1, 1, DIMS(channels, 1, 1)));
    return NODE(t, VT_OP_ADD, NO_ATTRS, y, uniform(t, -1, 1, DIMS(channels, 1, 1)));
}

static void test_detector_head(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = conv(t, input(t, DIMS(1, 3, 8, 6)), 4, 3, ATTRS(pads));
    x = NODE(t, VT_OP_RELU, NO_ATTRS, exported_group_norm(t, x, 4));
    for (int i = 0; i < 2; i++) {
        struct vt_value *y = conv(t, x, 8, 3, ATTRS(pads));
        if (i == 1) y = NODE(t, VT_OP_MUL, NO_ATTRS, y, scalar(t, 1.1f));
        y = NODE(t, VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 0, 2, 3, 1)), y);
        y = NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, INTS(t, 0, -1, 4));
        output(t, NODE(t, i == 0 ? VT_OP_SIGMOID : VT_OP_IDENTITY, NO_ATTRS, y));
    }
    expect_all_passes(t);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 2);
    assert_int_equal(count_nodes(t->graph, VT_OP_GROUP_NORM), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_SPLIT), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_SIGMOID), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_TRANSPOSE), 2);
    assert_int_equal(count_nodes(t->graph, VT_OP_RESHAPE), 2);
    assert_int_equal(t->graph->n_nodes, 9);
}

/* Two levels of a feature pyramid: the shape chain goes, Resize and its Add stay for lowering. */
static void test_feature_pyramid(void **state) {
    struct pass_test *t = *state;
    struct vt_attr strides = ATTR_INTS("strides", 2, 2);
    struct vt_value *x = input(t, DIMS(1, 3, 8, 8));
    struct vt_value *fine = conv(t, x, 4, 3, ATTRS(pads)), *coarse = conv(t, x, 4, 3, ATTRS(pads, strides));
    struct vt_value *shape = NODE(t, VT_OP_SHAPE, NO_ATTRS, fine);
    struct vt_value *size = NODE(t, VT_OP_SLICE, NO_ATTRS, shape, INTS(t, 2), INTS(t, 4), INTS(t, 0));
    struct vt_value *rest =
        NODE(t, VT_OP_SLICE, NO_ATTRS, NODE(t, VT_OP_SHAPE, NO_ATTRS, coarse), INTS(t, 0), INTS(t, 2));
    struct vt_value *sizes = NODE(t, VT_OP_CONCAT, ATTRS(attr_int("axis", 0)), rest, size);
    struct vt_value *up = NODE(t, VT_OP_RESIZE, NO_ATTRS, coarse, NULL, NULL, sizes);
    struct vt_value *merged = NODE(t, VT_OP_ADD, NO_ATTRS, fine, up);
    output(t, conv(t, merged, 4, 3, ATTRS(pads)));
    output(t,
        NODE(t, VT_OP_ADD, NO_ATTRS, conv(t, merged, 4, 3, ATTRS(pads, strides)), conv(t, coarse, 4, 3, ATTRS(pads))));
    expect_all_passes(t);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 5);
    assert_int_equal(count_nodes(t->graph, VT_OP_RESIZE), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_ADD), 1);
    assert_int_equal(t->graph->n_nodes, 7);
}

static void test_a_broken_graph_is_an_error(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 3, 8, 8));
    struct vt_value *inputs[] = {x, uniform(t, 0, 1, DIMS(4, 2, 1, 1))};
    assert_non_null(vt_graph_add_node(t->graph, NULL, VT_OP_CONV, NULL, inputs, 2, NULL, 1, NULL, 0));
    struct vultus_error error = {0};
    assert_int_not_equal(vt_pass_run_all(t->graph, &error), VULTUS_OK);
    assert_true(strlen(error.text) > 0);
}

/* A graph on which every pass has something to do, in an arena that has `room` bytes left. */
static enum vultus_status run_in_room(size_t room, struct vultus_error *error) {
    enum { BLOCK = 64 };
    void *state;
    assert_int_equal(setup_graph(&state), 0);
    struct pass_test *t = state;
    struct vt_value *x = residual_block(t, input(t, DIMS(1, 4, 6, 6)), 6, 2);
    x = NODE(t, VT_OP_FLATTEN, NO_ATTRS, exported_group_norm(t, x, 6));
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, x));
    struct vt_arena *arena = &t->graph->arena;
    arena->limit = arena->used;
    while (vt_arena_alloc(arena, BLOCK)) continue;
    arena->limit = arena->used + room;
    enum vultus_status status = vt_pass_run_all(t->graph, error);
    teardown_graph(&state);
    return status;
}

static void test_any_memory_limit(void **state) {
    (void)state;
    size_t failures = 0, room;
    enum vultus_status status = VULTUS_ERROR_MEMORY;
    for (room = 0; status && room < 64 << 20; room = room * 5 / 4 + 4096) {
        struct vultus_error error = {0};
        status = run_in_room(room, &error);
        if (!status) break;
        failures++;
        assert_int_equal(status, VULTUS_ERROR_MEMORY);
        assert_true(strlen(error.text) > 0);
    }
    assert_int_equal(status, VULTUS_OK);
    assert_true(failures > 2);
}

/* ------------------------------------------------------------ whole networks */

struct expected_count {
    enum vt_op op;
    size_t count;
};

static void bind_inputs(struct pass_test *t, int64_t side) {
    const int64_t dims[4] = {1, 3, side, side};
    struct vultus_error error = {0};
    struct vt_value *picture = t->graph->inputs[0];
    assert_int_equal(t->graph->n_inputs, 1);
    if (vt_graph_bind_input(t->graph, picture, dims, 4, &error)) fail_msg("%s", error.text);
    if (vt_graph_infer(t->graph, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_tensor_alloc(&t->arena, VT_DTYPE_F32, 4, dims, &t->inputs[0], NULL), VULTUS_OK);
    float *pixels = t->inputs[0].data;
    for (int64_t i = 0; i < vt_tensor_count(&t->inputs[0]); i++) pixels[i] = next_random(t, -1, 1);
}

static void expect_network(
    struct pass_test *t, const char *file, int64_t side, const struct expected_count *expected, size_t n_expected) {
    char path[1024];
    struct vt_mapped_file mapped;
    struct vultus_error error = {0};
    find_test_model(file, path, sizeof path);
    if (vt_map_file(path, &mapped, &error)) fail_msg("%s", error.text);
    vt_graph_destroy(t->graph);
    t->graph = NULL;
    if (vt_onnx_read(mapped.data, mapped.size, file, NULL, &t->graph, &error)) fail_msg("%s", error.text);
    bind_inputs(t, side);
    expect_all_passes(t);
    size_t total = 0;
    for (size_t i = 0; i < n_expected; i++) {
        if (count_nodes(t->graph, expected[i].op) != expected[i].count)
            fail_msg("%s: %zu nodes are %s, not %zu", file, count_nodes(t->graph, expected[i].op),
                vt_op_info(expected[i].op)->name, expected[i].count);
        total += expected[i].count;
    }
    assert_int_equal(t->graph->n_nodes, total);
    vt_graph_destroy(t->graph);
    t->graph = NULL;
    vt_unmap_file(&mapped);
}

#define EXPECT_NETWORK(t, file, side, ...)                                                                             \
    expect_network(t, file, side, (struct expected_count[]){__VA_ARGS__}, COUNT((struct expected_count[]){__VA_ARGS__}))

static void test_det_500m(void **state) {
    EXPECT_NETWORK(*state, "det_500m.onnx", 96, {VT_OP_FUSED_CONV, 54}, {VT_OP_RESIZE, 2}, {VT_OP_ADD, 2},
        {VT_OP_SPLIT, 3}, {VT_OP_SIGMOID, 3}, {VT_OP_TRANSPOSE, 9}, {VT_OP_RESHAPE, 9});
}

static void test_scrfd_2_5g(void **state) {
    EXPECT_NETWORK(*state, "scrfd_2.5g_bnkps.onnx", 96, {VT_OP_FUSED_CONV, 51}, {VT_OP_RESIZE, 2}, {VT_OP_ADD, 2},
        {VT_OP_SPLIT, 3}, {VT_OP_SIGMOID, 3}, {VT_OP_MAX_POOL, 1}, {VT_OP_AVERAGE_POOL, 3}, {VT_OP_TRANSPOSE, 9},
        {VT_OP_RESHAPE, 9});
}

static void test_mobilefacenet(void **state) {
    EXPECT_NETWORK(*state, "mobilefacenet.onnx", 112, {VT_OP_FUSED_CONV, 51}, {VT_OP_RESHAPE, 1});
}

static void test_mini_fasnet_v2(void **state) {
    EXPECT_NETWORK(
        *state, "2.7_80x80_MiniFASNetV2.onnx", 80, {VT_OP_FUSED_CONV, 49}, {VT_OP_RESHAPE, 1}, {VT_OP_FUSED_GEMM, 2});
}

static void test_mini_fasnet_v1se(void **state) {
    EXPECT_NETWORK(*state, "4_0_0_80x80_MiniFASNetV1SE.onnx", 80, {VT_OP_FUSED_CONV, 55}, {VT_OP_RESHAPE, 1},
        {VT_OP_FUSED_GEMM, 2}, {VT_OP_GLOBAL_AVERAGE_POOL, 3}, {VT_OP_MUL, 3}, {VT_OP_ADD, 3});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_improved_residual_network),
        PASS_TEST(test_detector_head),
        PASS_TEST(test_feature_pyramid),
        PASS_TEST(test_a_broken_graph_is_an_error),
        PASS_TEST(test_any_memory_limit),
        PASS_TEST(test_det_500m),
        PASS_TEST(test_scrfd_2_5g),
        PASS_TEST(test_mobilefacenet),
        PASS_TEST(test_mini_fasnet_v2),
        PASS_TEST(test_mini_fasnet_v1se),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
