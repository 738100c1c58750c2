/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "graph/interpreter.h"

static struct vt_graph *graph;
static struct vt_arena arena;
static struct vultus_error error;

static int set_up(void **state) {
    (void)state;
    vt_arena_init(&arena, 0);
    memset(&error, 0, sizeof error);
    return vt_graph_create(0, &graph, &error);
}

static int tear_down(void **state) {
    (void)state;
    vt_graph_destroy(graph);
    vt_arena_fini(&arena);
    return 0;
}

static struct vt_value *input(const char *name, int64_t length) {
    struct vt_value *value = vt_graph_add_value(graph, name);
    assert_true(vt_graph_add_input(graph, value));
    value->dtype = VT_DTYPE_F32;
    value->rank = 1;
    value->dims[0] = vt_dim_constant(&graph->arena, length);
    return value;
}

static struct vt_value *op(enum vt_op which, const char *name, struct vt_value *a, struct vt_value *b) {
    struct vt_value *const inputs[2] = {a, b};
    struct vt_node *node = vt_graph_add_node(graph, NULL, which, name, inputs, b ? 2 : 1, NULL, 1, NULL, 0);
    assert_non_null(node);
    return node->outputs[0];
}

static struct vt_tensor vector(float *values, int64_t count) {
    return (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = 1, .dims = {count}, .data = values};
}

static void expect_vector(const struct vt_tensor *tensor, int64_t count, const float *values) {
    assert_int_equal(tensor->dtype, VT_DTYPE_F32);
    assert_int_equal(tensor->rank, 1);
    assert_int_equal(tensor->dims[0], count);
    for (int64_t i = 0; i < count; i++) assert_float_equal(((const float *)tensor->data)[i], values[i], 0);
}

static void values_may_be_read_often_or_never(void **state) {
    (void)state;
    struct vt_value *x = input("x", 2), *y = input("y", 2);
    struct vt_value *two = vt_graph_add_f32(graph, "two", (const float[]){2, 20}, 2);
    struct vt_value *twice = op(VT_OP_ADD, "twice", x, x);
    op(VT_OP_EXP, "unread", twice, NULL);
    struct vt_value *product = op(VT_OP_MUL, "product", twice, two);
    struct vt_value *difference = op(VT_OP_SUB, "difference", product, twice);
    struct vt_value *const outputs[] = {difference, twice, y, two, difference};
    for (size_t i = 0; i < 5; i++) assert_true(vt_graph_add_output(graph, outputs[i]));

    float x_values[] = {1, 2}, y_values[] = {5, 6};
    const struct vt_tensor inputs[] = {vector(x_values, 2), vector(y_values, 2)};
    struct vt_tensor results[5];
    assert_int_equal(vt_graph_run(graph, inputs, results, &arena, &error), VULTUS_OK);
    /* 2x = 2 4; times 2 20 = 4 80; minus 2 4. */
    expect_vector(&results[0], 2, (const float[]){2, 76});
    expect_vector(&results[1], 2, (const float[]){2, 4});
    expect_vector(&results[2], 2, (const float[]){5, 6});
    expect_vector(&results[3], 2, (const float[]){2, 20});
    expect_vector(&results[4], 2, (const float[]){2, 76});
    assert_ptr_not_equal(results[2].data, y_values);
    /* A graph is not used up by a run. */
    x_values[0] = 10;
    assert_int_equal(vt_graph_run(graph, inputs, results, &arena, &error), VULTUS_OK);
    expect_vector(&results[0], 2, (const float[]){20, 76});
}

static void attributes_and_missing_inputs_reach_the_operator(void **state) {
    (void)state;
    struct vt_value *x = input("x", 3);
    struct vt_tensor *most = vt_arena_alloc(&graph->arena, sizeof *most);
    static float six = 6;
    *most = (struct vt_tensor){.dtype = VT_DTYPE_F32, .data = &six};
    struct vt_value *const clip_inputs[3] = {x, NULL, vt_graph_add_constant(graph, "most", most)};
    struct vt_node *clip = vt_graph_add_node(graph, NULL, VT_OP_CLIP, "clip", clip_inputs, 3, NULL, 1, NULL, 0);
    const struct vt_attr alpha = {.name = "alpha", .kind = VT_ATTR_FLOAT, .f = 0.5f};
    struct vt_node *leaky =
        vt_graph_add_node(graph, NULL, VT_OP_LEAKY_RELU, "leaky", clip->outputs, 1, NULL, 1, &alpha, 1);
    assert_true(vt_graph_add_output(graph, leaky->outputs[0]));
    float values[] = {-4, 4, 9};
    const struct vt_tensor in = vector(values, 3);
    struct vt_tensor out;
    assert_int_equal(vt_graph_run(graph, &in, &out, &arena, &error), VULTUS_OK);
    expect_vector(&out, 3, (const float[]){-2, 4, 6});
}

