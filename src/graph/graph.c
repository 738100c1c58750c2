/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

enum vultus_status vt_graph_create(size_t limit, struct vt_graph **out, struct vultus_error *error) {
    struct vt_graph *graph = calloc(1, sizeof *graph);
    if (!graph) return vt_fail_memory(error, "a graph", sizeof *graph);
    vt_arena_init(&graph->arena, limit);
    graph->name = graph->producer = "";
    *out = graph;
    return VULTUS_OK;
}

void vt_graph_destroy(struct vt_graph *graph) {
    if (!graph) return;
    for (struct vt_graph_file *file = graph->files; file; file = file->next) vt_unmap_file(&file->file);
    vt_arena_fini(&graph->arena);
    free(graph);
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash_name(const char *name) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name; ++name) hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return hash;
}

/* The slot that holds the name, or the free one where it belongs. The table is never full. */
static struct vt_value **find_slot(struct vt_value **names, size_t capacity, const char *name) {
    size_t at = hash_name(name) & (capacity - 1);
    while (names[at] && strcmp(names[at]->name, name) != 0) at = (at + 1) & (capacity - 1);
    return &names[at];
}

struct vt_value *vt_graph_find_value(const struct vt_graph *graph, const char *name) {
    return graph->names_capacity ? *find_slot(graph->names, graph->names_capacity, name) : NULL;
}

/* `array` with room for one more element; it stays when there is no memory. */
static void *grow(struct vt_arena *arena, void *array, size_t count, size_t *capacity, size_t element_bytes) {
    if (count < *capacity) return array;
    size_t larger = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    void *copy = vt_arena_alloc_array(arena, larger, element_bytes);
    if (!copy) return NULL;
    if (count) memcpy(copy, array, count * element_bytes);
    *capacity = larger;
    return copy;
}

static bool reserve_value(struct vt_graph *graph) {
    struct vt_value **values =
        grow(&graph->arena, graph->values, graph->n_values, &graph->values_capacity, sizeof *values);
    if (!values) return false;
    graph->values = values;
    if (2 * (graph->n_values + 1) <= graph->names_capacity) return true;
    size_t capacity = graph->names_capacity ? 2 * graph->names_capacity : 2 * FIRST_CAPACITY;
    struct vt_value **names = vt_arena_alloc_array(&graph->arena, capacity, sizeof *names);
    if (!names) return false;
    for (size_t i = 0; i < graph->n_values; ++i) *find_slot(names, capacity, values[i]->name) = values[i];
    graph->names = names;
    graph->names_capacity = capacity;
    return true;
}

static const char *unique_name(struct vt_graph *graph, const char *stem) {
    if (stem && !vt_graph_find_value(graph, stem)) return vt_arena_strdup(&graph->arena, stem);
    for (;;) {
        char *name = vt_arena_printf(&graph->arena, "%s_%zu", stem ? stem : "value", ++graph->fresh_names);
        if (!name || !vt_graph_find_value(graph, name)) return name;
    }
}

struct vt_value *vt_graph_add_value(struct vt_graph *graph, const char *name) {
    if (!reserve_value(graph)) return NULL;
    struct vt_value *value = vt_arena_alloc(&graph->arena, sizeof *value);
    const char *unique = unique_name(graph, name);
    if (!value || !unique) return NULL;
    value->name = unique;
    value->rank = -1;
    graph->values[graph->n_values++] = value;
    *find_slot(graph->names, graph->names_capacity, unique) = value;
    return value;
}

bool vt_graph_set_constant(struct vt_graph *graph, struct vt_value *value, const struct vt_tensor *content) {
    struct vt_tensor *tensor = vt_arena_alloc(&graph->arena, sizeof *tensor);
    if (!tensor) return false;
    *tensor = *content;
    for (int i = 0; i < content->rank; ++i) {
        value->dims[i] = vt_dim_constant(&graph->arena, content->dims[i]);
        if (!value->dims[i]) return false;
    }
    value->dtype = content->dtype;
    value->rank = content->rank;
    value->constant = tensor;
    value->elements = NULL;
    value->n_elements = 0;
    return true;
}

struct vt_value *vt_graph_add_constant(struct vt_graph *graph, const char *name, const struct vt_tensor *content) {
    struct vt_value *value = vt_graph_add_value(graph, name);
    return value && vt_graph_set_constant(graph, value, content) ? value : NULL;
}

