/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

/* Reshape/InstanceNormalization/Reshape as PyTorch's exporter writes GroupNorm, without the factors behind. */
static struct vt_value *exported_norm(
    struct pass_test *t, struct vt_value *x, int64_t groups, struct vt_value *scale, struct vt_value *bias) {
    struct vt_value *split = NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 0, groups, -1));
    struct vt_value *norm = NODE(t, VT_OP_INSTANCE_NORM, ATTRS(attr_float("epsilon", 1e-3f)), split, scale, bias);
    return NODE(t, VT_OP_RESHAPE, NO_ATTRS, norm, NODE(t, VT_OP_SHAPE, NO_ATTRS, x));
}

static void test_exported_group_norm(void **state) {
    struct pass_test *t = *state;
    const float ones[4] = {1, 1, 1, 1}, zeros[4] = {0};
    struct vt_value *x = conv(t, input(t, DIMS(1, 3, 6, 7)), 8, 3, NO_ATTRS);
    struct vt_value *y = exported_norm(t, x, 4, filled(t, ones, DIMS(4)), filled(t, zeros, DIMS(4)));
    y = NODE(t, VT_OP_MUL, NO_ATTRS, y, uniform(t, -1, 1, DIMS(8, 1, 1)));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, y, uniform(t, -1, 1, DIMS(8, 1, 1))));
    record(t);
    run_pass(t, vt_pass_recognise_group_norm, true);
    run_pass(t, vt_pass_eliminate, true);
    expect_same_results(t, 1e-5);
    const struct vt_node *norm = find_node(t->graph, VT_OP_GROUP_NORM);
    assert_int_equal(t->graph->n_nodes, 2);
    assert_non_null(norm);
    assert_int_equal(vt_attr_int(&norm->attrs, "num_groups", 0), 4);
}

static void test_factors_per_group_are_spread(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_EXP, NO_ATTRS, input(t, DIMS(1, 6, 4, 5)));
    output(t, exported_norm(t, x, 3, uniform(t, -2, 2, DIMS(3)), uniform(t, -2, 2, DIMS(3))));
    expect_pass(t, vt_pass_recognise_group_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_GROUP_NORM), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_RESHAPE), 0);
}

static void test_instance_norm_is_a_group_per_channel(void **state) {
    struct pass_test *t = *state;
    output(t, NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, input(t, DIMS(2, 5, 4, 4)), uniform(t, -2, 2, DIMS(5)),
                  uniform(t, -2, 2, DIMS(5))));
    expect_pass(t, vt_pass_recognise_group_norm, true);
    assert_int_equal(vt_attr_int(&find_node(t->graph, VT_OP_GROUP_NORM)->attrs, "num_groups", 0), 5);
}

/* Groups of a value of rank 4 are still groups, not channels. */
static void test_a_split_of_rank_four(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 6, 4, 5));
    struct vt_value *split = NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 1, 2, 3, 20));
    struct vt_value *norm =
        NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, split, uniform(t, 1, 2, DIMS(2)), uniform(t, 1, 2, DIMS(2)));
    output(t, NODE(t, VT_OP_RESHAPE, NO_ATTRS, norm, INTS(t, 1, 6, 4, 5)));
    expect_pass(t, vt_pass_recognise_group_norm, true);
    assert_int_equal(t->graph->n_nodes, 1);
    assert_int_equal(vt_attr_int(&t->graph->first->attrs, "num_groups", 0), 2);
}

static void test_inner_values_that_others_read(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 6, 4, 5));
    struct vt_value *y = exported_norm(t, x, 3, uniform(t, 1, 2, DIMS(3)), uniform(t, 1, 2, DIMS(3)));
    output(t, y);
    output(t, y->producer->inputs[0]);
    struct vt_value *z = exported_norm(t, x, 3, uniform(t, 1, 2, DIMS(3)), uniform(t, 1, 2, DIMS(3)));
    output(t, z);
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, z->producer->inputs[0]->producer->inputs[0]));
    expect_pass(t, vt_pass_recognise_group_norm, false);
}

static void test_factors_of_others_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = conv(t, input(t, DIMS(1, 3, 6, 7)), 4, 3, NO_ATTRS);
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, y, scalar(t, 2)));
    expect_pass(t, vt_pass_recognise_group_norm, false);
}

static void test_another_shape_behind(void **state) {
    struct pass_test *t = *state;
    struct vt_value *split = NODE(t, VT_OP_RESHAPE, NO_ATTRS, input(t, DIMS(1, 6, 4, 5)), INTS(t, 1, 3, -1));
    struct vt_value *norm =
        NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, split, uniform(t, 1, 2, DIMS(3)), uniform(t, 1, 2, DIMS(3)));
    output(t, NODE(t, VT_OP_RESHAPE, NO_ATTRS, norm, INTS(t, 1, 6, 5, 4)));
    expect_pass(t, vt_pass_recognise_group_norm, false);
}

/* [1,2,6,2] in 4 "groups" of axis 1 after a split that cuts channels in two. */
static void test_groups_that_cut_channels(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 2, 6, 2));
    output(t, exported_norm(t, x, 4, uniform(t, 1, 2, DIMS(4)), uniform(t, 1, 2, DIMS(4))));
    expect_pass(t, vt_pass_recognise_group_norm, false);
}

static void test_factors_that_are_computed(void **state) {
    struct pass_test *t = *state;
    struct vt_value *scale = input(t, DIMS(5));
    output(t, NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, input(t, DIMS(2, 5, 4, 4)), scale, uniform(t, 1, 2, DIMS(5))));
    expect_pass(t, vt_pass_recognise_group_norm, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_exported_group_norm),
        PASS_TEST(test_factors_per_group_are_spread),
        PASS_TEST(test_instance_norm_is_a_group_per_channel),
        PASS_TEST(test_a_split_of_rank_four),
        PASS_TEST(test_inner_values_that_others_read),
        PASS_TEST(test_factors_of_others_stay),
        PASS_TEST(test_another_shape_behind),
        PASS_TEST(test_groups_that_cut_channels),
        PASS_TEST(test_factors_that_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
