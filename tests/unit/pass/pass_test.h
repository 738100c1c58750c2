/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_PASS_TEST_H
#define VT_TESTS_PASS_TEST_H

/* Short forms for building small graphs, and the question every pass must answer: are the results still the same? */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "graph/interpreter.h"
#include "pass/pass.h"

#define MOST_OUTPUTS 16

/* A graph under test and its results before the pass. */
struct pass_test {
    struct vt_graph *graph;
    struct vt_arena arena;
    uint64_t seed;
    struct vt_tensor inputs[4], before[MOST_OUTPUTS];
    const char *output_names[MOST_OUTPUTS];
};

int setup_graph(void **state);
int teardown_graph(void **state);
#define PASS_TEST(function) cmocka_unit_test_setup_teardown(function, setup_graph, teardown_graph)

#define COUNT(...) (sizeof(__VA_ARGS__) / sizeof *(__VA_ARGS__))
#define DIMS(...)                                                                                                      \
    (int)COUNT((int64_t[]){__VA_ARGS__}), (int64_t[]) { __VA_ARGS__ }
#define SCALAR 0, NULL

struct vt_attr attr_int(const char *name, int64_t value);
struct vt_attr attr_float(const char *name, float value);
struct vt_attr attr_list(const char *name, size_t count, const int64_t *values);
#define ATTR_INTS(name, ...) attr_list(name, COUNT((int64_t[]){__VA_ARGS__}), (int64_t[]){__VA_ARGS__})

struct attr_set {
    const struct vt_attr *items;
    size_t count;
};
#define ATTRS(...)                                                                                                     \
    (struct attr_set) { (struct vt_attr[]){__VA_ARGS__}, COUNT((struct vt_attr[]){__VA_ARGS__}) }
#define NO_ATTRS                                                                                                       \
    (struct attr_set) { NULL, 0 }

/* Uniform in [low, high), the same numbers on every run. */
float next_random(struct pass_test *t, float low, float high);

/* A float32 input, constant (random or given) or int64 constant vector. */
struct vt_value *input(struct pass_test *t, int rank, const int64_t *dims);
struct vt_value *uniform(struct pass_test *t, float low, float high, int rank, const int64_t *dims);
struct vt_value *filled(struct pass_test *t, const float *values, int rank, const int64_t *dims);
struct vt_value *scalar(struct pass_test *t, float value);
struct vt_value *ints(struct pass_test *t, size_t count, const int64_t *values);
#define INTS(t, ...) ints(t, COUNT((int64_t[]){__VA_ARGS__}), (int64_t[]){__VA_ARGS__})

/* The output of a new node, with its shape inferred. */
struct vt_value *node_of(
    struct pass_test *t, enum vt_op op, struct vt_value *const *inputs, size_t n_inputs, struct attr_set attrs);
#define NODE(t, op, attrs, ...)                                                                                        \
    node_of(t, op, (struct vt_value *[]){__VA_ARGS__}, COUNT((struct vt_value *[]){__VA_ARGS__}), attrs)
/* Conv with random weights [outputs, inputs / group, kernel, kernel] and random bias. */
struct vt_value *conv(struct pass_test *t, struct vt_value *x, int64_t outputs, int64_t kernel, struct attr_set attrs);
/* BatchNormalization with random parameters that are easy to invert. */
struct vt_value *batch_norm(struct pass_test *t, struct vt_value *x);
void output(struct pass_test *t, struct vt_value *value);

/* Runs the graph as it is on random inputs and keeps the results. */
void record(struct pass_test *t);
/* The graph must still give what was recorded, to `tolerance` of each output's largest magnitude, under the same names.
 */
void expect_same_results(struct pass_test *t, double tolerance);
/* The pass must count changes (or none), find nothing more when it runs again, and leave a valid graph. */
void run_pass(struct pass_test *t, vt_pass *pass, bool changes);
/* All three, to 1e-5. */
void expect_pass(struct pass_test *t, vt_pass *pass, bool changes);

size_t count_nodes(const struct vt_graph *graph, enum vt_op op);
struct vt_node *find_node(const struct vt_graph *graph, enum vt_op op);
/* Uses, producers, the order and the list's links agree with each other. */
void expect_consistent(const struct vt_graph *graph);

#endif
