/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static struct vt_value *fused(struct pass_test *t, struct vt_value *x) {
    int64_t dims[VT_MAX_RANK];
    assert_true(vt_value_static_dims(x, dims));
    return NODE(
        t, VT_OP_FUSED_CONV, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)), x, uniform(t, -1, 1, DIMS(dims[1], dims[1], 3, 3)));
}

static struct vt_value *picture(struct pass_test *t) { return input(t, DIMS(1, 4, 5, 6)); }

static struct vt_tail tail_of(const struct vt_value *value) { return vt_tail_from_attrs(&value->producer->attrs); }

/* ------------------------------------------------------------ activations */

static void test_every_activation(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_LEAKY_RELU, ATTRS(attr_float("alpha", 0.2f)), fused(t, x)));
    output(t, NODE(t, VT_OP_LEAKY_RELU, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_TANH, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, fused(t, x), scalar(t, 0), scalar(t, 1.5f)));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, fused(t, x), NULL, scalar(t, 0.5f)));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, fused(t, x), scalar(t, -0.5f)));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, fused(t, x), uniform(t, -0.5f, 0.5f, DIMS(4, 1, 1))));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, fused(t, x), uniform(t, 0, 1, DIMS(1))));
    output(t, NODE(t, VT_OP_ELU, ATTRS(attr_float("alpha", 0.5f)), fused(t, x)));
    output(t, NODE(t, VT_OP_ELU, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_HARD_SIGMOID, ATTRS(attr_float("alpha", 0.3f)), fused(t, x)));
    output(t, NODE(t, VT_OP_HARD_SIGMOID, NO_ATTRS, fused(t, x)));
    output(t, NODE(t, VT_OP_HARD_SWISH, NO_ATTRS, fused(t, x)));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 15);
    assert_int_equal(tail_of(t->graph->outputs[8]).act1, VT_ACT_PRELU);
}

static void test_products_norms_and_affine(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t), *row = input(t, DIMS(2, 5));
    struct vt_value *gemm = NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, row, uniform(t, -1, 1, DIMS(5, 3)));
    struct vt_value *norm = NODE(t, VT_OP_GROUP_NORM, ATTRS(attr_int("num_groups", 2)), x, uniform(t, -1, 1, DIMS(4)),
        uniform(t, -1, 1, DIMS(4)));
    struct vt_value *affine =
        NODE(t, VT_OP_AFFINE, NO_ATTRS, x, uniform(t, -1, 1, DIMS(4)), uniform(t, -1, 1, DIMS(4)));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, gemm, uniform(t, 0, 1, DIMS(3))));
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, norm));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, affine, uniform(t, 0, 1, DIMS(4, 1, 1))));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 3);
}

static void test_transposed_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 3, 4, 5)), *residual = input(t, DIMS(1, 4, 8, 10)), *y[3];
    for (int i = 0; i < 3; i++)
        y[i] = NODE(t, VT_OP_FUSED_CONV_TRANSPOSE, ATTRS(ATTR_INTS("strides", 2, 2)), x,
            uniform(t, -1, 1, DIMS(3, 4, 2, 2)), uniform(t, -1, 1, DIMS(4)));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, y[0], uniform(t, -1, 1, DIMS(4, 1, 1))));
    output(t, NODE(t, VT_OP_HARD_SWISH, NO_ATTRS, NODE(t, VT_OP_ADD, NO_ATTRS, residual, y[1])));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, NODE(t, VT_OP_ELU, NO_ATTRS, y[2]), residual));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 3);
}

static void test_group_norm_has_no_slope(void **state) {
    struct pass_test *t = *state;
    struct vt_value *norm = NODE(t, VT_OP_GROUP_NORM, ATTRS(attr_int("num_groups", 2)), picture(t),
        uniform(t, -1, 1, DIMS(4)), uniform(t, -1, 1, DIMS(4)));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, norm, uniform(t, 0, 1, DIMS(4, 1, 1))));
    expect_pass(t, vt_pass_fuse_tail, false);
}

static void test_activations_that_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t), *shared = fused(t, x), *public = fused(t, x);
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, shared));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, shared));
    output(t, public);
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, public));
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, fused(t, x), uniform(t, 0, 1, DIMS(5, 6))));
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, fused(t, x), NODE(t, VT_OP_TANH, NO_ATTRS, input(t, SCALAR))));
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, x));
    expect_pass(t, vt_pass_fuse_tail, false);
}

static void test_a_second_activation_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = NODE(t, VT_OP_RELU, NO_ATTRS, fused(t, picture(t)));
    output(t, NODE(t, VT_OP_TANH, NO_ATTRS, y));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 2);
}

/* ------------------------------------------------------------ residuals */