static struct vt_value *add_vector(
    struct vt_graph *graph, const char *name, enum vt_dtype dtype, const void *elements, size_t count) {
    struct vt_tensor tensor;
    const int64_t dims[1] = {(int64_t)count};
    if (vt_tensor_alloc(&graph->arena, dtype, 1, dims, &tensor, NULL)) return NULL;
    if (count) memcpy(tensor.data, elements, vt_tensor_bytes(&tensor));
    return vt_graph_add_constant(graph, name, &tensor);
}

struct vt_value *vt_graph_add_f32(struct vt_graph *graph, const char *name, const float *values, size_t count) {
    return add_vector(graph, name, VT_DTYPE_F32, values, count);
}

struct vt_value *vt_graph_add_i64(struct vt_graph *graph, const char *name, const int64_t *values, size_t count) {
    return add_vector(graph, name, VT_DTYPE_I64, values, count);
}

/* Graph inputs and outputs are appended once per model: the array is simply copied. */
static bool append(struct vt_arena *arena, struct vt_value ***array, size_t *count, struct vt_value *value) {
    struct vt_value **longer = *array;
    bool is_full = (*count & (*count - 1)) == 0; /* capacities are powers of two */
    if (is_full) {
        longer = vt_arena_alloc_array(arena, *count ? 2 * *count : 1, sizeof *longer);
        if (!longer) return false;
        if (*count) memcpy(longer, *array, *count * sizeof *longer);
    }
    longer[(*count)++] = value;
    *array = longer;
    return true;
}

bool vt_graph_add_input(struct vt_graph *graph, struct vt_value *value) {
    return append(&graph->arena, &graph->inputs, &graph->n_inputs, value);
}

bool vt_graph_add_output(struct vt_graph *graph, struct vt_value *value) {
    if (!append(&graph->arena, &graph->outputs, &graph->n_outputs, value)) return false;
    ++value->uses;
    return true;
}

static const void *duplicate(struct vt_arena *arena, const void *elements, size_t count, size_t element_bytes) {
    void *copy = vt_arena_alloc_array(arena, count, element_bytes);
    if (copy && count) memcpy(copy, elements, count * element_bytes);
    return copy;
}

static bool copy_attr(struct vt_arena *arena, struct vt_attr *attr) {
    attr->name = vt_arena_strdup(arena, attr->name);
    if (!attr->name) return false;
    switch (attr->kind) {
    case VT_ATTR_STRING: return (attr->s = vt_arena_strdup(arena, attr->s)) != NULL;
    case VT_ATTR_INTS: return (attr->ints = duplicate(arena, attr->ints, attr->count, sizeof *attr->ints)) != NULL;
    case VT_ATTR_FLOATS:
        return (attr->floats = duplicate(arena, attr->floats, attr->count, sizeof *attr->floats)) != NULL;
    case VT_ATTR_TENSOR: return (attr->tensor = duplicate(arena, attr->tensor, 1, sizeof *attr->tensor)) != NULL;
    default: return true;
    }
}

static bool copy_attrs(struct vt_arena *arena, const struct vt_attr *attrs, size_t count, struct vt_attrs *out) {
    struct vt_attr *items = vt_arena_alloc_array(arena, count, sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < count; ++i) {
        items[i] = attrs[i];
        if (!copy_attr(arena, &items[i])) return false;
    }
    *out = (struct vt_attrs){.items = items, .count = count};
    return true;
}

bool vt_node_set_attr(struct vt_graph *graph, struct vt_node *node, struct vt_attr attr) {
    struct vt_attr *items = vt_arena_alloc_array(&graph->arena, node->attrs.count + 1, sizeof *items);
    if (!items || !copy_attr(&graph->arena, &attr)) return false;
    size_t count = 0;
    for (size_t i = 0; i < node->attrs.count; ++i)
        if (strcmp(node->attrs.items[i].name, attr.name) != 0) items[count++] = node->attrs.items[i];
    items[count++] = attr;
    node->attrs = (struct vt_attrs){.items = items, .count = count};
    return true;
}

static void link_node(struct vt_graph *graph, struct vt_node *before, struct vt_node *node) {
    node->next = before;
    node->previous = before ? before->previous : graph->last;
    *(node->previous ? &node->previous->next : &graph->first) = node;
    *(before ? &before->previous : &graph->last) = node;
    ++graph->n_nodes;
}

