/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

static const struct vt_attr pads = {
    .name = "pads", .kind = VT_ATTR_INTS, .count = 4, .ints = (const int64_t[]){1, 1, 1, 1}};

static struct vt_value *fused(
    struct pass_test *t, struct vt_value *x, int64_t outputs, int64_t kernel, struct attr_set attrs) {
    struct vt_value *y = conv(t, x, outputs, kernel, attrs);
    y->producer->op = VT_OP_FUSED_CONV;
    return y;
}

static struct vt_value *scores(struct pass_test *t, struct vt_value *x, int64_t outputs) {
    struct vt_attr sigmoid = attr_int("act1", VT_ACT_SIGMOID);
    return fused(t, x, outputs, 3, ATTRS(pads, sigmoid));
}

static struct vt_value *map(struct pass_test *t) { return input(t, DIMS(1, 5, 6, 7)); }

/* Scores, boxes and landmarks of a level, each under its own name as before. */
static void test_heads_of_a_level(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t);
    output(t, scores(t, x, 2));
    output(t, fused(t, x, 8, 3, ATTRS(pads)));
    output(t, NODE(t, VT_OP_TRANSPOSE, NO_ATTRS, fused(t, x, 20, 3, ATTRS(pads))));
    expect_pass(t, vt_pass_join_convolutions, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_FUSED_CONV), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_SPLIT), 1);
    assert_int_equal(count_nodes(t->graph, VT_OP_SIGMOID), 1);
    assert_int_equal(find_node(t->graph, VT_OP_FUSED_CONV)->inputs[1]->constant->dims[0], 30);
}

/* A reader that stands between the members finds its operand made. */
static void test_readers_in_between(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t), *a = scores(t, x, 4), *doubled = NODE(t, VT_OP_ADD, NO_ATTRS, a, a);
    output(t, NODE(t, VT_OP_MUL, NO_ATTRS, doubled, fused(t, x, 4, 3, ATTRS(pads))));
    expect_pass(t, vt_pass_join_convolutions, true);
}

static void test_without_bias(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t), *bare = fused(t, x, 3, 3, ATTRS(pads));
    bare->producer->n_inputs = 2;
    bare->producer->inputs[2]->uses--;
    output(t, bare);
    output(t, fused(t, x, 6, 3, ATTRS(pads)));
    expect_pass(t, vt_pass_join_convolutions, true);
}

static void test_more_than_one_group(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t), *sum = NULL;
    for (int i = 0; i < 20; i++) {
        struct vt_value *y = fused(t, x, 1, 1, NO_ATTRS);
        sum = sum ? NODE(t, VT_OP_CONCAT, ATTRS(attr_int("axis", 1)), sum, y) : y;
    }
    output(t, sum);
    expect_pass(t, vt_pass_join_convolutions, true);
    assert_int_equal(count_nodes(t->graph, VT_OP_SPLIT), 2);
}

static void test_other_windows_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t);
    output(t, fused(t, x, 4, 3, ATTRS(pads)));
    output(t, fused(t, x, 4, 1, NO_ATTRS));
    output(t, fused(t, x, 4, 3, ATTRS(pads, ATTR_INTS("strides", 2, 2))));
    output(t, fused(t, x, 4, 3, ATTRS(ATTR_INTS("pads", 1, 0, 1, 2))));
    expect_pass(t, vt_pass_join_convolutions, false);
}

static void test_other_maps_and_wide_ones_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t), *y = fused(t, x, 5, 3, ATTRS(pads));
    output(t, fused(t, y, 4, 3, ATTRS(pads)));
    output(t, fused(t, x, 32, 3, ATTRS(pads)));
    expect_pass(t, vt_pass_join_convolutions, false);
}

/* What else the tail does is per member, and would have to stay behind like the sigmoid. */
static void test_other_tails_stay(void **state) {
    struct pass_test *t = *state;
    struct vt_value *x = map(t);
    output(t, fused(t, x, 4, 3, ATTRS(pads, attr_int("act1", VT_ACT_RELU))));
    output(t, fused(t, x, 4, 3, ATTRS(pads, attr_int("act2", VT_ACT_RELU))));
    output(t, fused(t, x, 4, 3, ATTRS(pads)));
    expect_pass(t, vt_pass_join_convolutions, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PASS_TEST(test_heads_of_a_level),
        PASS_TEST(test_readers_in_between),
        PASS_TEST(test_without_bias),
        PASS_TEST(test_more_than_one_group),
        PASS_TEST(test_other_windows_stay),
        PASS_TEST(test_other_maps_and_wide_ones_stay),
        PASS_TEST(test_other_tails_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
