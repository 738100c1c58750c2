/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "pass_test.h"

static void expect_only(const struct pass_test *t, enum vt_op op, size_t count) {
    assert_int_equal(count_nodes(t->graph, op), count);
    assert_int_equal(t->graph->n_nodes, count);
}

static struct vt_value *border_of(const struct vt_node *conv) { return conv->n_inputs > 3 ? conv->inputs[3] : NULL; }

/* ------------------------------------------------------------ behind a convolution or product */

static void test_after_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 6, 7, 5));
    struct vt_value *plain = conv(t, x, 8, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)));
    struct vt_value *grouped = conv(t, x, 4, 3, ATTRS(attr_int("group", 2), ATTR_INTS("strides", 2, 1)));
    struct vt_value *depthwise = conv(t, x, 6, 3, ATTRS(attr_int("group", 6)));
    struct vt_value *bare = NODE(t, VT_OP_CONV, NO_ATTRS, x, uniform(t, -1, 1, DIMS(5, 6, 1, 1)));
    output(t, batch_norm(t, plain));
    output(t, batch_norm(t, grouped));
    output(t, batch_norm(t, depthwise));
    output(t, batch_norm(t, bare));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    expect_only(t, VT_OP_FUSED_CONV, 4);
}

/* Of several groups each weight serves several channels' places: left alone. */
static void test_after_transposed_convolutions(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 4, 5, 3)), *weights = uniform(t, -1, 1, DIMS(4, 3, 2, 3));
    struct vt_value *plain =
        NODE(t, VT_OP_CONV_TRANSPOSE, ATTRS(ATTR_INTS("strides", 2, 3)), x, weights, uniform(t, -1, 1, DIMS(3)));
    struct vt_value *grouped = NODE(t, VT_OP_CONV_TRANSPOSE, ATTRS(attr_int("group", 2)), x, weights);
    output(t, batch_norm(t, plain));
    output(t, batch_norm(t, grouped));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV_TRANSPOSE), 2);
    assert_int_equal(t->graph->n_nodes, 3);
}

static void test_after_products(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(3, 10));
    struct vt_attr factors[] = {attr_int("transB", 1), attr_float("alpha", 0.5f), attr_float("beta", 2)};
    struct vt_value *gemm = NODE(
        t, VT_OP_GEMM, ((struct attr_set){factors, 3}), x, uniform(t, -1, 1, DIMS(7, 10)), uniform(t, -1, 1, DIMS(7)));
    struct vt_value *product = NODE(t, VT_OP_MATMUL, NO_ATTRS, x, uniform(t, -1, 1, DIMS(10, 6)));
    output(t, batch_norm(t, gemm));
    output(t, batch_norm(t, product));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    expect_only(t, VT_OP_FUSED_GEMM, 2);
}

static void test_after_group_norm_and_affine(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 6, 4, 3));
    struct vt_value *grouped = NODE(t, VT_OP_GROUP_NORM, ATTRS(attr_int("num_groups", 3)), x,
        uniform(t, -1, 1, DIMS(6)), uniform(t, -1, 1, DIMS(6)));
    struct vt_value *first = batch_norm(t, NODE(t, VT_OP_EXP, NO_ATTRS, x));
    output(t, batch_norm(t, grouped));
    output(t, batch_norm(t, first));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 3);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_result_that_others_read_is_not_scaled(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = conv(t, input(t, DIMS(1, 3, 6, 6)), 4, 3, NO_ATTRS);
    struct vt_value *public = conv(t, y, 4, 3, NO_ATTRS);
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, batch_norm(t, y), y));
    output(t, public);
    output(t, batch_norm(t, public));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 2);
    assert_int_equal(count_nodes(t->graph, VT_OP_BATCH_NORM), 0);
}

static void test_a_tail_between_keeps_them_apart(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 3, 6, 6));
    struct vt_value *relu =
        NODE(t, VT_OP_FUSED_CONV, ATTRS(attr_int("act1", VT_ACT_RELU)), x, uniform(t, -1, 1, DIMS(3, 3, 1, 1)));
    struct vt_value *sum =
        NODE(t, VT_OP_FUSED_CONV, NO_ATTRS, x, uniform(t, -1, 1, DIMS(3, 3, 1, 1)), NULL, NULL, NULL, x);
    output(t, batch_norm(t, relu));
    output(t, batch_norm(t, sum));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 2);
}

