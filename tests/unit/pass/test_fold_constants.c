/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static void test_shape_chain_becomes_a_constant(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 6, 4, 5));
    struct vt_value *shape = NODE(t, VT_OP_SHAPE, NO_ATTRS, x);
    struct vt_value *height = NODE(t, VT_OP_GATHER, NO_ATTRS, shape, INTS(t, 2));
    struct vt_value *rest = NODE(t, VT_OP_MUL, NO_ATTRS, height, INTS(t, 5));
    struct vt_value *target = NODE(t, VT_OP_CONCAT, ATTRS(attr_int("axis", 0)), INTS(t, 1, 6), rest);
    output(t, NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, target));
    expect_pass(t, vt_pass_fold_constants, true);
    assert_int_equal(t->graph->n_nodes, 1);
    const struct vt_tensor *folded = t->graph->first->inputs[1]->constant;
    assert_non_null(folded);
    assert_int_equal(folded->dtype, VT_DTYPE_I64);
    assert_int_equal(vt_tensor_get_int(folded, 2), 20);
}

static void test_float_arithmetic_is_computed(void **state) {
    struct pass_test *t = *state;
    struct vt_value *sum = NODE(t, VT_OP_ADD, NO_ATTRS, uniform(t, 0, 1, DIMS(3, 1)), uniform(t, 0, 1, DIMS(1, 4)));
    struct vt_value *root = NODE(t, VT_OP_SQRT, NO_ATTRS, sum);
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, input(t, DIMS(2, 3, 4)), root));
    expect_pass(t, vt_pass_fold_constants, true);
    assert_int_equal(t->graph->n_nodes, 1);
}

static void test_a_constant_output_keeps_its_name(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_SHAPE, NO_ATTRS, input(t, DIMS(1, 3, 8, 8))));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, uniform(t, 0, 1, DIMS(5))));
    expect_pass(t, vt_pass_fold_constants, true);
    assert_int_equal(t->graph->n_nodes, 0);
}

static void test_what_depends_on_an_input_stays(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, input(t, DIMS(3)), scalar(t, 1)));
    expect_pass(t, vt_pass_fold_constants, false);
}

static void test_large_constants_are_not_made(void **state) {
    struct pass_test *t = *state;
    struct vt_value *large = NODE(t, VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INTS(t, 4096, 4097));
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, large));
    size_t used = t->graph->arena.used;
    run_pass(t, vt_pass_fold_constants, false);
    assert_true(t->graph->arena.used - used < 1 << 20);
    /* One row less is 64 MiB, which is allowed. */
    struct vt_value *fits = NODE(t, VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INTS(t, 4096, 4096));
    output(t, fits);
    size_t changed = 0;
    assert_int_equal(vt_pass_fold_constants(t->graph, &changed, NULL), VULTUS_OK);
    assert_int_equal(changed, 1);
}

static void test_a_failing_computation_is_an_error(void **state) {
    struct pass_test *t = *state;
    struct vt_value *quotient = NODE(t, VT_OP_DIV, NO_ATTRS, INTS(t, 1, 2, 3), INTS(t, 1, 0, 1));
    output(t, quotient);
    struct vultus_error error = {0};
    assert_int_not_equal(vt_pass_fold_constants(t->graph, NULL, &error), VULTUS_OK);
    assert_true(strlen(error.text) > 0);
}

static void test_out_of_memory_is_reported(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INTS(t, 1024, 1024)));
    t->graph->arena.limit = t->graph->arena.used + (1 << 20);
    struct vultus_error error = {0};
    assert_int_not_equal(vt_pass_fold_constants(t->graph, NULL, &error), VULTUS_OK);
    assert_true(strlen(error.text) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_shape_chain_becomes_a_constant),
        PASS_TEST(test_float_arithmetic_is_computed),
        PASS_TEST(test_a_constant_output_keeps_its_name),
        PASS_TEST(test_what_depends_on_an_input_stays),
        PASS_TEST(test_large_constants_are_not_made),
        PASS_TEST(test_a_failing_computation_is_an_error),
        PASS_TEST(test_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