struct vt_node *vt_graph_add_node(struct vt_graph *graph, struct vt_node *before, enum vt_op op, const char *name,
    struct vt_value *const *inputs, size_t n_inputs, struct vt_value *const *outputs, size_t n_outputs,
    const struct vt_attr *attrs, size_t n_attrs) {
    struct vt_arena *arena = &graph->arena;
    struct vt_node *node = vt_arena_alloc(arena, sizeof *node);
    if (!node) return NULL;
    node->op = op;
    node->name = vt_arena_strdup(arena, name ? name : vt_op_info(op)->name);
    node->inputs = vt_arena_alloc_array(arena, n_inputs, sizeof *node->inputs);
    node->outputs = vt_arena_alloc_array(arena, n_outputs, sizeof *node->outputs);
    if (!node->name || !node->inputs || !node->outputs || !copy_attrs(arena, attrs, n_attrs, &node->attrs)) return NULL;
    for (size_t i = 0; i < n_outputs; ++i) {
        node->outputs[i] = outputs ? outputs[i] : vt_graph_add_value(graph, node->name);
        if (!node->outputs[i]) return NULL;
    }
    node->n_inputs = n_inputs;
    node->n_outputs = n_outputs;
    for (size_t i = 0; i < n_inputs; ++i) vt_graph_set_input(node, i, inputs[i]);
    for (size_t i = 0; i < n_outputs; ++i) node->outputs[i]->producer = node;
    link_node(graph, before, node);
    return node;
}

void vt_graph_remove_node(struct vt_graph *graph, struct vt_node *node) {
    *(node->previous ? &node->previous->next : &graph->first) = node->next;
    *(node->next ? &node->next->previous : &graph->last) = node->previous;
    --graph->n_nodes;
    for (size_t i = 0; i < node->n_inputs; ++i) vt_graph_set_input(node, i, NULL);
    for (size_t i = 0; i < node->n_outputs; ++i) node->outputs[i]->producer = NULL;
}

void vt_graph_set_input(struct vt_node *node, size_t index, struct vt_value *value) {
    if (value) ++value->uses;
    if (node->inputs[index]) --node->inputs[index]->uses;
    node->inputs[index] = value;
}

static bool contains(struct vt_value *const *values, size_t count, const struct vt_value *value) {
    for (size_t i = 0; i < count; ++i)
        if (values[i] == value) return true;
    return false;
}

bool vt_graph_is_input(const struct vt_graph *graph, const struct vt_value *value) {
    return contains(graph->inputs, graph->n_inputs, value);
}

bool vt_graph_is_output(const struct vt_graph *graph, const struct vt_value *value) {
    return contains(graph->outputs, graph->n_outputs, value);
}

static void swap_names(struct vt_graph *graph, struct vt_value *a, struct vt_value *b) {
    struct vt_value **slot_a = find_slot(graph->names, graph->names_capacity, a->name);
    struct vt_value **slot_b = find_slot(graph->names, graph->names_capacity, b->name);
    const char *name = a->name;
    a->name = b->name;
    b->name = name;
    *slot_a = b;
    *slot_b = a;
}

/* Users of a value come after its producer in the list. */
static struct vt_node *first_possible_user(const struct vt_graph *graph, const struct vt_value *value) {
    return value->producer ? value->producer->next : graph->first;
}

void vt_graph_replace_uses(struct vt_graph *graph, struct vt_value *old, struct vt_value *replacement) {
    if (old == replacement) return;
    for (struct vt_node *node = first_possible_user(graph, old); node && old->uses; node = node->next) {
        if (node == replacement->producer) continue;
        for (size_t i = 0; i < node->n_inputs; ++i)
            if (node->inputs[i] == old) vt_graph_set_input(node, i, replacement);
    }
    if (!vt_graph_is_output(graph, old)) return;
    if (vt_graph_is_input(graph, replacement) || vt_graph_is_output(graph, replacement)) return;
    for (size_t i = 0; i < graph->n_outputs; ++i) {
        if (graph->outputs[i] != old) continue;
        graph->outputs[i] = replacement;
        --old->uses;
        ++replacement->uses;
    }
    swap_names(graph, old, replacement);
}

struct vt_node *vt_value_only_user(const struct vt_graph *graph, const struct vt_value *value) {
    if (value->uses != 1) return NULL;
    for (struct vt_node *node = first_possible_user(graph, value); node; node = node->next)
        if (contains(node->inputs, node->n_inputs, value)) return node;
    return NULL;
}

bool vt_value_static_dims(const struct vt_value *value, int64_t dims[VT_MAX_RANK]) {
    if (value->rank < 0) return false;
    for (int i = 0; i < value->rank; ++i)
        if (!vt_dim_is_constant(value->dims[i], &dims[i])) return false;
    return true;
}

/* Where the depth-first walk stands at one node. */
struct visit {
    struct vt_node *node;
    size_t next_input;
};