static void test_shared_weights_are_copied(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = input(t, DIMS(1, 3, 6, 6)), *weights = uniform(t, -1, 1, DIMS(4, 3, 3, 3)),
                    *bias = uniform(t, -1, 1, DIMS(4));
    for (int i = 0; i < 3; i++) {
        struct vt_value *y = NODE(t, VT_OP_CONV, NO_ATTRS, x, weights, bias);
        output(t, i < 2 ? batch_norm(t, y) : y);
    }
    weights->owned = bias->owned = true;
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 2);
}

/* Weights of a second fold are the pass's own and change in place: no third copy. */
static void test_folding_twice_copies_weights_once(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = batch_norm(t, input(t, DIMS(1, 256, 3, 3)));
    output(t, batch_norm(t, batch_norm(t, conv(t, x, 256, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))))));
    record(t);
    size_t used = t->graph->arena.used, weights = (size_t)256 * 256 * 9 * sizeof(float);
    run_pass(t, vt_pass_fold_batch_norm, true);
    expect_only(t, VT_OP_FUSED_CONV, 1);
    expect_same_results(t, 1e-5);
    assert_true(t->graph->arena.used - used < 2 * weights);
}

/* ------------------------------------------------------------ before a convolution */

static void expect_folds_before(struct pass_test *t, int64_t outputs, int64_t kernel, struct attr_set attrs) {
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 6, 9, 8)));
    output(t, conv(t, batch_norm(t, x), outputs, kernel, attrs));
    output(t, NODE(t, VT_OP_EXP, NO_ATTRS, x));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 3);
    assert_non_null(border_of(find_node(t->graph, VT_OP_FUSED_CONV)));
}

static void test_before_a_padded_convolution(void **state) {
    expect_folds_before(*state, 8, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)));
}

static void test_before_uneven_pads(void **state) {
    expect_folds_before(*state, 8, 3, ATTRS(ATTR_INTS("pads", 0, 2, 1, 0)));
}

static void test_before_strides_and_dilations(void **state) {
    expect_folds_before(
        *state, 8, 3, ATTRS(ATTR_INTS("pads", 2, 2, 2, 2), ATTR_INTS("strides", 2, 3), ATTR_INTS("dilations", 2, 1)));
}

static void test_before_groups(void **state) {
    expect_folds_before(*state, 9, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1), attr_int("group", 3)));
}

static void test_before_depthwise(void **state) {
    expect_folds_before(*state, 6, 5, ATTRS(ATTR_INTS("pads", 2, 2, 2, 2), attr_int("group", 6)));
}

static void test_before_automatic_pads(void **state) {
    struct vt_attr same = {.name = "auto_pad", .kind = VT_ATTR_STRING, .s = "SAME_UPPER"};
    expect_folds_before(*state, 8, 4, ATTRS(same));
}

/* Powers of two make every product and sum exact: then the fold must not change one bit, at the edges either. */
static void test_edges_are_exact(void **state) {
    struct pass_test *t = *state;
    const float scale[2] = {0.5f, -2}, shift[2] = {3, -24}, mean[2] = {0, 0}, variance[2] = {1, 1};
    struct vt_value *x = input(t, DIMS(1, 2, 5, 5)), *weights = uniform(t, 0, 1, DIMS(3, 2, 3, 3));
    float *values = t->inputs[0].data, *w = weights->constant->data;
    for (int i = 0; i < 2 * 25; i++) values[i] = (float)(i % 17 - 8) / 4;
    for (int i = 0; i < 3 * 2 * 9; i++) w[i] = (float)(i % 11 - 5) / 8;
    struct vt_value *y = NODE(t, VT_OP_BATCH_NORM, ATTRS(attr_float("epsilon", 0)), x, filled(t, scale, DIMS(2)),
        filled(t, shift, DIMS(2)), filled(t, mean, DIMS(2)), filled(t, variance, DIMS(2)));
    output(t, NODE(t, VT_OP_CONV, ATTRS(ATTR_INTS("pads", 1, 1, 2, 0)), y, weights));
    record(t);
    run_pass(t, vt_pass_fold_batch_norm, true);
    expect_same_results(t, 0);
    const float *border = border_of(find_node(t->graph, VT_OP_FUSED_CONV))->constant->data;
    assert_true(border[0] == -6 && border[1] == -12);
}

