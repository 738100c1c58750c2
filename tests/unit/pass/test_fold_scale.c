/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static struct vt_value *picture(struct pass_test *t) { return input(t, DIMS(1, 3, 6, 5)); }

/* Each kind of factor behind a convolution of its own. */
static void test_after_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    struct vt_attr pads = ATTR_INTS("pads", 1, 1, 1, 1);
    struct vt_value *y[8];
    for (int i = 0; i < 8; i++) y[i] = conv(t, x, 4, 3, ATTRS(pads));
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, y[0], scalar(t, -1.5f)));
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, uniform(t, -2, 2, DIMS(4, 1, 1)), y[1]));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, y[2], uniform(t, -2, 2, DIMS(1, 4, 1, 1))));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, uniform(t, -2, 2, DIMS(1)), y[3]));
    output(t, NODE(t, VT_OP_SUB, NO_ATTRS, y[4], uniform(t, -2, 2, DIMS(4, 1, 1))));
    output(t, NODE(t, VT_OP_SUB, NO_ATTRS, uniform(t, -2, 2, DIMS(4, 1, 1)), y[5]));
    output(t, NODE(t, VT_OP_DIV, NO_ATTRS, y[6], uniform(t, 1, 2, DIMS(4, 1, 1))));
    output(t, NODE(t, VT_OP_DIV, NO_ATTRS, NODE(t, VT_OP_SUB, NO_ATTRS, y[7], scalar(t, 2)), scalar(t, 3)));
    expect_pass(t, vt_pass_fold_scale, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 8);
    assert_int_equal(t->graph->n_nodes, 8);
}

static void test_after_products(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(2, 6));
    struct vt_value *gemm = NODE(t, VT_OP_GEMM, NO_ATTRS, x, uniform(t, -1, 1, DIMS(6, 4)));
    struct vt_value *product = NODE(t, VT_OP_MATMUL, NO_ATTRS, x, uniform(t, -1, 1, DIMS(6, 4)));
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, gemm, uniform(t, -1, 1, DIMS(4))));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, product, uniform(t, -1, 1, DIMS(1, 4))));
    expect_pass(t, vt_pass_fold_scale, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 2);
    assert_int_equal(t->graph->n_nodes, 2);
}

/* (x - 127.5) / 128 as the first nodes of a network goes into its first convolution, padding included. */
static void test_input_normalisation_folds_forward(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_SUB, NO_ATTRS, picture(t), scalar(t, 127.5f));
    x = NODE(t, VT_OP_DIV, NO_ATTRS, x, scalar(t, 128));
    output(t, conv(t, x, 4, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    record(t);
    run_pass(t, vt_pass_fold_scale, true);
    run_pass(t, vt_pass_fold_batch_norm, true);
    expect_same_results(t, 1e-5);
    assert_int_equal(t->graph->n_nodes, 1);
    assert_true(*(const float *)t->graph->first->inputs[3]->constant->data == 127.5f);
}

static void test_what_varies_elsewhere_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    for (int i = 0; i < 5; i++) {
        struct vt_value *y = conv(t, x, 4, 3, NO_ATTRS),
                        *constants[] = {uniform(t, 1, 2, DIMS(3)), uniform(t, 1, 2, DIMS(4, 1)),
                            uniform(t, 1, 2, DIMS(4, 4, 3)), uniform(t, 1, 2, DIMS(2, 1, 1, 1)),
                            uniform(t, 1, 2, DIMS(1, 1, 4, 1, 1))};
        output(t, NODE(t, VT_OP_MUL, NO_ATTRS, y, constants[i]));
    }
    expect_pass(t, vt_pass_fold_scale, false);
    assert_int_equal(count_nodes(t->graph, VT_OP_MUL), 5);
}

static void test_quotients_that_are_no_scale_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    output(t, NODE(t, VT_OP_DIV, NO_ATTRS, scalar(t, 2), conv(t, x, 4, 3, NO_ATTRS)));
    struct vt_value *by_zero = NODE(t, VT_OP_DIV, NO_ATTRS, conv(t, x, 4, 3, NO_ATTRS), scalar(t, 0));
    assert_non_null(by_zero);
    run_pass(t, vt_pass_fold_scale, false);
}

/* Nothing takes the factors: on pictures they become one Affine, elsewhere they stay. */
static void test_without_a_neighbour(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_EXP, NO_ATTRS, picture(t));
    struct vt_value *flat = NODE(t, VT_OP_FLATTEN, NO_ATTRS, x);
    struct vt_value *y = NODE(t, VT_OP_MUL, NO_ATTRS, x, uniform(t, 1, 2, DIMS(3, 1, 1)));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, y, scalar(t, 1)));
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, flat, scalar(t, 3)));
    expect_pass(t, vt_pass_fold_scale, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_MUL), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_ADD), 0);
}

static void test_a_result_that_others_read_is_not_scaled(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = conv(t, picture(t), 4, 3, NO_ATTRS);
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, y, scalar(t, 2)));
    output(t, NODE(t, VT_OP_TANH, NO_ATTRS, y));
    expect_pass(t, vt_pass_fold_scale, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_integers_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *whole = NODE(t, VT_OP_CAST, ATTRS(attr_int("to", 7)), picture(t));
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, whole, INTS(t, 2)));
    expect_pass(t, vt_pass_fold_scale, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_after_convolutions),
        PASS_TEST(test_after_products),
        PASS_TEST(test_input_normalisation_folds_forward),
        PASS_TEST(test_what_varies_elsewhere_stays),
        PASS_TEST(test_quotients_that_are_no_scale_stay),
        PASS_TEST(test_without_a_neighbour),
        PASS_TEST(test_a_result_that_others_read_is_not_scaled),
        PASS_TEST(test_integers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
