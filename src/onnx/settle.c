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

/* One node over a constant vector, in front of `before`; NULL when out of memory. */
static struct vt_value *add_shaping(struct vt_graph *graph, struct vt_node *before, enum vt_op op, struct vt_value *x,
    const int64_t *numbers, size_t count) {
    struct vt_value *inputs[2] = {x, vt_graph_add_i64(graph, before->name, numbers, count)};
    struct vt_node *node =
        inputs[1] ? vt_graph_add_node(graph, before, op, before->name, inputs, 2, NULL, 1, NULL, 0) : NULL;
    return node ? node->outputs[0] : NULL;
}

/* Whether a vector of slopes belongs to the channels: it fits them, and not the last dimension. */
static bool belongs_to_channels(const struct vt_value *x, const struct vt_value *slope) {
    int64_t count, channels, last;
    if (slope->rank != 1 || x->rank < 3) return false;
    if (!vt_dim_is_constant(slope->dims[0], &count) || !vt_dim_is_constant(x->dims[1], &channels)) return false;
    bool fits_last = vt_dim_is_constant(x->dims[x->rank - 1], &last) && last == count;
    return count != 1 && count == channels && !fits_last;
}

/*
 * MXNet's exporter writes PRelu's slopes as [C], which by the rules of broadcasting would belong to the last dimension.
 * Where they do not fit there but do fit the channels, they are given their place.
 */
static enum vultus_status settle_prelu(struct vt_onnx_reader *reader, struct vt_node *node) {
    const struct vt_value *x = node->inputs[0];
    int64_t axes[VT_MAX_RANK];
    if (node->n_inputs < 2 || !node->inputs[1] || !belongs_to_channels(x, node->inputs[1])) return VULTUS_OK;
    for (int i = 0; i < x->rank - 2; ++i) axes[i] = i + 1;
    struct vt_value *slope =
        add_shaping(reader->graph, node, VT_OP_UNSQUEEZE, node->inputs[1], axes, (size_t)x->rank - 2);
    if (!slope) return vt_onnx_memory_fail(reader);
    vt_graph_set_input(node, 1, slope);
    return VULTUS_OK;
}

/* Before opset 21 GroupNormalization had a scale and a shift for each group: all of its channels get them. */
static enum vultus_status settle_group_norm(struct vt_onnx_reader *reader, struct vt_node *node) {
    const struct vt_value *x = node->inputs[0];
    int64_t channels, groups = vt_attr_int(&node->attrs, "num_groups", 0);
    if (x->rank < 2 || !vt_dim_is_constant(x->dims[1], &channels))
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "node '%.100s' (GroupNormalization): the number of channels must be known before opset 21", node->name);
    if (groups < 1 || channels % groups)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT,
            "node '%.100s' (GroupNormalization): %lld channels cannot form %lld groups", node->name,
            (long long)channels, (long long)groups);
    const int64_t last = 1, spread[2] = {groups, channels / groups}, flat = -1;
    for (size_t i = 1; i < 3 && i < node->n_inputs; ++i) {
        struct vt_value *value = node->inputs[i];
        if (!value) continue;
        value = add_shaping(reader->graph, node, VT_OP_UNSQUEEZE, value, &last, 1);
        if (value) value = add_shaping(reader->graph, node, VT_OP_EXPAND, value, spread, 2);
        if (value) value = add_shaping(reader->graph, node, VT_OP_RESHAPE, value, &flat, 1);
        if (!value) return vt_onnx_memory_fail(reader);
        vt_graph_set_input(node, i, value);
    }
    return VULTUS_OK;
}

/* Nodes that lack what they need are for inference to name. */
static enum vultus_status settle(struct vt_onnx_reader *reader, struct vt_node *node) {
    if (node->n_inputs == 0 || !node->inputs[0] || node->n_outputs == 0) return VULTUS_OK;
    if (node->op == VT_OP_PRELU) return settle_prelu(reader, node);
    return node->op == VT_OP_GROUP_NORM ? settle_group_norm(reader, node) : settle_softmax(reader, node);
}

enum { SETTLED, WAITING };

enum vultus_status vt_onnx_settle(struct vt_onnx_reader *reader) {
    if (!reader->waiting) return VULTUS_OK;
    struct vt_graph *graph = reader->graph;
    struct vultus_error reason = {0};
    enum vultus_status status = VULTUS_OK;
    for (struct vt_node *node = graph->first; node; node = node->next) node->index = SETTLED;
    for (const struct vt_onnx_waiting *w = reader->waiting; w; w = w->next) w->node->index = WAITING;
    /* Front to back, so that a node's inputs are known when it is settled; what that puts before it comes first. */
    for (struct vt_node *node = graph->first; node && !status; node = node->next) {
        struct vt_node *previous = node->previous;
        bool waits = node->index == WAITING;
        node->index = SETTLED;
        if (waits) status = settle(reader, node);
        if (status) return status;
        if (waits) node = previous ? previous->next : graph->first;
        status = vt_graph_infer_node(graph, node, &reason);
    }
    if (!status) status = vt_graph_infer(graph, &reason);
    return status ? vt_onnx_fail(reader, status, "%s", reason.text) : VULTUS_OK;
}