static void test_without_padding_there_is_no_border(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6)));
    output(t, conv(t, batch_norm(t, x), 5, 1, ATTRS(ATTR_INTS("strides", 2, 2))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_null(border_of(find_node(t->graph, VT_OP_FUSED_CONV)));
    assert_int_equal(t->graph->n_nodes, 2);
}

static void test_without_shift_there_is_no_border(void **state) {
    struct pass_test *t = *state;
    const float zeros[4] = {0};
    struct vt_value *x = input(t, DIMS(1, 4, 6, 6));
    struct vt_value *y = NODE(t, VT_OP_AFFINE, NO_ATTRS, x, uniform(t, 1, 2, DIMS(4)), filled(t, zeros, DIMS(4)));
    output(t, conv(t, y, 5, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_null(border_of(find_node(t->graph, VT_OP_FUSED_CONV)));
    assert_int_equal(t->graph->n_nodes, 1);
}

static void test_several_convolutions_share_a_border(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))), *y = batch_norm(t, x);
    output(t, conv(t, y, 5, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    output(t, conv(t, y, 3, 5, ATTRS(ATTR_INTS("pads", 2, 2, 2, 2))));
    output(t, conv(t, y, 2, 1, NO_ATTRS));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    expect_consistent(t->graph);
    const struct vt_node *first = find_node(t->graph, VT_OP_FUSED_CONV);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 3);
    assert_non_null(border_of(first));
    assert_ptr_equal(border_of(first), border_of(first->next));
    assert_null(border_of(first->next->next));
}

static void test_two_norms_of_one_value_have_two_borders(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6)));
    output(t, conv(t, batch_norm(t, x), 5, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    output(t, conv(t, batch_norm(t, x), 5, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 3);
}

static void test_a_border_that_is_there_moves_along(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6)));
    output(t, NODE(t, VT_OP_FUSED_CONV, ATTRS(ATTR_INTS("pads", 1, 0, 2, 1), attr_int("act1", VT_ACT_RELU)),
                  batch_norm(t, x), uniform(t, -1, 1, DIMS(5, 4, 3, 3)), NULL, uniform(t, -4, 4, DIMS(4))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 2);
}

/* An Affine that sends 0 to the border leaves none. */
static void test_a_border_that_becomes_zero_goes(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))), *shift = uniform(t, -3, 3, DIMS(4));
    struct vt_value *y = NODE(t, VT_OP_AFFINE, NO_ATTRS, x, uniform(t, 1, 2, DIMS(4)), shift);
    output(t, NODE(t, VT_OP_FUSED_CONV, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)), y, uniform(t, -1, 1, DIMS(5, 4, 3, 3)),
                  NULL, shift));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_null(border_of(find_node(t->graph, VT_OP_FUSED_CONV)));
}

/* x * scale + shift with the given factors in channel 1 of 3, before a convolution. */
static void scale_before_conv(struct pass_test *t, float scale, float shift, int64_t pad) {
    const float scales[3] = {1, scale, 2}, shifts[3] = {0.5f, shift, -1}, mean[3] = {0}, variance[3] = {1, 1, 1};
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 3, 5, 5)));
    struct vt_value *y = NODE(t, VT_OP_BATCH_NORM, ATTRS(attr_float("epsilon", 0)), x, filled(t, scales, DIMS(3)),
        filled(t, shifts, DIMS(3)), filled(t, mean, DIMS(3)), filled(t, variance, DIMS(3)));
    output(t, conv(t, y, 4, 3, ATTRS(ATTR_INTS("pads", pad, pad, pad, pad))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
}

static void test_a_dead_channel_with_a_shift_is_refused(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 0, 0.25f, 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_dead_channel_without_a_shift_folds(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 0, 0, 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 0);
}

static void test_a_dead_channel_without_padding_folds(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 0, 0.25f, 0);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 0);
}

