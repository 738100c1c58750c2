/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

/* A head as SCRFD writes it: Conv, Transpose to NHWC, Reshape to one row per anchor. */
static struct vt_value *head(struct pass_test *t) {
    struct vt_value *y = conv(t, input(t, DIMS(1, 3, 4, 5)), 2, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)));
    y = NODE(t, VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 2, 3, 0, 1)), y);
    return NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, INTS(t, -1, 1));
}

static void test_behind_a_chain(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, head(t)));
    expect_pass(t, vt_pass_hoist_activation, true);
    assert_int_equal(find_node(t->graph, VT_OP_SIGMOID)->inputs[0]->producer->op, VT_OP_CONV);
    assert_int_equal(t->graph->last->op, VT_OP_RESHAPE);
    assert_int_equal(t->graph->n_nodes, 4);
}

static void test_every_movement_and_activation(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 3, 4, 5));
    struct vt_value *a = NODE(t, VT_OP_FLATTEN, NO_ATTRS, conv(t, x, 2, 1, NO_ATTRS));
    struct vt_value *b = NODE(t, VT_OP_SQUEEZE, NO_ATTRS, conv(t, x, 2, 1, NO_ATTRS), INTS(t, 0));
    struct vt_value *c = NODE(t, VT_OP_UNSQUEEZE, NO_ATTRS, conv(t, x, 2, 1, NO_ATTRS), INTS(t, 0));
    struct vt_value *d = NODE(t, VT_OP_TRANSPOSE, NO_ATTRS, conv(t, x, 2, 1, NO_ATTRS));
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, a));
    output(t, NODE(t, VT_OP_LEAKY_RELU, ATTRS(attr_float("alpha", 0.3f)), b));
    output(t, NODE(t, VT_OP_TANH, NO_ATTRS, c));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, d, scalar(t, -1), scalar(t, 0.5f)));
    expect_pass(t, vt_pass_hoist_activation, true);
    for (const struct vt_node *node = t->graph->first; node; node = node->next)
        if (node->op == VT_OP_CONV) assert_true(vt_value_only_user(t->graph, node->outputs[0])->op != VT_OP_TRANSPOSE);
    assert_int_equal(t->graph->n_nodes, 12);
}

static void test_two_activations_keep_their_order(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = NODE(t, VT_OP_CLIP, NO_ATTRS, head(t), scalar(t, -1), scalar(t, 0.5f));
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, y));
    expect_pass(t, vt_pass_hoist_activation, true);
    assert_int_equal(t->graph->last->op, VT_OP_RESHAPE);
    assert_int_equal(find_node(t->graph, VT_OP_SIGMOID)->inputs[0]->producer->op, VT_OP_CLIP);
}

static void test_a_moved_value_that_others_read(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = head(t);
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, y));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, y));
    expect_pass(t, vt_pass_hoist_activation, false);
}

/* Only the part of the chain that nobody else reads is passed. */
static void test_a_chain_with_a_reader_inside(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = head(t), *transposed = y->producer->inputs[0];
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, y));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, transposed));
    expect_pass(t, vt_pass_hoist_activation, false);
}

static void test_a_convolution_that_others_read(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = head(t), *raw = y->producer->inputs[0]->producer->inputs[0];
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, y));
    output(t, raw);
    expect_pass(t, vt_pass_hoist_activation, false);
}

static void test_nothing_before_the_chain(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, NODE(t, VT_OP_TRANSPOSE, NO_ATTRS, input(t, DIMS(3, 4)))));
    expect_pass(t, vt_pass_hoist_activation, false);
}

/* Its slope belongs to an axis that the chain moves. */
static void test_a_slope_stays(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, head(t), uniform(t, 0, 1, DIMS(1))));
    expect_pass(t, vt_pass_hoist_activation, false);
}

static void test_bounds_that_are_computed_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *low = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, SCALAR));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, head(t), low));
    expect_pass(t, vt_pass_hoist_activation, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_behind_a_chain),
        PASS_TEST(test_every_movement_and_activation),
        PASS_TEST(test_two_activations_keep_their_order),
        PASS_TEST(test_a_moved_value_that_others_read),
        PASS_TEST(test_a_chain_with_a_reader_inside),
        PASS_TEST(test_a_convolution_that_others_read),
        PASS_TEST(test_nothing_before_the_chain),
        PASS_TEST(test_a_slope_stays),
        PASS_TEST(test_bounds_that_are_computed_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
