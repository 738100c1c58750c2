/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/pass.h"
#include "pass/rewrite.h"

static bool moves_data(enum vt_op op) { return op == VT_OP_TRANSPOSE || vt_rewrite_is_reshape(op); }

/* The first node of the chain of data movements that ends in `value` and that only `value`'s reader looks at. */
static struct vt_node *chain_start(const struct vt_graph *graph, const struct vt_value *value) {
    struct vt_node *start = NULL;
    for (struct vt_node *node = value->producer; node && moves_data(node->op); node = value->producer) {
        if (!vt_value_only_user(graph, value)) break;
        start = node;
        value = node->inputs[0];
    }
    return start;
}

static enum vultus_status hoist(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct vt_graph *graph = rewrite->graph;
    enum vt_activation kind = vt_rewrite_activation(node).kind;
    if (kind == VT_ACT_NONE || kind == VT_ACT_PRELU || node->inputs[0]->dtype != VT_DTYPE_F32) return VULTUS_OK;
    struct vt_node *start = chain_start(graph, node->inputs[0]);
    /* Worth it only where an operator's result can take the activation. */
    if (!start || !start->inputs[0]->producer || !vt_value_only_user(graph, start->inputs[0])) return VULTUS_OK;
    struct vt_value *inputs[3] = {start->inputs[0], vt_rewrite_input(node, 1), vt_rewrite_input(node, 2)};
    struct vt_node *hoisted = vt_graph_add_node(
        graph, start, node->op, node->name, inputs, node->n_inputs, NULL, 1, node->attrs.items, node->attrs.count);
    if (!hoisted) return vt_rewrite_no_memory(rewrite);
    vt_rewrite_copy_type(hoisted->outputs[0], start->inputs[0]);
    vt_graph_set_input(start, 0, hoisted->outputs[0]);
    vt_graph_replace_uses(graph, node->outputs[0], node->inputs[0]);
    vt_graph_remove_node(graph, node);
    rewrite->changed++;
    return VULTUS_OK;
}

enum vultus_status vt_pass_hoist_activation(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, hoist, changed, error);
}