static void test_a_border_out_of_bounds_is_refused(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 1e-5f, 0.5f, 1); /* border -50000 */
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_border_near_the_bound_is_accurate(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 1e-4f, 3, 1); /* border -30000 */
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 0);
}

static void test_a_border_that_overflows_is_refused(void **state) {
    struct pass_test *t = *state;
    scale_before_conv(t, 1e-38f, 3, 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_other_readers_need_the_norm(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))), *y = batch_norm(t, x);
    struct vt_value *z = conv(t, y, 4, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)));
    output(t, NODE(t, VT_OP_ADD, NO_ATTRS, y, z));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_norm_that_is_an_output_stays(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))));
    output(t, conv(t, y, 4, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    output(t, y);
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_weights_that_are_computed_take_nothing(void **state) {
    struct pass_test *t = *state;
    struct vt_value *weights = input(t, DIMS(5, 4, 1, 1));
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))));
    output(t, batch_norm(t, NODE(t, VT_OP_CONV, NO_ATTRS, y, weights)));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 2);
    assert_int_equal(count_nodes(t->graph, VT_OP_CONV), 1);
}

/* A reader that uses the norm both as data and as residual cannot lose it. */
static void test_data_that_is_also_residual(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))));
    output(t, NODE(t, VT_OP_FUSED_CONV, NO_ATTRS, y, uniform(t, -1, 1, DIMS(4, 4, 1, 1)), NULL, NULL, NULL, y));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_residual_is_not_data(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))), *y = batch_norm(t, x);
    output(t, NODE(t, VT_OP_FUSED_CONV, NO_ATTRS, x, uniform(t, -1, 1, DIMS(4, 4, 1, 1)), NULL, NULL, NULL, y));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

/* Not until the dead reader is eliminated. */
static void test_a_reader_that_nobody_reads(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6, 6))));
    NODE(t, VT_OP_FLATTEN, NO_ATTRS, y);
    output(t, conv(t, y, 4, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
    run_pass(t, vt_pass_eliminate, true);
    run_pass(t, vt_pass_fold_batch_norm, true);
    expect_same_results(t, 1e-5);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 0);
}

/* ------------------------------------------------------------ before a product */

static void test_before_flatten_and_gemm(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 5, 3, 4)));
    struct vt_value *flat = NODE(t, VT_OP_FLATTEN, ATTRS(attr_int("axis", 1)), batch_norm(t, x));
    output(t, NODE(t, VT_OP_GEMM, ATTRS(attr_int("transB", 1)), flat, uniform(t, -1, 1, DIMS(7, 60)),
                  uniform(t, -1, 1, DIMS(7))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 3);
    assert_non_null(find_node(t->graph, VT_OP_FUSED_GEMM));
}

static void test_before_reshapes_and_two_products(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 5, 3, 4))), *y = batch_norm(t, x);
    struct vt_value *planes = NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, INTS(t, 5, 12));
    struct vt_value *rows = NODE(t, VT_OP_RESHAPE, NO_ATTRS, planes, INTS(t, 1, -1));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, rows, uniform(t, -1, 1, DIMS(60, 3))));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, rows, uniform(t, -1, 1, DIMS(60, 4))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 0);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_GEMM), 2);
}

static void test_before_a_product_of_rank_two(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(3, 5))));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, y, uniform(t, -1, 1, DIMS(5, 3))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(t->graph->n_nodes, 2);
}

/* [1,4,6] as [4,6] has channels in rows, not in the columns that the product sums over. */
static void test_channels_that_become_rows_are_refused(void **state) {
    struct pass_test *t = *state;
    struct vt_value *y = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 4, 6))));
    struct vt_value *rows = NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, INTS(t, 4, 6));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, rows, uniform(t, -1, 1, DIMS(6, 3))));
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

