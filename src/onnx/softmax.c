/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/reader.h"

/*
 * Before opset 13 Softmax normalised over all dimensions from `axis` on, together. Where at most one of them has a size
 * other than 1, that is today's Softmax along that one.
 */
static bool find_single_axis(const struct vt_value *x, int64_t first, int *axis) {
    int found = 0;
    *axis = x->rank - 1;
    for (int i = (int)first; i < x->rank; ++i) {
        int64_t size;
        if (vt_dim_is_constant(x->dims[i], &size) && size == 1) continue;
        *axis = i;
        ++found;
    }
    return found <= 1;
}

static bool set_axis(struct vt_graph *graph, struct vt_node *node, int64_t axis) {
    return vt_node_set_attr(graph, node, (struct vt_attr){.name = "axis", .kind = VT_ATTR_INT, .i = axis});
}

/* Flatten(axis), Softmax, Reshape to the input's shape: the old definition spelled out. */
static bool spell_out(struct vt_graph *graph, struct vt_node *softmax, int64_t axis) {
    struct vt_value *x = softmax->inputs[0];
    const struct vt_attr split = {.name = "axis", .kind = VT_ATTR_INT, .i = axis};
    struct vt_node *flatten =
        vt_graph_add_node(graph, softmax, VT_OP_FLATTEN, softmax->name, &x, 1, NULL, 1, &split, 1);
    struct vt_node *shape = vt_graph_add_node(graph, softmax, VT_OP_SHAPE, softmax->name, &x, 1, NULL, 1, NULL, 0);
    if (!flatten || !shape || !set_axis(graph, softmax, 1)) return false;
    vt_graph_set_input(softmax, 0, flatten->outputs[0]);

    struct vt_value *const inputs[2] = {softmax->outputs[0], shape->outputs[0]};
    struct vt_node *reshape =
        vt_graph_add_node(graph, softmax->next, VT_OP_RESHAPE, softmax->name, inputs, 2, NULL, 1, NULL, 0);
    if (!reshape) return false;
    vt_graph_replace_uses(graph, softmax->outputs[0], reshape->outputs[0]);
    return true;
}

enum vultus_status vt_onnx_settle_softmaxes(struct vt_onnx_reader *reader) {
    if (!reader->old_softmaxes) return VULTUS_OK;
    struct vultus_error reason = {0};
    enum vultus_status status = vt_graph_infer(reader->graph, &reason);
    if (status) return vt_onnx_fail(reader, status, "%s", reason.text);
    for (const struct vt_onnx_old_softmax *old = reader->old_softmaxes; old && !status; old = old->next) {
        const struct vt_value *x = old->node->inputs[0];
        int64_t axis = vt_attr_int(&old->node->attrs, "axis", 1);
        if (axis < 0 && x->rank >= 0) axis += x->rank;
        if (x->rank >= 0 && (axis < 0 || axis >= x->rank))
            return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "node '%.100s' (Softmax): axis %lld of %d dimensions",
                old->node->name, (long long)axis, x->rank);
        int single;
        bool direct = x->rank > 0 && find_single_axis(x, axis, &single);
        bool done = direct ? set_axis(reader->graph, old->node, single) : spell_out(reader->graph, old->node, axis);
        if (!done) status = vt_onnx_memory_fail(reader);
    }
    return status;
}
