/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static void test_nodes_that_change_nothing_go(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_IDENTITY, NO_ATTRS, input(t, DIMS(1, 3, 4, 5)));
    x = NODE(t, VT_OP_RELU, NO_ATTRS, x);
    x = NODE(t, VT_OP_DROPOUT, NO_ATTRS, x);
    x = NODE(t, VT_OP_CAST, ATTRS(attr_int("to", 1)), x);
    x = NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 1, 3, -1, 5));
    x = NODE(t, VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 0, 1, 2, 3)), x);
    x = NODE(t, VT_OP_CONCAT, ATTRS(attr_int("axis", 1)), x);
    x = NODE(t, VT_OP_FLATTEN, NO_ATTRS, x);
    output(t, NODE(t, VT_OP_FLATTEN, NO_ATTRS, x));
    expect_pass(t, vt_pass_eliminate, true);
    assert_int_equal(t->graph->n_nodes, 2);
    assert_int_equal(t->graph->first->op, VT_OP_RELU);
    assert_int_equal(t->graph->last->op, VT_OP_FLATTEN);
}

static void test_nodes_that_change_something_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_RELU, NO_ATTRS, input(t, DIMS(1, 3, 4, 4)));
    output(t, NODE(t, VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 0, 1, 3, 2)), x));
    output(t, NODE(t, VT_OP_TRANSPOSE, NO_ATTRS, x));
    output(t, NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 1, 4, 3, 4)));
    output(t, NODE(t, VT_OP_CAST, ATTRS(attr_int("to", 6)), x));
    output(t, NODE(t, VT_OP_CONCAT, ATTRS(attr_int("axis", 1)), x, x));
    expect_pass(t, vt_pass_eliminate, false);
}

static void test_unread_branches_go(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_RELU, NO_ATTRS, input(t, DIMS(2, 3)));
    NODE(t, VT_OP_EXP, NO_ATTRS, NODE(t, VT_OP_SQRT, NO_ATTRS, x));
    output(t, NODE(t, VT_OP_TANH, NO_ATTRS, x));
    expect_pass(t, vt_pass_eliminate, true);
    assert_int_equal(t->graph->n_nodes, 2);
}

static void test_outputs_behind_identities_keep_their_names(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_RELU, NO_ATTRS, input(t, DIMS(2, 3)));
    output(t, NODE(t, VT_OP_IDENTITY, NO_ATTRS, x));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, x));
    expect_pass(t, vt_pass_eliminate, true);
    assert_int_equal(t->graph->n_nodes, 2);
}

/* One value cannot have two public names: then the Identity is what makes the second. */
static void test_an_identity_between_public_names_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(2, 3)), *y = NODE(t, VT_OP_RELU, NO_ATTRS, x);
    output(t, NODE(t, VT_OP_IDENTITY, NO_ATTRS, x));
    output(t, y);
    output(t, NODE(t, VT_OP_IDENTITY, NO_ATTRS, y));
    expect_pass(t, vt_pass_eliminate, false);
    assert_int_equal(count_nodes(t->graph, VT_OP_IDENTITY), 2);
}

static void test_readers_beside_such_an_output_are_redirected(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(2, 3)), *same = NODE(t, VT_OP_IDENTITY, NO_ATTRS, x);
    output(t, same);
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, same));
    expect_pass(t, vt_pass_eliminate, true);
    assert_ptr_equal(find_node(t->graph, VT_OP_EXP)->inputs[0], x);
}

static void test_dropout_in_training_stays(void **state) {
    struct pass_test *t = *state;
    float one = 1;
    struct vt_tensor yes = {.dtype = VT_DTYPE_BOOL, .data = &(uint8_t){1}};
    struct vt_value *training = vt_graph_add_constant(t->graph, "training", &yes);
    output(t, NODE(t, VT_OP_DROPOUT, NO_ATTRS, input(t, DIMS(2, 3)), filled(t, &one, SCALAR), training));
    run_pass(t, vt_pass_eliminate, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_nodes_that_change_nothing_go),
        PASS_TEST(test_nodes_that_change_something_stay),
        PASS_TEST(test_unread_branches_go),
        PASS_TEST(test_outputs_behind_identities_keep_their_names),
        PASS_TEST(test_an_identity_between_public_names_stays),
        PASS_TEST(test_readers_beside_such_an_output_are_redirected),
        PASS_TEST(test_dropout_in_training_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