static void test_a_flattened_norm_that_others_read(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 5, 3, 4)));
    struct vt_value *flat = NODE(t, VT_OP_FLATTEN, ATTRS(attr_int("axis", 1)), batch_norm(t, x));
    output(t, NODE(t, VT_OP_MATMUL, NO_ATTRS, flat, uniform(t, -1, 1, DIMS(60, 3))));
    output(t, flat);
    expect_pass(t, vt_pass_fold_batch_norm, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_AFFINE), 1);
}

/* ------------------------------------------------------------ degenerate */

static void test_factors_that_are_not_finite_are_left_alone(void **state) {
    struct pass_test *t = *state;
    const float variance[2] = {1, -1};
    struct vt_value *y = conv(t, input(t, DIMS(1, 3, 4, 4)), 2, 1, NO_ATTRS);
    output(t, NODE(t, VT_OP_BATCH_NORM, NO_ATTRS, y, uniform(t, 1, 2, DIMS(2)), uniform(t, 1, 2, DIMS(2)),
                  uniform(t, 1, 2, DIMS(2)), filled(t, variance, DIMS(2))));
    run_pass(t, vt_pass_fold_batch_norm, false);
}

static void test_out_of_memory_is_reported(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = batch_norm(t, NODE(t, VT_OP_TANH, NO_ATTRS, input(t, DIMS(1, 256, 3, 3))));
    output(t, conv(t, x, 256, 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1))));
    t->graph->arena.limit = t->graph->arena.used + (1 << 20);
    struct vultus_error error = {0};
    assert_int_equal(vt_pass_fold_batch_norm(t->graph, NULL, &error), VULTUS_ERROR_MEMORY);
    assert_true(strlen(error.text) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_after_convolutions),
        PASS_TEST(test_after_transposed_convolutions),
        PASS_TEST(test_after_products),
        PASS_TEST(test_after_group_norm_and_affine),
        PASS_TEST(test_a_result_that_others_read_is_not_scaled),
        PASS_TEST(test_a_tail_between_keeps_them_apart),
        PASS_TEST(test_shared_weights_are_copied),
        PASS_TEST(test_folding_twice_copies_weights_once),
        PASS_TEST(test_before_a_padded_convolution),
        PASS_TEST(test_before_uneven_pads),
        PASS_TEST(test_before_strides_and_dilations),
        PASS_TEST(test_before_groups),
        PASS_TEST(test_before_depthwise),
        PASS_TEST(test_before_automatic_pads),
        PASS_TEST(test_edges_are_exact),
        PASS_TEST(test_without_padding_there_is_no_border),
        PASS_TEST(test_without_shift_there_is_no_border),
        PASS_TEST(test_several_convolutions_share_a_border),
        PASS_TEST(test_two_norms_of_one_value_have_two_borders),
        PASS_TEST(test_a_border_that_is_there_moves_along),
        PASS_TEST(test_a_border_that_becomes_zero_goes),
        PASS_TEST(test_a_dead_channel_with_a_shift_is_refused),
        PASS_TEST(test_a_dead_channel_without_a_shift_folds),
        PASS_TEST(test_a_dead_channel_without_padding_folds),
        PASS_TEST(test_a_border_out_of_bounds_is_refused),
        PASS_TEST(test_a_border_near_the_bound_is_accurate),
        PASS_TEST(test_a_border_that_overflows_is_refused),
        PASS_TEST(test_other_readers_need_the_norm),
        PASS_TEST(test_a_norm_that_is_an_output_stays),
        PASS_TEST(test_weights_that_are_computed_take_nothing),
        PASS_TEST(test_data_that_is_also_residual),
        PASS_TEST(test_a_residual_is_not_data),
        PASS_TEST(test_a_reader_that_nobody_reads),
        PASS_TEST(test_before_flatten_and_gemm),
        PASS_TEST(test_before_reshapes_and_two_products),
        PASS_TEST(test_before_a_product_of_rank_two),
        PASS_TEST(test_channels_that_become_rows_are_refused),
        PASS_TEST(test_a_flattened_norm_that_others_read),
        PASS_TEST(test_factors_that_are_not_finite_are_left_alone),
        PASS_TEST(test_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
