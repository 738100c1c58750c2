/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_test.h"

#include <math.h>
#include <stdlib.h>

int setup_graph(void **state) {
    struct pass_test *t = calloc(1, sizeof *t);
    if (!t || vt_graph_create(0, &t->graph, NULL)) return -1;
    vt_arena_init(&t->arena, 0);
    t->seed = 20261121;
    *state = t;
    return 0;
}

int teardown_graph(void **state) {
    struct pass_test *t = *state;
    vt_graph_destroy(t->graph);
    vt_arena_fini(&t->arena);
    free(t);
    return 0;
}

struct vt_attr attr_int(const char *name, int64_t value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_INT, .i = value};
}

struct vt_attr attr_float(const char *name, float value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_FLOAT, .f = value};
}

struct vt_attr attr_list(const char *name, size_t count, const int64_t *values) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_INTS, .count = count, .ints = values};
}

float next_random(struct pass_test *t, float low, float high) {
    t->seed = t->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (high - low) * (float)(t->seed >> 40) / (float)(1 << 24);
}

static void fill(struct pass_test *t, struct vt_tensor *tensor, float low, float high) {
    float *data = tensor->data;
    for (int64_t i = 0; i < vt_tensor_count(tensor); i++) data[i] = next_random(t, low, high);
}

struct vt_value *input(struct pass_test *t, int rank, const int64_t *dims) {
    struct vt_value *value = vt_graph_add_value(t->graph, "input");
    struct vt_tensor *tensor = &t->inputs[t->graph->n_inputs];
    assert_non_null(value);
    value->dtype = VT_DTYPE_F32;
    value->rank = rank;
    for (int i = 0; i < rank; i++) value->dims[i] = vt_dim_constant(&t->graph->arena, dims[i]);
    assert_int_equal(vt_tensor_alloc(&t->arena, VT_DTYPE_F32, rank, dims, tensor, NULL), VULTUS_OK);
    fill(t, tensor, -2, 2);
    assert_true(vt_graph_add_input(t->graph, value));
    return value;
}

struct vt_value *uniform(struct pass_test *t, float low, float high, int rank, const int64_t *dims) {
    struct vt_tensor tensor;
    assert_int_equal(vt_tensor_alloc(&t->arena, VT_DTYPE_F32, rank, dims, &tensor, NULL), VULTUS_OK);
    fill(t, &tensor, low, high);
    struct vt_value *value = vt_graph_add_constant(t->graph, "constant", &tensor);
    assert_non_null(value);
    return value;
}

struct vt_value *filled(struct pass_test *t, const float *values, int rank, const int64_t *dims) {
    struct vt_value *value = uniform(t, 0, 1, rank, dims);
    memcpy(value->constant->data, values, vt_tensor_bytes(value->constant));
    return value;
}

struct vt_value *scalar(struct pass_test *t, float value) {
    return filled(t, &value, SCALAR);
}

struct vt_value *ints(struct pass_test *t, size_t count, const int64_t *values) {
    struct vt_value *value = vt_graph_add_i64(t->graph, "ints", values, count);
    assert_non_null(value);
    return value;
}

struct vt_value *node_of(
    struct pass_test *t, enum vt_op op, struct vt_value *const *inputs, size_t n_inputs, struct attr_set attrs) {
    struct vultus_error error = {0};
    struct vt_node *node =
        vt_graph_add_node(t->graph, NULL, op, NULL, inputs, n_inputs, NULL, 1, attrs.items, attrs.count);
    assert_non_null(node);
    if (vt_graph_infer(t->graph, &error)) fail_msg("%s", error.text);
    return node->outputs[0];
}

static int64_t dim_of(const struct vt_value *value, int axis) {
    int64_t dims[VT_MAX_RANK];
    assert_true(vt_value_static_dims(value, dims));
    return dims[axis];
}

struct vt_value *conv(struct pass_test *t, struct vt_value *x, int64_t outputs, int64_t kernel, struct attr_set attrs) {
    struct vt_attrs found = {attrs.items, attrs.count};
    int64_t inputs = dim_of(x, 1) / vt_attr_int(&found, "group", 1);
    return NODE(t, VT_OP_CONV, attrs, x, uniform(t, -1, 1, DIMS(outputs, inputs, kernel, kernel)),
        uniform(t, -1, 1, DIMS(outputs)));
}

