/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static struct vt_value *map(struct pass_test *t) { return input(t, DIMS(1, 3, 4, 5)); }

static struct vt_value *flat(struct pass_test *t, struct vt_value *x) {
    return NODE(t, VT_OP_FLATTEN, ATTRS(attr_int("axis", 1)), x);
}

static void test_product_of_a_flattened_map(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, flat(t, map(t)), uniform(t, -1, 1, DIMS(60, 7)),
                  uniform(t, -1, 1, DIMS(7))));
    expect_pass(t, vt_pass_products_to_convolutions, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 0);
    struct vt_node *conv = find_node(t->graph, VT_OP_FUSED_CONV);
    assert_non_null(conv);
    assert_int_equal(conv->inputs[1]->constant->dims[0], 7);
    assert_int_equal(conv->inputs[1]->constant->dims[3], 5);
}

static void test_tail_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *slope = uniform(t, 0, 1, DIMS(7));
    output(t, NODE(t, VT_OP_FUSED_GEMM, ATTRS(attr_int("act1", VT_ACT_PRELU)), flat(t, map(t)),
                  uniform(t, -1, 1, DIMS(60, 7)), NULL, slope));
    output(t, NODE(t, VT_OP_FUSED_GEMM, ATTRS(attr_int("act1", VT_ACT_RELU)), flat(t, map(t)),
                  uniform(t, -1, 1, DIMS(60, 2))));
    expect_pass(t, vt_pass_products_to_convolutions, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 2);
}

static void test_products_that_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *row = input(t, DIMS(1, 6)), *rows = input(t, DIMS(2, 3, 2, 2));
    output(t, NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, row, uniform(t, -1, 1, DIMS(6, 4))));
    output(t, NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, flat(t, rows), uniform(t, -1, 1, DIMS(12, 4))));
    output(t, NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, flat(t, map(t)), uniform(t, -1, 1, DIMS(60, 4)), NULL, NULL,
                  input(t, DIMS(1, 4))));
    expect_pass(t, vt_pass_products_to_convolutions, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_product_of_a_flattened_map),
        PASS_TEST(test_tail_stays),
        PASS_TEST(test_products_that_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
