/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

static struct vt_graph *graph;
static struct vultus_error error;

static int set_up(void **state) {
    (void)state;
    return vt_graph_create(0, &graph, &error);
}

static int tear_down(void **state) {
    (void)state;
    vt_graph_destroy(graph);
    return 0;
}

static struct vt_value *input(const char *name) {
    struct vt_value *value = vt_graph_add_value(graph, name);
    assert_true(vt_graph_add_input(graph, value));
    return value;
}

static struct vt_value *op(enum vt_op which, const char *name, struct vt_value *a, struct vt_value *b) {
    struct vt_value *const inputs[2] = {a, b};
    struct vt_node *node = vt_graph_add_node(graph, NULL, which, name, inputs, b ? 2 : 1, NULL, 1, NULL, 0);
    assert_non_null(node);
    return node->outputs[0];
}

/* What must hold after every edit: links both ways, order, counted uses, producers. */
static void check_consistency(void) {
    size_t n_nodes = 0;
    const struct vt_node *previous = NULL;
    for (size_t i = 0; i < graph->n_values; ++i) graph->values[i]->index = 0;
    for (const struct vt_node *node = graph->first; node; previous = node, node = node->next) {
        ++n_nodes;
        assert_ptr_equal(node->previous, previous);
        for (size_t i = 0; i < node->n_inputs; ++i)
            if (node->inputs[i]) ++node->inputs[i]->index;
        for (size_t i = 0; i < node->n_outputs; ++i) assert_ptr_equal(node->outputs[i]->producer, node);
    }
    assert_ptr_equal(graph->last, previous);
    assert_int_equal(graph->n_nodes, n_nodes);
    for (size_t i = 0; i < graph->n_outputs; ++i) ++graph->outputs[i]->index;
    for (size_t i = 0; i < graph->n_values; ++i) {
        struct vt_value *value = graph->values[i];
        assert_int_equal(value->uses, value->index);
        assert_ptr_equal(vt_graph_find_value(graph, value->name), value);
    }
}

static void names_are_unique(void **state) {
    (void)state;
    const struct vt_value *first = vt_graph_add_value(graph, "x"), *second = vt_graph_add_value(graph, "x");
    const struct vt_value *unnamed = vt_graph_add_value(graph, NULL);
    assert_string_equal(first->name, "x");
    assert_int_equal(strncmp(second->name, "x_", 2), 0);
    assert_int_equal(strncmp(unnamed->name, "value_", 6), 0);
    assert_ptr_equal(vt_graph_find_value(graph, "x"), first);
    assert_ptr_equal(vt_graph_find_value(graph, second->name), second);
    assert_null(vt_graph_find_value(graph, "y"));
}

static void many_names_are_found_again(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < 5000; ++i) {
        snprintf(name, sizeof name, "value %d", i);
        assert_non_null(vt_graph_add_value(graph, i % 2 ? name : "same"));
    }
    assert_int_equal(graph->n_values, 5000);
    check_consistency();
    snprintf(name, sizeof name, "value %d", 4999);
    assert_ptr_equal(vt_graph_find_value(graph, name), graph->values[4999]);
}

static void nodes_own_what_they_were_given(void **state) {
    (void)state;
    struct vt_value *x = input("x");
    int64_t perm[2] = {1, 0};
    char text[] = "text", name[] = "perm";
    const struct vt_attr attrs[2] = {{.name = name, .kind = VT_ATTR_INTS, .count = 2, .ints = perm},
        {.name = "mode", .kind = VT_ATTR_STRING, .s = text}};
    struct vt_node *node = vt_graph_add_node(graph, NULL, VT_OP_TRANSPOSE, NULL, &x, 1, NULL, 1, attrs, 2);
    perm[0] = 7;
    text[0] = name[0] = '!';
    assert_string_equal(node->name, "Transpose");
    assert_int_equal(vt_attr_find(&node->attrs, "perm", VT_ATTR_INTS)->ints[0], 1);
    assert_string_equal(vt_attr_string(&node->attrs, "mode", ""), "text");

    assert_true(vt_node_set_attr(graph, node, (struct vt_attr){.name = "mode", .kind = VT_ATTR_INT, .i = 3}));
    assert_true(vt_node_set_attr(graph, node, (struct vt_attr){.name = "extra", .kind = VT_ATTR_FLOAT, .f = 0.5F}));
    assert_int_equal(node->attrs.count, 3);
    assert_int_equal(vt_attr_int(&node->attrs, "mode", 0), 3);
    assert_true(vt_attr_float(&node->attrs, "extra", 0) == 0.5F);
    check_consistency();
}

