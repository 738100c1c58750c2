/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/interpreter.h"

#include <string.h>

/* The state of one value, found by its `index`. */
struct slot {
    struct vt_tensor tensor; /* dtype NONE: not there yet */
    size_t pending;          /* reads to come, graph outputs included */
    struct vt_arena arena;   /* memory of a node's outputs, in the slot of the first one */
};

struct run {
    const struct vt_graph *graph;
    struct slot *slots; /* [graph->n_values] */
    size_t limit;       /* of bytes per node */
    struct vt_arena scratch;
};

static struct slot *slot_of(const struct run *run, const struct vt_value *value) { return &run->slots[value->index]; }

static enum vultus_status check_input(
    const struct vt_value *value, const struct vt_tensor *tensor, struct vultus_error *error) {
    bool fits = value->dtype == VT_DTYPE_NONE || tensor->dtype == value->dtype;
    if (value->rank >= 0) fits = fits && tensor->rank == value->rank;
    for (int axis = 0; fits && axis < value->rank; axis++) {
        int64_t expected = 0;
        fits = !vt_dim_is_constant(value->dims[axis], &expected) || tensor->dims[axis] == expected;
    }
    char text[128];
    if (!fits)
        return vt_fail(error, VULTUS_ERROR_INVALID, "input \"%.100s\" does not accept %s", value->name,
            vt_tensor_describe(tensor, text, sizeof text));
    return VULTUS_OK;
}

/* Numbers the values, counts their reads, and places constants and inputs. */
static enum vultus_status prepare(struct run *run, const struct vt_tensor *inputs, struct vultus_error *error) {
    const struct vt_graph *graph = run->graph;
    run->slots = vt_arena_alloc_array(&run->scratch, graph->n_values + 1, sizeof *run->slots);
    if (!run->slots) return vt_fail_memory(error, "the values of a graph", graph->n_values * sizeof *run->slots);
    for (size_t i = 0; i < graph->n_values; i++) {
        graph->values[i]->index = i;
        vt_arena_init(&run->slots[i].arena, run->limit);
        if (graph->values[i]->constant) run->slots[i].tensor = *graph->values[i]->constant;
    }
    for (const struct vt_node *node = graph->first; node; node = node->next)
        for (size_t i = 0; i < node->n_inputs; i++)
            if (node->inputs[i]) slot_of(run, node->inputs[i])->pending++;
    for (size_t i = 0; i < graph->n_outputs; i++) slot_of(run, graph->outputs[i])->pending++;
    for (size_t i = 0; i < graph->n_inputs; i++) {
        enum vultus_status status = check_input(graph->inputs[i], &inputs[i], error);
        if (status) return status;
        slot_of(run, graph->inputs[i])->tensor = inputs[i];
    }
    return VULTUS_OK;
}

static void release_if_dead(const struct run *run, const struct vt_node *node) {
    for (size_t i = 0; i < node->n_outputs; i++)
        if (slot_of(run, node->outputs[i])->pending > 0) return;
    vt_arena_fini(&slot_of(run, node->outputs[0])->arena);
}

static enum vultus_status run_node(const struct run *run, const struct vt_node *node, struct vultus_error *error) {
    const struct vt_tensor *inputs[64];
    struct vt_tensor outputs[64];
    if (node->n_inputs > sizeof inputs / sizeof *inputs || node->n_outputs > sizeof outputs / sizeof *outputs ||
        node->n_outputs == 0)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "node \"%.100s\" has %zu inputs and %zu outputs", node->name,
            node->n_inputs, node->n_outputs);
    for (size_t i = 0; i < node->n_inputs; i++) {
        inputs[i] = node->inputs[i] ? &slot_of(run, node->inputs[i])->tensor : NULL;
        if (inputs[i] && inputs[i]->dtype == VT_DTYPE_NONE)
            return vt_fail(error, VULTUS_ERROR_INVALID, "node \"%.100s\" reads \"%.100s\" before it is computed",
                node->name, node->inputs[i]->name);
    }
    struct vultus_error reason = {0};
    struct vt_op_call call = {.op = node->op,
        .attrs = node->attrs,
        .inputs = inputs,
        .n_inputs = node->n_inputs,
        .outputs = outputs,
        .n_outputs = node->n_outputs,
        .arena = &slot_of(run, node->outputs[0])->arena};
    enum vultus_status status = vt_op_run(&call, &reason);
    if (status) return vt_fail(error, status, "node \"%.100s\": %s", node->name, reason.text);
    for (size_t i = 0; i < node->n_outputs; i++) slot_of(run, node->outputs[i])->tensor = outputs[i];

    release_if_dead(run, node);
    for (size_t i = 0; i < node->n_inputs; i++) {
        if (!node->inputs[i]) continue;
        slot_of(run, node->inputs[i])->pending--;
        if (node->inputs[i]->producer) release_if_dead(run, node->inputs[i]->producer);
    }
    return VULTUS_OK;
}

static enum vultus_status copy_output(const struct run *run, const struct vt_value *value, struct vt_arena *arena,
    struct vt_tensor *out, struct vultus_error *error) {
    const struct vt_tensor *result = &slot_of(run, value)->tensor;
    if (result->dtype == VT_DTYPE_NONE)
        return vt_fail(error, VULTUS_ERROR_INVALID, "nothing computes the output \"%.100s\"", value->name);
    enum vultus_status status = vt_tensor_alloc(arena, result->dtype, result->rank, result->dims, out, error);
    if (!status && vt_tensor_bytes(result) > 0) memcpy(out->data, result->data, vt_tensor_bytes(result));
    return status;
}

enum vultus_status vt_graph_run(const struct vt_graph *graph, const struct vt_tensor *inputs, struct vt_tensor *outputs,
    struct vt_arena *arena, struct vultus_error *error) {
    struct run run = {.graph = graph, .limit = arena->limit};
    vt_arena_init(&run.scratch, 0);
    enum vultus_status status = prepare(&run, inputs, error);
    for (const struct vt_node *node = graph->first; !status && node; node = node->next)
        status = run_node(&run, node, error);
    for (size_t i = 0; !status && i < graph->n_outputs; i++)
        status = copy_output(&run, graph->outputs[i], arena, &outputs[i], error);
    for (size_t i = 0; run.slots && i < graph->n_values; i++) vt_arena_fini(&run.slots[i].arena);
    vt_arena_fini(&run.scratch);
    return status;
}
