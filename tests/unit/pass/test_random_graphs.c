/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

/*
 * Random networks of the operators that passes look for, wired at random, so that rewrites meet in ways that nobody
 * thought of: shared values, outputs in the middle, dead branches, folds of folds.
 */

#define GRAPHS 400
#define MOST_VALUES 64

struct network {
    struct pass_test *t;
    struct vt_value *values[MOST_VALUES]; /* float32 that nodes may read */
    size_t count;
};

static int64_t below(struct network *n, int64_t limit) { return (int64_t)next_random(n->t, 0, (float)limit) % limit; }

static int64_t dims_of(const struct vt_value *value, int64_t dims[VT_MAX_RANK]) {
    assert_true(vt_value_static_dims(value, dims));
    return value->rank;
}

/* A constant that broadcasts to the value: a scalar, one factor per channel, or rarely the whole shape. */
static struct vt_value *factors(struct network *n, const struct vt_value *like) {
    int64_t dims[VT_MAX_RANK], kind = below(n, 5);
    int rank = (int)dims_of(like, dims);
    if (kind == 0) return uniform(n->t, 0.5f, 2, rank, dims);
    for (int axis = 0; axis < rank; axis++)
        if (axis != 1 || kind == 1) dims[axis] = 1;
    return uniform(n->t, 0.5f, 2, rank, dims);
}

static struct vt_value *same_shape(struct network *n, const struct vt_value *like) {
    int64_t dims[VT_MAX_RANK], other[VT_MAX_RANK];
    int rank = (int)dims_of(like, dims);
    for (size_t tries = 0, at = (size_t)below(n, (int64_t)n->count); tries < n->count; tries++, at++) {
        struct vt_value *value = n->values[at % n->count];
        if (dims_of(value, other) == rank && memcmp(dims, other, (size_t)rank * sizeof *dims) == 0) return value;
    }
    return uniform(n->t, -1, 1, rank, dims);
}

static struct vt_value *random_conv(struct network *n, struct vt_value *x, const int64_t *dims) {
    bool depthwise = below(n, 4) == 0;
    int64_t group = depthwise ? dims[1] : 1, outputs = depthwise ? dims[1] : 4 + 2 * below(n, 2);
    int64_t kernel = dims[2] > 2 && dims[3] > 2 ? 1 + 2 * below(n, 2) : 1, pad = kernel / 2 * below(n, 2);
    int64_t stride = dims[2] > 4 ? 1 + below(n, 2) : 1;
    return conv(n->t, x, outputs, kernel,
        ATTRS(attr_int("group", group), ATTR_INTS("pads", pad, pad, kernel / 2, pad),
            ATTR_INTS("strides", stride, stride)));
}

static struct vt_value *random_activation(struct network *n, struct vt_value *x, int64_t channels) {
    struct pass_test *t = n->t;
    switch (below(n, 6)) {
    case 0: return NODE(t, VT_OP_RELU, NO_ATTRS, x);
    case 1: return NODE(t, VT_OP_LEAKY_RELU, ATTRS(attr_float("alpha", 0.1f)), x);
    case 2: return NODE(t, VT_OP_CLIP, NO_ATTRS, x, scalar(t, -1), scalar(t, 1.5f));
    case 3: return NODE(t, VT_OP_TANH, NO_ATTRS, x);
    case 4: return NODE(t, VT_OP_SIGMOID, NO_ATTRS, x);
    default:
        return x->rank == 4 ? NODE(t, VT_OP_PRELU, NO_ATTRS, x, uniform(t, 0, 0.5f, DIMS(channels, 1, 1)))
                            : NODE(t, VT_OP_RELU, NO_ATTRS, x);
    }
}

static struct vt_value *group_norm(struct pass_test *t, struct vt_value *x) {
    struct vt_value *y = NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 0, 2, -1));
    y = NODE(t, VT_OP_INSTANCE_NORM, NO_ATTRS, y, uniform(t, 0.5f, 2, DIMS(2)), uniform(t, -1, 1, DIMS(2)));
    return NODE(t, VT_OP_RESHAPE, NO_ATTRS, y, NODE(t, VT_OP_SHAPE, NO_ATTRS, x));
}

