/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static void test_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(2, 4, 7, 6));
    struct vt_attr same = {.name = "auto_pad", .kind = VT_ATTR_STRING, .s = "SAME_LOWER"};
    output(t, conv(t, x, 5, 3, ATTRS(ATTR_INTS("pads", 1, 0, 2, 1), ATTR_INTS("strides", 2, 1))));
    output(t, conv(t, x, 6, 4, ATTRS(same, attr_int("group", 2))));
    output(t, NODE(t, VT_OP_CONV, NO_ATTRS, x, uniform(t, -1, 1, DIMS(3, 4, 1, 1))));
    expect_pass(t, vt_pass_canonicalise, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 3);
}

static void test_transposed_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(2, 4, 5, 3)), *weights = uniform(t, -1, 1, DIMS(4, 3, 2, 3));
    output(t, NODE(t, VT_OP_CONV_TRANSPOSE, ATTRS(ATTR_INTS("strides", 2, 3)), x, weights, uniform(t, -1, 1, DIMS(3))));
    output(t, NODE(t, VT_OP_CONV_TRANSPOSE, ATTRS(attr_int("group", 2)), x, weights, uniform(t, -1, 1, DIMS(6))));
    output(t, NODE(t, VT_OP_CONV_TRANSPOSE, NO_ATTRS, x, input(t, DIMS(4, 3, 1, 1))));
    expect_pass(t, vt_pass_canonicalise, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV_TRANSPOSE), 2);
}

static void product(
    struct pass_test *t, struct vt_value *x, int64_t trans_b, float alpha, float beta, struct vt_value *c) {
    struct vt_value *b = trans_b ? uniform(t, -1, 1, DIMS(7, 5)) : uniform(t, -1, 1, DIMS(5, 7));
    struct vt_attr items[] = {attr_int("transB", trans_b), attr_float("alpha", alpha), attr_float("beta", beta)};
    output(t, node_of(t, VT_OP_GEMM, (struct vt_value *[]){x, b, c}, c ? 3 : 2, (struct attr_set){items, 3}));
}

static void test_products(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(3, 5));
    product(t, x, 0, 1, 1, NULL);
    product(t, x, 1, 1, 1, uniform(t, -1, 1, DIMS(7)));
    product(t, x, 0, 0.25f, -3, uniform(t, -1, 1, DIMS(1, 7)));
    product(t, x, 1, 2, 0.5f, scalar(t, 0.75f));
    product(t, x, 1, 2, 0, uniform(t, -1, 1, DIMS(1, 1)));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, x, uniform(t, -1, 1, DIMS(5, 2))));
    expect_pass(t, vt_pass_canonicalise, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 6);
    assert_int_equal(t->graph->n_nodes, 6);
}

/* Weights that are right as they are stay where they are: they may be a mapped file of hundreds of MiB. */
static void test_fitting_weights_are_not_copied(void **state) {
    struct pass_test *t = *state;
    struct vt_value *weights = uniform(t, -1, 1, DIMS(5, 7)), *x = input(t, DIMS(1, 5));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, x, weights));
    expect_pass(t, vt_pass_canonicalise, true);
    assert_ptr_equal(t->graph->first->inputs[1], weights);
}

static void test_bias_per_column_of_a_single_row(void **state) {
    struct pass_test *t = *state;
    product(t, input(t, DIMS(1, 5)), 0, 1, 1, uniform(t, -1, 1, DIMS(1, 1)));
    expect_pass(t, vt_pass_canonicalise, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 1);
}

static void test_what_has_no_fused_form_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(3, 5)), *stack = input(t, DIMS(2, 3, 5)), *weights = input(t, DIMS(5, 7));
    struct vt_value *picture = input(t, DIMS(1, 5, 4, 4));
    product(t, x, 0, 1, 1, uniform(t, -1, 1, DIMS(3, 1)));
    product(t, x, 0, 1, 1, uniform(t, -1, 1, DIMS(3, 7)));
    output(t, NODE(t, VT_OP_GEMM, ATTRS(attr_int("transA", 1)), x, uniform(t, -1, 1, DIMS(3, 7))));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, x, weights));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, stack, uniform(t, -1, 1, DIMS(5, 7))));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, uniform(t, -1, 1, DIMS(4, 3)), x));
    output(t, NODE(t, VT_OP_CONV, NO_ATTRS, picture, NODE(t, VT_OP_RESHAPE, NO_ATTRS, weights, INTS(t, 7, 5, 1, 1))));
    expect_pass(t, vt_pass_canonicalise, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_convolutions),
        PASS_TEST(test_transposed_convolutions),
        PASS_TEST(test_products),
        PASS_TEST(test_fitting_weights_are_not_copied),
        PASS_TEST(test_bias_per_column_of_a_single_row),
        PASS_TEST(test_what_has_no_fused_form_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