struct vt_value *batch_norm(struct pass_test *t, struct vt_value *x) {
    int64_t channels = dim_of(x, 1);
    return NODE(t, VT_OP_BATCH_NORM, ATTRS(attr_float("epsilon", 1e-4f)), x, uniform(t, 0.4f, 1.5f, DIMS(channels)),
        uniform(t, -3, 3, DIMS(channels)), uniform(t, -1, 1, DIMS(channels)), uniform(t, 0.5f, 2, DIMS(channels)));
}

void output(struct pass_test *t, struct vt_value *value) { assert_true(vt_graph_add_output(t->graph, value)); }

static void run(struct pass_test *t, struct vt_tensor *outputs) {
    struct vultus_error error = {0};
    assert_true(t->graph->n_outputs <= MOST_OUTPUTS);
    if (vt_graph_run(t->graph, t->inputs, outputs, &t->arena, &error)) fail_msg("%s", error.text);
}

void record(struct pass_test *t) {
    assert_true(t->graph->n_outputs > 0);
    run(t, t->before);
    for (size_t i = 0; i < t->graph->n_outputs; i++) t->output_names[i] = t->graph->outputs[i]->name;
}

void expect_same_results(struct pass_test *t, double tolerance) {
    struct vt_tensor after[MOST_OUTPUTS];
    run(t, after);
    for (size_t i = 0; i < t->graph->n_outputs; i++) {
        const struct vt_tensor *a = &t->before[i], *b = &after[i];
        double largest = 0;
        assert_string_equal(t->graph->outputs[i]->name, t->output_names[i]);
        assert_int_equal(a->dtype, b->dtype);
        assert_true(vt_tensor_same_shape(a, b));
        for (int64_t k = 0; k < vt_tensor_count(a); k++) largest = fmax(largest, fabs(vt_tensor_get(a, k)));
        for (int64_t k = 0; k < vt_tensor_count(a); k++) {
            double difference = fabs(vt_tensor_get(a, k) - vt_tensor_get(b, k));
            if (!(difference <= tolerance * largest))
                fail_msg("output %zu, element %lld: %.9g became %.9g (the largest is %.9g)", i, (long long)k,
                    vt_tensor_get(a, k), vt_tensor_get(b, k), largest);
        }
    }
}

void run_pass(struct pass_test *t, vt_pass *pass, bool changes) {
    struct vultus_error error = {0};
    size_t changed = 0;
    if (pass(t->graph, &changed, &error)) fail_msg("%s", error.text);
    assert_int_equal(changed > 0, changes);
    expect_consistent(t->graph);
    for (const struct vt_node *node = t->graph->first; node; node = node->next)
        for (size_t i = 0; i < node->n_outputs; i++) {
            int64_t dims[VT_MAX_RANK];
            assert_true(vt_value_static_dims(node->outputs[i], dims));
        }
    changed = 0;
    assert_int_equal(pass(t->graph, &changed, &error), VULTUS_OK);
    assert_int_equal(changed, 0); /* what it does, it does in one go */
}

void expect_pass(struct pass_test *t, vt_pass *pass, bool changes) {
    record(t);
    run_pass(t, pass, changes);
    expect_same_results(t, 1e-5);
}

size_t count_nodes(const struct vt_graph *graph, enum vt_op op) {
    size_t count = 0;
    for (const struct vt_node *node = graph->first; node; node = node->next) count += node->op == op;
    return count;
}

struct vt_node *find_node(const struct vt_graph *graph, enum vt_op op) {
    for (struct vt_node *node = graph->first; node; node = node->next)
        if (node->op == op) return node;
    return NULL;
}

void expect_consistent(const struct vt_graph *graph) {
    size_t nodes = 0;
    for (size_t i = 0; i < graph->n_values; i++) graph->values[i]->index = 0;
    for (const struct vt_node *node = graph->first; node; node = node->next, nodes++) {
        assert_ptr_equal(node->next ? node->next->previous : graph->last, node);
        for (size_t i = 0; i < node->n_inputs; i++) {
            struct vt_value *value = node->inputs[i];
            if (!value) continue;
            value->index++;
            /* Producers that were visited are marked below. */
            if (value->producer) assert_true(value->index & 0x10000);
            if (!value->producer) assert_true(value->constant || vt_graph_is_input(graph, value));
        }
        for (size_t i = 0; i < node->n_outputs; i++) {
            assert_ptr_equal(node->outputs[i]->producer, node);
            node->outputs[i]->index |= 0x10000;
        }
    }
    assert_int_equal(nodes, graph->n_nodes);
    for (size_t i = 0; i < graph->n_outputs; i++) graph->outputs[i]->index++;
    for (size_t i = 0; i < graph->n_values; i++)
        assert_int_equal(graph->values[i]->index & 0xffff, graph->values[i]->uses);
}
