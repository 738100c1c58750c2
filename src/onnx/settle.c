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

static enum vultus_status settle_softmax(struct vt_onnx_reader *reader, struct vt_node *node) {
    const struct vt_value *x = node->inputs[0];
    int64_t axis = vt_attr_int(&node->attrs, "axis", 1);
    if (axis < 0 && x->rank >= 0) axis += x->rank;
    if (x->rank >= 0 && (axis < 0 || axis >= x->rank))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "node '%.100s' (Softmax): axis %lld of %d dimensions",
            node->name, (long long)axis, x->rank);
    int single;
    bool direct = x->rank > 0 && find_single_axis(x, axis, &single);
    bool done = direct ? set_axis(reader->graph, node, single) : spell_out(reader->graph, node, axis);
    return done ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

/*
 * MXNet's exporter writes PRelu's slopes as [C], which by the rules of broadcasting would belong to the last dimension.
 * Where they do not fit there but do fit the channels, they are given their place.
 */
static enum vultus_status settle_prelu(struct vt_onnx_reader *reader, struct vt_node *node) {
    const struct vt_value *x = node->inputs[0];
    struct vt_value *slope = node->inputs[1];
    int64_t axes[VT_MAX_RANK];
    if (x->rank < 3 || slope->rank != 1 || vt_slope_is_broadcast(x, slope)) return VULTUS_OK;
    for (int i = 0; i < x->rank - 2; ++i) axes[i] = i + 1;
    const char *stem = vt_arena_printf(reader->arena, "%s_axes", node->name);
    struct vt_value *inputs[2] = {
        slope, stem ? vt_graph_add_i64(reader->graph, stem, axes, (size_t)x->rank - 2) : NULL};
    struct vt_node *unsqueeze =
        inputs[1] ? vt_graph_add_node(reader->graph, node, VT_OP_UNSQUEEZE, node->name, inputs, 2, NULL, 1, NULL, 0)
                  : NULL;
    if (!unsqueeze) return vt_onnx_memory_fail(reader);
    vt_graph_set_input(node, 1, unsqueeze->outputs[0]);
    return VULTUS_OK;
}

enum vultus_status vt_onnx_settle(struct vt_onnx_reader *reader) {
    if (!reader->waiting) return VULTUS_OK;
    struct vultus_error reason = {0};
    enum vultus_status status = vt_graph_infer(reader->graph, &reason);
    if (status) return vt_onnx_fail(reader, status, "%s", reason.text);
    for (const struct vt_onnx_waiting *w = reader->waiting; w && !status; w = w->next)
        status = w->node->op == VT_OP_PRELU ? settle_prelu(reader, w->node) : settle_softmax(reader, w->node);
    return status;
}