static void nodes_can_be_inserted_and_removed(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *a = op(VT_OP_RELU, "a", x, NULL), *c = op(VT_OP_RELU, "c", a, NULL);
    vt_graph_add_output(graph, c);
    struct vt_node *b = vt_graph_add_node(graph, c->producer, VT_OP_SIGMOID, "b", &a, 1, NULL, 1, NULL, 0);
    vt_graph_set_input(c->producer, 0, b->outputs[0]);
    assert_ptr_equal(a->producer->next, b);
    assert_ptr_equal(b->next, c->producer);
    assert_int_equal(a->uses, 1);
    check_consistency();

    vt_graph_replace_uses(graph, b->outputs[0], a);
    vt_graph_remove_node(graph, b);
    assert_ptr_equal(c->producer->inputs[0], a);
    check_consistency();

    struct vt_node *first = vt_graph_add_node(graph, graph->first, VT_OP_TANH, NULL, &x, 1, NULL, 1, NULL, 0);
    assert_ptr_equal(graph->first, first);
    check_consistency();
    vt_graph_remove_node(graph, first);
    check_consistency();
}

static void only_user_is_the_only_one(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *a = op(VT_OP_RELU, "a", x, NULL), *b = op(VT_OP_ADD, "b", a, a);
    struct vt_value *c = op(VT_OP_RELU, "c", b, NULL);
    assert_ptr_equal(vt_value_only_user(graph, x), a->producer);
    assert_null(vt_value_only_user(graph, a)); /* read twice */
    assert_ptr_equal(vt_value_only_user(graph, b), c->producer);
    assert_null(vt_value_only_user(graph, c));
    vt_graph_add_output(graph, c);
    assert_null(vt_value_only_user(graph, c));
    vt_graph_add_output(graph, b);
    assert_null(vt_value_only_user(graph, b));
    assert_true(vt_graph_is_output(graph, b));
    assert_false(vt_graph_is_output(graph, a));
    assert_true(vt_graph_is_input(graph, x));
}

static void outputs_keep_their_names(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *a = op(VT_OP_RELU, "inner", x, NULL), *y = op(VT_OP_IDENTITY, "y", a, NULL);
    vt_graph_add_output(graph, y);
    struct vt_value *reader = op(VT_OP_RELU, "reader", y, NULL);
    char *public_name = strdup(y->name);
    vt_graph_replace_uses(graph, y, a);
    assert_ptr_equal(graph->outputs[0], a);
    assert_string_equal(a->name, public_name);
    assert_string_not_equal(y->name, public_name);
    assert_ptr_equal(reader->producer->inputs[0], a);
    assert_ptr_equal(y->producer->inputs[0], a); /* its own producer's use stays */
    assert_int_equal(y->uses, 0);
    check_consistency();
    vt_graph_remove_node(graph, y->producer);
    check_consistency();
    free(public_name);
}

/* An output cannot take the name of an input, nor of another output: it stays, with that one use. */
static void public_values_are_not_renamed(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *y = op(VT_OP_IDENTITY, "y", x, NULL), *reader = op(VT_OP_RELU, "r", y, NULL);
    vt_graph_add_output(graph, y);
    vt_graph_replace_uses(graph, y, x);
    assert_ptr_equal(graph->outputs[0], y);
    assert_int_equal(y->uses, 1);
    assert_string_equal(x->name, "x");
    assert_ptr_equal(reader->producer->inputs[0], x);
    check_consistency();
}

static void replacing_skips_the_replacement(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *a = op(VT_OP_RELU, "a", x, NULL), *b = op(VT_OP_RELU, "b", a, NULL);
    vt_graph_add_output(graph, b);
    struct vt_node *scaled = vt_graph_add_node(graph, b->producer, VT_OP_SIGMOID, "s", &a, 1, NULL, 1, NULL, 0);
    vt_graph_replace_uses(graph, a, scaled->outputs[0]);
    assert_ptr_equal(scaled->inputs[0], a);
    assert_ptr_equal(b->producer->inputs[0], scaled->outputs[0]);
    check_consistency();
}

static void sorting_orders_by_need(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *late = vt_graph_add_value(graph, "late");
    struct vt_value *b = op(VT_OP_RELU, "b", late, NULL), *c = op(VT_OP_ADD, "c", b, x);
    struct vt_node *a = vt_graph_add_node(graph, NULL, VT_OP_RELU, "a", &x, 1, &late, 1, NULL, 0);
    vt_graph_add_output(graph, c);
    assert_int_equal(vt_graph_sort(graph, &error), VULTUS_OK);
    assert_ptr_equal(graph->first, a);
    assert_ptr_equal(a->next, b->producer);
    assert_ptr_equal(graph->last, c->producer);
    check_consistency();
    const struct vt_node *order[3] = {a, a->next, a->next->next};
    assert_int_equal(vt_graph_sort(graph, &error), VULTUS_OK); /* a sorted list stays as it is */
    assert_ptr_equal(graph->first, order[0]);
    assert_ptr_equal(graph->first->next, order[1]);
    assert_ptr_equal(graph->last, order[2]);
}