static void test_residual_then_activation(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    struct vt_value *sum = NODE(t, VT_OP_ADD, NO_ATTRS, fused(t, x), x);
    output(t, NODE(t, VT_OP_RELU, NO_ATTRS, sum));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 1);
    assert_int_equal(tail_of(t->graph->outputs[0]).act1, VT_ACT_NONE);
    assert_int_equal(tail_of(t->graph->outputs[0]).act2, VT_ACT_RELU);
}

static void test_activations_on_both_sides(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    struct vt_value *y = NODE(t, VT_OP_PRELU, NO_ATTRS, fused(t, x), uniform(t, 0, 1, DIMS(4, 1, 1)));
    struct vt_value *sum = NODE(t, VT_OP_ADD, NO_ATTRS, x, y);
    output(t, NODE(t, VT_OP_CLIP, NO_ATTRS, sum, scalar(t, -1), scalar(t, 2)));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 1);
    assert_int_equal(tail_of(t->graph->outputs[0]).act1, VT_ACT_PRELU);
    assert_int_equal(tail_of(t->graph->outputs[0]).act2, VT_ACT_CLIP);
}

static void test_a_slope_behind_a_residual_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t), *sum = NODE(t, VT_OP_ADD, NO_ATTRS, fused(t, x), x);
    output(t, NODE(t, VT_OP_PRELU, NO_ATTRS, sum, uniform(t, 0, 1, DIMS(4, 1, 1))));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 2);
    assert_int_equal(count_nodes(t->graph, VT_OP_PRELU), 1);
}

static void test_the_later_convolution_takes_the_residual(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    for (int swap = 0; swap < 2; swap++) {
        struct vt_value *first = fused(t, x), *second = fused(t, x);
        first->producer->name = "first";
        second->producer->name = "second";
        output(t, NODE(t, VT_OP_ADD, NO_ATTRS, swap ? second : first, swap ? first : second));
    }
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 4);
    for (int i = 0; i < 2; i++) assert_string_equal(t->graph->outputs[i]->producer->name, "second");
}

/* The convolution stands before the other operand exists: it moves to where the Add was. */
static void test_the_order_stays_valid(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t), *y = fused(t, x), *late = NODE(t, VT_OP_EXP, NO_ATTRS, x);
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, y, late));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 2);
    assert_int_equal(t->graph->first->op, VT_OP_EXP);
}

static void test_products_take_residuals(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(3, 5));
    struct vt_value *y =
        NODE(t, VT_OP_FUSED_GEMM, NO_ATTRS, x, uniform(t, -1, 1, DIMS(5, 5)), uniform(t, 0, 1, DIMS(5)));
    struct vt_value *sum = NODE(t, VT_OP_ADD, NO_ATTRS, y, x);
    output(t, NODE(t, VT_OP_SIGMOID, NO_ATTRS, sum));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 1);
}

static void test_chains_of_sums(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t);
    for (int i = 0; i < 3; i++) x = NODE(t, VT_OP_ADD, NO_ATTRS, x, fused(t, x));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, x, picture(t)));
    expect_pass(t, vt_pass_fuse_tail, true);
    assert_int_equal(t->graph->n_nodes, 4);
    assert_int_equal(count_nodes(t->graph, VT_OP_ADD), 1);
}

static void test_sums_that_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = picture(t), *doubled = fused(t, x), *public = fused(t, x);
    const float sizes[4] = {1, 1, 2, 2};
    struct vt_value *small = NODE(t, VT_OP_MAX_POOL, ATTRS(ATTR_INTS("kernel_shape", 2, 2), ATTR_INTS("strides", 2, 2)),
        input(t, DIMS(1, 4, 4, 6)));
    struct vt_value *up = NODE(t, VT_OP_RESIZE, NO_ATTRS, small, NULL, filled(t, sizes, DIMS(4)));
    struct vt_value *lateral = fused(t, input(t, DIMS(1, 4, 4, 6)));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, doubled, doubled));
    output(t, public);
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, public, x));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, fused(t, x), uniform(t, 0, 1, DIMS(1, 4, 5, 6))));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, fused(t, x), NODE(t, VT_OP_GLOBAL_AVERAGE_POOL, NO_ATTRS, x)));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, lateral, up)); /* lowering makes one step of Resize and Add */
    expect_pass(t, vt_pass_fuse_tail, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_every_activation),
        PASS_TEST(test_products_norms_and_affine),
        PASS_TEST(test_transposed_convolutions),
        PASS_TEST(test_group_norm_has_no_slope),
        PASS_TEST(test_activations_that_stay),
        PASS_TEST(test_a_second_activation_stays),
        PASS_TEST(test_residual_then_activation),
        PASS_TEST(test_activations_on_both_sides),
        PASS_TEST(test_a_slope_behind_a_residual_stays),
        PASS_TEST(test_the_later_convolution_takes_the_residual),
        PASS_TEST(test_the_order_stays_valid),
        PASS_TEST(test_products_take_residuals),
        PASS_TEST(test_chains_of_sums),
        PASS_TEST(test_sums_that_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
