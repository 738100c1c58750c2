/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "compile/lowering.h"

/* The widest border and its filling that the convolutions reading `value` want. */
static void need_border(struct vt_representation *r, const int64_t pad[4], const struct vt_value *border) {
    if ((pad[0] | pad[1] | pad[2] | pad[3]) == 0) return;
    if (!r->padded)
        r->border = border;
    else if (r->border != border)
        return; /* the others get a copy of their own */
    r->padded = true;
    for (int i = 0; i < 4; i++) r->pad[i] = (int32_t)vt_max_i64(r->pad[i], pad[i]);
}

static enum vultus_status find_borders(struct vt_lowering *l) {
    for (const struct vt_node *n = l->graph->first; n; n = n->next) {
        if (n->op != VT_OP_FUSED_CONV && n->op != VT_OP_FUSED_CONV_TRANSPOSE) continue;
        if (!vt_lower_can_block(n->inputs[0]) || !n->inputs[1]->constant) continue;
        int64_t pad[4];
        struct vt_window window;
        enum vultus_status status = vt_lower_window(l, n, &window, pad);
        if (status) return status;
        if (n->op == VT_OP_FUSED_CONV_TRANSPOSE && !vt_lower_reads_near(pad)) continue;
        const struct vt_value *border = n->n_inputs > 3 ? n->inputs[3] : NULL;
        need_border(&l->representations[n->inputs[0]->index], pad, border);
    }
    return VULTUS_OK;
}

static enum vultus_status lower_input(struct vt_lowering *l, uint32_t i) {
    struct vt_value *value = l->graph->inputs[i];
    struct vt_plan_value v = {.name = vt_arena_strdup(&l->plan->arena, value->name),
        .dtype = value->dtype,
        .storage = VT_STORAGE_INPUT,
        .offset = i,
        .rank = value->rank,
        .border = VT_PLAN_NONE};
    vt_value_static_dims(value, v.dims);
    uint32_t id = v.name ? vt_lower_new_value(l, &v, VT_PLAN_NONE) : VT_PLAN_NONE;
    if (id == VT_PLAN_NONE) return vt_fail_memory(l->error, "a plan's input", sizeof v);
    l->buffers[l->value_notes[id].buffer].index = i;
    l->representations[value->index].plain = id;
    l->plan->inputs[i] = id;
    return VULTUS_OK;
}

/*
 * The output must be written straight into the caller's memory. A value that is an input, a constant or another output
 * already is copied by an Identity step.
 */
static enum vultus_status lower_output(struct vt_lowering *l, uint32_t i) {
    struct vt_value *value = l->graph->outputs[i];
    uint32_t id = vt_lower_plain(l, value);
    if (id == VT_PLAN_NONE) return vt_fail_memory(l->error, "a plan's output", sizeof(struct vt_plan_value));
    uint32_t buffer = l->value_notes[id].buffer;
    if (buffer == VT_PLAN_NONE || l->buffers[buffer].storage != VT_STORAGE_ARENA ||
        l->buffers[buffer].bytes != vt_round_up(l->plan->values[id].bytes, VT_PLAN_ALIGNMENT)) {
        uint32_t source = id;
        id = vt_lower_new_plain(l, value);
        struct vt_plan_step *step =
            id == VT_PLAN_NONE ? NULL : vt_lower_new_step(l, VT_STEP_REFERENCE, value->name, &source, 1, id);
        if (!step) return vt_fail_memory(l->error, "a plan's output", sizeof(struct vt_plan_value));
        step->op = VT_OP_IDENTITY;
        buffer = l->value_notes[id].buffer;
    }
    l->buffers[buffer].storage = VT_STORAGE_OUTPUT;
    l->buffers[buffer].index = i;
    l->plan->outputs[i] = id;
    l->plan->output_has_batch_axis[i] = value->rank > 0 && l->plan->values[id].dims[0] == 1;
    return VULTUS_OK;
}

static enum vultus_status prepare(struct vt_lowering *l) {
    struct vt_graph *g = l->graph;
    struct vt_arena *arena = &l->plan->arena;
    l->representations = vt_arena_alloc_array(arena, g->n_values + 1, sizeof *l->representations);
    l->plan->inputs = vt_arena_alloc_array(arena, g->n_inputs + 1, sizeof(uint32_t));
    l->plan->outputs = vt_arena_alloc_array(arena, g->n_outputs + 1, sizeof(uint32_t));
    l->plan->output_has_batch_axis = vt_arena_alloc_array(arena, g->n_outputs + 1, sizeof(bool));
    if (!l->representations || !l->plan->inputs || !l->plan->outputs || !l->plan->output_has_batch_axis)
        return vt_fail_memory(l->error, "a plan's tables", g->n_values * sizeof *l->representations);
    for (size_t i = 0; i < g->n_values; i++) {
        g->values[i]->index = i;
        l->representations[i].plain = VT_PLAN_NONE;
    }
    l->plan->n_inputs = (uint32_t)g->n_inputs;
    l->plan->n_outputs = (uint32_t)g->n_outputs;
    return find_borders(l);
}

enum vultus_status vt_lower_window(
    struct vt_lowering *l, const struct vt_node *n, struct vt_window *window, int64_t pad[4]) {
    const int64_t *weights = n->inputs[1]->constant->dims;
    int64_t dims[VT_MAX_RANK], out[2], reach[2];
    vt_value_static_dims(n->inputs[0], dims);
    enum vultus_status status;
    if (n->op == VT_OP_FUSED_CONV) {
        status = vt_window_resolve(&n->attrs, weights, dims + 2, window, out, l->error);
        memcpy(pad, window->pad, sizeof window->pad);
        return status;
    }
    status = vt_window_resolve_transposed(&n->attrs, weights, dims + 2, window, out, l->error);
    for (int axis = 0; !status && axis < 2; axis++) {
        vt_plan_transposed_reach(window, axis, dims[2 + axis], out[axis], reach);
        pad[axis] = reach[0];
        pad[axis + 2] = reach[1];
    }
    return status;
}

enum vultus_status vt_lower_graph(struct vt_lowering *l) {
    enum vultus_status status = prepare(l);
    for (uint32_t i = 0; !status && i < l->graph->n_inputs; i++) status = lower_input(l, i);
    for (const struct vt_node *n = l->graph->first; !status && n; n = n->next) status = vt_lower_node(l, n);
    for (uint32_t i = 0; !status && i < l->graph->n_outputs; i++) status = lower_output(l, i);
    return status;
}
