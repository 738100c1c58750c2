/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/reader.h"

enum node_field {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    NODE_OVERLOAD = 8,
};

enum vultus_status vt_onnx_declare_outputs(struct vt_onnx_reader *reader, struct vt_pb message) {
    struct vt_pb_field field;
    enum vultus_status status;
    int count = 0;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        const char *name;
        if (field.number != NODE_OUTPUT) continue;
        if (++count > VT_ONNX_MOST_NODE_OUTPUTS)
            return vt_pb_fail(&reader->source, field.at, VULTUS_ERROR_LIMIT, "a node has more than %d outputs",
                VT_ONNX_MOST_NODE_OUTPUTS);
        status = vt_pb_text(&field, reader->arena, &name);
        if (status) break;
        if (!*name) continue;
        status = vt_onnx_declare_value(reader, name);
        if (status) break;
    }
    return status;
}

static enum vultus_status read_names(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct vt_onnx_node *node) {
    struct vt_pb_field field;
    enum vultus_status status;
    const char *first_output = "";
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == NODE_OUTPUT && !*first_output) status = vt_pb_text(&field, reader->arena, &first_output);
        if (field.number == NODE_NAME) status = vt_pb_text(&field, reader->arena, &node->name);
        if (field.number == NODE_OP_TYPE) status = vt_pb_text(&field, reader->arena, &node->operator_name);
        if (field.number == NODE_DOMAIN) status = vt_pb_text(&field, reader->arena, &node->domain);
        if (field.number == NODE_OVERLOAD) status = vt_pb_text(&field, reader->arena, &node->overload);
        if (status) break;
    }
    if (!*node->name) node->name = first_output;
    if (strcmp(node->domain, "ai.onnx") == 0) node->domain = "";
    return status;
}

static enum vultus_status read_input(
    const struct vt_onnx_reader *reader, const struct vt_pb_field *field, struct vt_onnx_node *node) {
    const char *name;
    if (node->n_inputs == VT_ONNX_MOST_NODE_INPUTS)
        return vt_onnx_node_fail(
            reader, node, VULTUS_ERROR_LIMIT, "there are more than %d inputs", VT_ONNX_MOST_NODE_INPUTS);
    enum vultus_status status = vt_pb_text(field, reader->arena, &name);
    if (status) return status;
    struct vt_value *value = NULL;
    bool known = true;
    if (*name) status = vt_onnx_find_value(reader, name, &known, &value);
    if (status) return status;
    if (!known)
        return vt_onnx_node_fail(
            reader, node, VULTUS_ERROR_FORMAT, "it reads '%.100s', which no node, input or constant provides", name);
    node->inputs[node->n_inputs++] = value;
    return VULTUS_OK;
}

/* The names were declared, and counted, before. */
static enum vultus_status read_output(
    const struct vt_onnx_reader *reader, const struct vt_pb_field *field, struct vt_onnx_node *node) {
    const char *name;
    enum vultus_status status = vt_pb_text(field, reader->arena, &name);
    if (status) return status;
    struct vt_value *value = NULL;
    bool known;
    if (*name) status = vt_onnx_find_value(reader, name, &known, &value);
    node->outputs[node->n_outputs++] = value;
    return status;
}

static enum vultus_status read_fields(struct vt_onnx_reader *reader, struct vt_pb message, struct vt_onnx_node *node) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        struct vt_pb attribute;
        if (field.number == NODE_INPUT) status = read_input(reader, &field, node);
        if (field.number == NODE_OUTPUT) status = read_output(reader, &field, node);
        if (field.number == NODE_ATTRIBUTE) {
            status = vt_pb_message(&field, &attribute);
            if (!status) status = vt_onnx_read_attribute(reader, node, attribute);
        }
        if (status) break;
    }
    return status;
}

/* Keeps the outputs that the operator computes here; the others are remembered, nothing may read them. */
static enum vultus_status trim_outputs(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    for (; node->n_outputs > node->most_outputs; --node->n_outputs) {
        const struct vt_value *value = node->outputs[node->n_outputs - 1];
        if (!value) continue;
        struct vt_onnx_extra_output *extra = vt_arena_alloc(reader->arena, sizeof *extra);
        if (!extra) return vt_onnx_memory_fail(reader);
        *extra = (struct vt_onnx_extra_output){value, node->name, node->operator_name, reader->extra_outputs};
        reader->extra_outputs = extra;
    }
    while (node->n_outputs > 1 && !node->outputs[node->n_outputs - 1]) --node->n_outputs;
    if (node->n_outputs && !node->outputs[0])
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "output 0 has no name");
    for (size_t i = 1; i < node->n_outputs; ++i) {
        if (!node->outputs[i]) node->outputs[i] = vt_graph_add_value(reader->graph, node->name);
        if (!node->outputs[i]) return vt_onnx_memory_fail(reader);
    }
    while (node->n_inputs && !node->inputs[node->n_inputs - 1]) --node->n_inputs;
    return VULTUS_OK;
}

static enum vultus_status let_wait(struct vt_onnx_reader *reader, struct vt_node *node) {
    struct vt_onnx_waiting *waiting = vt_arena_alloc(reader->arena, sizeof *waiting);
    if (!waiting) return vt_onnx_memory_fail(reader);
    *waiting = (struct vt_onnx_waiting){node, reader->waiting};
    reader->waiting = waiting;
    return VULTUS_OK;
}

enum vultus_status vt_onnx_read_node(struct vt_onnx_reader *reader, struct vt_pb message) {
    struct vt_onnx_node node = {.name = "", .operator_name = "", .domain = "", .overload = ""};
    enum vultus_status status = read_names(reader, message, &node);
    if (!status) status = read_fields(reader, message, &node);
    if (status) return status;
    const struct vt_onnx_function *function = vt_onnx_find_function(reader, &node);
    if (function) return vt_onnx_inline(reader, &node, function);
    status = vt_onnx_map_node(reader, &node);
    if (status || node.op == VT_OP_NONE) return status;
    status = trim_outputs(reader, &node);
    if (status) return status;
    if (reader->graph->n_nodes >= reader->most_nodes)
        return vt_onnx_fail(reader, VULTUS_ERROR_LIMIT, "the graph has more than %zu nodes", reader->most_nodes);
    struct vt_node *made = vt_graph_add_node(reader->graph, NULL, node.op, node.name, node.inputs, node.n_inputs,
        node.outputs, node.n_outputs, node.attrs, node.n_attrs);
    if (!made) return vt_onnx_memory_fail(reader);
    return node.waits_for_shapes ? let_wait(reader, made) : VULTUS_OK;
}