enum { UNVISITED, ON_PATH, DONE };

/* Graph inputs were marked by their index. */
static enum vultus_status check_source(
    const struct vt_node *node, const struct vt_value *value, struct vultus_error *error) {
    if (value->producer || value->constant || value->index) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_FORMAT,
        "node '%.100s' (%s) reads '%.100s', which no node, input or constant of the graph provides", node->name,
        vt_op_info(node->op)->name, value->name);
}

/* Walks from `root` to what it needs and appends nodes to `order` after all of their producers. */
static enum vultus_status sort_from(
    struct vt_node *root, struct visit *path, struct vt_node **order, size_t *n_ordered, struct vultus_error *error) {
    size_t depth = 0;
    path[depth++] = (struct visit){.node = root};
    root->index = ON_PATH;
    while (depth) {
        struct visit *top = &path[depth - 1];
        if (top->next_input == top->node->n_inputs) {
            top->node->index = DONE;
            order[(*n_ordered)++] = top->node;
            --depth;
            continue;
        }
        const struct vt_value *value = top->node->inputs[top->next_input++];
        if (!value) continue;
        enum vultus_status status = check_source(top->node, value, error);
        if (status) return status;
        struct vt_node *producer = value->producer;
        if (!producer || producer->index == DONE) continue;
        if (producer->index == ON_PATH)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "the graph has a cycle: node '%.100s' (%s) needs its own result",
                producer->name, vt_op_info(producer->op)->name);
        producer->index = ON_PATH;
        path[depth++] = (struct visit){.node = producer};
    }
    return VULTUS_OK;
}

enum vultus_status vt_graph_sort(struct vt_graph *graph, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    size_t n_ordered = 0;
    struct vt_node **order = calloc(graph->n_nodes + 1, sizeof *order);
    struct visit *path = calloc(graph->n_nodes + 1, sizeof *path);
    if (!order || !path) {
        status = vt_fail_memory(error, "sorting a graph", (graph->n_nodes + 1) * (sizeof *order + sizeof *path));
        goto done;
    }
    for (size_t i = 0; i < graph->n_values; ++i) graph->values[i]->index = 0;
    for (size_t i = 0; i < graph->n_inputs; ++i) graph->inputs[i]->index = 1;
    for (struct vt_node *node = graph->first; node; node = node->next) node->index = UNVISITED;
    for (struct vt_node *node = graph->first; node && !status; node = node->next)
        if (node->index == UNVISITED) status = sort_from(node, path, order, &n_ordered, error);
    if (status) goto done;
    for (size_t i = 0; i < n_ordered; ++i) {
        order[i]->previous = i ? order[i - 1] : NULL;
        order[i]->next = i + 1 < n_ordered ? order[i + 1] : NULL;
    }
    graph->first = n_ordered ? order[0] : NULL;
    graph->last = n_ordered ? order[n_ordered - 1] : NULL;
done:
    free(order);
    free(path);
    return status;
}

static void fix_symbol(struct vt_graph *graph, const struct vt_dim *symbol, const struct vt_dim *fixed) {
    const char *name = vt_dim_symbol_name(symbol);
    if (!name) return;
    for (size_t i = 0; i < graph->n_inputs; ++i) {
        struct vt_value *input = graph->inputs[i];
        for (int axis = 0; axis < input->rank; ++axis)
            if (vt_dim_equal(input->dims[axis], symbol)) input->dims[axis] = fixed;
    }
}

enum vultus_status vt_graph_bind_input(
    struct vt_graph *graph, struct vt_value *input, const int64_t *dims, int rank, struct vultus_error *error) {
    if (rank < 0 || rank > VT_MAX_RANK || (input->rank >= 0 && input->rank != rank))
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "input '%.100s' has %d dimensions, not %d", input->name, input->rank, rank);
    input->rank = rank;
    for (int axis = 0; axis < rank; ++axis) {
        int64_t fixed;
        if (dims[axis] <= 0) continue;
        if (vt_dim_is_constant(input->dims[axis], &fixed)) {
            if (fixed == dims[axis]) continue;
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "dimension %d of input '%.100s' cannot be %lld: the model fixes it at %lld", axis, input->name,
                (long long)dims[axis], (long long)fixed);
        }
        const struct vt_dim *bound = vt_dim_constant(&graph->arena, dims[axis]);
        if (!bound) return vt_fail_memory(error, "an input dimension", sizeof bound);
        fix_symbol(graph, input->dims[axis], bound);
        input->dims[axis] = bound;
    }
    return VULTUS_OK;
}
