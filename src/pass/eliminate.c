/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/pass.h"
#include "pass/rewrite.h"

static bool keeps_axes(const struct vt_node *node) {
    int rank = node->inputs[0]->rank;
    const struct vt_attr *perm = vt_attr_find(&node->attrs, "perm", VT_ATTR_INTS);
    if (rank < 0 || (perm && perm->count != (size_t)rank)) return false;
    for (int i = 0; i < rank; i++)
        if ((perm ? perm->ints[i] : rank - 1 - i) != i) return false;
    return true;
}

static bool is_inference_dropout(const struct vt_node *node) {
    const struct vt_value *training = vt_rewrite_input(node, 2);
    if (node->n_outputs > 1 && node->outputs[1] && node->outputs[1]->uses > 0) return false;
    return !training || (training->constant && vt_tensor_count(training->constant) == 1 &&
                            vt_tensor_get(training->constant, 0) == 0);
}

/* Whether outputs[0] always equals inputs[0]. */
static bool changes_nothing(const struct vt_node *node) {
    switch (node->op) {
    case VT_OP_IDENTITY: return true;
    case VT_OP_DROPOUT: return is_inference_dropout(node);
    case VT_OP_CAST:
        return node->outputs[0]->dtype != VT_DTYPE_NONE && node->outputs[0]->dtype == node->inputs[0]->dtype;
    case VT_OP_CONCAT: return node->n_inputs == 1;
    case VT_OP_TRANSPOSE: return keeps_axes(node);
    default: return vt_rewrite_is_reshape(node->op) && vt_rewrite_same_dims(node->inputs[0], node->outputs[0]);
    }
}

static enum vultus_status bypass(struct vt_rewrite *rewrite, struct vt_node *node) {
    if (!changes_nothing(node)) return VULTUS_OK;
    struct vt_value *out = node->outputs[0];
    size_t uses = out->uses;
    vt_graph_replace_uses(rewrite->graph, out, node->inputs[0]);
    if (out->uses < uses) rewrite->changed++;
    /* Two public names for one value need the node. */
    if (out->uses == 0) vt_graph_remove_node(rewrite->graph, node);
    return VULTUS_OK;
}

/* Secondary outputs that nothing reads; the number of a Split's outputs says how it splits. */
static void trim_outputs(struct vt_node *node, size_t *changed) {
    while (node->op != VT_OP_SPLIT && node->n_outputs > 1 && node->outputs[node->n_outputs - 1]->uses == 0) {
        node->outputs[--node->n_outputs]->producer = NULL;
        if (changed) ++*changed;
    }
}

static bool is_unread(const struct vt_node *node) {
    for (size_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && node->outputs[i]->uses > 0) return false;
    return true;
}

enum vultus_status vt_pass_eliminate(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    enum vultus_status status = vt_rewrite_graph(graph, bypass, changed, error);
    if (status) return status;
    for (struct vt_node *node = graph->last, *previous; node; node = previous) {
        previous = node->previous;
        trim_outputs(node, changed);
        if (!is_unread(node)) continue;
        vt_graph_remove_node(graph, node);
        if (changed) ++*changed;
    }
    return VULTUS_OK;
}