static void cycles_are_refused(void **state) {
    (void)state;
    struct vt_value *x = input("x"), *loop = vt_graph_add_value(graph, "loop");
    struct vt_value *b = op(VT_OP_ADD, "first of the loop", x, loop);
    vt_graph_add_node(graph, NULL, VT_OP_RELU, "second of the loop", &b, 1, &loop, 1, NULL, 0);
    assert_int_equal(vt_graph_sort(graph, &error), VULTUS_ERROR_FORMAT);
    assert_non_null(strstr(error.text, "cycle"));
    assert_non_null(strstr(error.text, "of the loop"));
    check_consistency();
}

static void orphans_are_refused(void **state) {
    (void)state;
    op(VT_OP_RELU, "reader", vt_graph_add_value(graph, "orphan"), NULL);
    assert_int_equal(vt_graph_sort(graph, &error), VULTUS_ERROR_FORMAT);
    assert_non_null(strstr(error.text, "reader"));
    assert_non_null(strstr(error.text, "orphan"));
}

/* Recursion would run out of stack. */
static void long_chains_are_sorted(void **state) {
    (void)state;
    enum { LENGTH = 60000 };
    struct vt_value *x = input("x"), *next = vt_graph_add_value(graph, "end"), *end = next;
    for (int i = 0; i < LENGTH; ++i) {
        struct vt_value *before = i + 1 < LENGTH ? vt_graph_add_value(graph, NULL) : x;
        assert_non_null(vt_graph_add_node(graph, NULL, VT_OP_RELU, "n", &before, 1, &next, 1, NULL, 0));
        next = before;
    }
    vt_graph_add_output(graph, end);
    assert_int_equal(vt_graph_sort(graph, &error), VULTUS_OK);
    assert_ptr_equal(graph->first->inputs[0], x);
    assert_ptr_equal(graph->last->outputs[0], end);
    check_consistency();
}

static void set_dims(struct vt_value *value, int rank, const struct vt_dim *const *dims) {
    value->dtype = VT_DTYPE_F32;
    value->rank = rank;
    for (int i = 0; i < rank; ++i) value->dims[i] = dims[i];
}