static void expect_refusal(const struct vt_tensor *in, enum vultus_status status, const char *sentence) {
    struct vt_tensor out;
    assert_int_equal(vt_graph_run(graph, in, &out, &arena, &error), status);
    assert_string_equal(error.text, sentence);
}

static void inputs_must_fit_the_graph(void **state) {
    (void)state;
    struct vt_value *x = input("x", 2);
    assert_true(vt_graph_add_output(graph, op(VT_OP_RELU, "relu", x, NULL)));
    float values[3] = {0};
    struct vt_tensor in = vector(values, 3);
    expect_refusal(&in, VULTUS_ERROR_INVALID, "input \"x\" does not accept float32[3]");
    in = vector(values, 2);
    in.dtype = VT_DTYPE_I32;
    expect_refusal(&in, VULTUS_ERROR_INVALID, "input \"x\" does not accept int32[2]");
    in = vector(values, 2);
    in.rank = 0;
    expect_refusal(&in, VULTUS_ERROR_INVALID, "input \"x\" does not accept float32[]");
}

static void a_failing_node_is_named(void **state) {
    (void)state;
    struct vt_value *x = input("x", 2), *three = vt_graph_add_f32(graph, "three", (const float[]){1, 2, 3}, 3);
    struct vt_value *fine = op(VT_OP_RELU, "fine", x, NULL);
    assert_true(vt_graph_add_output(graph, op(VT_OP_ADD, "sum", fine, three)));
    float values[2] = {0};
    const struct vt_tensor in = vector(values, 2);
    expect_refusal(
        &in, VULTUS_ERROR_INVALID, "node \"sum\": Add: float32[2] and float32[3] cannot be broadcast together");
}

static void values_must_be_computed_before_they_are_read(void **state) {
    (void)state;
    struct vt_value *x = input("x", 2), *nowhere = vt_graph_add_value(graph, "nowhere");
    float values[2] = {0};
    const struct vt_tensor in = vector(values, 2);
    assert_true(vt_graph_add_output(graph, nowhere));
    expect_refusal(&in, VULTUS_ERROR_INVALID, "nothing computes the output \"nowhere\"");
    op(VT_OP_ADD, "sum", x, nowhere);
    expect_refusal(&in, VULTUS_ERROR_INVALID, "node \"sum\" reads \"nowhere\" before it is computed");
}

static void the_memory_limit_holds_for_every_node(void **state) {
    (void)state;
    enum { LENGTH = 4096 };
    static float values[LENGTH];
    struct vt_value *x = input("x", LENGTH);
    assert_true(vt_graph_add_output(graph, op(VT_OP_RELU, "relu", x, NULL)));
    const struct vt_tensor in = vector(values, LENGTH);
    struct vt_tensor out;
    for (size_t limit = 1; limit <= sizeof values; limit *= 2) {
        struct vt_arena limited;
        vt_arena_init(&limited, limit);
        assert_int_equal(vt_graph_run(graph, &in, &out, &limited, &error), VULTUS_ERROR_MEMORY);
        vt_arena_fini(&limited);
    }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS_FREED_MEMORY 1
#elif defined(__has_feature)
#define KEEPS_FREED_MEMORY (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define KEEPS_FREED_MEMORY 0
#endif

static long peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void dead_values_are_released(void **state) {
    (void)state;
    if (KEEPS_FREED_MEMORY) skip();
    enum { LENGTH = 1 << 20, NODES = 100 };
    static float values[LENGTH];
    struct vt_value *last = input("x", LENGTH);
    for (int i = 0; i < NODES; i++) {
        op(VT_OP_RELU, "unread", last, NULL);
        last = op(VT_OP_RELU, "link", last, NULL);
    }
    assert_true(vt_graph_add_output(graph, last));
    const struct vt_tensor in = vector(values, LENGTH);
    struct vt_tensor out;
    memset(values, 1, sizeof values);
    long before = peak_kib();
    assert_int_equal(vt_graph_run(graph, &in, &out, &arena, &error), VULTUS_OK);
    /* All results together are 800 MiB; a handful of 4 MiB each may live at once. */
    assert_true(peak_kib() - before < 64 * 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_may_be_read_often_or_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attributes_and_missing_inputs_reach_the_operator, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inputs_must_fit_the_graph, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failing_node_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_must_be_computed_before_they_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_memory_limit_holds_for_every_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dead_values_are_released, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("interpreter", tests, NULL, NULL);
}