static struct vt_value *random_movement(struct network *n, struct vt_value *x, const int64_t *dims) {
    struct pass_test *t = n->t;
    int64_t inner = 1;
    for (int axis = 1; axis < x->rank; axis++) inner *= dims[axis];
    switch (below(n, 4)) {
    case 0: return NODE(t, VT_OP_FLATTEN, ATTRS(attr_int("axis", 1)), x);
    case 1: return x->rank == 4 ? NODE(t, VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 0, 2, 3, 1)), x) : x;
    case 2: return NODE(t, VT_OP_RESHAPE, NO_ATTRS, x, INTS(t, 1, inner));
    default: return NODE(t, VT_OP_IDENTITY, NO_ATTRS, x);
    }
}

static struct vt_value *random_product(struct network *n, struct vt_value *x, int64_t features) {
    struct pass_test *t = n->t;
    if (below(n, 2)) return NODE(t, VT_OP_MATMUL, NO_ATTRS, x, uniform(t, -1, 1, DIMS(features, 5)));
    return NODE(t, VT_OP_GEMM, ATTRS(attr_int("transB", 1), attr_float("alpha", 0.5f)), x,
        uniform(t, -1, 1, DIMS(5, features)), uniform(t, -1, 1, DIMS(5)));
}

static struct vt_value *random_node(struct network *n) {
    static const enum vt_op arithmetic[4] = {VT_OP_MUL, VT_OP_ADD, VT_OP_SUB, VT_OP_DIV};
    struct pass_test *t = n->t;
    /* Mostly the newest value, so that chains form. */
    struct vt_value *x = n->values[below(n, 3) ? n->count - 1 : (size_t)below(n, (int64_t)n->count)];
    int64_t dims[VT_MAX_RANK];
    dims_of(x, dims);
    switch (below(n, 9)) {
    case 0:
    case 1:
        if (x->rank == 4) return random_conv(n, x, dims);
        return x->rank == 2 ? random_product(n, x, dims[1]) : random_movement(n, x, dims);
    case 2:
    case 3: return x->rank >= 2 ? batch_norm(t, x) : x;
    case 4: return random_activation(n, x, dims[1]);
    case 5: return NODE(t, arithmetic[below(n, 4)], NO_ATTRS, x, factors(n, x));
    case 6:
        if (x->rank == 4 && below(n, 2)) {
            struct vt_value *y = conv(t, x, dims[1], 3, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)));
            return NODE(t, VT_OP_ADD, NO_ATTRS, x, below(n, 2) ? batch_norm(t, y) : y);
        }
        return NODE(t, VT_OP_ADD, NO_ATTRS, x, same_shape(n, x));
    case 7: return random_movement(n, x, dims);
    default: return x->rank == 4 && dims[1] % 2 == 0 ? group_norm(t, x) : NODE(t, VT_OP_TANH, NO_ATTRS, x);
    }
}

static void build(struct network *n) {
    n->values[n->count++] = input(n->t, DIMS(1, 4, 6, 7));
    size_t nodes = 3 + (size_t)below(n, 14);
    for (size_t i = 0; i < nodes; i++) {
        struct vt_value *value = random_node(n);
        n->values[n->count++] = value;
    }
    for (size_t i = 1; i < n->count; i++) {
        bool last = i + 1 == n->count;
        if ((last || below(n, 8) == 0) && !vt_graph_is_output(n->t->graph, n->values[i]) &&
            !vt_graph_is_input(n->t->graph, n->values[i]) && n->t->graph->n_outputs < MOST_OUTPUTS)
            output(n->t, n->values[i]);
    }
    if (n->t->graph->n_outputs == 0) output(n->t, NODE(n->t, VT_OP_RELU, NO_ATTRS, n->values[0]));
}

static void test_results_stay(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        void *inner;
        struct vultus_error error = {0};
        assert_int_equal(setup_graph(&inner), 0);
        struct network network = {.t = inner};
        network.t->seed = seed * 7919;
        build(&network);
        record(network.t);
        if (vt_pass_run_all(network.t->graph, &error)) fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
        expect_consistent(network.t->graph);
        expect_same_results(network.t, 2e-5);
        teardown_graph(&inner);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_results_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