static void binding_fixes_symbols(void **state) {
    (void)state;
    struct vt_arena *arena = &graph->arena;
    struct vt_value *x = input("x"), *mask = input("mask");
    const struct vt_dim *n = vt_dim_symbol(arena, "n"), *h = vt_dim_symbol(arena, "h"),
                        *three = vt_dim_constant(arena, 3);
    set_dims(x, 3, (const struct vt_dim *const[]){n, three, h});
    set_dims(mask, 2, (const struct vt_dim *const[]){n, NULL});
    int64_t dims[VT_MAX_RANK], value;

    assert_int_equal(vt_graph_bind_input(graph, x, (const int64_t[]){2, 3, 0}, 3, &error), VULTUS_OK);
    assert_true(vt_dim_is_constant(x->dims[0], &value) && value == 2);
    assert_true(vt_dim_equal(x->dims[2], h)); /* 0 leaves it */
    assert_true(vt_dim_is_constant(mask->dims[0], &value) && value == 2);
    assert_false(vt_value_static_dims(x, dims));
    assert_int_equal(vt_graph_bind_input(graph, mask, (const int64_t[]){2, 9}, 2, &error), VULTUS_OK);
    assert_true(vt_value_static_dims(mask, dims));
    assert_int_equal(dims[1], 9);

    assert_int_equal(vt_graph_bind_input(graph, x, (const int64_t[]){2, 4, 5}, 3, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "'x'"));
    assert_int_equal(vt_graph_bind_input(graph, x, (const int64_t[]){2, 3}, 2, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_graph_bind_input(graph, x, dims, VT_MAX_RANK + 1, &error), VULTUS_ERROR_INVALID);
}

static void one_symbol_has_one_value(void **state) {
    (void)state;
    struct vt_value *x = input("x");
    const struct vt_dim *n = vt_dim_symbol(&graph->arena, "n");
    set_dims(x, 2, (const struct vt_dim *const[]){n, n});
    assert_int_equal(vt_graph_bind_input(graph, x, (const int64_t[]){4, 5}, 2, &error), VULTUS_ERROR_INVALID);
}

static void an_input_without_rank_takes_any(void **state) {
    (void)state;
    struct vt_value *x = input("x");
    int64_t dims[VT_MAX_RANK];
    assert_false(vt_value_static_dims(x, dims));
    assert_int_equal(vt_graph_bind_input(graph, x, (const int64_t[]){4, 5}, 2, &error), VULTUS_OK);
    assert_true(vt_value_static_dims(x, dims));
    assert_int_equal(x->rank, 2);
}

static void constants_carry_their_shape(void **state) {
    (void)state;
    const float numbers[3] = {1, 2, 3};
    const int64_t axes[1] = {-1};
    const struct vt_value *f = vt_graph_add_f32(graph, "f", numbers, 3), *i = vt_graph_add_i64(graph, "i", axes, 1);
    const struct vt_value *empty = vt_graph_add_f32(graph, "empty", NULL, 0);
    int64_t dims[VT_MAX_RANK];
    assert_true(vt_value_static_dims(f, dims));
    assert_int_equal(f->rank, 1);
    assert_int_equal(dims[0], 3);
    assert_true(vt_tensor_get(f->constant, 2) == 3);
    assert_int_equal(i->dtype, VT_DTYPE_I64);
    assert_int_equal(vt_tensor_get_int(i->constant, 0), -1);
    assert_true(vt_value_static_dims(empty, dims));
    assert_int_equal(dims[0], 0);
}

static void dump_shows_everything(void **state) {
    (void)state;
    struct vt_value *x = input("x");
    const float numbers[2] = {0.5F, 2};
    set_dims(x, 2, (const struct vt_dim *const[]){vt_dim_symbol(&graph->arena, "n"), NULL});
    const int64_t many[20] = {0, 1};
    const struct vt_tensor tensor = {.dtype = VT_DTYPE_I8, .rank = 2, .dims = {3, 4}};
    const struct vt_attr attrs[] = {{.name = "axis", .kind = VT_ATTR_INT, .i = -1},
        {.name = "pads", .kind = VT_ATTR_INTS, .count = 2, .ints = many},
        {.name = "many", .kind = VT_ATTR_INTS, .count = 20, .ints = many},
        {.name = "scales", .kind = VT_ATTR_FLOATS, .count = 2, .floats = numbers},
        {.name = "alpha", .kind = VT_ATTR_FLOAT, .f = 0.25F}, {.name = "mode", .kind = VT_ATTR_STRING, .s = "linear"},
        {.name = "value", .kind = VT_ATTR_TENSOR, .tensor = &tensor}};
    struct vt_value *const inputs[3] = {x, NULL, vt_graph_add_f32(graph, "w", numbers, 2)};
    struct vt_value *y = vt_graph_add_value(graph, "y");
    assert_non_null(vt_graph_add_node(graph, NULL, VT_OP_CONV, "node", inputs, 3, &y, 1, attrs, 7));
    vt_graph_add_output(graph, y);
    struct vt_strbuf buffer = {0};
    vt_graph_dump(graph, &buffer);
    assert_false(buffer.failed);
    assert_string_equal(buffer.text, "input x : float32[n,?]\n"
                                     "output y : none[...]\n"
                                     "y = Conv(x, -, w:float32[2] {0.5, 2}) {axis=-1, pads=[0,1], "
                                     "many=[0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,...], scales=[0.5,2], alpha=0.25, "
                                     "mode=\"linear\", value=int8[3,4]} : none[...]\n");
    vt_strbuf_fini(&buffer);
}

/* Whatever allocation is the first to fail, making things reports it and the graph can be destroyed. */
static void memory_limits_are_reported(void **state) {
    (void)state;
    int failures = 0;
    for (size_t limit = 1; limit < 40000; limit += 997) {
        struct vt_graph *small;
        assert_int_equal(vt_graph_create(limit, &small, &error), VULTUS_OK);
        struct vt_value *x = vt_graph_add_value(small, "x");
        bool fits = x && vt_graph_add_input(small, x);
        for (int i = 0; fits && i < 20; ++i) {
            const struct vt_attr attr = {.name = "axis", .kind = VT_ATTR_INT};
            struct vt_node *node = vt_graph_add_node(small, NULL, VT_OP_RELU, "n", &x, 1, NULL, 1, &attr, 1);
            fits = node && vt_node_set_attr(small, node, attr) && vt_graph_add_f32(small, "c", (float[]){1}, 1);
        }
        failures += !fits;
        vt_graph_destroy(small);
    }
    assert_true(failures > 3 && failures < 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_unique, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_names_are_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_own_what_they_were_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_can_be_inserted_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_user_is_the_only_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outputs_keep_their_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(public_values_are_not_renamed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replacing_skips_the_replacement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sorting_orders_by_need, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cycles_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orphans_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_chains_are_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(binding_fixes_symbols, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_symbol_has_one_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_input_without_rank_takes_any, set_up, tear_down),
        cmocka_unit_test_setup_teardown(constants_carry_their_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dump_shows_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_limits_are_reported, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
